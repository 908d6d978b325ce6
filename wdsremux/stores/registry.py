"""From paths and URLs to stores."""

import os
from importlib import import_module
from pathlib import Path

from wdsremux.core.errors import UsageError
from wdsremux.core.option_values import is_url
from wdsremux.stores.base import Store
from wdsremux.stores.folder.store import FolderStore
from wdsremux.stores.patience import Patience
from wdsremux.stores.reading.remote_folder import RemoteFolder
from wdsremux.stores.reading.untrusted import Folder, UntrustedFolder
from wdsremux.stores.schemes import SCHEMES

READING_GIVE_UP_AFTER_S = 60.0
"""Reading an output behind a URL stops when its server cannot be reached for this long."""
PARALLEL = 4


def open_store(out: str | os.PathLike[str], *, parallel: int = PARALLEL) -> Store:
    """Return the store that a path or URL names.

    Up to `parallel` parts of files are in memory and uploaded at a time.
    """
    url = os.fspath(out)
    if not url:
        raise UsageError("OUT is empty; write . for the current folder")
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
    module, _, name = SCHEMES[scheme].opener.partition(":")
    try:
        opener = getattr(import_module(module), name)
        with Patience(url, 0.0, notify=None).watched():
            store: Store = opener(url, parallel)
    except ModuleNotFoundError as exc:
        raise UsageError(
            f"{url!r} needs the package {exc.name!r}, which is not installed; "
            f"pip install {' '.join(SCHEMES[scheme].extra)}"
        ) from exc
    return store


def open_folder(out: str | os.PathLike[str], *, is_cold: bool = False) -> Folder:
    """Return the files of an output as untrusted data. Raises OSError or StoreError.

    `is_cold` asks for bytes from the disk rather than from the page cache.
    """
    store = open_store(out)
    if store.root is not None:
        return UntrustedFolder(store.root, is_cold=is_cold)
    return RemoteFolder(store, READING_GIVE_UP_AFTER_S)
