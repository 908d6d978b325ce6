"""Converting straight to S3: the bytes of a local conversion, whatever happens on the way."""

import hashlib
import json
import random
import re
import signal
from pathlib import Path

import pytest
from support.corpora import write_parquet_dataset
from support.fault_proxy import FaultProxy
from support.remote_store import MemoryRemote
from support.running import Running
from support.runs import step_options, tree
from support.runs import wdsremux as run

import wdsremux
from wdsremux.core.errors import StoreError
from wdsremux.core.events import Done, Note, Opened, Phase
from wdsremux.stores import registry

pytestmark = pytest.mark.integration

OPTIONS = {"steps": ["random-resized-crop=24", "hflip"], "max_shard_samples": 10}
OPTIONS |= {"workers": 1, "engine": "threads", "progress": "none"}
SHARDS = 8
TOKEN = "hf_of_the_tests"  # noqa: S105 (of a fake)
STOPS_WITHIN_S = 10
"""5 s are promised; a test machine may be busy with other things."""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_parquet_dataset(
        tmp_path_factory.mktemp("corpus"), rows=80, row_group_size=16
    ).folder


@pytest.fixture(scope="module")
def reference(source, tmp_path_factory):
    """Return the folder of a conversion, and its tree."""
    out = tmp_path_factory.mktemp("local") / "out"
    wdsremux.convert(source, out, **OPTIONS)
    return out, tree(out)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Bucket:
    """The objects at an s3:// URL, seen by another client."""

    def __init__(self, client, url):
        self.client = client
        self.url = url
        self.place = url.removeprefix("s3://")
        self._name, _, self._prefix = self.place.partition("/")

    def names(self):
        listed = self.client.list_objects_v2(Bucket=self._name, Prefix=f"{self._prefix}/")
        found = [
            item["Key"].removeprefix(f"{self._prefix}/") for item in listed.get("Contents", [])
        ]
        return [name for name in found if not name.startswith(".wdsremux/probe-")]

    def probes(self):
        """Return what is left of finding out what the server can do."""
        return self.client.list_objects_v2(
            Bucket=self._name, Prefix=f"{self._prefix}/.wdsremux/probe-"
        )["KeyCount"]

    def put(self, name):
        self.client.put_object(Bucket=self._name, Key=f"{self._prefix}/{name}", Body=b"probe")

    def read(self, name):
        key = f"{self._prefix}/{name}"
        return self.client.get_object(Bucket=self._name, Key=key)["Body"].read()

    def tree(self):
        return {name: sha256(self.read(name)) for name in self.names()}

    def differs_from(self, files):
        """Return the names of files that are others here, or not at both places."""
        found = self.tree()
        names = found.keys() | files.keys()
        return {name for name in names if found.get(name) != files.get(name)}


@pytest.fixture
def bucket(seaweedfs, s3_url):
    return Bucket(seaweedfs.client(), s3_url)


@pytest.fixture
def proxy(seaweedfs, bucket, monkeypatch):
    """Return what can break requests between this process, its children, and the server."""
    with FaultProxy(seaweedfs.port) as found:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", found.url)
        yield found


def bytes_in(folder):
    """Return how many bytes lie in a staging folder."""
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def arguments_for(bucket, source, staging):
    steps = step_options(*OPTIONS["steps"])
    arguments = ("--max-shard-samples", "10", "--workers", "1", "--engine", "threads")
    return ("convert", source, bucket.url, *steps, *arguments, "--staging", staging)


def without_place(bucket):
    """Return the bytes of the index, but for the names of bucket and folder."""
    return bucket.read("index.json").replace(bucket.place.encode(), b"PLACE")


def test_the_objects_are_the_files_of_a_local_conversion(bucket, source, reference, tmp_path):
    out, local = reference
    done = run(*arguments_for(bucket, source, tmp_path / "staging"))
    assert done.returncode == 0, done.stderr
    assert f"  train: {bucket.url}/train-{{000000..{SHARDS - 1:06d}}}.tar" in done.stdout
    assert "  train, aws: pipe:aws " in done.stdout
    assert done.stdout.endswith(f"check it with: wdsremux verify {bucket.url}\n")
    assert bucket.differs_from(local) == {"index.json"}
    index = json.loads(bucket.read("index.json"))
    published = index.pop("published")
    assert index == json.loads((out / "index.json").read_text())
    assert published["at"] == bucket.url
    assert len(published["receipts"]) == SHARDS
    assert list((tmp_path / "staging").iterdir()) == []
    found = bucket.tree()
    events = []
    wdsremux.convert(source, bucket.url, observer=events.append, **OPTIONS)
    assert [type(event) for event in events if not isinstance(event, Phase)] == [Opened, Done]
    assert bucket.tree() == found
    verified = run("verify", bucket.url)
    assert verified.returncode == 0, verified.stdout


def test_lanes_make_the_same_objects_and_the_last_one_the_index(bucket, source, tmp_path):
    options = {**OPTIONS, "max_shard_samples": None, "shards": 4}
    wdsremux.convert(source, tmp_path / "local", **options)
    for lane in ("1/2", "0/2"):
        assert "index.json" not in bucket.names()
        wdsremux.convert(source, bucket.url, lane=lane, staging=str(tmp_path), **options)
    assert bucket.differs_from(tree(tmp_path / "local")) <= {"index.json", "README.md"}
    assert not [name for name in bucket.names() if "lock" in name]
    assert wdsremux.verify(bucket.url).exit_code == 0


def test_killed_repeatedly_other_machines_finish_with_the_same_objects(
    proxy, bucket, source, reference, tmp_path
):
    out, local = reference
    carried = Bucket(bucket.client, f"{bucket.url}-carried")
    wdsremux.sync(out, carried.url)
    shards = [f"train-{number:06d}" for number in range(SHARDS)]
    in_order = [f"{shard}.{kind}" for shard in shards for kind in ("tar", "msgpack")]
    in_order += ["rejected.jsonl", "README.md"]
    rng = random.Random(6)  # noqa: S311
    for number, at in enumerate(sorted(rng.sample(range(len(in_order)), 3))):
        held = proxy.add("hold", method="PUT", match=re.escape(in_order[at]))
        with Running(*arguments_for(bucket, source, tmp_path / str(number))) as running:
            running.wait_for(held.reached.is_set, f"the sending of {in_order[at]}")
            running.kill_group()
            running.ended()
        held.release.set()
        names = {*bucket.names()}
        assert bucket.differs_from(local) & names <= {".wdsremux/lock"}
        stems = {Path(name).stem for name in names if name.endswith(".tar")}
        assert {Path(name).stem for name in names if name.endswith(".msgpack")} <= stems
    bucket.put(".wdsremux/probe-1")
    events = []
    wdsremux.convert(
        source, bucket.url, staging=str(tmp_path / "last"), observer=events.append, **OPTIONS
    )
    assert "was killed or crashed" in next(e.text for e in events if isinstance(e, Note))
    assert bucket.probes() == 0
    assert bucket.differs_from(carried.tree()) == {"index.json"}
    assert without_place(bucket) == without_place(carried)


def test_an_outage_is_survived_or_ends_in_an_error(proxy, bucket, source, reference, tmp_path):
    forever = proxy.add("status", 503, method="PUT", match=r"train-000003\.tar", times=None)
    events = []
    options = OPTIONS | {"staging": str(tmp_path), "observer": events.append}
    with pytest.raises(StoreError, match=r"gave up after 0\.5 s") as caught:
        wdsremux.convert(source, bucket.url, give_up_after=0.5, **options)
    assert caught.value.exit_code == 5
    names = {*bucket.names()}
    assert "train-000002.tar" in names
    assert not {"train-000004.tar", "index.json", ".wdsremux/lock"} & names
    assert list(tmp_path.iterdir()) == []
    proxy.faults.remove(forever)
    proxy.add("status", 503, method="PUT", match=r"train-000005\.tar", times=5)
    events.clear()
    wdsremux.convert(source, bucket.url, **options)
    reported = [event.text for event in events if isinstance(event, Note)]
    assert "the conversion continues, and the upload is tried again" in reported[0]
    assert reported[1:] == [f"{bucket.url} can be reached again"]
    assert bucket.differs_from(reference[1]) == {"index.json"}


def test_the_hub_gets_the_same_files(hub, source, reference, tmp_path, monkeypatch):
    hub.configure(token=TOKEN, user="u")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    wdsremux.convert(source, "hf://datasets/u/pets", staging=str(tmp_path), **OPTIONS)
    found, local = tree(hub.store.root / "u/pets"), reference[1]
    # ".private" is how the fake Hub records that the repository is private.
    differing = {n for n in found.keys() | local if found.get(n) != local.get(n)}
    assert differing == {"index.json", ".private"}


def test_staged_bytes_stay_within_the_bound(source, reference, tmp_path, monkeypatch):
    sizes = []
    remote = MemoryRemote(lambda _name, _path: sizes.append(bytes_in(tmp_path)))
    monkeypatch.setattr(registry, "open_store", lambda _out, **_: remote)
    options = OPTIONS | {"staging": str(tmp_path), "staging_max": "60KB"}
    wdsremux.convert(source, "mem://bucket", **options)
    assert max(sizes) <= 60_000
    assert {n for n, data in remote.files.items() if sha256(data) != reference[1].get(n)} == {
        "index.json"
    }


def test_a_refusal_stops_the_conversion_with_its_reason(source, tmp_path, monkeypatch):
    def refuse_shards(name, _path):
        if name.endswith(".tar"):
            raise StoreError("cannot write 'mem://bucket/prefix': the quota is used up")

    monkeypatch.setattr(registry, "open_store", lambda _out, **_: MemoryRemote(refuse_shards))
    events = []
    with pytest.raises(StoreError, match="the quota is used up"):
        wdsremux.convert(
            source, "mem://bucket", staging=str(tmp_path), observer=events.append, **OPTIONS
        )
    assert not any(isinstance(event, Done) for event in events)
    assert list(tmp_path.iterdir()) == []


def test_a_signal_ends_the_run_in_the_middle_of_sending(proxy, bucket, source, tmp_path):
    held = proxy.add("hang", 1000, method="PUT", match=r"train-000002\.tar")
    with Running(*arguments_for(bucket, source, tmp_path)) as running:
        running.wait_for(held.reached.is_set, "the third shard")
        running.send(signal.SIGTERM)
        code, errors = running.ended(STOPS_WITHIN_S)
    assert code == 143
    assert " with:\nwdsremux convert" in errors
    assert "Traceback" not in errors
    assert bytes_in(tmp_path) == 0
    assert bucket.names()[-1] == "train-000001.tar"
