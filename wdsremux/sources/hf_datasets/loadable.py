"""Formats that `load_dataset` reads and this package has no reader for: read by its streams.

Folders with csv or json beside images, zips, and Hub repos that are not Parquet. Rows are read in
the calling process; images that a row names by path are fetched by the workers.
"""

import hashlib
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wdsremux.core.columns import Column, Dtype, of_our_output
from wdsremux.core.errors import SourceError
from wdsremux.core.paths import exists, is_file, is_folder
from wdsremux.core.redaction import redacted, shown_cause
from wdsremux.sources.dtypes import dtypes_from_features
from wdsremux.sources.hf_datasets.stream import RowStream, Shape, bounded_retries
from wdsremux.sources.hf_datasets.zipped_images import ZippedImages, open_zips
from wdsremux.sources.hub.errors import builder_error, reason_of
from wdsremux.sources.hub.image_folders import drop_split_labels
from wdsremux.sources.hub.layout import HubLayout
from wdsremux.sources.hub.links import HubFetcher
from wdsremux.sources.rows.links import AllowedFiles
from wdsremux.sources.rows.roots import image_roots
from wdsremux.sources.tars.schema import KEY_COLUMN
from wdsremux.stores.hub.ranges import HubAccess

Row = Mapping[str, Any]

REMEDY = "if you trust the dataset, name the folder of its images with --image-root"


def open_loadable(
    path: str | os.PathLike[str],
    *,
    subset: str | None = None,
    give_up_after_s: float = 120.0,
    image_root: str | os.PathLike[str] | None = None,
    zip_encoding: str | None = None,
) -> RowStream | ZippedImages:
    """Open a folder or a file of this machine that `load_dataset` understands.

    Paths in its rows start from `image_root`, or from its folder, and are bounded by both.

    Raises:
        SourceError: `datasets` finds nothing in it, or it cannot be read.
        UsageError: the subset must be named or does not exist.

    """
    # Not resolved: a link of a Hub cache snapshot has the extension that its blob lacks.
    found = Path(os.path.abspath(path))  # noqa: PTH100 (see above)
    if not exists(found):
        raise SourceError(f"the file or folder {str(path)!r} does not exist; check the path")
    folder = found if is_folder(found) else found.parent
    _refuse_damaged_zips(found)
    try:
        builder = _builder_of(found, subset, shown=str(path))
    except _NoDataError:
        zips = _only_zips(found)
        if zips:  # names such as ../x.jpg hide the images from `datasets`
            facts = {"kind": "loadable", "format": "imagefolder", "subset": "default"}
            facts |= _listing(folder, zips)
            zipped = open_zips({"train": zips}, facts, AllowedFiles(str(folder)), zip_encoding)
            if zipped is not None:
                return zipped
        raise
    names = [str(name) for names in builder.config.data_files.values() for name in names]
    facts = {
        "kind": "loadable",
        "format": _format(builder),
        "subset": builder.config.name,
        **_listing(folder, names),
    }
    roots = image_roots(folder, image_root)
    allowed = AllowedFiles(
        roots.base,
        remedy=REMEDY,
        others=(str(folder), *roots.others),
        give_up_after_s=give_up_after_s,
    )
    return _Opening(facts, allowed, give_up_after_s, zip_encoding).of(builder)


class _NoDataError(SourceError):
    """`datasets` finds nothing that it can read."""


def _builder_of(found: Path, subset: str | None, *, shown: str) -> Any:
    """Return what `datasets` reads a file or folder with. Raises SourceError, UsageError."""
    import datasets  # noqa: PLC0415 (takes a second or two, and brings pandas)
    import yaml  # noqa: PLC0415 (likewise)

    folder, files = (found, None) if is_folder(found) else (found.parent, [found.name])
    try:
        return datasets.load_dataset_builder(str(folder), subset, data_files=files)
    except (ValueError, RuntimeError) as exc:
        raise builder_error(exc, found.name, subset) from shown_cause(exc)
    except yaml.YAMLError as exc:
        raise SourceError(
            f"the head of the README.md in {folder.name!r} is not valid YAML: fix or remove it "
            f"({redacted(str(exc))})"
        ) from shown_cause(exc)
    except Exception as exc:  # noqa: BLE001 (any builder of `datasets` may raise anything)
        raise _NoDataError(
            f"`datasets` finds no data in {shown!r}: {reason_of(exc)}; "
            "pass Parquet, CSV, JSON, WebDataset tars or a folder of images"
        ) from shown_cause(exc)


def _refuse_damaged_zips(path: Path) -> None:
    """Refuse zips that are incomplete or not zips: `datasets` does not name the file."""
    zips = path.glob("**/*.zip") if is_folder(path) else (p for p in [path] if p.suffix == ".zip")
    for each in sorted(zips):
        if is_file(each) and not zipfile.is_zipfile(each):
            raise SourceError(
                f"{each.name!r} is incomplete or not a zip; download it again, or remove it"
            )


def _only_zips(path: Path) -> list[str]:
    """Return the zips of a source that has no other files."""
    files = [each for each in path.rglob("*") if is_file(each)] if is_folder(path) else [path]
    shown = sorted(str(each) for each in files if not each.name.startswith("."))
    return shown if all(name.lower().endswith(".zip") for name in shown) else []


def open_hub_stream(
    layout: HubLayout, access: HubAccess, zip_encoding: str | None = None
) -> RowStream | ZippedImages:
    """Open a dataset of the Hub that is not Parquet, pinned to its commit.

    Raises:
        SourceError: it cannot be read.

    """
    facts = {
        "kind": "hub",
        "repo": layout.repo,
        "commit": layout.commit,
        "subset": layout.subset,
        "format": _format(layout.builder),
    }
    allowed = AllowedFiles(f"hf://datasets/{layout.repo}@{layout.commit}", HubFetcher(access))
    opened = _Opening(
        facts, allowed, access.give_up_after_s, zip_encoding, _is_ours(layout.features)
    )
    return opened.of(layout.builder, layout.notes)


def _is_ours(card_features: Mapping[str, Any] | None) -> bool:
    """Return whether a card has the features that wdsremux writes: an image and its JSON."""
    entry = (card_features or {}).get("json")
    if not isinstance(entry, Mapping) or len(card_features or {}) != 2:
        return False
    return {"width", "height", "position"} <= entry.keys()


def _format(builder: Any) -> str:
    """Return the name of the module that reads the files: imagefolder, webdataset, csv, json."""
    return str(type(builder).__module__).rpartition(".")[2]


def _listing(folder: Path, names: Sequence[str]) -> dict[str, Any]:
    """Return the number, bytes and digest of data files, as for a folder of images."""
    digest, total = hashlib.sha256(), 0
    for name in sorted(set(names), key=os.fsencode):
        path = Path(name)
        size = path.stat().st_size if is_file(path) else 0
        shown = os.fsencode(path.relative_to(folder) if path.is_relative_to(folder) else name)
        digest.update(b"%d:%s %d\n" % (len(shown), shown, size))
        total += size
    return {"files": len(set(names)), "bytes": total, "listing": digest.hexdigest()}


@dataclass(frozen=True, slots=True)
class _Opening:
    """Opens what a builder of `datasets` describes."""

    facts: Mapping[str, Any]
    allowed: AllowedFiles
    give_up_after_s: float
    zip_encoding: str | None
    is_ours: bool = False
    """Whether the dataset is an output of wdsremux, as its card says."""

    def of(self, builder: Any, notes: tuple[str, ...] = ()) -> RowStream | ZippedImages:
        """Return the images of zips, or the rows that `datasets` streams. Raises SourceError."""
        form = _format(builder)
        with bounded_retries(self.give_up_after_s):
            try:
                zipped = self._zipped(builder, notes) if form == "imagefolder" else None
                if zipped is not None:
                    return zipped
                if form == "imagefolder":
                    drop_split_labels(builder)
                streams = builder.as_streaming_dataset()
            except SourceError:
                raise
            except Exception as exc:  # noqa: BLE001 (a decoder of `datasets` may raise anything)
                name = self.facts.get("repo", "the source")
                raise SourceError(
                    f"`datasets` cannot stream {name!r}: {redacted(str(exc) or repr(exc))}; check "
                    "its files, and whether `datasets.load_dataset` can open it"
                ) from shown_cause(exc)
        streams = {str(split): stream for split, stream in streams.items()}
        features = next(iter(streams.values())).features
        declared = dtypes_from_features(features.to_dict()) if features is not None else {}
        shape = _webdataset_shape(declared) if form == "webdataset" else None
        if shape is not None and self.is_ours:
            shape = replace(shape, columns=of_our_output(shape.columns))
        return RowStream(streams, self.facts, self.allowed, shape, self.give_up_after_s, notes)

    def _zipped(self, builder: Any, notes: tuple[str, ...]) -> ZippedImages | None:
        files = {str(split): [*map(str, names)] for split, names in _files_of(builder).items()}
        if not all(name.lower().endswith(".zip") for names in files.values() for name in names):
            return None
        return open_zips(files, self.facts, self.allowed, self.zip_encoding, notes)


def _files_of(builder: Any) -> Mapping[Any, Sequence[Any]]:
    return builder.config.data_files or {}


def _at(row: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        row = row.get(name) if isinstance(row, Mapping) else None
    return row


def _webdataset_shape(declared: Mapping[str, Dtype]) -> Shape:
    """Return the columns as `sources.tars` names them: JSON keys at the top level, no shard URL."""
    images = [name for name, dtype in declared.items() if dtype == "image"]
    bare = [name for name in images if "." not in name]
    names = {"__key__": KEY_COLUMN, "cls": "label"}
    if len(bare) == 1:
        names[bare[0]] = "image"
    found: dict[str, tuple[tuple[str, ...], Dtype]] = {}
    for name, dtype in declared.items():
        if name == "json" and isinstance(dtype, dict) and "struct" in dtype:
            continue
        if name != "__url__":
            stem = name.rpartition(".")[0]
            stem = (name if stem == KEY_COLUMN else stem).replace(".", "_")
            found[names.get(name) or stem or name] = (name,), dtype
    whole = declared.get("json")
    for key, dtype in (whole.get("struct", {}) if isinstance(whole, dict) else {}).items():
        found[f"json_{key}" if key in found else key] = ("json", key), dtype
    columns = tuple(Column(name, dtype) for name, (_, dtype) in found.items())
    paths = {name: path for name, (path, _) in found.items()}
    return Shape(columns, lambda row: {name: _at(row, path) for name, path in paths.items()})
