"""`convert --sync-to`: a second place gets what is finished while the rest is made."""

import json

import pytest
from support.corpora import write_parquet_dataset
from support.remote_store import MemoryRemote
from support.runs import tree
from support.runs import wdsremux as run
from support.store_conformance import publish

import wdsremux
from wdsremux.core.errors import (
    RecipeMismatchError,
    StoreError,
    UnreachableStoreError,
    UsageError,
)
from wdsremux.core.events import Done, Note
from wdsremux.dataset.entry import entry_name
from wdsremux.stores import patience, registry
from wdsremux.syncing import refusals

pytestmark = pytest.mark.integration

OPTIONS = {"steps": "resize=16", "max_shard_samples": 10, "workers": 1, "engine": "threads"}
SHARDS = [f"train-{number:06d}.tar" for number in range(4)]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_parquet_dataset(
        tmp_path_factory.mktemp("corpus"), rows=40, row_group_size=10
    ).folder


@pytest.fixture(scope="module")
def reference(source, tmp_path_factory):
    """Return the tree of a conversion without a second place."""
    out = tmp_path_factory.mktemp("local") / "out"
    wdsremux.convert(source, out, **OPTIONS)
    return tree(out)


class Case:
    """A conversion with a second place in memory."""

    def __init__(self, source, folder, monkeypatch):
        self.source, self.out = source, folder / "out"
        self.remote = MemoryRemote()
        self.events = []
        opened = registry.open_store

        def open_store(arguments, **_):
            return self.remote if str(arguments) == "mem://place" else opened(arguments)

        monkeypatch.setattr(registry, "open_store", open_store)
        monkeypatch.setattr(patience, "FIRST_WAIT_S", 0.001)

    def convert(self, **options):
        return wdsremux.convert(
            self.source,
            self.out,
            sync_to="mem://place",
            observer=self.events.append,
            **OPTIONS,
            **options,
        )

    @property
    def reported(self):
        return [event.text for event in self.events if isinstance(event, Note)]


@pytest.fixture
def case(source, tmp_path, monkeypatch):
    return Case(source, tmp_path, monkeypatch)


def test_shards_are_sent_as_they_close_and_the_index_last(case, reference):
    case.convert()
    assert tree(case.out) == reference
    published = case.remote.published
    sent = [name for shard in SHARDS for name in (shard, entry_name(shard))]
    assert published[: len(sent) + 1] == [".wdsremux/recipe.json", *sent]
    assert published[-1] == "index.json"
    # The sync at the end finds that these are there.
    assert len(published) == len(set(published)) == len(reference)
    assert case.reported[-1].startswith("the copy at mem://bucket/prefix is complete")
    for name in reference.keys() - {"index.json"}:
        assert case.remote.files[name] == (case.out / name).read_bytes()
    index = json.loads(case.remote.files["index.json"])
    assert index.pop("published")["at"] == "mem://bucket/prefix"
    assert index == json.loads((case.out / "index.json").read_text())


def test_a_finished_output_is_copied(case, source, reference):
    wdsremux.convert(source, case.out, **OPTIONS)
    case.convert()
    assert case.remote.files.keys() == reference.keys()


def test_a_failure_is_printed_last_with_the_command_that_resumes(case, reference):
    def refuse(name, _path):
        if name == SHARDS[1]:
            raise StoreError("cannot write 'train-000001.tar': the quota is used up")

    case.remote.before_put = refuse
    with pytest.raises(StoreError, match="the quota is used up") as caught:
        case.convert()
    assert caught.value.exit_code == 5
    assert f"resume with: wdsremux sync {case.out} mem://place" in str(caught.value)
    assert tree(case.out) == reference
    assert any(isinstance(event, Done) for event in case.events)
    assert "converting without uploading" in case.reported[0]
    assert "index.json" not in case.remote.files


def test_an_outage_is_survived(case, reference):
    failures = iter(range(4))

    def fail(name, _path):
        if name == SHARDS[2] and next(failures, None) is not None:
            raise UnreachableStoreError("cannot reach 'mem://place'")

    case.remote.before_put = fail
    case.convert()
    assert tree(case.out) == reference
    assert case.remote.files.keys() == reference.keys()


def test_another_dataset_is_replaced_only_at_the_end(case, source, reference):
    wdsremux.convert(source, case.out.with_name("older"), **OPTIONS | {"steps": "resize=8"})
    wdsremux.sync(case.out.with_name("older"), "mem://place")
    before = dict(case.remote.files)
    seen = []
    case.remote.before_put = lambda name, _path: seen.append(
        (name, (case.out / "index.json").exists())
    )
    case.convert()
    assert "already holds shards" in case.reported[0]
    assert all(is_done for _, is_done in seen)
    assert {name for name, _ in seen} >= {*SHARDS, "index.json"}
    assert case.remote.files["index.json"] != before["index.json"]
    assert {name: case.remote.files[name] for name in SHARDS} == {
        name: (case.out / name).read_bytes() for name in SHARDS
    }


def test_foreign_shards_are_left_alone(case, reference):
    publish(case.remote, SHARDS[0], b"somebody else's")
    with pytest.raises(UsageError, match="choose an empty folder"):
        case.convert()
    assert case.remote.files == {SHARDS[0]: b"somebody else's"}
    assert not case.out.exists()


def test_shards_of_the_expected_size_are_verified_at_the_end(case, source):
    wdsremux.convert(source, case.out, **OPTIONS)
    publish(case.remote, SHARDS[0], (case.out / SHARDS[0]).read_bytes())
    case.convert()
    assert case.remote.published.count(SHARDS[0]) == 1


def test_the_only_copy_of_another_dataset_is_refused_before_the_work(case, source):
    wdsremux.convert(source, case.out, limit=10, **OPTIONS)
    case.remote.files |= {name: (case.out / name).read_bytes() for name in tree(case.out)}
    index = json.loads(case.remote.files["index.json"])
    case.remote.files["index.json"] = json.dumps(index | {"name": "cats"}).encode()
    case.out = case.out.with_name("new")
    with pytest.raises(RecipeMismatchError, match=r"holds another dataset, 'cats' of .*--delete"):
        case.convert()
    assert not case.out.exists()


def test_the_output_itself_is_refused_as_destination(case, source):
    with pytest.raises(UsageError, match="are the same"):
        wdsremux.convert(source, case.out, sync_to=f"{case.out}/../out", **OPTIONS)
    assert not case.out.exists()


def test_an_unreachable_destination_does_not_stop_the_conversion(case, reference, monkeypatch):
    monkeypatch.setattr(refusals, "PATIENCE_S", 0.0)
    failures = iter(range(1))
    listed = case.remote.list

    def fail_once(prefix=""):
        if next(failures, None) is not None:
            raise UnreachableStoreError("cannot reach 'mem://place'")
        return listed(prefix)

    monkeypatch.setattr(case.remote, "list", fail_once)
    case.convert()
    assert case.remote.files.keys() == reference.keys()


def test_only_an_output_in_a_folder_can_be_copied(case):
    case.out = "mem://place"
    with pytest.raises(
        UsageError, match="sync_to needs an OUT that is a folder, and 'mem://place' is not"
    ):
        case.convert()


def test_a_folder_on_another_disk_gets_the_very_same_files(source, reference, tmp_path):
    out, nas = tmp_path / "out", tmp_path / "nas"
    arguments = ("--step", "resize=16", "--max-shard-samples", 10, "--workers", 1)
    done = run("convert", source, out, *arguments, "--engine", "threads", "--sync-to", nas)
    assert done.returncode == 0, done.stderr
    assert tree(out) == tree(nas) == reference
    assert f"wdsremux verify {nas}" in done.stderr
