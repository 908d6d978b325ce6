"""Every form of a dataset on the Hub, by its ID, through the installed command."""

import pytest
from huggingface_hub import HfApi
from support.corpora import CLASS_NAMES, jpegs, write_parquet_dataset
from support.forms import (
    NAMES,
    write_class_folders,
    write_table_beside_images,
    write_tars,
    write_with_metadata,
    write_zip,
)
from support.runs import convert, entries, manifest, samples, tree

pytestmark = [
    pytest.mark.integration,
    # webdataset leaves its files to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

TOKEN = "hf_thisisnobodystoken"  # noqa: S105


def assert_holds(out, form, *, text=None):
    """Demand the images as they were stored, the labels and the strings of a form, in order."""
    found = entries(out)
    assert [sample["jpg"] for sample in samples(out)] == form.images
    assert [entry["label"] for entry in found] == form.labels
    assert [entry["position"] for entry in found] == list(range(len(form.images)))
    if text:
        assert [entry[text] for entry in found] == form.texts


@pytest.fixture
def parquet(hub):
    """Return (repo id, corpus) of a Parquet dataset."""
    repo, folder = hub.new_repo()
    return repo, write_parquet_dataset(folder, rows=30, row_group_size=7, files=2)


def assert_is_corpus(out, corpus):
    found = entries(out)
    assert [sample["jpg"] for sample in samples(out)] == corpus.images
    assert [entry["label_name"] for entry in found] == [CLASS_NAMES[n] for n in corpus.labels]
    assert [entry["caption"] for entry in found] == corpus.captions


PAGE = "https://huggingface.co/datasets/{}"


@pytest.mark.parametrize(
    "form", ["{}", "hf://datasets/{}", "hf://datasets/{}@main", PAGE, f"{PAGE}/tree/main"]
)
def test_parquet_by_id(parquet, tmp_path, form):
    repo, corpus = parquet
    convert(form.format(repo), tmp_path / "out")
    assert_is_corpus(tmp_path / "out", corpus)
    source = manifest(tmp_path / "out")["source"]
    assert (source["kind"], source["repo"]) == ("hub", repo)
    assert source["commit"] == HfApi().dataset_info(repo).sha


def without_names(found):
    # A local folder of images also records the name of each file.
    return [{k: v for k, v in entry.items() if k != "file_name"} for entry in found]


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (write_class_folders, None),
        (write_with_metadata, "text"),
        (lambda folder: write_with_metadata(folder, kind="jsonl"), "text"),
        (write_table_beside_images, "text"),
        (lambda folder: write_table_beside_images(folder, kind="jsonl"), "text"),
        (write_tars, "txt"),
        (write_zip, None),
    ],
    ids=["classes", "metadata.csv", "metadata.jsonl", "csv", "jsonl", "tars", "zip"],
)
def test_other_repositories_by_id_give_the_rows_of_the_same_folder(hub, tmp_path, write, text):
    repo, folder = hub.new_repo()
    form = write(folder)
    convert(repo, tmp_path / "out")
    assert_holds(tmp_path / "out", form, text=text)
    convert(folder, tmp_path / "local")
    assert without_names(entries(tmp_path / "out")) == without_names(entries(tmp_path / "local"))


def test_class_names_come_from_a_streamed_repo(hub, tmp_path):
    repo, folder = hub.new_repo()
    write_class_folders(folder)
    convert(repo, tmp_path / "out")
    assert manifest(tmp_path / "out")["class_names"] == list(NAMES)


@pytest.mark.parametrize("by", ["@", "--revision"])
def test_a_revision_is_read_as_it_was_and_pinned(parquet, tmp_path, by):
    repo, corpus = parquet
    HfApi().create_branch(repo, branch="old", repo_type="dataset")
    commit = HfApi().dataset_info(repo).sha
    HfApi().delete_file(corpus.files[1], repo, repo_type="dataset")
    arguments = [f"hf://datasets/{repo}@old"] if by == "@" else [repo, "--revision", "old"]
    convert(arguments[0], tmp_path / "out", *arguments[1:])
    assert_is_corpus(tmp_path / "out", corpus)
    assert manifest(tmp_path / "out")["source"]["commit"] == commit
    convert(repo, tmp_path / "new")
    assert len(samples(tmp_path / "new")) == corpus.rows // 2


CARD = """---
configs:
- config_name: small
  data_files: small/data/*.parquet
- config_name: big
  data_files: big/data/*.parquet
---
"""


def test_one_of_several_subsets_must_be_named(hub, tmp_path):
    repo, folder = hub.new_repo()
    corpora = {
        name: write_parquet_dataset(folder / name, seed=n)
        for n, name in enumerate(["small", "big"])
    }
    (folder / "README.md").write_text(CARD)
    for name, corpus in corpora.items():
        convert(repo, tmp_path / name, "--subset", name)
        assert [sample["jpg"] for sample in samples(tmp_path / name)] == corpus.images
    for arguments in ((), ("--subset", "huge")):
        done = convert(repo, tmp_path / "out", *arguments, code=2)
        assert "small, big" in done.stderr
        assert "--subset" in done.stderr
        assert "Traceback" not in done.stderr


def test_all_splits_and_joined_splits(hub, tmp_path):
    repo, folder = hub.new_repo()
    train = write_parquet_dataset(folder, rows=10)
    test = write_parquet_dataset(folder, rows=6, split="test", seed=1)
    convert(repo, tmp_path / "all", "--split", "all")
    assert len(samples(tmp_path / "all", "train")) == 10
    assert [s["jpg"] for s in samples(tmp_path / "all", "test")] == test.images
    convert(repo, tmp_path / "both", "--split", "test+train[:50%]")
    both = samples(tmp_path / "both", "test_train")
    assert [s["jpg"] for s in both] == test.images + train.images[:5]


@pytest.mark.parametrize("write", [write_parquet_dataset, write_class_folders])
class TestAccess:
    """Who may read a dataset, and what is said to who may not."""

    def test_a_private_repo_is_read_with_the_token(self, hub, tmp_path, write):
        repo, folder = hub.new_repo()
        form = write(folder)
        (folder / ".private").touch()
        hub.configure(token=TOKEN)
        convert(repo, tmp_path / "out", env={"HF_TOKEN": TOKEN})
        assert [sample["jpg"] for sample in samples(tmp_path / "out")] == form.images
        files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
        assert files
        assert all(TOKEN.encode() not in path.read_bytes() for path in files)

    def test_the_token_of_a_login_is_found_by_worker_processes_too(self, hub, tmp_path, write):
        repo, folder = hub.new_repo()
        form = write(folder)
        (folder / ".private").touch()
        hub.configure(token=TOKEN)
        (tmp_path / "token").write_text(TOKEN)
        arguments = ("--engine", "processes", "--workers", 2)
        convert(repo, tmp_path / "out", *arguments, env={"HF_TOKEN_PATH": tmp_path / "token"})
        assert [sample["jpg"] for sample in samples(tmp_path / "out")] == form.images

    def test_without_the_token_the_error_says_how_to_log_in(self, hub, tmp_path, write):
        repo, folder = hub.new_repo()
        write(folder)
        (folder / ".private").touch()
        hub.configure(token=TOKEN)
        done = convert(repo, tmp_path / "out", code=3)
        assert "hf auth login" in done.stderr
        assert "HF_TOKEN" in done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "out").exists()

    def test_a_wrong_token_is_refused_and_not_shown(self, hub, tmp_path, write):
        repo, folder = hub.new_repo()
        write(folder)
        hub.configure(token=TOKEN)
        done = convert(repo, tmp_path / "out", env={"HF_TOKEN": "hf_wrong"}, code=3)
        assert "refuses the token" in done.stderr
        assert "hf_wrong" not in done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize("token", [None, TOKEN])
    def test_a_gated_repository_says_where_to_request_access(self, hub, tmp_path, write, token):
        repo, folder = hub.new_repo()
        form = write(folder)
        (folder / ".gated").touch()
        hub.configure(token=TOKEN)
        if token:
            convert(repo, tmp_path / "out", env={"HF_TOKEN": token})
            assert [sample["jpg"] for sample in samples(tmp_path / "out")] == form.images
            return
        done = convert(repo, tmp_path / "out", code=3)
        assert "gated" in done.stderr
        assert "request access" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_missing_split_is_refused_with_the_existing_ones(self, hub, tmp_path, write):
        repo, folder = hub.new_repo()
        write(folder)
        done = convert(repo, tmp_path / "out", "--split", "dev", code=2)
        assert "'dev'" in done.stderr
        assert "train" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_missing_revision_is_reported(self, hub, tmp_path, write):
        repo, folder = hub.new_repo()
        write(folder)
        done = convert(repo, tmp_path / "out", "--revision", "nope", code=3)
        assert "--revision" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("repo", ["u/there-is-no-such-set", "hf://datasets/u/no-such-set"])
def test_a_missing_repository_is_reported(hub, tmp_path, repo):
    done = convert(repo, tmp_path / "out", code=3)
    assert "does not exist on the Hub or is private" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_invalid_id_is_reported(hub, tmp_path):
    done = convert("hf://datasets/no-user", tmp_path / "out", code=2)
    assert "user/name" in done.stderr


def test_the_finished_output_of_a_repository_is_kept_when_run_again(parquet, tmp_path):
    convert(parquet[0], tmp_path / "out")
    before = tree(tmp_path / "out")
    convert(parquet[0], tmp_path / "out")
    assert tree(tmp_path / "out") == before


def test_a_branch_with_a_new_commit_is_another_source(parquet, tmp_path):
    repo, corpus = parquet
    convert(repo, tmp_path / "out")
    commit = HfApi().dataset_info(repo).sha
    HfApi().delete_file(corpus.files[1], repo, repo_type="dataset")
    done = convert(repo, tmp_path / "out", code=7)
    assert f"--revision {commit} to resume" in done.stderr
    convert(repo, tmp_path / "out", "--revision", commit)


def test_every_image_is_fetched_once_for_all_copies(hub, parquet, tmp_path):
    sent = []
    for copies in (1, 3):
        hub.reset()
        arguments = ("--copies", copies, "--step", "random-crop=8", "--workers", 1)
        convert(parquet[0], tmp_path / str(copies), *arguments)
        sent.append(hub.sent)
    assert sent[1] == pytest.approx(sent[0], rel=0.01)


def test_images_of_every_row_group_come_from_the_hub_undecoded_in_the_parent(hub, tmp_path):
    repo, folder = hub.new_repo()
    images = jpegs(300)
    write_parquet_dataset(folder, images=images, row_group_size=64)
    convert(repo, tmp_path / "out", "--limit", 130)
    assert [sample["jpg"] for sample in samples(tmp_path / "out")] == images[:130]
