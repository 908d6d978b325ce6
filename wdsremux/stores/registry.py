"""From URLs to stores: the only file that knows every store."""

# ruff: noqa: PLC0415 (local imports keep each store out of the way of those who do not use it)

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wdsremux.core.errors import UsageError
from wdsremux.core.option_values import is_url
from wdsremux.stores.base import Store
from wdsremux.stores.folder.store import FolderStore
from wdsremux.stores.reading.remote_folder import RemoteFolder
from wdsremux.stores.reading.untrusted import Folder, UntrustedFolder

READING_GIVE_UP_AFTER_S = 60.0
"""Reading an output behind a URL stops when its server cannot be reached for this long."""
PARALLEL = 4


@dataclass(frozen=True, slots=True)
class Scheme:
    """One kind of store, by the scheme of its URLs."""

    name: str
    open: Callable[[str, int], Store]
    """Takes the URL and how many parts of files may be uploaded at a time."""
    help: str
    """The form of its URLs."""
    packages: str
    """The packages that it needs, as `pip install` takes them."""


def _open_s3(url: str, parallel: int) -> Store:
    from wdsremux.stores.s3.store import open_s3

    return open_s3(url, jobs=parallel)


def _open_object_store(url: str, _parallel: int) -> Store:
    from wdsremux.stores.obstore.store import open_object_store

    return open_object_store(url)


def _open_hub_store(url: str, _parallel: int) -> Store:
    from wdsremux.stores.hub.store import open_hub_store

    return open_hub_store(url)


SCHEMES = {
    row.name: row
    for row in (
        Scheme("s3", _open_s3, "s3://BUCKET/PREFIX", "boto3 awscrt"),
        Scheme("gs", _open_object_store, "gs://BUCKET/PREFIX", "obstore"),
        Scheme("az", _open_object_store, "az://CONTAINER/PREFIX", "obstore"),
        Scheme("hf", _open_hub_store, "hf://datasets/USER/NAME[@BRANCH]", "huggingface-hub"),
    )
}


def open_store(out: str | os.PathLike[str], *, parallel: int = PARALLEL) -> Store:
    """Return the store that a path or URL names.

    Up to `parallel` parts of files are in memory and uploaded at a time.
    """
    url = os.fspath(out)
    scheme, _, rest = url.partition(":/")
    # URLs are shown and recorded as they were typed; for the Hub, an @ begins the branch.
    if scheme in SCHEMES and scheme != "hf" and set(rest) & set("?@"):
        raise UsageError(
            f"a URL of {scheme}:// with '?' or '@' may hold a secret; name {scheme}://BUCKET/FOLDER"
        )
    if isinstance(out, os.PathLike) and scheme in SCHEMES:
        raise UsageError(f"a Path cannot hold a URL; pass the string '{scheme}://{rest}'")
    if not is_url(url):
        # Absolute: the user's code may change the working directory.
        return FolderStore(Path(url).expanduser().absolute(), url)
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise UsageError(
            f"{scheme}:// is not supported for outputs; use a folder or one of {known}"
        )
    try:
        return SCHEMES[scheme].open(url, parallel)
    except ModuleNotFoundError as exc:
        raise UsageError(
            f"{url!r} needs the package {exc.name!r}, which is not installed; "
            f"pip install {SCHEMES[scheme].packages}"
        ) from exc


def open_folder(out: str | os.PathLike[str], *, is_cold: bool = False) -> Folder:
    """Return the files of an output as untrusted data. Raises OSError or StoreError.

    `is_cold` asks for bytes from the disk rather than from the page cache.
    """
    store = open_store(out)
    if store.root is not None:
        return UntrustedFolder(store.root, is_cold=is_cold)
    return RemoteFolder(store, READING_GIVE_UP_AFTER_S)
