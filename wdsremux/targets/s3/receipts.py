"""What an object can be asked by later, told by itself: for whoever did not see it sent."""

from collections.abc import Mapping
from typing import Any

from wdsremux.targets.s3.abilities import Abilities
from wdsremux.targets.s3.sums import parts_of


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
