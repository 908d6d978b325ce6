"""Checks the recorded indexes for other loaders against the manifest and their own SHA-256."""

import hashlib
from collections.abc import Iterator, Mapping

from wdsremux.core.errors import CorruptDataError
from wdsremux.core.manifest import ENERGON_FOLDER, MAX_MANIFEST_BYTES, Manifest
from wdsremux.dataset.indexes.record import INDEXES_NAME, IndexRecord
from wdsremux.stores.reading.untrusted import Folder
from wdsremux.verifying.checks.reading import finding_of, read_file
from wdsremux.verifying.findings import Code, Finding
from wdsremux.verifying.reports import Collector

READ_BYTES = 1 << 20


def check_indexes(folder: Folder, manifest: Manifest, found: Collector) -> dict[str, str]:
    """Compare the record with the manifest, and the files with their recorded sizes.

    Returns the SHA-256 of each file that is to be read, by its name.
    """
    data = read_file(folder, INDEXES_NAME, MAX_MANIFEST_BYTES, found)
    if data is None:
        return {}
    try:
        record = IndexRecord.from_bytes(data)
    except CorruptDataError as exc:
        _take(found, INDEXES_NAME, str(exc)[:200])
        return {}
    names = record.names(manifest)
    if not record.describes(manifest) or len(names) < len(record.files):
        kinds = ", ".join(record.kinds)
        _take(found, INDEXES_NAME, f"the indexes {kinds} were not written for these shards")
        return {}
    items = (*folder.items(), *(folder.items(ENERGON_FOLDER) if "energon" in record.kinds else ()))
    sizes = {item.name: item.size_bytes for item in items if item.kind == "file"}
    sums = {}
    for name in names:
        there, recorded = sizes.get(name), record.files[name]
        if there == recorded.size_bytes:
            sums[name] = recorded.sha256
        elif there is None:
            _take(found, name, "it is missing")
        else:
            _take(found, name, f"{there} bytes, but {recorded.size_bytes} are recorded")
    return sums


def damaged_indexes(folder: Folder, sums: Mapping[str, str]) -> Iterator[Finding]:
    """Read the files, and yield a finding for each whose SHA-256 differs."""
    for name, sha256 in sums.items():
        digest = hashlib.sha256()
        try:
            with folder.open(name) as file:
                while block := file.read(READ_BYTES):
                    digest.update(block)
        except OSError as exc:
            yield finding_of(exc, name)
            continue
        if digest.hexdigest() != sha256:
            yield Finding(Code.LOADER_INDEX, name, detail="its SHA-256 differs from the record")


def _take(found: Collector, name: str, detail: str) -> None:
    found.take(Finding(Code.LOADER_INDEX, name, detail=detail))
