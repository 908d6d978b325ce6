"""Receipts recalled from the metadata of an object: those of the upload."""

import pytest

from wdsremux.stores.s3.abilities import Abilities
from wdsremux.stores.s3.proof import recalled_receipt

PART_BYTES = 16 << 20
SEEN = {"ContentLength": 40, "ChecksumCRC64NVME": "AAECAwQFBgc=", "ETag": '"abc"'}


def abilities(*, checks_crc64=True, etag_is_md5=True):
    return Abilities(checks_crc64, etag_is_md5, keeps_existing=True, replaces_seen=True)


def test_checksum_etag_and_size_of_the_parts_are_recalled():
    assert recalled_receipt(SEEN, abilities(), PART_BYTES) == {
        "part_bytes": "40",
        "crc64nvme": "AAECAwQFBgc=",
        "etag": "abc",
    }


def test_the_part_size_of_a_large_object_is_that_of_its_first_part():
    seen = SEEN | {"ContentLength": 40 << 20}
    assert recalled_receipt(seen, abilities(), PART_BYTES)["part_bytes"] == str(PART_BYTES)


@pytest.mark.parametrize(
    ("known", "left"),
    [
        ({"checks_crc64": False}, {"part_bytes", "etag"}),
        ({"etag_is_md5": False}, {"part_bytes", "crc64nvme"}),
    ],
)
def test_untrusted_fields_of_the_server_are_left_out(known, left):
    assert recalled_receipt(SEEN, abilities(**known), PART_BYTES).keys() == left


def test_a_composite_checksum_is_not_one_of_the_whole():
    seen = SEEN | {"ChecksumCRC64NVME": "AAECAwQFBgc=-3"}
    assert "crc64nvme" not in recalled_receipt(seen, abilities(), PART_BYTES)


def test_a_server_without_etags_has_no_recorded_etag():
    assert recalled_receipt(SEEN | {"ETag": ""}, abilities(), PART_BYTES).keys() == {
        "part_bytes",
        "crc64nvme",
    }
