"""Tars within a tar, such as ImageNet's training archive: the inner tar's name is the class.

Short because the inner tars are read as any other; this finds them.
"""

from collections.abc import Sequence
from pathlib import Path

from wdsremux.core.errors import SourceError
from wdsremux.core.tar.walk import Member
from wdsremux.sources.tars.files import InnerTar, opened
from wdsremux.sources.tars.samples import members_of_tar


def inner_tars(paths: Sequence[Path]) -> dict[Path, tuple[InnerTar, ...]]:
    """Return the tars within each tar; nothing if the first member of the first is another file.

    Only headers are read. Raises SourceError for tars that hold both tars and other files.
    """
    found: dict[Path, tuple[InnerTar, ...]] = {}
    for path in paths:
        with opened(path) as file:
            members = members_of_tar(file, path.name)
            first = next(members, None)
            if first is None or not _is_tar(first):
                if found:
                    raise _mixed(path.name, next(iter(found)).name)
                return {}
            inner = [InnerTar(first.name, first.data, first.size)]
            for member in members:
                if not _is_tar(member):
                    raise _mixed(member.name, first.name)
                inner.append(InnerTar(member.name, member.data, member.size))
            found[path] = tuple(inner)
    return found


def _is_tar(member: Member) -> bool:
    name = member.name.lower()
    if name.endswith((".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")):
        raise SourceError(
            f"the tar holds compressed tars, for example {member.name!r}, which cannot be read in "
            "place; unpack it (tar -xf) and decompress each into a folder of its class"
        )
    return name.endswith(".tar")


def _mixed(one: str, other: str) -> SourceError:
    return SourceError(
        f"{one!r} is not a tar of images, as {other!r} is a tar within a tar; pass tars of one "
        "kind, or unpack the inner tars into folders of their classes"
    )
