"""Datasets by ID that are not Parquet: rows through `datasets`, images fetched by the workers."""

import io
import json
import pickle
import tarfile
import zipfile

import pytest
from support.corpora import jpeg

from wdsremux.core.columns import Column, Columns
from wdsremux.core.errors import SourceError
from wdsremux.sources.hf_datasets.loadable import open_hub_stream
from wdsremux.sources.hub.layout import hub_layout
from wdsremux.stores.hub.ranges import HubAccess

pytestmark = [
    pytest.mark.integration,
    # `datasets` leaves handles of its own to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def opened(repo, access=None):
    access = access or HubAccess(give_up_after_s=20.0)
    return open_hub_stream(hub_layout(repo, subset=None, revision=None, access=access), access)


def units(source, split="train", start=0):
    extras = tuple(c for c in source.features() if c.dtype != "image")
    found = source.units(split, Columns("image", None, extras, None), start)
    return [pickle.loads(pickle.dumps(unit)) for unit in found]


def records(source, split="train", start=0):
    return [record for unit in units(source, split, start) for record in unit.read(0, unit.rows)]


def write_images(folder, names):
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(jpeg(number))


@pytest.fixture
def class_folders(hub):
    """Return (repo id, images in row order, labels)."""
    repo, folder = hub.new_repo()
    names = [f"train/{label}/{i:02}.jpg" for label in ("cat", "dog") for i in range(20)]
    write_images(folder, names)
    return repo, [jpeg(i) for i in range(40)], [0] * 20 + [1] * 20


@pytest.mark.parametrize("start", [0, 3, 39])
def test_class_folders_are_read_in_order_from_any_start(class_folders, start):
    repo, images, labels = class_folders
    source = opened(repo)
    found = records(source, start=start)
    assert source.features()[1].class_names == ("cat", "dog")
    assert [record.position for record in found] == list(range(start, 40))
    assert [record.image for record in found] == images[start:]
    assert [record.fields["label"] for record in found] == labels[start:]


def test_images_are_fetched_by_the_worker_and_only_those_it_reads(hub, class_folders):
    source = opened(class_folders[0])
    (unit,) = units(source, start=10)
    assert len(pickle.dumps(unit)) < 8000
    assert hub.count("GET cdn") == 0
    assert [r.image for r in unit.read(5, 8)] == class_folders[1][15:18]
    assert hub.count("GET cdn") == 3


@pytest.mark.parametrize("kind", ["cut", "503", "429", "reset", "short"])
def test_all_images_arrive_in_order_despite_faults(hub, class_folders, kind):
    repo, images, _ = class_folders
    found = units(opened(repo))
    hub.configure(fault_rate=0.5, fault_kinds=(kind,), fault_max=10, retry_after=0, seed=3)
    assert [r.image for unit in found for r in unit.read(0, unit.rows)] == images
    assert hub.faults == 10


def test_a_stopped_hub_ends_in_an_error_in_bounded_time(hub, class_folders):
    found = units(opened(class_folders[0], HubAccess(give_up_after_s=1.0, stall_timeout_s=0.5)))
    hub.configure(fault_rate=1, fault_kinds=("503",), retry_after=0)
    with pytest.raises(SourceError, match="the Hub answers 503"):
        list(found[0].read(0, 40))


def test_a_zip_of_class_folders_is_read_with_labels(hub):
    repo, folder = hub.new_repo()
    with zipfile.ZipFile(folder / "z.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number, name in enumerate(["b/2.jpg", "a/1.jpg", "b/1.jpg"]):
            archive.writestr(name, jpeg(number))
    source = opened(repo)
    assert source.features()[1].class_names == ("a", "b")
    assert [(r.image, r.fields["label"]) for r in records(source)] == [
        (jpeg(1), 0),
        (jpeg(2), 1),
        (jpeg(0), 1),
    ]


def test_a_csv_names_images_of_its_repo_and_no_others(hub):
    repo, folder = hub.new_repo()
    write_images(folder, ["images/1.jpg"])
    rows = [
        "images/1.jpg,7",
        "../x.jpg,7",
        "/etc/x.jpg,7",
        "https://example.com/x.jpg,7",
        "n.jpg,7",
    ]
    (folder / "train.csv").write_text("\n".join(["image,n", *rows]) + "\n")
    source = opened(repo)
    assert source.features() == (Column("image", "image"), Column("n", "int64"))
    good, *bad, missing = records(source)
    assert (good.image, good.fields) == (jpeg(0), {"n": 7})
    assert all("outside" in record.problem for record in bad)
    assert "does not exist" in missing.problem


def test_webdataset_tars_have_the_columns_of_local_tars(hub):
    repo, folder = hub.new_repo()
    with tarfile.open(folder / "train-000000.tar", "w") as tar:
        for number in range(6):
            label = json.dumps({"label": number}).encode()
            for field, content in (("jpg", jpeg(number)), ("json", label)):
                info = tarfile.TarInfo(f"{number:03}.{field}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    found = records(opened(repo), start=2)
    assert [record.image for record in found] == [jpeg(number) for number in range(2, 6)]
    assert found[0].fields == {"label": 2, "key": "002"}


def test_the_identity_names_the_commit_and_no_address(hub, class_folders):
    identity = opened(class_folders[0]).identity()
    assert identity["kind"] == "hub"
    assert identity["repo"] == class_folders[0]
    assert len(identity["commit"]) == 40
    assert identity["format"] == "imagefolder"
    assert hub.address not in str(identity)


def test_a_class_called_train_does_not_hide_the_others(hub):
    repo, folder = hub.new_repo()
    write_images(folder, ["bus/1.jpg", "car/1.jpg", "train/1.jpg"])
    source = opened(repo)
    assert source.features()[1].class_names == ("bus", "car", "train")
    assert [record.fields["label"] for record in records(source)] == [0, 1, 2]
    assert source.notes() == ()


def test_images_beside_several_splits_are_counted(hub):
    repo, folder = hub.new_repo()
    write_images(folder, ["train/1.jpg", "train/2.jpg", "test/1.jpg", "logo.png"])
    source = opened(repo)
    assert list(source.splits()) == ["train", "test"]
    assert source.notes() == ("1 image left out: not in a split, for example 'logo.png'",)


def test_split_names_are_not_classes(hub):
    repo, folder = hub.new_repo()
    write_images(folder, ["train/1.jpg", "train/2.jpg", "test/1.jpg"])
    assert [column.name for column in opened(repo).features()] == ["image"]


def test_files_that_the_card_names_are_read_as_declared(hub):
    repo, folder = hub.new_repo()
    write_images(folder, ["bus/1.jpg", "train/1.jpg"])
    configs = [{"config_name": "default", "data_files": [{"split": "train", "path": "train/*"}]}]
    (folder / "README.md").write_text(f"---\nconfigs: {json.dumps(configs)}\n---\n")
    assert len(records(opened(repo))) == 1
