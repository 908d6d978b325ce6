"""What lies beside a dataset once all its own files are right: moved away, or told."""

from collections.abc import Container, Iterator

from wdsremux.checks.ours import OurDataset
from wdsremux.checks.quarantine import quarantine
from wdsremux.checks.reading import read_entry
from wdsremux.findings import Code, Finding
from wdsremux.manifest import STATE_FOLDER
from wdsremux.reports import Collector
from wdsremux.shards.uniqueness import KeyRegister
from wdsremux.untrusted import UntrustedFolder


def move_stray_entries(folder: UntrustedFolder, shards: Container[str]) -> Iterator[str]:
    """Move entries of no shard of the dataset to the quarantine folder; yield their new names.

    Call it only when all `shards` of the dataset stand with their entries. An entry whose shard is
    there, though the dataset does not know it, stays: it may be all that is known of that shard.
    """
    there = {item.name for item in folder.items()}
    for item in folder.items(STATE_FOLDER):
        own = f"{item.base.removesuffix('.msgpack')}.tar"
        if not item.base.endswith(".msgpack") or own in shards:
            continue
        strangers = {name for name in (own, _told_shard(folder, item.name)) if name not in shards}
        if not strangers & there:
            finding = Finding(Code.ENTRY_EXTRA, item.name, detail="moved away by repair")
            yield quarantine(folder, item.name, [finding])


def findings_left(folder: UntrustedFolder) -> list[Finding]:
    """Return what `verify` finds without reading shards."""
    found, holders = Collector(), KeyRegister()
    try:
        OurDataset(folder, found, holders).inspect()
    finally:
        holders.close()
    return found.findings()


def _told_shard(folder: UntrustedFolder, name: str) -> str | None:
    """Return the shard that an entry tells of; None for one that cannot be read."""
    try:
        entry, _ = read_entry(folder, name, is_ours=False)
    except OSError:
        return None
    return entry.summary.name if entry is not None else None
