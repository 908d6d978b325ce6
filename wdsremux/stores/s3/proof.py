"""Proves what is stored at S3 by receipts and checksums."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from awscrt import checksums

from wdsremux.stores.base import Proof, Sums
from wdsremux.stores.copying import read_blocks
from wdsremux.stores.s3.abilities import Abilities
from wdsremux.stores.s3.bucket import Bucket
from wdsremux.stores.s3.checksums import MIB, base64_text, etag_of_parts, md5, parts_of
from wdsremux.stores.s3.errors import RefusalError

SHA256_NOTE = "wdsremux-sha256"
"""The field of the metadata of an object that holds the SHA-256 of what was sent."""
READ_BYTES = 8 * MIB


def seen_object(bucket: Bucket, name: str) -> dict[str, Any] | None:
    """Return the answer to HEAD for an object; None when it does not exist."""
    try:
        return bucket.ask("head_object", name, ChecksumMode="ENABLED")
    except RefusalError as exc:
        if exc.is_absent:
            return None
        raise


def note_of(seen: Mapping[str, Any]) -> str | None:
    """Return the SHA-256 that we noted when we sent an object, if we did."""
    notes: Mapping[str, str] = seen.get("Metadata", {})
    return notes.get(SHA256_NOTE)


def shows_other_bytes(seen: Mapping[str, Any], receipt: Mapping[str, str]) -> bool:
    """Return whether an ETag that is made from MD5s differs from that of our bytes."""
    etag = str(seen.get("ETag", "")).strip('"')
    return "etag" in receipt and etag not in ("", receipt["etag"])


@dataclass(frozen=True, slots=True)
class ProofRequest:
    """Whether an object that was seen has certain bytes."""

    bucket: Bucket
    name: str
    seen: Mapping[str, Any]
    """The answer to HEAD."""
    sums: Sums
    path: Path | None
    """A file of this machine with the same bytes, if there is one."""
    abilities: Abilities
    """What the server is known to do; a query alone does not probe it by writing."""
    part_bytes: int
    """The size of the parts that we send."""


def proof_of(request: ProofRequest) -> Proof:
    """Compare by the strongest checksum that both sides have."""
    size = request.seen.get("ContentLength")
    if size != request.sums.size_bytes:
        return Proof("differs", f"{size} bytes instead of {request.sums.size_bytes}")
    if size == 0:
        return Proof("checksum", "no bytes")
    for step in (_by_crc64, _by_etag):
        proof = step(request)
        if proof is not None:
            return proof
    noted = note_of(request.seen)
    if noted is not None and noted != request.sums.sha256:
        return Proof("differs", "the SHA-256 noted when it was sent")
    return Proof("unverified", "only the size", is_noted=noted is not None)


def _by_crc64(request: ProofRequest) -> Proof | None:
    there = request.seen.get("ChecksumCRC64NVME")
    if not there or "-" in there:
        return None
    # A receipt holds it only for a server that was seen to check it.
    known = request.sums.receipt.get("crc64nvme")
    if known is None:
        if request.path is None or not request.abilities.checks_crc64:
            return None
        crc = 0
        for data in read_blocks(request.path, READ_BYTES):
            crc = checksums.crc64nvme(data, crc)
        known = base64_text(crc.to_bytes(8, "big"))
    return _compared(there, known, "CRC64NVME of the whole object", {"crc64nvme": known})


def _by_etag(request: ProofRequest) -> Proof | None:
    etag = str(request.seen.get("ETag", "")).strip('"')
    how = "MD5 of the parts' MD5s" if "-" in etag else "MD5 of the whole object"
    if etag and etag == request.sums.receipt.get("etag"):
        return Proof("etag", how, request.sums.receipt)
    value, _, count = etag.partition("-")
    if request.path is None or len(value) != 32:
        return None
    reported = _part_bytes(request, int(count)) if count.isdigit() else request.sums.size_bytes
    part_bytes = reported or _own_part_bytes(request, int(count))
    if part_bytes and _local_etag(request.path, part_bytes, is_whole=not count) == etag:
        return Proof("etag", how, {"etag": etag, "part_bytes": str(part_bytes)})
    # An ETag need not be an MD5: only where it is known to be one, another means other bytes.
    is_ciphered = "KMS" in str(request.seen.get("ServerSideEncryption", "")).upper()
    is_md5 = request.abilities.etag_is_md5 and (
        bool(count) or request.sums.size_bytes <= request.part_bytes
    )
    if reported is not None and not is_ciphered and is_md5:
        return Proof("differs", how)
    return None


def _compared(there: str, known: str, how: str, receipt: Mapping[str, str]) -> Proof:
    return Proof("checksum", how, receipt) if there == known else Proof("differs", how)


def _own_part_bytes(request: ProofRequest, count: int) -> int | None:
    """Return the size of our parts, by the receipt or as we send, that results in `count` parts."""
    size_bytes = request.sums.size_bytes
    noted = request.sums.receipt.get("part_bytes", "")
    sizes = (
        int(noted) if noted.isdecimal() else 0,
        parts_of(size_bytes, request.part_bytes)[0].size_bytes,
    )
    return next((size for size in sizes if size and -(-size_bytes // size) == count), None)


def _part_bytes(request: ProofRequest, count: int) -> int | None:
    """Return the size of the first part as the server has it; None where it does not report it."""
    try:
        first = request.bucket.ask("head_object", request.name, PartNumber=1)
    except RefusalError:
        return None
    size = first.get("ContentLength")
    return size if isinstance(size, int) and size and first.get("PartsCount") == count else None


def _local_etag(path: Path, part_bytes: int, *, is_whole: bool) -> str:
    if is_whole:
        sum_ = hashlib.md5(usedforsecurity=False)
        for data in read_blocks(path, READ_BYTES):
            sum_.update(data)
        return sum_.hexdigest()
    return etag_of_parts([md5(data) for data in read_blocks(path, part_bytes)])


def recalled_receipt(
    seen: Mapping[str, Any], abilities: Abilities, part_bytes: int
) -> dict[str, str]:
    """Return the receipt of an object that we sent, from the answer to HEAD.

    For an object with our note: the server compared its checksum with ours then.
    `part_bytes` is the size of the parts that we send.
    """
    size_bytes = seen["ContentLength"]
    receipt = {"part_bytes": str(parts_of(size_bytes, part_bytes)[0].size_bytes)}
    crc64nvme = seen.get("ChecksumCRC64NVME", "")
    if abilities.checks_crc64 and crc64nvme and "-" not in crc64nvme:
        receipt["crc64nvme"] = crc64nvme
    etag = str(seen.get("ETag", "")).strip('"')
    if abilities.etag_is_md5 and size_bytes and etag:
        receipt["etag"] = etag
    return receipt
