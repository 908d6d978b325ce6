"""Image folders on the Hub: the files that `datasets` leaves out, and folders that are not classes.

`datasets` takes the only folder called `train` for the split and drops the classes beside it; the
names of split folders become classes when there is nothing else.
Short because the Hub layout and the streams of `datasets` share it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wdsremux.core.image_formats import is_image_name
from wdsremux.core.option_values import counted
from wdsremux.sources.split_rules import applies, folder_ranks, numbered_ranks


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Images of a repository that no split has."""

    images: Sequence[str]
    is_narrowed: bool
    """Whether a split word fits only some of the images, so that it is not a split."""

    def notes(self) -> tuple[str, ...]:
        """Return what is left out, with a number and an example."""
        if not self.images:
            return ()
        first = self.images[0]
        count = counted(len(self.images), "image")
        return (f"{count} left out: not in a split, for example {first!r}",)


def is_image_folder(builder: Any) -> bool:
    """Return whether a builder of `datasets` reads an image folder."""
    return type(builder).__module__.endswith("packaged_modules.imagefolder.imagefolder")


def left_out(files: Iterable[str], data_files: Mapping[str, Sequence[str]]) -> LeftOut:
    """Compare the files of a repository with those that `datasets` takes, by split."""
    images = [name for name in sorted(files) if is_image_name(name) and not _is_hidden(name)]
    taken = {name for names in data_files.values() for name in names}
    missing = [name for name in images if name not in taken]
    fitting = len(images) - len(missing)
    is_numbered = any(numbered_ranks(*name.rpartition("/")[::2]) for name in taken)
    is_split = is_numbered or applies("folder", data_files, fitting, len(images))
    return LeftOut(missing, bool(missing) and fitting > 0 and not is_split)


def drop_split_labels(builder: Any) -> None:
    """Make a builder infer no labels where the folders of the images only name splits."""
    files = [str(name) for names in (builder.config.data_files or {}).values() for name in names]
    folders = {name.split("/")[-2] for name in files if "/" in name and is_image_name(name)}
    if folders and all(folder_ranks(folder) for folder in folders):
        builder.config.drop_labels = True


def _is_hidden(name: str) -> bool:
    *folders, file = name.split("/")
    return file.startswith(".") or any(each.startswith((".", "__")) for each in folders)
