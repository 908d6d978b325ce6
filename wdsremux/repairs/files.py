"""Writes the small files of a dataset where they are not what they must be."""

from collections.abc import Callable, Iterable, Iterator
from io import BufferedReader

from wdsremux.card import CARD_NAME, is_ours
from wdsremux.ledger import REJECTED_NAME, Ledger, rejected_line
from wdsremux.records import Rejected
from wdsremux.repairs.heads import read
from wdsremux.targets.base import Target
from wdsremux.untrusted import UntrustedFolder

FEW_BYTES = 16
"""A card in which no more than so many are changed is our card, damaged."""


class Files:
    """The small files of one dataset."""

    def __init__(self, folder: UntrustedFolder, target: Target) -> None:
        self._folder = folder
        self._ledger = Ledger(target)
        self.written: list[str] = []
        """Names of those that were written."""

    def write(self, name: str, data: bytes) -> None:
        """Publish a file, unless it is there already."""
        if read(self._folder, name) != data:
            self._ledger.write(name, data)
            self.written.append(name)

    def write_card(self, card: bytes) -> bool:
        """Publish the card, unless it is there; False when a README.md of the user's own is."""
        there = any(item.name == CARD_NAME for item in self._folder.items())
        data = read(self._folder, CARD_NAME)
        if there and (data is None or not (is_ours(data) or _is_remnant(data, card))):
            return False
        self.write(CARD_NAME, card)
        return True

    def write_rejected(self, rejected: Callable[[], Iterator[Rejected]]) -> None:
        """Publish rejected.jsonl, unless it is there; memory does not grow with its lines."""
        if not self._holds(REJECTED_NAME, map(rejected_line, rejected())):
            self._ledger.write_rejected(rejected())
            self.written.append(REJECTED_NAME)

    def _holds(self, name: str, lines: Iterable[bytes]) -> bool:
        """Return whether a file holds these lines and nothing else."""
        try:
            with self._folder.open(name) as opened, BufferedReader(opened) as file:
                return all(file.read(len(line)) == line for line in lines) and not file.read(1)
        except OSError:
            return False


def _is_remnant(data: bytes, card: bytes) -> bool:
    """Return whether a README.md is our card, cut off, or with a few bytes damaged."""
    if len(data) != len(card):
        return card.startswith(data)
    return sum(one != other for one, other in zip(data, card, strict=True)) <= FEW_BYTES
