"""Datasets by ID from a fake Hub: the same rows as from disk, despite faults of the network."""

import pickle
import time
import traceback

import pytest
from huggingface_hub import HfApi
from support.corpora import jpeg, write_parquet_dataset, write_table

from wdsremux.core.columns import Column, Columns
from wdsremux.core.errors import SourceError, UsageError
from wdsremux.sources.hub.layout import hub_layout
from wdsremux.sources.parquet.hub import open_hub
from wdsremux.sources.parquet.layout import card_from_folder, layout_from_names
from wdsremux.sources.parquet.local import open_parquet
from wdsremux.stores.hub.ranges import HubAccess

pytestmark = pytest.mark.integration

COLUMNS = Columns("image", Column("label", "int64"), (Column("caption", "string"),), None)
TOKEN = "hf_thisisnobodystoken"  # noqa: S105


def layout_of(repo, access=None, *, subset=None, revision=None):
    return hub_layout(repo, subset=subset, revision=revision, access=access or HubAccess())


def opened(repo, access=None, **options):
    return open_hub(layout_of(repo, access, **options), access or HubAccess())


def read(source, start=0, split="train", columns=COLUMNS):
    for unit in source.units(split, columns, start):
        travelled = pickle.loads(pickle.dumps(unit))
        yield from travelled.read(max(0, start - unit.first), unit.rows)


@pytest.fixture
def dataset(hub):
    """Return (repo id, corpus) of a dataset with several files and row groups."""
    repo, folder = hub.new_repo()
    return repo, write_parquet_dataset(folder, rows=60, row_group_size=12, files=3)


def test_the_same_records_come_as_from_disk(dataset):
    repo, corpus = dataset
    remote, local = opened(repo), open_parquet(str(corpus.folder), subset=None, image_root=None)
    assert remote.splits() == local.splits()
    assert remote.features() == local.features()
    files = remote.identity()["files"]
    assert all(len(file.pop("oid")) == 40 for file in files)
    assert files == local.identity()["files"]
    for start in (0, 11, 12, 20, 59):
        assert list(read(remote, start)) == list(read(local, start))
    assert [r.image for r in read(remote)] == corpus.images


def test_the_identity_names_repo_and_commit_but_no_address(hub, dataset):
    identity = opened(dataset[0]).identity()
    commit = HfApi().dataset_info(dataset[0]).sha
    assert (identity["kind"], identity["repo"], identity["commit"]) == ("hub", dataset[0], commit)
    assert hub.address not in str(identity)


@pytest.mark.parametrize(
    "names",
    [
        ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet",
         "data/my_split-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"],
        ["train-2.parquet", "train-10.parquet", "a/train-1.parquet", "a-b/train-1.parquet"],
        ["train/b.parquet", "train/a/c.parquet", "val/x.parquet", "eval-set/test.parquet"],
        ["x.parquet", "B.parquet", "a.parquet", "a/b.parquet", "_z.parquet", "é.parquet"],
        ["training.1.parquet", "my-train.2.parquet", "train_training_3.parquet"],
        ["dev.1.parquet", "train.1.parquet", "TRAIN.parquet", "validation 2.parquet"],
        [".hidden/a.parquet", "__x__/a.parquet", "b.parquet"],
    ],
)  # fmt: skip
def test_files_make_the_splits_that_load_dataset_makes(hub, names):
    repo, folder = hub.new_repo()
    for name in names:
        write_table(folder / name, {"image": [jpeg(0)]})
    expected = {s: list(f) for s, f in layout_of(repo).splits.items()}
    found = layout_from_names(names, {}, None).splits
    assert {s: list(f) for s, f in found.items()} == expected
    assert list(found) == list(expected)


README = """---
configs:
- config_name: small
  data_files: "s/*.parquet"
- config_name: big
  default: true
  data_files:
  - split: train
    path: [b/2.parquet, "b/1*"]
  - split: extra
    path: "**/d?.parquet"
dataset_info:
- config_name: big
  features:
  - {name: image, dtype: image}
  - name: label
    dtype: {class_label: {names: {'0': cat, '1': dog}}}
- config_name: small
---
"""


ONE_INFO = README.replace("- config_name: small\n---", "---").replace("  default: true\n", "")


@pytest.mark.parametrize("readme", [README, ONE_INFO])
def test_the_card_means_the_same_on_the_hub_and_on_disk(hub, readme):
    repo, folder = hub.new_repo()
    for name in ("s/a.parquet", "b/1.parquet", "b/10.parquet", "b/2.parquet", "b/c/d1.parquet"):
        write_table(folder / name, {"image": [jpeg(0)], "label": [1]})
    (folder / "README.md").write_text(readme)
    card = card_from_folder(folder)
    names = [p.relative_to(folder).as_posix() for p in folder.rglob("*.parquet")]
    for subset in (None, "small", "big"):
        expected = layout_of(repo, subset=subset)
        found = layout_from_names(names, card, subset)
        assert found.splits == expected.splits
        assert found.subset == expected.subset
    local = open_parquet(str(folder), subset=None, image_root=None)
    assert opened(repo).features() == local.features()
    assert local.features()[1].class_names == ("cat", "dog")
    with pytest.raises(UsageError, match=r"'huge': dataset '.*' has the subsets small, big"):
        layout_of(repo, subset="huge")


def test_a_required_subset_is_requested(hub):
    repo, folder = hub.new_repo()
    (folder / "README.md").write_text(README.replace("  default: true\n", ""))
    write_table(folder / "s" / "a.parquet", {"image": [jpeg(0)]})
    with pytest.raises(SourceError, match=r"cannot be opened: .*b/2\.parquet'.*; check whether"):
        layout_of(repo, subset="big")
    write_table(folder / "b" / "2.parquet", {"image": [jpeg(0)]})
    hub.store.changed()
    with pytest.raises(UsageError, match="several subsets: small, big; choose one with --subset"):
        layout_of(repo)


def test_images_are_recognised_without_metadata(hub):
    repo, folder = hub.new_repo()
    write_table(folder / "a.parquet", {"blob": [jpeg(0)], "file_name": ["a.jpg"], "n": [1]})
    columns = {c.name: c.dtype for c in opened(repo).features()}
    assert columns == {"blob": "image", "file_name": "image", "n": "int64"}


def test_other_repositories_are_streamed(hub):
    repo, folder = hub.new_repo()
    (folder / "metadata.csv").write_text("file_name,caption\na.jpg,hello\n")
    (folder / "a.jpg").write_bytes(jpeg(0))
    layout = layout_of(repo)
    assert not layout.is_parquet
    assert layout.splits == {}
    assert layout.builder.hash == layout.commit


@pytest.mark.parametrize("kind", ["cut", "503", "429", "500", "short", "reset", "stall"])
def test_all_rows_arrive_once_and_in_order_despite_faults(hub, dataset, kind):
    repo, corpus = dataset
    access = HubAccess(stall_timeout_s=0.3)
    source = opened(repo, access)
    most = 2 if kind == "stall" else 6
    hub.configure(fault_rate=0.5, fault_kinds=(kind,), fault_max=most, retry_after=0, seed=3)
    hub.reset()
    records = list(read(source))
    assert hub.faults == most
    assert [r.position for r in records] == list(range(60))
    assert [r.image for r in records] == corpus.images
    assert [r.fields["label"] for r in records] == corpus.labels


@pytest.mark.parametrize("status", ["503", "429"])
def test_the_first_requests_are_retried(hub, dataset, status):
    hub.configure(
        fault_rate=1, fault_kinds=(status,), fault_max=2, fault_match="/api/", retry_after=0
    )
    hub.reset()
    assert opened(dataset[0]).splits() == {"train": 60}
    assert hub.faults == 2


def test_a_stopped_server_ends_the_reading_in_time(hub, dataset):
    repo, corpus = dataset
    access = HubAccess(give_up_after_s=1.0, stall_timeout_s=0.5)
    source = opened(repo, access)
    hub.reset()
    hub.configure(dead_after=2)
    seen, began = [], time.monotonic()
    with pytest.raises(SourceError) as caught:
        seen.extend(read(source))
    assert time.monotonic() - began < 15
    assert [r.image for r in seen] == corpus.images[: len(seen)]
    assert len(seen) < corpus.rows
    text = str(caught.value)
    assert "cannot read u/set" in text
    assert "tried for 1 s; finished shards are kept, and the same command resumes" in text
    assert "http" not in text
    assert any(name in text for name in corpus.files)


def test_a_stopped_hub_is_reported_before_anything_is_read(hub, dataset):
    hub.configure(fault_rate=1, fault_kinds=("503",), fault_match=".", retry_after=0)
    with pytest.raises(SourceError, match="the Hub answers 503; tried for 1 s"):
        layout_of(dataset[0], HubAccess(give_up_after_s=1.0))


def test_each_file_is_resolved_once(hub, dataset):
    list(read(opened(dataset[0])))
    assert hub.count("GET resolve") == 3


def test_an_expired_link_is_requested_again(hub, dataset):
    repo, corpus = dataset
    source = opened(repo)
    stream = read(source)
    images = [next(stream).image]
    hub.revoke_signatures()
    images += [r.image for r in stream]
    assert images == corpus.images
    assert hub.count("GET cdn 403") >= 1


def test_rows_are_those_of_the_commit_when_the_branch_changes(dataset):
    repo, corpus = dataset
    source = opened(repo)
    HfApi().upload_file(
        path_or_fileobj=b"new", path_in_repo=corpus.files[0], repo_id=repo, repo_type="dataset"
    )
    assert [r.image for r in read(source)] == corpus.images


def test_a_revision_is_pinned_to_its_commit(dataset):
    repo, _ = dataset
    HfApi().create_branch(repo, branch="old", repo_type="dataset")
    main = opened(repo).identity()
    assert opened(f"hf://datasets/{repo}@old").identity() == main
    assert opened(repo, revision=main["commit"]).identity() == main


def test_a_private_dataset_is_read_with_the_token_and_not_without(hub, dataset, monkeypatch):
    repo, corpus = dataset
    (corpus.folder / ".private").touch()
    hub.configure(token=TOKEN)
    with pytest.raises(SourceError, match=r"or is private.*hf auth login.*HF_TOKEN"):
        layout_of(repo)
    given = opened(repo, HubAccess(token=TOKEN))
    assert [r.image for r in read(given)] == corpus.images
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    # Other settings: what a process has learned of the Hub is kept by them.
    assert [r.image for r in read(opened(repo, HubAccess(give_up_after_s=99)))] == corpus.images


def test_a_wrong_token_is_reported_as_such(hub, dataset):
    hub.configure(token=TOKEN)
    with pytest.raises(SourceError, match="refuses the token"):
        layout_of(dataset[0], HubAccess(token="hf_wrong"))  # noqa: S106


def test_a_gated_dataset_says_where_to_request_access(hub, dataset):
    repo, corpus = dataset
    (corpus.folder / ".gated").touch()
    hub.configure(token=TOKEN)
    with pytest.raises(SourceError, match="is gated: request access"):
        opened(repo)


def test_the_token_and_the_signed_url_are_in_no_message(hub, dataset, caplog):
    repo, _ = dataset
    caplog.set_level("INFO", logger="wdsremux")
    access = HubAccess(token=TOKEN, give_up_after_s=0.3, stall_timeout_s=0.3)
    hub.configure(token=TOKEN)
    source = opened(repo, access)
    unit = next(source.units("train", COLUMNS, 0))
    hub.configure(fault_rate=1, fault_kinds=("cut", "reset", "503", "short"), retry_after=0)
    with pytest.raises(SourceError) as caught:
        list(unit.read(0, unit.rows))
    texts = [repr(unit), str(source.identity()), caplog.text]
    texts += traceback.format_exception(caught.value)
    for text in texts:
        assert TOKEN not in text
        assert "Signature" not in text


@pytest.mark.parametrize(
    ("dataset_id", "revision", "text"),
    [
        ("u/nothing-here", None, "'u/nothing-here' does not exist on the Hub or is private"),
        ("hf://datasets/u/nothing-here", None, "'u/nothing-here' does not exist on the Hub"),
    ],
)
def test_a_missing_dataset_of_the_hub_is_reported(hub, dataset_id, revision, text):
    assert hub.is_started
    with pytest.raises(SourceError, match=text):
        layout_of(dataset_id, revision=revision)


def test_a_missing_revision_is_reported(dataset):
    with pytest.raises(SourceError, match="does not have this revision: check --revision"):
        layout_of(dataset[0], revision="nope")


def test_an_empty_dataset_is_reported(hub):
    with pytest.raises(SourceError, match=r"cannot be opened: .*doesn't contain any data files"):
        layout_of(hub.new_repo()[0])


def test_a_script_dataset_is_reported(hub):
    repo, folder = hub.new_repo()
    (folder / f"{folder.name}.py").write_text("raise SystemExit")
    with pytest.raises(SourceError, match=r"built by a script.*refs/convert/parquet"):
        layout_of(repo)


def test_a_cached_copy_never_replaces_the_dataset(hub, dataset):
    import datasets

    repo, corpus = dataset
    datasets.load_dataset(repo)
    (corpus.folder / ".private").touch()
    hub.configure(token=TOKEN)
    with pytest.raises(SourceError, match="does not exist on the Hub or is private"):
        layout_of(repo)


def test_a_folder_called_like_the_dataset_is_not_taken_for_it(dataset, tmp_path, monkeypatch):
    repo, corpus = dataset
    write_table(tmp_path / repo / "other.parquet", {"image": [jpeg(0)]})
    monkeypatch.chdir(tmp_path)
    assert opened(repo).splits() == {"train": corpus.rows}
