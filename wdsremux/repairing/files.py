"""Writes the files of a repaired dataset and moves leftovers away."""

from collections.abc import Callable, Container, Iterable, Iterator
from io import BufferedReader

from wdsremux.core.manifest import STATE_FOLDER
from wdsremux.core.records import Rejected
from wdsremux.dataset.card import CARD_NAME, is_ours
from wdsremux.dataset.ledger import Ledger
from wdsremux.dataset.reading import read_entry
from wdsremux.dataset.rejected import REJECTED_NAME, rejected_line, write_rejected
from wdsremux.dataset.shards.key_register import KeyRegister
from wdsremux.repairing.recorded_head import read
from wdsremux.stores.base import Store
from wdsremux.stores.reading.untrusted import UntrustedFolder
from wdsremux.verifying.checks.own_dataset import OwnDataset
from wdsremux.verifying.checks.quarantine import quarantine
from wdsremux.verifying.findings import Code, Finding
from wdsremux.verifying.reports import Collector

FEW_BYTES = 16
"""A card with up to this many changed bytes is a damaged card of wdsremux."""


class Files:
    """The small files of one dataset."""

    def __init__(self, folder: UntrustedFolder, store: Store) -> None:
        self._folder = folder
        self._store, self._ledger = store, Ledger(store)
        self.written: list[str] = []
        """Names of those that were written."""

    def write(self, name: str, data: bytes) -> None:
        """Publish a file, unless it exists with the same content."""
        if read(self._folder, name) != data:
            self._ledger.write(name, data)
            self.written.append(name)

    def write_card(self, card: bytes) -> bool:
        """Publish the card, unless it exists; False when README.md is the user's own."""
        there = any(item.name == CARD_NAME for item in self._folder.items())
        data = read(self._folder, CARD_NAME)
        if there and (data is None or not (is_ours(data) or _is_remnant(data, card))):
            return False
        self.write(CARD_NAME, card)
        return True

    def write_rejected(self, rejected: Callable[[], Iterator[Rejected]]) -> None:
        """Publish rejected.jsonl, unless it exists; memory does not grow with its lines."""
        if not self._holds(REJECTED_NAME, map(rejected_line, rejected())):
            write_rejected(self._store, rejected())
            self.written.append(REJECTED_NAME)

    def _holds(self, name: str, lines: Iterable[bytes]) -> bool:
        """Return whether a file contains exactly these lines."""
        try:
            with self._folder.open(name) as opened, BufferedReader(opened) as file:
                return all(file.read(len(line)) == line for line in lines) and not file.read(1)
        except OSError:
            return False


def _is_remnant(data: bytes, card: bytes) -> bool:
    """Return whether a README.md is the card, cut off or with a few damaged bytes."""
    if len(data) != len(card):
        return card.startswith(data)
    return sum(one != other for one, other in zip(data, card, strict=True)) <= FEW_BYTES


def move_stray_entries(folder: UntrustedFolder, shards: Container[str]) -> Iterator[str]:
    """Move entries of no shard of the dataset to the quarantine folder; yield their new names.

    Call it only when all `shards` of the dataset exist with their entries. An entry whose shard is
    there, though not part of the dataset, stays: it may be the only record of that shard.
    """
    there = {item.name for item in folder.items()}
    for item in folder.items(STATE_FOLDER):
        own = f"{item.base.removesuffix('.msgpack')}.tar"
        if not item.base.endswith(".msgpack") or own in shards:
            continue
        others = {name for name in (own, _shard_of_entry(folder, item.name)) if name not in shards}
        if not others & there:
            finding = Finding(Code.ENTRY_EXTRA, item.name, detail="moved away by repair")
            yield quarantine(folder, item.name, [finding])


def findings_left(folder: UntrustedFolder) -> list[Finding]:
    """Return what `verify` finds without reading shards."""
    found, holders = Collector(), KeyRegister()
    try:
        OwnDataset(folder, found, holders).inspect()
    finally:
        holders.close()
    return found.findings()


def _shard_of_entry(folder: UntrustedFolder, name: str) -> str | None:
    """Return the shard that an entry describes; None for an unreadable entry."""
    try:
        entry, _ = read_entry(folder, name, is_ours=False)
    except OSError:
        return None
    return entry.summary.name if entry is not None else None
