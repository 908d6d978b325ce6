import numpy as np
import pytest
from PIL import Image
from support.pictures import photo, photos, saved, scene

from wdsremux.transforms.base import DecodeError
from wdsremux.transforms.codecs.codec import Codec
from wdsremux.transforms.codecs.jpeg import StrayBytesError, check_end, decode, encode, read_header


def with_orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return saved(scene(40, 24), "JPEG", exif=exif)


def test_the_stored_size_is_read_from_the_jpeg_header():
    assert read_header(saved(scene(40, 24), "JPEG")).size == (40, 24)


@pytest.mark.parametrize("value", range(1, 9))
def test_the_orientation_is_read_from_the_header(value):
    assert read_header(with_orientation(value)).orientation == value


@pytest.mark.parametrize("value", [0, 9, 300])
def test_an_invalid_orientation_is_ignored(value):
    assert read_header(with_orientation(value)).orientation == 1


def exif_jpeg(tiff):
    data = saved(scene(8, 8), "JPEG")
    segment = b"\xff\xe1" + (8 + len(tiff)).to_bytes(2, "big") + b"Exif\0\0" + tiff
    return data[:2] + segment + data[2:]


@pytest.mark.parametrize(
    "tiff",
    [
        b"",
        b"junk",
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\xff\xff",
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x01AAAA\0\0\0\0",
    ],
)
def test_a_broken_exif_block_does_not_reject_the_image(tiff):
    assert read_header(exif_jpeg(tiff)).orientation == 1


def test_both_byte_orders_and_long_values_of_the_orientation_are_read():
    big = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    small = b"II*\0\x08\0\0\0\x01\0\x12\x01\x04\0\x01\0\0\0\x08\0\0\0\0\0\0\0"
    assert read_header(exif_jpeg(big)).orientation == 6
    assert read_header(exif_jpeg(small)).orientation == 8


def test_a_profile_in_several_chunks_is_put_together():
    profile = bytes(range(256)) * 600
    assert read_header(saved(scene(8, 8), "JPEG", icc_profile=profile)).profile == profile


@pytest.mark.parametrize("cut", [2, 3, 10, 100, 300])
def test_a_header_that_is_cut_is_refused(cut):
    with pytest.raises(DecodeError, match="truncated JPEG"):
        read_header(photos()[0][:cut])


def test_fill_bytes_and_stray_bytes_between_segments_are_skipped():
    data = saved(scene(40, 24), "JPEG")
    assert read_header(data[:2] + b"\xff\xff\xff" + data[2:]).size == (40, 24)
    assert read_header(data[:2] + b"\x00\x01" + data[2:]).size == (40, 24)


def test_a_header_without_pixels_is_refused():
    data = saved(scene(40, 24), "JPEG")
    place = data.index(b"\xff\xc0") + 5
    with pytest.raises(DecodeError, match="40 x 0 pixels"):
        read_header(data[:place] + b"\0\0" + data[place + 2 :])


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75, 0.99])
@pytest.mark.parametrize("divisor", [1, 2, 8])
def test_truncated_data_is_refused_at_every_scale(share, progressive, divisor):
    data = saved(photo("coffee"), "JPEG", progressive=progressive)
    cut = data[: int(len(data) * share)]
    with pytest.raises(DecodeError, match="truncated JPEG"):
        decode(cut, read_header(cut), divisor, "RGBX")


@pytest.mark.parametrize("divisor", [1, 2, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (7, 9), (16, 16), (33, 65)])
def test_sides_of_a_fraction_are_rounded_up(size, divisor):
    data = saved(scene(*size), "JPEG")
    width, height = size
    pixels = decode(data, read_header(data), divisor, "RGBX")
    assert pixels.shape == (-(-height // divisor), -(-width // divisor), 4)


def test_a_few_stray_bytes_before_the_end_are_not_damage():
    data = photos()[0]
    few = data[:-2] + b"\xaa\xbb" * 10 + data[-2:]
    many = data[:-2] + b"\xaa\xbb" * 5000 + data[-2:]
    with pytest.raises(StrayBytesError):
        decode(few, read_header(few), 1, "RGBX")
    with pytest.raises(DecodeError, match="broken JPEG"):
        decode(many, read_header(many), 1, "RGBX")


def test_a_lost_restart_marker_is_damage():
    data = saved(photo("coffee"), "JPEG", restart_marker_rows=1)
    place = data.index(b"\xff\xd3")
    lost = data[:place] + data[place + 2 :]
    with pytest.raises(DecodeError, match="broken JPEG"):
        decode(lost, read_header(lost), 1, "RGBX")


def test_the_end_marker_of_a_thumbnail_is_not_taken_for_the_images():
    thumbnail = saved(scene(8, 8), "JPEG")
    data = exif_jpeg(thumbnail)
    check_end(data, read_header(data))
    cut = data[:-20]
    with pytest.raises(DecodeError, match="its end marker is missing"):
        check_end(cut, read_header(cut))


@pytest.mark.parametrize(("subsampling", "factors"), [("444", 0x11), ("422", 0x21), ("420", 0x22)])
def test_what_is_written_is_baseline_with_the_wanted_subsampling(subsampling, factors):
    data = encode(np.asarray(scene(40, 24)), 90, subsampling)
    place = data.index(b"\xff\xc0")
    assert data[place + 11] == factors
    assert b"Exif" not in data
    assert b"ICC_PROFILE" not in data


@pytest.mark.parametrize(("marker", "components"), [(0xC2, 3), (0xC0, 1)])
def test_a_jpeg_of_thousands_of_empty_scans_is_refused_by_its_header(marker, components):
    data = bytearray(saved(photo("coffee"), "JPEG", progressive=True))
    data[data.index(b"\xff\xda") + 4] = components
    data[data.index(b"\xff\xc2") + 1] = marker
    empty = b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x00"
    assert read_header(bytes(data[:-2] + empty * 400 + data[-2:]))
    with pytest.raises(DecodeError, match="scans, more than 500"):
        read_header(bytes(data[:-2] + empty * 600 + data[-2:]))


def test_a_jpeg_that_ends_at_an_empty_scan_header_has_a_header():
    data = saved(photo("coffee"), "JPEG")
    assert read_header(data[: data.index(b"\xff\xda")] + b"\xff\xda\x00\x02").size == (600, 400)


def odd_sampling(sampling, blocks):
    """Return a gray JPEG of 48 × 32 pixels with luma factors that TurboJPEG does not know."""
    data = bytearray(saved(Image.new("RGB", (48, 32), (128,) * 3), "JPEG", subsampling=0))
    data[data.index(b"\xff\xc0") + 11] = sampling
    scan = data.index(b"\xff\xda")
    start = scan + 2 + int.from_bytes(data[scan + 2 : scan + 4], "big")
    # By the standard Huffman tables: no difference, end of block; chroma has its own table.
    bits = ("001010" * blocks + "0000" * 2) * (48 * 32 // 64 // blocks)
    bits += "1" * (-len(bits) % 8)
    pixels = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return bytes(data[:start]) + pixels.replace(b"\xff", b"\xff\0") + b"\xff\xd9"


@pytest.mark.parametrize(("sampling", "blocks"), [(0x31, 3), (0x32, 6)])
def test_unusual_chroma_sampling_is_left_to_a_decoder_that_reads_it(sampling, blocks):
    data = odd_sampling(sampling, blocks)
    with pytest.raises(StrayBytesError):
        decode(data, read_header(data), 1, "RGBX")
    assert np.unique(Codec().decode(data)).tolist() == [128]
