"""What repair cannot make as it was, it says, with what has changed; and it changes nothing then."""

import io
import re

import pytest
from PIL import Image
from support.corpora import write_parquet_dataset
from support.repairable import Made, entry, images, make, remove, shard, state
from support.runs import tree
from support.runs import wdsremux as command
from support.verified import edit_json, flip

import wdsremux
from wdsremux.core.errors import CorruptDataError, RecipeMismatchError, SourceError, UsageError
from wdsremux.processing import head
from wdsremux.transforms.codecs.codec import Codec
from wdsremux.transforms.steps.picture import Picture

pytestmark = pytest.mark.integration


@pytest.fixture
def made(tmp_path):
    """Return a dataset whose second shard is gone."""
    made = Made(tmp_path)
    write_parquet_dataset(made.source, images=images())
    made.options = {"steps": ["resize=16"]}
    made.convert()
    return made


def refusal(made, error=RecipeMismatchError, **options):
    """Lose a shard, demand that repair refuses and changes nothing, and return its message."""
    remove(shard(made.out, -2))
    before = tree(made.out)
    with pytest.raises(error) as caught:
        wdsremux.repair(made.out, workers=0, **options)
    assert tree(made.out) == before
    return str(caught.value)


def test_a_changed_source_is_reported_by_its_file(made):
    write_parquet_dataset(made.source, images=[*images(44), *reversed(images(46))])
    text = refusal(made)
    assert re.match(r"train-\d{6}\.tar cannot be rebuilt", text)
    assert "the source has changed: files.data/train-0000" in text
    assert "bytes was" in text


def test_a_source_with_fewer_rows_is_reported(made):
    write_parquet_dataset(made.source, images=images(4))
    assert "the source has changed: files." in refusal(made)


def test_another_schema_is_reported(made):
    write_parquet_dataset(made.source, images=images(), class_names=("a", "b", "cow"))
    text = refusal(made)
    assert "the source has changed" in text


def test_rows_that_changed_in_files_of_the_same_size_are_refused_too(tmp_path):
    made = Made(tmp_path)
    plain = {"compression": "none"}
    write_parquet_dataset(made.source, images=images(), **plain)
    made.convert()
    sizes = [file.stat().st_size for file in sorted(made.source.rglob("*.parquet"))]
    darker = [i if i == b"broken" else i[:-12] + bytes(10) + i[-2:] for i in images()]
    write_parquet_dataset(made.source, images=darker, **plain)
    assert [file.stat().st_size for file in sorted(made.source.rglob("*.parquet"))] == sizes
    assert "nothing that is recorded has changed" in refusal(made)


def test_one_changed_file_does_not_spoil_the_shards_of_another(made):
    whole = tree(made.out)
    write_parquet_dataset(made.folder / "other", images=images(seed=6))
    name = "data/train-00001-of-00002.parquet"
    made.source.joinpath(name).write_bytes(made.folder.joinpath("other", name).read_bytes())
    first, last = shard(made.out, 0).name, shard(made.out, -1).name
    remove(shard(made.out, -1), shard(made.out, 0))
    with pytest.raises(RecipeMismatchError, match=re.escape(last)) as caught:
        wdsremux.repair(made.out)
    assert name in str(caught.value)
    assert "1 other file repaired" in str(caught.value)
    assert tree(made.out).get(first) == whole[first]


@pytest.fixture
def old_encoder(monkeypatch):
    """Return a function that makes images and versions those of other libraries, and undoes it."""
    encode = Codec.encode

    def coarse(codec, pixels):
        file = io.BytesIO()
        Image.open(io.BytesIO(encode(codec, pixels))).save(file, "JPEG", quality=20)
        return file.getvalue()

    def set_old(*, bytes_too):
        now = head.versions()
        monkeypatch.setattr(head, "versions", lambda: now | {"pillow": "1.0", "simplejpeg": "0.1"})
        if bytes_too:
            monkeypatch.setattr(Codec, "encode", coarse)
            monkeypatch.setattr(Picture, "jpeg", lambda *_: None)  # no encoder of the native kernel
        return monkeypatch

    return set_old


def test_other_library_versions_are_named(tmp_path, old_encoder):
    patch = old_encoder(bytes_too=True)
    made = make("steps", tmp_path)
    patch.undo()
    text = refusal(made)
    assert "pillow was 1.0, now it is" in text
    assert "simplejpeg was 0.1, now it is" in text


def test_other_library_versions_with_the_same_bytes_are_accepted(tmp_path, old_encoder):
    patch = old_encoder(bytes_too=False)
    made = make("steps", tmp_path)
    patch.undo()
    whole = tree(made.out)
    remove(shard(made.out), entry(made.out, 2))
    assert wdsremux.repair(made.out).exit_code == 0
    assert tree(made.out) == whole


def test_a_changed_function_is_reported(tmp_path):
    made = make("batch", tmp_path)
    file = tmp_path / "mixing.py"
    file.write_text(file.read_text().replace("mean) /", "mean * 0.5) /"))
    text = refusal(made, trust_recorded=True)
    assert "the function has changed: its code hash was" in text
    text = refusal(made, transform=f"{file}:mix")
    assert "the function has changed: its code hash was" in text


def test_a_function_that_fails_now_is_reported_as_changed(tmp_path):
    made = make("batch", tmp_path)
    (tmp_path / "mixing.py").write_text("def mix(batch):\n    return 1 / 0\n")
    text = refusal(made, transform=f"{tmp_path}/mixing.py:mix")
    assert "the function has changed" in text
    assert "ZeroDivisionError" in text


def test_a_function_that_differs_in_a_comment_is_accepted(tmp_path):
    made = make("batch", tmp_path)
    whole = tree(made.out)
    file = tmp_path / "mixing.py"
    file.write_text(file.read_text() + "# a remark\n")
    remove(shard(made.out))
    assert wdsremux.repair(made.out, transform=f"{file}:mix").exit_code == 0
    assert tree(made.out) == whole


def test_a_missing_source_is_reported_with_the_option_to_name_another(made):
    whole = tree(made.out)
    moved = made.source.rename(made.folder / "moved")
    text = refusal(made, SourceError)
    assert "cannot rebuild" in text
    assert text.endswith("; if the source has moved, pass its new location with --source")
    assert "--source-kind" not in text
    done = command("repair", made.out, "--source", moved, "--progress", "none")
    assert (done.returncode, done.stderr) == (0, "")
    assert tree(made.out) == whole


def test_a_missing_function_is_reported_and_can_be_named(tmp_path):
    made = make("copies", tmp_path)
    whole = tree(made.out)
    moved = (tmp_path / "mixing.py").rename(tmp_path / "elsewhere.py")
    assert "mixing.py" in refusal(made, UsageError)
    wdsremux.repair(made.out, workers=0, transform=f"{moved}:mix")
    assert tree(made.out) == whole


def rows_of_dicts():
    return [{"image": image, "label": i % 3} for i, image in enumerate(images())]


def test_an_iterable_must_be_passed_again(tmp_path):
    made = Made(tmp_path)
    arguments = {"workers": 0, "max_shard_size": "20KB", "max_errors": "50%"}
    wdsremux.convert(rows_of_dicts(), made.out, **arguments)
    whole = tree(made.out)
    assert "wdsremux.repair(out, source=...)" in refusal(made, UsageError)
    remove(shard(made.out, 2))
    assert len(wdsremux.repair(made.out, source=rows_of_dicts()).remade) == 2
    assert tree(made.out) == whole


def test_a_function_object_must_be_passed_again(tmp_path):
    made = Made(tmp_path)
    write_parquet_dataset(made.source, images=images())
    made.options = {"transform": mirrored, "transform_mode": "image"}
    made.convert()
    whole = tree(made.out)
    assert "wdsremux.repair(out, transform=...)" in refusal(made, UsageError)
    wdsremux.repair(made.out, transform=mirrored, workers=0)
    assert tree(made.out) == whole


def mirrored(image):
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def test_lost_files_of_intact_shards_need_no_source(made):
    whole = tree(made.out)
    made.source.rename(made.folder / "gone")
    remove(entry(made.out), made.out / "README.md", state(made.out, "recipe.json"))
    wdsremux.repair(made.out)
    assert tree(made.out) == whole
    remove(made.out / "index.json")
    wdsremux.repair(made.out)
    assert tree(made.out) == whole


def test_a_shard_without_a_recorded_checksum_needs_the_source(made):
    whole = tree(made.out)
    # A bit of an image: without entry and manifest it cannot be detected.
    flip(shard(made.out), 700)
    remove(entry(made.out), made.out / "index.json")
    source = made.source.rename(made.folder / "gone")
    with pytest.raises(SourceError, match="cannot rebuild train-"):
        wdsremux.repair(made.out)
    wdsremux.repair(made.out, source=source)
    assert tree(made.out) == whole


def test_without_its_versions_such_a_shard_cannot_be_verified(tmp_path, old_encoder):
    patch = old_encoder(bytes_too=False)
    made = make("steps", tmp_path)
    patch.undo()
    remove(entry(made.out), made.out / "index.json")
    before = tree(made.out)
    with pytest.raises(RecipeMismatchError, match=r"pillow was 1\.0"):
        wdsremux.repair(made.out)
    assert tree(made.out) == before


def test_records_of_two_conversions_are_refused(made, tmp_path):
    other = make("splits", tmp_path / "other")
    state(made.out, "recipe.json").write_bytes(state(other.out, "recipe.json").read_bytes())
    assert "contradict each other" in refusal(made, CorruptDataError)


def test_an_edited_record_does_not_validate_other_shards(made):
    name = shard(made.out).name

    def change(manifest):
        (item,) = (each for each in manifest["shardlist"] if each["url"] == name)
        item["sha256"] = "0" * 64

    whole = tree(made.out)
    edit_json(made.out / "index.json", change)
    # The shard and its entry agree, so the manifest is what is wrong.
    assert wdsremux.repair(made.out).rebuilt == ("index.json",)
    assert tree(made.out) == whole


def test_without_any_record_nothing_is_done(made, tmp_path):
    remove(made.out / "index.json", state(made.out, "recipe.json"))
    before = tree(made.out)
    with pytest.raises(CorruptDataError, match=r"neither index\.json nor"):
        wdsremux.repair(made.out)
    assert tree(made.out) == before
    (tmp_path / "empty").mkdir()
    done = command("repair", tmp_path / "empty")
    assert done.returncode == 6
    assert "contains no dataset" in done.stderr
    assert not list((tmp_path / "empty").iterdir())
    assert command("repair", tmp_path / "nowhere").returncode == 6
    assert not (tmp_path / "nowhere").exists()


def test_shards_of_other_tools_are_refused(tmp_path):
    with wdsremux.ShardWriter(tmp_path / "out") as shards:
        shards.write({"__key__": "a", "txt": "text"})
    done = command("repair", tmp_path / "out")
    assert done.returncode == 2
    assert "written by ShardWriter" in done.stderr
