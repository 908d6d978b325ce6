"""Outputs of the native and the portable kernel: distinguished, resumed and repaired."""

from hashlib import sha256

import numpy as np
import pytest
from support.corpora import write_parquet_dataset
from support.pictures import photos, psnr

import wdsremux
from wdsremux.core.errors import RecipeMismatchError, UsageError
from wdsremux.transforms.kernel import choice

STEPS = ("center-crop-scale=0.7,1.0", "resize=48x48", "hflip", "sharpen")
NATIVE = choice.native_version()


@pytest.fixture
def unbuilt(monkeypatch):
    """Return a function that makes the native kernel one that is not built."""
    return lambda: monkeypatch.setattr(choice, "extension", lambda: None)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    return str(write_parquet_dataset(folder, rows=40, row_group_size=10).folder)


def converted(source, out, **options):
    options = {"steps": STEPS, "max_shard_samples": 10, "workers": 0} | options
    return wdsremux.convert(source, out, **options)


def sums(out):
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in sorted(out.glob("*.tar"))}


def unfinished(out):
    """Make an output one whose run was interrupted after its first two shards."""
    (out / "index.json").unlink()
    for shard in sorted(out.glob("*.tar"))[2:]:
        shard.unlink()
        (out / ".wdsremux" / f"{shard.stem}.msgpack").unlink()


@pytest.mark.parametrize(
    ("kernel", "recorded"), [("auto", NATIVE), ("native", NATIVE), ("portable", "portable")]
)
def test_the_kernel_is_recorded(source, tmp_path, kernel, recorded):
    assert converted(source, tmp_path / "out", kernel=kernel).head.versions["kernel"] == recorded


def test_kernels_give_different_fingerprints_and_alike_images(tmp_path):
    rows = [{"image": data, "label": i} for i, data in enumerate(photos())]
    made = {}
    for kernel in ("native", "portable"):
        manifest = wdsremux.convert(
            rows, tmp_path / kernel, steps=STEPS, kernel=kernel, progress="none", workers=0
        )
        samples = wdsremux.load(tmp_path / kernel)
        made[manifest.head.fingerprint] = [np.asarray(sample["image"]) for sample in samples]
    native, portable = made.values()
    assert all(psnr(*pair) > 28 for pair in zip(native, portable, strict=True))


@pytest.mark.parametrize("engine", ["threads", "processes"])
def test_workers_do_not_matter(source, tmp_path, engine):
    converted(source, tmp_path / "one", copies=2)
    converted(source, tmp_path / "two", copies=2, engine=engine, workers=2)
    assert sums(tmp_path / "one") == sums(tmp_path / "two")


@pytest.mark.parametrize("kernel", ["native", "portable"])
def test_auto_resumes_with_the_kernel_of_the_output(source, tmp_path, kernel):
    converted(source, tmp_path / "out", kernel=kernel)
    before = sums(tmp_path / "out")
    unfinished(tmp_path / "out")
    manifest = converted(source, tmp_path / "out")
    assert sums(tmp_path / "out") == before
    assert manifest.head.versions["kernel"].startswith(kernel)


@pytest.mark.parametrize(("begun", "now"), [("native", "portable"), ("portable", "native")])
def test_a_different_kernel_at_resume_is_refused_with_the_option(source, tmp_path, begun, now):
    converted(source, tmp_path / "out", kernel=begun)
    with pytest.raises(RecipeMismatchError, match=f"versions.kernel was .* pass kernel=.{begun}"):
        converted(source, tmp_path / "out", kernel=now)


def test_without_the_native_kernel_its_output_is_not_resumed(source, tmp_path, unbuilt):
    converted(source, tmp_path / "out")
    unbuilt()
    with pytest.raises(RecipeMismatchError, match="wdsremux doctor shows how to build it"):
        converted(source, tmp_path / "out")
    with pytest.raises(UsageError, match=r"kernel=.native.: it is not built here"):
        converted(source, tmp_path / "other", kernel="native")


@pytest.mark.parametrize("kernel", ["native", "portable"])
def test_shards_are_repaired_with_the_kernel_they_were_made_by(source, tmp_path, kernel):
    converted(source, tmp_path / "out", kernel=kernel)
    before = sums(tmp_path / "out")
    shard = sorted((tmp_path / "out").glob("*.tar"))[1]
    shard.write_bytes(shard.read_bytes()[:-2000])
    report = wdsremux.repair(tmp_path / "out")
    assert report.remade == (shard.name,)
    assert sums(tmp_path / "out") == before


def test_a_repair_without_the_native_kernel_says_how_to_get_it(source, tmp_path, unbuilt):
    converted(source, tmp_path / "out")
    sorted((tmp_path / "out").glob("*.tar"))[1].unlink()
    unbuilt()
    with pytest.raises(RecipeMismatchError, match="to get that kernel, install a C compiler"):
        wdsremux.repair(tmp_path / "out")
