"""From words to stores: the only file that knows every store."""

# ruff: noqa: PLC0415 (local imports keep each part out of the way of those who do not use it)

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from wdsremux.core.errors import UsageError
from wdsremux.core.option_values import is_url
from wdsremux.stores.base import RemoteTarget, Target
from wdsremux.stores.folder.store import LocalTarget
from wdsremux.stores.reading.remote_folder import RemoteFolder
from wdsremux.stores.reading.untrusted import Folder, UntrustedFolder

READING_GIVE_UP_AFTER_S = 60.0
"""An output behind a URL that cannot be reached for so long is given up."""


def open_target(out: str | os.PathLike[str]) -> Target:
    """Return the target that OUT names."""
    words = os.fspath(out)
    scheme, _, rest = words.partition(":/")
    # URLs are shown and recorded as they were given; of the Hub, an @ begins the branch.
    if scheme in _TARGET_OPENERS and scheme != "hf" and set(rest) & set("?@"):
        raise UsageError(
            f"a URL of {scheme}:// with '?' or '@' may hold a secret; name {scheme}://BUCKET/FOLDER"
        )
    if isinstance(out, os.PathLike) and scheme in _TARGET_OPENERS:
        raise UsageError(f"a Path holds no URL; give the text '{scheme}://{rest}'")
    if not is_url(words):
        return LocalTarget(Path(words).expanduser())
    if scheme not in _TARGET_OPENERS:
        known = ", ".join(f"{name}://" for name in _TARGET_OPENERS)
        raise UsageError(f"no output lies at {scheme}://; name a folder or one of {known}")
    try:
        return _TARGET_OPENERS[scheme](words)
    except ModuleNotFoundError as exc:
        raise UsageError(
            f"{words!r} needs {exc.name}, which is not there; pip install 'wdsremux[{scheme}]'"
        ) from exc


def _open_s3(words: str) -> Target:
    from wdsremux.stores.s3.store import open_s3

    return open_s3(words)


def _open_object_store(words: str) -> Target:
    from wdsremux.stores.obstore.store import open_object_store

    return open_object_store(words)


def _open_hub_target(words: str) -> Target:
    from wdsremux.stores.hub.store import open_hub_target

    return open_hub_target(words)


_TARGET_OPENERS: Mapping[str, Callable[[str], Target]] = {
    "s3": _open_s3,
    "gs": _open_object_store,
    "az": _open_object_store,
    "hf": _open_hub_target,
}


def open_folder(out: str | os.PathLike[str], *, is_cold: bool = False) -> Folder:
    """Return the files of an output, as what nobody vouches for. Raises OSError or TargetError.

    `is_cold` asks for bytes from the disk, not from memory, where they lie on one.
    """
    target = open_target(out)
    if isinstance(target, LocalTarget):
        return UntrustedFolder(target.root, is_cold=is_cold)
    # Whatever is no folder can prove what it holds.
    return RemoteFolder(cast("RemoteTarget", target), READING_GIVE_UP_AFTER_S)
