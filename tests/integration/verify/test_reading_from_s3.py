"""An output on a real S3 server is verified, indexed and read by its URL."""

import json
import re
import shutil

import pytest
from support.fault_proxy import FaultProxy
from support.s3_server import KEY, SECRET, found
from support.verified import SHARD, codes, make_dataset

import wdsremux
from wdsremux.cli.main import main
from wdsremux.verifying.index import index

pytestmark = pytest.mark.integration

A_SHARD = r"\.tar(\?|$)"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("made") / "out")


@pytest.fixture(scope="module")
def listening(seaweedfs):
    with FaultProxy(seaweedfs.port) as proxy, found(seaweedfs.settings(proxy.url)):
        yield proxy


@pytest.fixture
def proxy(listening):
    listening.faults.clear()
    listening.seen.clear()
    return listening


@pytest.fixture(scope="module")
def carried(seaweedfs, listening, made):
    """Return the URL of an output that was copied to the server; no test writes there."""
    url = seaweedfs.new_place()
    wdsremux.sync(made, url)
    return url


@pytest.fixture
def url(seaweedfs, carried):
    """Return the URL of a copy of that output, to be damaged."""
    url = seaweedfs.new_place()
    bucket, start = place(carried)
    client = seaweedfs.client()
    for item in client.list_objects_v2(Bucket=bucket, Prefix=start)["Contents"]:
        body = client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
        put(seaweedfs, f"{url}/{item['Key'].removeprefix(start + '/')}", body)
    return url


def place(url):
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


def put(server, url, body):
    """Put an object as another program would: the server keeps the sum of what came."""
    bucket, key = place(url)
    server.client().put_object(Bucket=bucket, Key=key, Body=body, ChecksumAlgorithm="CRC64NVME")


def test_an_output_on_s3_is_verified_without_reading_a_shard(carried, proxy):
    report = wdsremux.verify(carried)
    assert report.findings == ()
    assert report.proofs == {"etag": 5}
    assert proxy.count("GET", A_SHARD) == 0
    assert proxy.count("HEAD", A_SHARD) == 0
    assert proxy.count("GET", r"\.msgpack") == 5
    assert proxy.count("HEAD", r"\.msgpack") == 0
    assert proxy.count("PUT") == 0


def test_deep_reads_every_shard_at_every_depth(carried, proxy, made):
    report = wdsremux.verify(carried, "pixels", deep=True)
    assert report.findings == ()
    assert report.size_bytes == sum(path.stat().st_size for path in made.glob("*.tar"))
    assert proxy.count("GET", A_SHARD) >= 5


def test_other_bytes_of_the_same_size_are_found_and_named_by_deep(url, seaweedfs, proxy, made):
    data = bytearray((made / SHARD).read_bytes())
    data[700] ^= 4
    put(seaweedfs, f"{url}/{SHARD}", bytes(data))
    report = wdsremux.verify(url)
    assert codes(report) == [205]
    assert report.findings[0].shard == SHARD
    assert proxy.count("GET", A_SHARD) == 0
    (finding,) = wdsremux.verify(url, deep=True).findings
    assert (finding.code.code, finding.shard, finding.offset) == ("W201", SHARD, 700)
    assert finding.key == "000000010"
    assert "bit 2 is flipped" in finding.detail


def test_verifying_objects_of_another_tool_writes_nothing(url, seaweedfs, proxy, made):
    bucket, start = place(url)
    place_of_shard = {"Bucket": bucket, "Key": f"{start}/{SHARD}"}
    body = (made / SHARD).read_bytes()
    seaweedfs.client().put_object(Body=body, ChecksumAlgorithm="SHA256", **place_of_shard)
    assert wdsremux.verify(url).findings == ()
    assert {one.method for one in proxy.seen} == {"GET", "HEAD"}


def test_a_missing_shard_is_found(url, seaweedfs):
    bucket, start = place(url)
    seaweedfs.client().delete_object(Bucket=bucket, Key=f"{start}/{SHARD}")
    assert codes(wdsremux.verify(url)) == [106]


def test_truncated_responses_are_requested_again(carried, proxy):
    proxy.add("cut_answer", 500, method="GET", match=A_SHARD, times=3)
    proxy.add("status", 503, method="HEAD", match=A_SHARD, times=2)
    assert wdsremux.verify(carried, deep=True).findings == ()


def test_load_reads_the_samples_of_the_folder(carried, proxy, made):
    there, here = wdsremux.load(carried), wdsremux.load(made)
    for number in (0, 17, 37, -2):
        one, other = there[number], here[number]
        assert one.pop("image").tobytes() == other.pop("image").tobytes()
        assert one == other
    assert len(there) == 38
    # One read for each sample, each of a different shard or place.
    assert proxy.count("GET", A_SHARD) == 4


def run(capsys, *arguments):
    """Return (exit code, stdout, stderr) of a command."""
    code = main([str(word) for word in arguments])
    reported = capsys.readouterr()
    return code, reported.out, reported.err


def test_the_commands_work_on_a_url(carried, made, proxy, capsys):
    for arguments in (("ls",), ("ls", "--samples"), ("show",), ("show", "12", "--json")):
        name, *options = arguments
        there, here = run(capsys, name, carried, *options), run(capsys, name, made, *options)
        assert there[0] == here[0] == 0, there
        assert without_place(there[1]) == without_place(here[1])
    _, reported, _ = run(capsys, "cat", carried, "000000012.json")
    assert json.loads(reported)["position"] == 12
    code, reported, _ = run(capsys, "verify", carried)
    assert code == 0
    assert reported.startswith("clean: 38 samples in 5 shards, 5 by ETag, ")
    code, _, err = run(capsys, "repair", carried)
    assert (code, "repair the local copy" in err) == (2, True)


def without_place(text):
    """Return what is shown without the lines that only a copied output has."""
    return [line for line in text.splitlines() if not line.startswith("loader ")]


def test_shards_of_other_tools_are_indexed_there(seaweedfs, made, proxy, tmp_path):
    url = seaweedfs.new_place()
    for path in sorted(made.glob("*.tar"))[:2]:
        put(seaweedfs, f"{url}/{path.name}", path.read_bytes())
    local = tmp_path / "out"
    local.mkdir()
    for path in sorted(made.glob("*.tar"))[:2]:
        shutil.copy(path, local)
    there, here = index(url), index(local)
    assert there.shards == here.shards
    assert wdsremux.verify(url, "samples", deep=True).exit_code == 0
    assert wdsremux.load(url)[11]["position"] == wdsremux.load(local)[11]["position"]
    report = wdsremux.verify(url)
    # No receipt was recorded when the shards were sent.
    assert set(report.proofs) <= {"checksum", "etag", "unverified"}


def test_keys_and_secrets_are_not_shown(carried, capsys, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret-987")
    for arguments in (("verify",), ("cat", "12")):
        code, out, err = run(capsys, arguments[0], carried, *arguments[1:])
        assert code == 5
        assert not re.search(f"{KEY}|{SECRET}|wrong-secret-987|Traceback", out + err)
    monkeypatch.undo()
    for arguments in (("verify", "--json"),):
        code, out, err = run(capsys, arguments[0], carried, *arguments[1:])
        assert code == 0
        assert not re.search(f"{KEY}|{SECRET}", out + err)


def test_an_old_server_is_verified_by_etags_or_not_at_all(juicefs, made):
    with found(juicefs.settings()):
        url = juicefs.new_place()
        wdsremux.sync(made, url)
        report = wdsremux.verify(url)
        assert (report.findings, report.proofs) == ((), {"etag": 5})
        # Another tool sends the same bytes as one part: its ETag is not their MD5.
        bucket, start = place(url)
        client = juicefs.client()
        key = {"Bucket": bucket, "Key": f"{start}/{SHARD}"}
        upload = client.create_multipart_upload(**key)["UploadId"]
        part = {"PartNumber": 1, "UploadId": upload, "Body": (made / SHARD).read_bytes()}
        etag = client.upload_part(**key, **part)["ETag"]
        parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
        client.complete_multipart_upload(**key, UploadId=upload, MultipartUpload=parts)
        report = wdsremux.verify(url)
        assert codes(report) == [206]
        assert report.proofs == {"etag": 4, "unverified": 1}
        assert wdsremux.verify(url, deep=True).findings == ()
