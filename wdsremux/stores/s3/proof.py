"""Proves what is stored at S3 by receipts and checksums."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
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
"""The field of an object's metadata in which we note what we meant to send."""


READ_BYTES = 8 * MIB


USUAL_PART_BYTES = tuple(n * MIB for n in (5, 8, 16, 32, 50, 64, 100, 128))


KINDS: Mapping[str, Callable[[bytes], bytes]] = {
    "CRC32C": lambda data: checksums.crc32c(data).to_bytes(4, "big"),
    "CRC32": lambda data: checksums.crc32(data).to_bytes(4, "big"),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
}


def seen_object(bucket: Bucket, name: str) -> dict[str, Any] | None:
    """Return what HEAD tells of an object; None where there is none."""
    try:
        return bucket.ask("head_object", name, ChecksumMode="ENABLED")
    except RefusalError as exc:
        if exc.is_absent:
            return None
        raise


@dataclass(frozen=True, slots=True)
class ProofRequest:
    """Whether an object that was seen has certain bytes."""

    bucket: Bucket
    name: str
    seen: Mapping[str, Any]
    """What HEAD told."""
    sums: Sums
    path: Path | None
    """Where the same bytes lie on this machine, if they do."""
    abilities: Abilities
    """What the server may be believed; whoever only asks does not try it out by writing."""


def proof_of(request: ProofRequest) -> Proof:
    """Answer by the strongest thing that can be compared."""
    size = request.seen.get("ContentLength")
    if size != request.sums.size_bytes:
        return Proof("differs", f"{size} bytes instead of {request.sums.size_bytes}")
    if size == 0:
        return Proof("checksum", "no bytes")
    for step in (_by_crc64, _by_other_checksum, _by_etag):
        proof = step(request)
        if proof is not None:
            return proof
    noted = request.seen.get("Metadata", {}).get(SHA256_NOTE)
    if noted is not None and noted != request.sums.sha256:
        return Proof("differs", "the SHA-256 noted when it was sent")
    return Proof("unverified", "only the size", is_noted=noted is not None)


def _by_crc64(request: ProofRequest) -> Proof | None:
    there = request.seen.get("ChecksumCRC64NVME")
    if not there or "-" in there:
        return None
    # A receipt has it only from a server that was seen to check it.
    known = request.sums.receipt.get("crc64nvme")
    if known is None:
        if request.path is None or not request.abilities.checks_crc64:
            return None
        crc = 0
        for data in read_blocks(request.path, READ_BYTES):
            crc = checksums.crc64nvme(data, crc)
        known = base64_text(crc.to_bytes(8, "big"))
    return _compared(there, known, "CRC64NVME of the whole object", {"crc64nvme": known})


def _by_other_checksum(request: ProofRequest) -> Proof | None:
    """Compare what other tools let the server keep: of the whole, or of the parts' checksums."""
    for kind, of_bytes in KINDS.items():
        there = request.seen.get(f"Checksum{kind}")
        if not there or not request.abilities.checks_crc64:
            continue
        value, _, count = there.partition("-")
        if not count and kind == "SHA256":
            known = base64_text(bytes.fromhex(request.sums.sha256))
            return _compared(value, known, "SHA256 of the whole object", {})
        if request.path is None:
            continue
        if not count:
            known = _whole(kind, request.path)
            return _compared(value, known, f"{kind} of the whole object", {})
        part_bytes = _part_bytes(request, int(count))
        if part_bytes is None:
            continue
        parts = b"".join(of_bytes(data) for data in read_blocks(request.path, part_bytes))
        known = base64_text(of_bytes(parts))
        return _compared(value, known, f"{kind} of {count} parts", {})
    return None


def _by_etag(request: ProofRequest) -> Proof | None:
    etag = str(request.seen.get("ETag", "")).strip('"')
    how = "MD5 of the parts' MD5s" if "-" in etag else "MD5 of the whole object"
    if etag and etag == request.sums.receipt.get("etag"):
        return Proof("etag", how, request.sums.receipt)
    value, _, count = etag.partition("-")
    if request.path is None or len(value) != 32:
        return None
    said = _part_bytes(request, int(count)) if count.isdigit() else request.sums.size_bytes
    for part_bytes in (said,) if said is not None else _likely_part_bytes(request, int(count)):
        if _local_etag(request.path, part_bytes, is_whole=not count) == etag:
            return Proof("etag", how, {"etag": etag, "part_bytes": str(part_bytes)})
    # An ETag need not be an MD5: only where it is known to be one does another mean other bytes.
    is_ciphered = "KMS" in str(request.seen.get("ServerSideEncryption", "")).upper()
    if said is not None and not is_ciphered and request.abilities.tells_md5:
        return Proof("differs", how)
    return None


def _compared(there: str, known: str, how: str, receipt: Mapping[str, str]) -> Proof:
    return Proof("checksum", how, receipt) if there == known else Proof("differs", how)


def _likely_part_bytes(request: ProofRequest, count: int) -> Iterator[int]:
    """Yield the sizes of parts that would give so many."""
    noted = request.sums.receipt.get("part_bytes", "")
    for size in (*([int(noted)] if noted.isdecimal() else []), *USUAL_PART_BYTES):
        if size and -(-request.sums.size_bytes // size) == count:
            yield size


def _part_bytes(request: ProofRequest, count: int) -> int | None:
    """Return the size of the first part as the server has it; None where it does not tell."""
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


def _whole(kind: str, path: Path) -> str:
    step = checksums.crc32c if kind == "CRC32C" else checksums.crc32
    value = 0
    for data in read_blocks(path, READ_BYTES):
        value = step(data, value)
    return base64_text(value.to_bytes(4, "big"))


def recalled_receipt(
    seen: Mapping[str, Any], abilities: Abilities, part_bytes: int
) -> dict[str, str]:
    """Return the receipt that sending an object gave, from what HEAD tells of it.

    For an object that we have noted ourselves: the server compared its checksum with ours then.
    `part_bytes` is the size of the parts that we send.
    """
    size_bytes = seen["ContentLength"]
    receipt = {"part_bytes": str(parts_of(size_bytes, part_bytes)[0].size_bytes)}
    crc64nvme = seen.get("ChecksumCRC64NVME", "")
    if abilities.checks_crc64 and crc64nvme and "-" not in crc64nvme:
        receipt["crc64nvme"] = crc64nvme
    etag = str(seen.get("ETag", "")).strip('"')
    if abilities.tells_md5 and size_bytes and etag:
        receipt["etag"] = etag
    return receipt
