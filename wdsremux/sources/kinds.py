"""Recognises the kind of a source by its name and its files, and the name of its dataset."""

import os
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from urllib.parse import unquote

from wdsremux.core.errors import SourceError
from wdsremux.core.image_formats import IMAGE_EXTENSIONS
from wdsremux.core.paths import is_file, is_folder

DEMO = "demo:"
HUB = "hf://datasets/"
KIND_ADVICE = "check the spelling, or set its kind with --source-kind"

SAVED_FILES = ("dataset_dict.json", "state.json")
"""Files that `save_to_disk` writes into its folder."""

LISTED_FILES = 10_000
"""Files of a folder that are listed to recognise its kind."""
LISTED_FOLDERS = 20
"""Folders in it whose index is looked at."""

ARCHIVES = (".arrow", ".zip")
"""Files of rows or images that only `load_dataset` reads."""

ROWS = (".csv", ".tsv", ".json", ".jsonl", ".txt", ".gz", ".tgz", ".zst", ".h5", ".hdf5", ".lance")
"""Files of rows that `load_dataset` reads, or refuses with a reason."""

_FOREIGN_INDEXES = {
    "a MosaicML streaming dataset (MDS)": (
        re.compile(rb'"format"\s*:\s*"mds"'),
        "streaming.StreamingDataset(local={path!r}, batch_size=1)",
    ),
    "a litdata dataset": (
        re.compile(rb'"filename"\s*:\s*"chunk-'),
        "litdata.StreamingDataset({path!r})",
    ),
}
"""Formats with an index.json of their own: what is in it, and how their library opens them."""
_INDEX_BYTES = 1 << 16

GLOB = re.compile(r"[*?\[{]")
REPO_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_HUB_PAGE = re.compile(
    r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/datasets/(?P<repo>[\w-][\w.-]*/[\w-][\w.-]*)"
    r"(?P<whole>/?(?:/tree/(?P<revision>[^/?#]+)/?)?(?:[?#].*)?$)?"
)
"""A page of a dataset; `whole` unless it shows only a part, such as a file or a subset."""


def without_page(location: str) -> str:
    """Return the dataset ID of a pasted URL of the Hub; any other string as it is."""
    page = _HUB_PAGE.match(location)
    if page is None or page["whole"] is None:
        return location
    revision = f"@{unquote(page['revision'])}" if page["revision"] else ""
    return f"{HUB}{page['repo']}{revision}"


def dataset_name(location: str | os.PathLike[str]) -> str:
    """Return the name of the dataset at a path, a dataset ID or a URL: its last part."""
    name = re.split(r"[/\\]", os.fspath(location).rstrip("/:").split("@")[0])[-1]
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "dataset"


def kind_of(location: str) -> str:
    """Return the kind of a source by its name and files. Raises SourceError."""
    if location == DEMO:
        return "demo"
    if location.startswith(HUB):
        return "hub"
    path = Path(location).expanduser()
    if is_folder(path):
        return _kind_of_folder(path)
    for suffix, kind in ((".tar", "tars"), (".parquet", "parquet")):
        if location.endswith(suffix):
            return kind
    if is_file(path):
        return "loadable"
    if REPO_ID.fullmatch(location):
        return "hub"
    raise SourceError(
        f"{location!r} is not a file, a folder or a dataset ID such as user/name; "
        f"{_suggestion(location)}"
    )


def _suggestion(location: str) -> str:
    """Return what to write instead of a string that is not a source."""
    if location == DEMO.removesuffix(":"):
        return f"the demo is {DEMO}"
    page = _HUB_PAGE.match(location)
    if page is not None:
        return f"this page shows a part of a dataset; write {page['repo']}"
    if set("*?[{") & set(location):
        return "a pattern must end in .tar or .parquet; for images, pass their folder"
    repo, at, revision = location.partition("@")
    if at and REPO_ID.fullmatch(repo):
        return f"write {repo} --revision {revision}, or {HUB}{location}"
    return KIND_ADVICE


def _refuse_foreign(path: Path) -> None:
    """Raise SourceError for a format that only its own library reads."""
    for index in (path / "index.json", *sorted(path.glob("*/index.json"))[:LISTED_FOLDERS]):
        if not is_file(index):
            continue
        with index.open("rb") as file:
            head = file.read(_INDEX_BYTES)
        for what, (pattern, opened) in _FOREIGN_INDEXES.items():
            if pattern.search(head):
                rows = opened.format(path=str(index.parent))
                raise SourceError(
                    f"{str(index.parent)!r} is {what}: only its own library reads it. In Python, "
                    f"pass what that opens: wdsremux.convert({rows}, OUT)"
                )


def _kind_of_folder(path: Path) -> str:
    _refuse_foreign(path)
    if any(is_file(path / name) for name in SAVED_FILES):
        return "saved"
    if next(path.glob("*.tar"), None) is not None:
        return "tars"
    suffixes = {Path(name).suffix.lower() for name in _file_names(path)}
    if ".parquet" in suffixes:
        return "parquet"
    if {suffix[1:] for suffix in suffixes} & IMAGE_EXTENSIONS and not _has_archive(path):
        return "folder"
    # Of other files a folder of images reports how many there are, which `datasets` does not.
    return "loadable" if suffixes & {*ARCHIVES, *ROWS} else "folder"


def _file_names(path: Path) -> Iterable[str]:
    return islice(_walked_names(path), LISTED_FILES)


def _walked_names(path: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(path):
        yield from sorted(names)
        for each in folders:
            if (Path(folder) / each).is_symlink():
                yield from sorted(os.listdir(Path(folder) / each))  # noqa: PTH208 (names only)


def _has_archive(path: Path) -> bool:
    """Return whether the folder itself has a file of rows that is not a table about images."""
    return any(
        entry.suffix.lower() in ARCHIVES and not entry.name.startswith(".")
        for entry in path.iterdir()
        if is_file(entry)
    )
