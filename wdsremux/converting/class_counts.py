"""Counts the classes of a run, and says when an output is sorted by class.

Loaders shuffle the order of shards, and samples within a buffer: shards that hold one class each
make batches of one class, and training suffers. Image folders are usually sorted that way.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wdsremux.core.option_values import shortened

WINDOW_SAMPLES = 64
"""Consecutive samples whose classes are counted: about a batch."""
MIN_WINDOWS = 16
"""A split with fewer samples fits into the buffer of a loader."""
SORTED_SHARE = 0.5
"""A split counts as sorted with less than this share of the classes of a random order."""
MAX_CLASSES = 10_000
"""Labels with more values are not classes."""
MAX_NAMED = 10
"""Classes of a split that are listed one by one."""
_NAME_CHARS = 30


@dataclass(slots=True)
class SplitClasses:
    """The classes of one split, as far as this run has packed it."""

    counts: Counter[Any] = field(default_factory=Counter)
    """Samples by label."""
    windows: int = 0
    distinct: int = 0
    """Sum over all windows of the number of classes in each."""
    pending: list[Any] = field(default_factory=list)
    """Labels of the window that is not full."""
    is_countable: bool = True
    """Whether the labels are those of classes."""

    def add(self, labels: Sequence[Any]) -> None:
        """Count labels, in the order of the samples."""
        if not self.is_countable:
            return
        if not all(label is None or isinstance(label, int | str) for label in labels):
            self._stop()
            return
        self.counts.update(labels)
        if len(self.counts) > MAX_CLASSES:
            self._stop()
            return
        self.pending += labels
        full = len(self.pending) - len(self.pending) % WINDOW_SAMPLES
        for at in range(0, full, WINDOW_SAMPLES):
            self.windows += 1
            self.distinct += len(set(self.pending[at : at + WINDOW_SAMPLES]))
        del self.pending[:full]

    def _stop(self) -> None:
        self.is_countable = False
        self.counts.clear()
        self.pending.clear()

    @property
    def has_classes(self) -> bool:
        """Whether any sample has a class."""
        return any(label is not None for label in self.counts)

    @property
    def per_window(self) -> float:
        """Classes in a window, on average."""
        return self.distinct / self.windows if self.windows else 0.0

    @property
    def per_random_window(self) -> float:
        """Classes that a window has on average if the order is random."""
        samples = self.counts.total()
        shares = (count / samples for count in self.counts.values())
        return sum(1 - (1 - share) ** WINDOW_SAMPLES for share in shares)

    @property
    def is_sorted(self) -> bool:
        """Whether consecutive samples are mostly of one class, where there are several."""
        is_long = self.windows >= MIN_WINDOWS and len(self.counts) > 1
        return is_long and self.per_window < SORTED_SHARE * self.per_random_window


class ClassCounter:
    """Counts the classes of every split of a run."""

    def __init__(self, class_names: Sequence[str] | None) -> None:
        self._names = class_names or ()
        self._splits: dict[str, SplitClasses] = {}

    def add(self, split: str, labels: Sequence[Any]) -> None:
        """Count the labels of samples of a split, in order."""
        if labels:
            self._splits.setdefault(split, SplitClasses()).add(labels)

    def by_split(self) -> Mapping[str, Mapping[str, int]]:
        """Return the samples of each class, also of those without one, by the name of the class."""
        found: dict[str, Mapping[str, int]] = {}
        for split, classes in self._splits.items():
            if classes.has_classes:
                empty = dict.fromkeys(self._names, 0)
                named = {self._name(label): count for label, count in classes.counts.items()}
                found[split] = {**empty, **named}
        return found

    def remarks(self, splits: Collection[str]) -> Iterator[str]:
        """Yield a note for each of these splits that is sorted by class."""
        for split, classes in self._splits.items():
            if split in splits and classes.is_sorted:
                yield (
                    f"{split} is sorted by class: {WINDOW_SAMPLES} samples in a row have "
                    f"{_number(classes.per_window)} of {len(classes.counts)} classes on average, "
                    f"in random order {_number(classes.per_random_window)}; loaders shuffle "
                    "shards and a buffer only, so convert with --shuffle SEED into another OUT"
                )

    def _name(self, label: Any) -> str:
        if label is None:
            return "no label"
        is_index = isinstance(label, int) and 0 <= label < len(self._names)
        return self._names[label] if is_index else str(label)


def class_text(counts: Mapping[str, int]) -> str:
    """Return "cats 40, dogs 38" of a few classes, and the least and the most of many."""
    if len(counts) <= MAX_NAMED:
        return ", ".join(f"{_short(name)} {count:,}" for name, count in counts.items())
    least, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    empty = sum(not count for count in counts.values())
    without = f", {empty:,} of them without a sample" if empty else ""
    return (
        f"{len(counts):,} classes{without}, least {counts[least]:,} ({_short(least)}), "
        f"most {counts[most]:,} ({_short(most)})"
    )


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def _short(name: str) -> str:
    return shortened(name, _NAME_CHARS)
