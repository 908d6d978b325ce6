"""The Hub as target, by its real client: the contract, proofs, two writers, refusals, read back."""

import hashlib
import itertools
import sys
from pathlib import Path

import datasets
import pytest
from huggingface_hub import HfApi, constants, hf_hub_download
from huggingface_hub.utils import are_progress_bars_disabled
from support.store_conformance import StoreConformance, content_of, listed, publish

import wdsremux
from wdsremux.core.errors import StoreError, UnreachableStoreError, UsageError
from wdsremux.stores.base import OutgoingFile, Sums
from wdsremux.stores.hub.store import open_hub_store

pytestmark = [
    pytest.mark.integration,
    # The client's own upload by LFS.
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
]

TOKEN = "hf_secretsecretsecret"  # noqa: S105 (of the fake)
LFS_BYTES = 1000
NUMBERS = itertools.count()


@pytest.fixture
def access(hub, monkeypatch):
    """Make the fake require the token that we have, and store what is not small by LFS."""
    hub.configure(token=TOKEN, user="u", lfs_threshold=LFS_BYTES)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return hub


@pytest.fixture
def repo_url(access):
    """Name a repository that is not there yet."""
    return f"hf://datasets/u/out{next(NUMBERS)}"


@pytest.fixture
def target(repo_url):
    return open_hub_store(repo_url)


def folder_of(hub, repo_url):
    """Return where the fake stores a repository."""
    return hub.store.root / repo_url.removeprefix("hf://datasets/")


def outgoing(tmp_path, name, content):
    """Return a file as it is uploaded."""
    path = tmp_path / name.replace("/", "-")
    path.write_bytes(content)
    return OutgoingFile(name, path, Sums(len(content), hashlib.sha256(content).hexdigest()))


def put(target, file):
    return target.put(file.name, file.path, file.sums)


def commits(hub, repo_url):
    """Return how many commits a repository has."""
    return 1 + len(superseded(hub, repo_url))


def superseded(hub, repo_url):
    """Return the commits that others followed, each as a folder."""
    folder = hub.store.meta / "commits" / repo_url.removeprefix("hf://datasets/")
    return list(folder.glob("*"))


class TestHubStore(StoreConformance):
    """The contract, by commits."""


def test_reading_creates_nothing(access, repo_url, target, tmp_path):
    big = outgoing(tmp_path, "a.tar", b"x" * 2000)
    assert listed(target) == []
    assert target.prove("a.tar", big.sums).level == "absent"
    target.remove("a.tar")
    with pytest.raises(FileNotFoundError):
        target.open("a.tar")
    assert not folder_of(access, repo_url).exists()


def test_a_repository_is_created_private(access, repo_url, target):
    publish(target, "README.md", b"text")
    assert (folder_of(access, repo_url) / ".private").exists()


def test_an_existing_repository_keeps_its_visibility(access, repo_url, target):
    folder_of(access, repo_url).mkdir(parents=True)
    publish(target, "README.md", b"text")
    assert not (folder_of(access, repo_url) / ".private").exists()


def test_a_branch_is_created_and_main_is_unchanged(repo_url, target):
    publish(target, "a.tar", b"on main")
    other = open_hub_store(f"{repo_url}@v1/next")
    publish(other, "a.tar", b"on the branch")
    assert content_of(target, "a.tar") == b"on main"
    assert content_of(other, "a.tar") == b"on the branch"
    assert other.url == f"{repo_url}@v1/next"


@pytest.mark.parametrize("size", [10, 5000], ids=["in Git", "by LFS"])
def test_a_file_is_verified_by_a_checksum_without_a_download(access, target, tmp_path, size):
    sent = outgoing(tmp_path, "a.tar", b"x" * size)
    reported = []
    proof = target.put(sent.name, sent.path, sent.sums, reported.append)
    assert proof.level == "checksum"
    assert sum(reported) == size
    access.reset()
    later = Sums(size, sent.sums.sha256, proof.receipt)
    assert target.prove("a.tar", later).level == "checksum"
    assert target.prove("a.tar", sent.sums, sent.path).level == "checksum"
    assert access.count("GET") == access.count("HEAD") == 0
    other = outgoing(tmp_path, "other.tar", b"y" * size)
    assert target.prove("a.tar", other.sums, other.path).level == "differs"
    assert target.prove("a.tar", Sums(size + 1, sent.sums.sha256)).level == "differs"


def test_a_small_file_without_a_local_copy_is_unverified(target, tmp_path):
    sent = outgoing(tmp_path, "README.md", b"text")
    put(target, sent)
    assert target.prove("README.md", sent.sums).level == "unverified"
    sent.path.unlink()
    with pytest.raises(StoreError, match="cannot read"):
        target.prove("README.md", sent.sums, sent.path)


def test_existing_files_are_not_sent_again(access, repo_url, target, tmp_path):
    sent = [outgoing(tmp_path, "a.tar", b"x" * 5000), outgoing(tmp_path, "index.json", b"{}")]
    target.put_many(sent)
    access.reset()
    reported = []
    proofs = target.put_many(sent, reported.append)
    assert [proof.level for proof in proofs.values()] == ["checksum"] * 2
    assert sum(reported) == 5002
    assert commits(access, repo_url) == 1
    assert access.count("PUT") == 0


def test_many_files_take_few_commits_with_the_index_last(
    access, repo_url, target, tmp_path, monkeypatch
):
    monkeypatch.setattr("wdsremux.stores.hub.store.COMMIT_FILES", 4)
    monkeypatch.setattr("wdsremux.stores.hub.store.BATCH_BYTES", 4000)
    seen = [outgoing(tmp_path, f"train-{n:06d}.tar", b"%d" % n * 2000) for n in range(9)]
    target.put_many([*seen, outgoing(tmp_path, "index.json", b"{}")])
    assert commits(access, repo_url) == 3
    assert len(listed(target)) == 10
    assert not [each for each in superseded(access, repo_url) if (each / "index.json").exists()]
    target.remove_many([each.name for each in seen])
    assert commits(access, repo_url) == 4
    assert [name for name, _ in listed(target)] == ["index.json"]


def test_files_uploaded_before_a_kill_are_not_sent_again(access, target, tmp_path):
    sent = outgoing(tmp_path, "a.tar", b"x" * 5000)
    access.configure(
        fault_rate=1, fault_kinds=("500",), fault_methods=("POST",), fault_match="/commit/"
    )
    with pytest.raises(UnreachableStoreError, match="answers 500"):
        put(target, sent)
    assert listed(target) == []
    access.configure(fault_rate=0)
    access.reset()
    assert put(target, sent).level == "checksum"
    assert access.count("PUT") == 0


def test_a_file_that_differs_from_its_record_is_not_committed(target, tmp_path):
    for size in (10, 5000):
        sent = outgoing(tmp_path, "a.tar", b"x" * size)
        sent.path.write_bytes(b"x" * (size - 1) + b"y")
        with pytest.raises(StoreError, match="damaged"):
            put(target, sent)
    assert listed(target) == []


def test_of_two_writers_the_later_one_is_stopped_and_overwrites_nothing(repo_url, tmp_path):
    one, other = open_hub_store(repo_url), open_hub_store(repo_url)
    with one.lock(), other.lock():
        put(one, outgoing(tmp_path, "a.tar", b"one" * 1000))
        put(one, outgoing(tmp_path, "b.tar", b"one"))
        with pytest.raises(StoreError, match="another writer has committed"):
            put(other, outgoing(tmp_path, "a.tar", b"other" * 1000))
    assert content_of(one, "a.tar") == b"one" * 1000


def test_two_writers_of_the_same_bytes_do_not_disturb_each_other(repo_url, tmp_path):
    one, other = open_hub_store(repo_url), open_hub_store(repo_url)
    same = outgoing(tmp_path, "a.tar", b"same" * 1000)
    with one.lock(), other.lock():
        put(one, same)
        assert put(other, same).level == "checksum"


@pytest.mark.parametrize("size", [10, 5000])
def test_a_commit_with_a_lost_response_is_followed_by_the_next(access, target, tmp_path, size):
    first = outgoing(tmp_path, "a.tar", b"x" * size)
    with target.lock():
        access.configure(
            fault_rate=1,
            fault_max=1,
            fault_kinds=("cut",),
            fault_methods=("POST",),
            fault_match="/commit/",
        )
        with pytest.raises(UnreachableStoreError, match="no connection"):
            put(target, first)
        assert put(target, first).level == "checksum"
        put(target, outgoing(tmp_path, "b.tar", b"next"))
        target.remove("a.tar")
    assert [name for name, _ in listed(target)] == ["b.tar"]


def test_the_hubs_own_file_is_not_listed(access, repo_url, target):
    publish(target, "a.tar")
    (folder_of(access, repo_url) / ".gitattributes").write_text("*.tar filter=lfs\n")
    access.store.changed()
    assert [name for name, _ in listed(target)] == ["a.tar"]


def test_a_file_is_read_by_the_requested_ranges(access, target, monkeypatch):
    monkeypatch.setattr("wdsremux.stores.reading.range_file.BLOCK_BYTES", 1000)
    content = bytes(range(256)) * 40
    publish(target, "a.tar", content)
    access.reset()
    with target.open("a.tar") as file:
        file.seek(5000)
        assert file.read(10) == content[5000:5010]
    assert access.sent < 2000


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        ("503", UnreachableStoreError, "the Hub answers 503"),
        ("429", UnreachableStoreError, "asks to slow down"),
        ("reset", UnreachableStoreError, "no connection to the Hub"),
    ],
)
def test_temporary_errors_are_reported_as_unreachable(access, target, tmp_path, status, kind, says):
    access.configure(
        fault_rate=1,
        fault_kinds=(status,),
        fault_methods=("POST", "GET"),
        fault_match="/api/datasets/",
    )
    with pytest.raises(kind, match=says):
        target.prove("a.tar", Sums(1, "0" * 64))
    with pytest.raises(kind, match=says):
        put(target, outgoing(tmp_path, "a.tar", b"x"))


def test_a_missing_login_names_the_remedy(target, monkeypatch, tmp_path):
    monkeypatch.delenv("HF_TOKEN")
    for refused in (
        lambda: put(target, outgoing(tmp_path, "a.tar", b"x")),
        lambda: listed(target),
        lambda: target.open("a.tar"),
    ):
        with pytest.raises(StoreError, match=r"hf auth login"):
            refused()


def test_a_token_that_is_refused_is_not_repeated(target, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_TOKEN", "hf_wrongwrongwrong")
    with pytest.raises(StoreError, match="refuses the token") as caught:
        put(target, outgoing(tmp_path, "a.tar", b"x"))
    shown = f"{caught.value!r} {caught.value.__cause__!r}"
    assert "hf_wrong" not in shown
    assert "\n" not in str(caught.value)


def test_a_read_only_token_names_the_remedy(access, target, monkeypatch, tmp_path):
    publish(target, "a.tar")

    from support.hub.options import HubError
    from support.hub.writes import Writes

    def refuse(handler, repo, revision):
        raise HubError(403, f"storage limit reached for {TOKEN}, see https://hub/x?Signature=1")

    monkeypatch.setattr(Writes, "r_preupload", refuse)
    with pytest.raises(
        StoreError, match=r"write access to that user or group \(message of the Hub: storage limit"
    ) as caught:
        put(target, outgoing(tmp_path, "b.tar", b"x"))
    assert TOKEN not in str(caught.value)
    assert "Signature" not in str(caught.value)


def test_a_stopped_hub_is_unreachable(target, tmp_path, monkeypatch):
    monkeypatch.setattr(target._repo._api, "endpoint", "http://127.0.0.1:1")
    with pytest.raises(UnreachableStoreError, match="no connection"):
        put(target, outgoing(tmp_path, "a.tar", b"x"))


@pytest.mark.parametrize(
    "bad", ["hf://datasets/", "hf://datasets/name", "hf://datasets/a/b/c", "hf://a/b"]
)
def test_arguments_that_name_no_repository_are_refused(bad):
    with pytest.raises(UsageError, match="hf://datasets/user/name"):
        open_hub_store(bad)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_load_dataset_gives_the_rows_of_a_dataset_that_was_synced(
    access, repo_url, target, tmp_path
):
    out = tmp_path / "out"
    wdsremux.convert("demo:", out, max_shard_size="200KB", limit=20)
    report = wdsremux.sync(out, repo_url)
    assert set(report.levels) == {"checksum"}
    made = commits(access, repo_url)
    assert wdsremux.sync(out, repo_url).files == 0
    assert commits(access, repo_url) == made <= 3
    repo = repo_url.removeprefix("hf://datasets/")
    rows = datasets.load_dataset(repo, cache_dir=str(tmp_path / "cache"))["train"]
    assert len(rows) == 20
    assert rows[19]["jpg"].size
    got = hf_hub_download(repo, "index.json", repo_type="dataset", cache_dir=tmp_path / "hub")
    assert Path(got).read_bytes() == content_of(target, "index.json")
    assert HfApi().repo_info(repo, repo_type="dataset").private
    for path in folder_of(access, repo_url).rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes()


def test_the_client_draws_no_bars_among_ours(target, tmp_path, monkeypatch, capfd):
    for module in (constants, sys.modules["huggingface_hub.utils.tqdm"]):
        monkeypatch.setattr(module, "HF_HUB_DISABLE_PROGRESS_BARS", None)
    put(target, outgoing(tmp_path, "a.tar", b"x" * 5000))
    assert capfd.readouterr().err == ""
    assert not are_progress_bars_disabled()
