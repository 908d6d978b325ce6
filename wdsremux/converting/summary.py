"""Describes an opened conversion in one line: what was found, and where it goes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wdsremux.core.option_values import counted, size
from wdsremux.processing.plan import Conversion

SHORT_COMMIT = 7


def summary_of(conversion: Conversion, out: str | Path) -> str:
    """Return "user/name @ d665ad3 · train 2,700 rows, 9 files, 217 MB · image → jpg · out"."""
    bound = size(conversion.bounds.max_bytes)
    return f"{source_summary(conversion)} · {out}, shards up to {bound}"


def source_summary(conversion: Conversion) -> str:
    """Return "user/name @ d665ad3 · train 2,700 rows, 9 files, 217 MB · image → jpg"."""
    parts = (_name(conversion), _rows(conversion), _columns(conversion))
    return " · ".join(part for part in parts if part)


def _name(conversion: Conversion) -> str:
    head = conversion.head
    commit = head.source.get("commit")
    name = head.name or str(head.source.get("kind", "rows"))
    return f"{name} @ {commit[:SHORT_COMMIT]}" if isinstance(commit, str) else name


def _rows(conversion: Conversion) -> str:
    counts = [
        each.name
        if each.rows is None
        else f"{each.name} {counted(each.rows, 'row')}"
        if each.rows == 1
        else f"{each.name} {each.rows:,} rows"
        for each in conversion.series
    ]
    return ", ".join([*counts, *_files(conversion.head.source)])


def _files(source: Mapping[str, Any]) -> Sequence[str]:
    files, size_bytes = source.get("files"), source.get("bytes")
    if isinstance(files, list):
        sizes = [file.get("bytes") for file in files if isinstance(file, dict)]
        known = [each for each in sizes if isinstance(each, int)]
        size_bytes = sum(known) if len(known) == len(files) else None
        files = len(files)
    found = [counted(files, "file")] if isinstance(files, int) else []
    return [*found, size(size_bytes)] if isinstance(size_bytes, int) else found


def _columns(conversion: Conversion) -> str:
    columns = conversion.job.columns
    names = (columns.image, *(column.name for column in columns.more_images))
    extensions = conversion.job.image_extensions
    shown = [f"{name} → {extension}" for name, extension in zip(names, extensions, strict=True)]
    if columns.label is not None:
        known = columns.label.class_names
        classes = "" if known is None else f" ({counted(len(known), 'class', 'classes')})"
        shown.append(f"{columns.label.name} → label{classes}")
    return ", ".join(shown)
