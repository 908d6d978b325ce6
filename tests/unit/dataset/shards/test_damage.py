import pytest
from support.verified import SHARD, copied, entry_path, flip, make_dataset

from wdsremux.dataset.entry import ShardEntry
from wdsremux.dataset.shards.damage import damaged_end, damaged_samples, sample_at, whole_samples


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("made") / "out")


@pytest.fixture
def shard(made, tmp_path):
    """Return the path of a shard that may be damaged, and its entry."""
    folder = copied(made, tmp_path / "out")
    path = entry_path(folder)
    return folder / SHARD, ShardEntry.from_bytes(path.read_bytes(), path.name)


def damages(path, entry, *, is_ours=True):
    with path.open("rb", buffering=0) as file:
        return list(damaged_samples(file, entry, is_ours=is_ours))


def places(entry, number=2):
    """Return an offset in each kind of byte of a sample."""
    sample = list(entry.samples())[number]
    (_, image, image_size), (_, text, text_size) = sample.members
    return {
        "header of .jpg": sample.offset + 100,
        "content of .jpg": image + image_size // 2,
        "padding after .jpg": image + image_size,
        "header of .json": text - 512 + 150,
        "content of .json": text + 3,
        "padding after .json": text + text_size + 7,
    }


def test_whole_shards_have_no_damage(shard):
    assert damages(*shard) == []
    with shard[0].open("rb", buffering=0) as file:
        assert damaged_end(file, shard[1]) is None


@pytest.mark.parametrize("is_ours", [True, False])
def test_one_bit_in_every_class_of_bytes_is_named_to_the_bit(shard, is_ours):
    path, entry = shard
    for place, offset in places(entry).items():
        flip(path, offset, 6)
        (damage,) = damages(path, entry, is_ours=is_ours)
        assert (damage.key, damage.offset) == (entry.keys[2], offset)
        assert damage.detail == f"{place}, bit 6 is flipped"
        flip(path, offset, 6)


@pytest.mark.parametrize("place", ["header of .json", "padding after .jpg"])
def test_larger_damage_to_headers_and_padding_is_located_to_the_byte(shard, place):
    path, entry = shard
    offset = places(entry)[place]
    for at in (0, 1, 2):
        flip(path, offset + at, at)
        flip(path, offset + at, 7)
    (damage,) = damages(path, entry)
    assert (damage.offset, damage.detail) == (offset, place)


def test_a_lost_sector_is_found(shard):
    path, entry = shard
    sample = list(entry.samples())[1]
    start = sample.offset + 1024
    data = bytearray(path.read_bytes())
    data[start : start + 512] = bytes(512)
    path.write_bytes(data)
    (damage,) = damages(path, entry)
    assert (damage.key, damage.offset) == (sample.key, start)
    assert damage.detail == "content of .jpg, a block of zeros"


def test_other_damage_to_contents_names_the_sample(shard):
    path, entry = shard
    offset = places(entry)["content of .jpg"]
    for at in (0, 3, 50):
        flip(path, offset + at, at % 8)
    (damage,) = damages(path, entry)
    assert damage.key == entry.keys[2]
    assert damage.detail == "its content"


def test_every_damaged_sample_is_named(shard):
    path, entry = shard
    samples = list(entry.samples())
    for sample in samples:
        flip(path, sample.offset + 600)
    assert [damage.key for damage in damages(path, entry)] == entry.keys


def test_damage_behind_the_last_sample_is_found(shard):
    path, entry = shard
    offset = sum(entry.sizes) + 333
    flip(path, offset)
    assert damages(path, entry) == []
    with path.open("rb", buffering=0) as file:
        assert damaged_end(file, entry) == offset


def test_in_a_cut_shard_the_samples_that_are_there_are_looked_at(shard):
    path, entry = shard
    third = list(entry.samples())[3]
    flip(path, 600)
    path.write_bytes(path.read_bytes()[: third.offset + 700])
    assert [damage.key for damage in damages(path, entry)] == [entry.keys[0]]
    assert whole_samples(entry, third.offset + 700) == 3
    assert whole_samples(entry, third.offset) == 3
    assert whole_samples(entry, third.offset - 1) == 2


def test_a_byte_belongs_to_a_sample_or_to_the_end(shard):
    _, entry = shard
    samples = list(entry.samples())
    assert sample_at(entry, 0) == entry.keys[0]
    assert sample_at(entry, samples[1].offset) == entry.keys[1]
    assert sample_at(entry, samples[1].offset - 1) == entry.keys[0]
    assert sample_at(entry, sum(entry.sizes)) is None
