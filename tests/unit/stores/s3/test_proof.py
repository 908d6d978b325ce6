"""Which answers of a server are trusted, and which are not."""

import hashlib

import pytest

from wdsremux.stores.base import Sums
from wdsremux.stores.s3.abilities import Abilities, tried_abilities
from wdsremux.stores.s3.checksums import (
    FileSums,
    crc64_text,
    etag_of_parts,
    md5,
    parts_of,
)
from wdsremux.stores.s3.errors import RefusalError
from wdsremux.stores.s3.proof import ProofRequest, proof_of

CONTENT = bytes(range(256)) * 100
SUMS = Sums(len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
HONEST = Abilities(checks_crc64=True, etag_is_md5=True, keeps_existing=True, replaces_seen=True)
OLD = Abilities(checks_crc64=False, etag_is_md5=False, keeps_existing=False, replaces_seen=False)


class Bucket:
    """Returns the size of the parts, if it knows it; stores what it gets."""

    def __init__(self, part_bytes=None, parts=None):
        self.part_bytes, self.parts = part_bytes, parts

    def ask(self, _operation, _name, **_details):
        if self.part_bytes is None:
            raise RefusalError("no such parameter", "InvalidRequest", 400)
        return {"ContentLength": self.part_bytes, "PartsCount": self.parts}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(CONTENT)
    return path


def level(seen, sums=SUMS, path=None, abilities=HONEST, bucket=None):
    seen = {"ContentLength": len(CONTENT)} | seen
    return proof_of(
        ProofRequest(bucket or Bucket(), "a.tar", seen, sums, path, abilities, 16 << 20)
    ).level


def with_receipt(**receipt):
    return Sums(SUMS.size_bytes, SUMS.sha256, receipt)


def test_another_size_is_another_file():
    assert level({"ContentLength": 7, "ChecksumCRC64NVME": crc64_text(CONTENT)}) == "differs"


def test_a_crc_of_the_whole_is_proof_by_receipt_or_by_file(path):
    seen = {"ChecksumCRC64NVME": crc64_text(CONTENT)}
    assert level(seen, with_receipt(crc64nvme=crc64_text(CONTENT)), abilities=OLD) == "checksum"
    assert level(seen, path=path) == "checksum"
    assert level(seen) == "unverified"
    assert level({"ChecksumCRC64NVME": crc64_text(b"x")}, path=path) == "differs"
    assert level({"ChecksumCRC64NVME": crc64_text(b"x")}, with_receipt(crc64nvme="y")) == "differs"


def test_a_server_that_only_echoes_checksums_proves_nothing(path):
    assert (
        level({"ChecksumCRC64NVME": crc64_text(CONTENT)}, path=path, abilities=OLD) == "unverified"
    )


def test_an_etag_is_verified_by_receipt_or_by_file(path):
    whole = md5(CONTENT).hex()
    assert level({"ETag": f'"{whole}"'}, path=path) == "etag"
    assert level({"ETag": f'"{whole}"'}, with_receipt(etag=whole)) == "etag"
    assert level({"ETag": f'"{whole}"'}) == "unverified"


def test_an_etag_of_parts_is_verified_with_the_part_size(path):
    etag = etag_of_parts([md5(CONTENT[:20_000]), md5(CONTENT[20_000:])])
    assert level({"ETag": etag}, path=path, bucket=Bucket(20_000, 2)) == "etag"
    assert level({"ETag": etag}, with_receipt(part_bytes="20000"), path=path) == "etag"
    assert level({"ETag": etag}, path=path) == "unverified"
    assert level({"ETag": etag}, path=path, bucket=Bucket(15_000, 2)) == "differs"


def test_a_different_etag_does_not_prove_damage_if_etags_are_not_md5(path):
    other = {"ETag": md5(b"other").hex()}
    assert level(other, path=path) == "differs"
    assert level(other, path=path, abilities=OLD) == "unverified"
    assert level(other | {"ServerSideEncryption": "aws:kms"}, path=path) == "unverified"


def test_a_receipt_can_disprove_a_file_but_not_prove_it():
    assert level({"Metadata": {"wdsremux-sha256": SUMS.sha256}}) == "unverified"
    assert level({"Metadata": {"wdsremux-sha256": "0" * 64}}) == "differs"


@pytest.mark.parametrize("part_bytes", ["", "0", "-1", "x", "9" * 40])
def test_a_forged_receipt_is_harmless(path, part_bytes):
    etag = f"{md5(b'other').hex()}-2"
    assert level({"ETag": etag}, with_receipt(part_bytes=part_bytes), path=path) == "unverified"


class Echo:
    """A server that stores any checksum and returns it."""

    def __init__(self):
        self.stored = {}

    def ask(self, operation, name, **details):
        if operation == "put_object":
            self.stored[name] = details
            return {"ETag": f'"{md5(details["Body"]).hex()}"'}
        if operation == "delete_object":
            del self.stored[name]
            return {}
        return self.stored[name]


def test_a_server_without_checksums_is_detected_and_left_clean():
    server = Echo()
    found = tried_abilities(server)
    assert found == Abilities(
        checks_crc64=False, etag_is_md5=True, keeps_existing=False, replaces_seen=False
    )
    assert server.stored == {}


def test_a_large_file_is_split_into_at_most_the_allowed_parts():
    mib = 1 << 20
    assert [(p.number, p.offset, p.size_bytes) for p in parts_of(11 * mib, 5 * mib)] == [
        (1, 0, 5 * mib),
        (2, 5 * mib, 5 * mib),
        (3, 10 * mib, mib),
    ]
    assert [p.size_bytes for p in parts_of(0, 5)] == [0]
    assert len(parts_of(5 << 40, 16 << 20)) <= 10_000


def test_checksums_of_parts_combine_to_that_of_the_whole():
    sums = FileSums(has_md5=True)
    for at in range(0, len(CONTENT), 9_999):
        sums.add(CONTENT[at : at + 9_999])
    assert (sums.sha256, sums.crc64) == (SUMS.sha256, crc64_text(CONTENT))
    assert sums.size_bytes == len(CONTENT)
    assert sums.etag.endswith("-3")


class Strict(Echo):
    """A server that refuses all conditional writes, also those whose condition holds."""

    def ask(self, operation, name, **details):
        if {"IfMatch", "IfNoneMatch"} & details.keys():
            raise RefusalError("precondition failed", "PreconditionFailed", 412)
        return super().ask(operation, name, **details)


def test_a_server_that_refuses_valid_conditions_gets_none():
    found = tried_abilities(Strict())
    assert (found.keeps_existing, found.replaces_seen) == (True, False)


def test_a_plain_etag_of_a_multipart_file_does_not_prove_damage(path):
    seen = {"ContentLength": len(CONTENT), "ETag": md5(b"other").hex()}
    request = ProofRequest(Bucket(), "a.tar", seen, SUMS, path, HONEST, 5000)
    assert proof_of(request).level == "unverified"
