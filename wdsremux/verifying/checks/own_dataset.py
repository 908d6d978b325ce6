"""The depth `entries` for a dataset of wdsremux: manifest, entries, recipe and files agree."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from itertools import accumulate
from typing import Any

from wdsremux.core.errors import CorruptDataError
from wdsremux.core.head import Head
from wdsremux.core.manifest import (
    INDEX_WRITER,
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    MOVED_NAME,
    STATE_FOLDER,
    Manifest,
    ShardSummary,
)
from wdsremux.core.option_values import counted, shortened
from wdsremux.dataset.entry import ShardEntry, entry_name
from wdsremux.dataset.ledger import RECIPE_NAME
from wdsremux.dataset.reading import EntryFuture, entries_ahead, moved_lines
from wdsremux.dataset.shards.damage import whole_samples
from wdsremux.dataset.shards.key_register import KeyRegister
from wdsremux.dataset.validation import manifest_problem
from wdsremux.stores.folder.file import TEMPORARY_SUFFIX
from wdsremux.stores.reading.untrusted import Folder, Item, NotAFileError, is_safe_name
from wdsremux.verifying.checks.cards import check_card
from wdsremux.verifying.checks.loader_indexes import check_indexes
from wdsremux.verifying.checks.manifests import check_head, check_manifest, check_series
from wdsremux.verifying.checks.member_contents import parsed_object
from wdsremux.verifying.checks.reading import RejectedLines, finding_of, read_file
from wdsremux.verifying.checks.row_keys import RowKeys
from wdsremux.verifying.checks.shard_tasks import CheckPlan, ShardTask
from wdsremux.verifying.findings import Code, Finding
from wdsremux.verifying.reports import Collector


class OwnDataset:
    """Reads the metadata of a dataset once, and holds only a summary of each shard."""

    def __init__(self, folder: Folder, found: Collector, holders: KeyRegister) -> None:
        self._folder = folder
        self._found = found
        self._holders = holders
        self._items = {item.name: item for item in folder.items()}
        self._state = {item.name: item for item in self._state_items()}
        self._entries: dict[str, ShardSummary] = {}
        self._prints: set[str] = set()
        self._cuts: dict[str, str] = {}
        self._manifest, self._raw = self._read_manifest()
        shards = self._manifest.shards if self._manifest is not None else None
        self._listed = None if shards is None else {shard.name for shard in shards}
        published = self._manifest.published if self._manifest else {}
        self._receipts: Mapping[str, Mapping[str, str]] = published.get("receipts", {})
        self._recipe = self._read_recipe()
        self._head = self._manifest.head if self._manifest else self._recipe
        self._options: Mapping[str, Any] = self._head.options if self._head else {}
        self._writer = self._options.get("writer")
        has_row_keys = not {"key_column", "writer"} & {k for k, v in self._options.items() if v}
        self._row_keys = RowKeys(self._head.copies) if self._head and has_row_keys else None

    def inspect(self) -> CheckPlan:
        """Report disagreements, and return the shards to read."""
        self._read_entries()
        self._check_manifest()
        shards = self._shards()
        check_series(list(shards.values()), self._found, is_finished=self._manifest is not None)
        self._check_items(shards)
        manifest = self._manifest
        sums = {} if manifest is None else check_indexes(self._folder, manifest, self._found)
        tasks = [task for shard in shards.values() if (task := self._task(shard)) is not None]
        return CheckPlan(
            tasks=tuple(tasks),
            shards=len(shards),
            is_ours=self._is_ours,
            features=self._head.features if self._head else {},
            max_pixels=self._options.get("max_pixels"),
            index_sums=sums,
        )

    @property
    def _is_ours(self) -> bool:
        """Whether the shards have the layout of wdsremux; known once the entries are read."""
        prints = {self._head.fingerprint if self._head else "", *self._prints}
        return self._writer not in (None, INDEX_WRITER) or prints != {""}

    def _take(self, code: Code, name: str | None, detail: str = "") -> None:
        self._found.take(Finding(code, name, detail=detail))

    def _state_items(self) -> list[Item]:
        try:
            return self._folder.items(STATE_FOLDER)
        except NotAFileError:
            self._take(Code.NOT_A_FILE, STATE_FOLDER)
            return []

    def _read_manifest(self) -> tuple[Manifest | None, Mapping[str, Any]]:
        data = read_file(self._folder, MANIFEST_NAME, MAX_MANIFEST_BYTES, self._found)
        if data is None:
            return None, {}
        try:
            manifest = Manifest.from_bytes(data)
            problem = manifest_problem(manifest)
        except (CorruptDataError, RecursionError) as exc:
            problem = str(exc.__cause__ or exc)
        if problem is not None:
            self._take(Code.MANIFEST_UNREADABLE, MANIFEST_NAME, shortened(problem, 200))
            return None, {}
        return manifest, json.loads(data)

    def _check_manifest(self) -> None:
        manifest, found = self._manifest, self._found
        if manifest is not None:
            check_manifest(manifest, self._raw, found)
            if manifest.head.features and self._is_ours:
                check_card(self._folder, manifest, found)
        elif MANIFEST_NAME not in self._items:
            shards = counted(len(self._entries), "finished shard")
            found.add(Code.UNFINISHED, f"{shards} so far")
        if self._recipe is not None:
            check_head(manifest, self._recipe, self._prints, found)

    def _read_recipe(self) -> Head | None:
        """Return recipe.json, which holds the head of the dataset."""
        manifest = self._manifest
        if manifest is not None and not manifest.head.fingerprint:
            return None  # written by a ShardWriter or by `index`: there is no recipe
        data = read_file(self._folder, RECIPE_NAME, MAX_MANIFEST_BYTES, self._found)
        if data is None:
            if manifest is not None and RECIPE_NAME not in self._state:
                self._take(Code.RECIPE_UNREADABLE, RECIPE_NAME, "it is missing")
            return None
        raw = parsed_object(data)
        try:
            if raw is None:
                raise ValueError("it is not a JSON object")
            return Head.from_json(raw)
        except ValueError as exc:
            self._take(Code.RECIPE_UNREADABLE, RECIPE_NAME, str(exc))
            return None

    def _read_entries(self) -> None:
        """Read every entry, register its keys, and compare the rejected records."""
        rejected = RejectedLines(self._folder, self._found)
        all_read = True
        try:
            names = [name for name in self._state if name.endswith(".msgpack")]
            is_ours = self._writer not in (None, INDEX_WRITER)
            for name, give in entries_ahead(self._folder, names, is_ours=is_ours):
                entry = self._read_entry(name, give)
                all_read = all_read and entry is not None
                if entry is not None:
                    self._note(entry)
                    self._check_keys(entry)
                    rejected.compare(entry.rejected)
            self._finish_keys(names, is_ours=is_ours)
            if all_read and self._manifest is not None and self._manifest.head.fingerprint:
                rejected.finish()
        finally:
            rejected.close()

    @cached_property
    def _moved(self) -> Mapping[str, str]:
        """Where `sync --move` has moved shards, by their names."""
        journal = read_file(self._folder, MOVED_NAME, MAX_MANIFEST_BYTES, self._found) or b""
        return {str(moved["name"]): str(moved["at"]) for moved in moved_lines(journal)}

    def _read_entry(self, name: str, give: EntryFuture) -> ShardEntry | None:
        try:
            entry, problem = give()
        except OSError as exc:
            self._found.take(finding_of(exc, name))
            return None
        if entry is None:
            self._take(Code.ENTRY_DAMAGED, name, problem or "")
        elif entry_name(entry.summary.name) != name:
            self._take(
                Code.ENTRY_EXTRA, name, f"it describes {shortened(entry.summary.name, 200)!r}"
            )
            return None
        return entry

    def _note(self, entry: ShardEntry) -> None:
        shard = entry.summary
        self._entries[shard.name] = shard
        self._prints.add(entry.fingerprint)
        there = self._items.get(shard.name)
        if there is not None and there.size_bytes < shard.size_bytes:
            whole = whole_samples(entry, there.size_bytes)
            lost = f", lost from {entry.keys[whole]!r} on" if whole < shard.samples else ""
            self._cuts[shard.name] = f"; {whole} of {shard.samples} samples are intact{lost}"

    def _check_keys(self, entry: ShardEntry) -> None:
        # An entry of an older dataset is reported once, not for each of its keys.
        if self._listed is not None and entry.summary.name not in self._listed:
            return
        if self._row_keys is not None:
            self._row_keys.add(entry)
        else:
            self._register_keys(entry)

    def _finish_keys(self, names: Sequence[str], *, is_ours: bool) -> None:
        """Register all keys after all where row numbers do not prove that they are unique."""
        listed = len(self._entries) if self._listed is None else len(self._listed)
        if self._row_keys is None or (len(self._entries) == listed and self._row_keys.are_unique()):
            return
        self._row_keys = None
        for name, give in entries_ahead(self._folder, names, is_ours=is_ours):
            with contextlib.suppress(OSError):  # it is reported already
                entry, _ = give()
                if entry is not None and entry_name(entry.summary.name) == name:
                    self._check_keys(entry)

    def _register_keys(self, entry: ShardEntry) -> None:
        shard = entry.summary
        duplicates = self._holders.duplicates(shard.name, entry.keys)
        offsets = list(accumulate(entry.sizes, initial=0)) if duplicates else []
        for number, holder in duplicates:
            key, offset = entry.keys[number], offsets[number]
            detail = f"also in {holder}" if holder != shard.name else "twice in this shard"
            self._found.take(Finding(Code.KEY_DUPLICATE, shard.name, key, offset, detail))

    def _shards(self) -> dict[str, ShardSummary]:
        """Return the shards the dataset should have: by the manifest, or by the entries."""
        if self._manifest is None:
            return self._entries
        listed = {shard.name: shard for shard in self._manifest.shards}
        for name, shard in listed.items():
            entry = self._entries.get(name)
            if entry is None and entry_name(name) not in self._state:
                self._take(Code.ENTRY_MISSING, name)
            elif entry is not None and entry != shard:
                self._take(Code.ENTRY_DISAGREES, name, _difference(entry, shard))
            elif entry is not None and shard.entry_sha256 not in ("", entry.entry_sha256):
                detail = "its SHA-256 differs from the one in index.json"
                self._take(Code.ENTRY_DAMAGED, entry_name(name), detail)
        for name in self._entries:
            if name not in listed:
                self._take(Code.ENTRY_EXTRA, entry_name(name), "index.json does not list its shard")
        return listed

    def _check_items(self, shards: Mapping[str, ShardSummary]) -> None:
        """Report files that do not belong to the dataset."""
        for item in (*self._items.values(), *self._state.values()):
            if item.base.startswith(".") and item.base.endswith((TEMPORARY_SUFFIX, ".tmp")):
                self._take(Code.TEMPORARY_LEFT, item.name)
        # In an unfinished dataset a shard without its entry is in progress, and is made again.
        if MANIFEST_NAME in self._items:
            for name in self._items:
                if name.endswith(".tar") and name not in shards and name not in self._entries:
                    self._take(Code.SHARD_EXTRA, name)

    def _task(self, shard: ShardSummary) -> ShardTask | None:
        """Return the task of reading a shard; None when it cannot be read."""
        name, entry = shard.name, self._entries.get(shard.name)
        if not is_safe_name(name) or "/" in name:
            self._take(Code.UNSAFE_NAME, shortened(name, 200))
            return None
        there = self._items.get(name)
        if there is None and shard.name in self._moved:
            self._take(Code.SHARD_MOVED, name, f"to {self._moved[shard.name]!r}")
            return None
        if there is None or there.kind != "file":
            code = Code.SHARD_MISSING if there is None else Code.NOT_A_FILE
            self._take(code, name, "" if there is None else f"a {there.kind}")
            return None
        if there.size_bytes != shard.size_bytes:
            sizes = f"{there.size_bytes} bytes, but {shard.size_bytes} are recorded"
            self._take(Code.SHARD_SIZE, name, sizes + self._cuts.get(name, ""))
        return ShardTask(
            name=name,
            size_bytes=there.size_bytes,
            recorded_bytes=shard.size_bytes,
            manifest_sum=shard.sha256 if self._manifest is not None else None,
            entry_sum=entry.sha256 if entry is not None else None,
            samples=shard.samples,
            has_entry=entry is not None,
            receipt=self._receipts.get(name, {}),
        )


def _difference(entry: ShardSummary, listed: ShardSummary) -> str:
    """Name the first field in which two summaries differ."""
    for field in (one for one in fields(ShardSummary) if one.compare):
        one, other = getattr(entry, field.name), getattr(listed, field.name)
        if one != other:
            shown = shortened(repr(one)), shortened(repr(other))
            return f"{field.name} is {shown[0]} in the entry, {shown[1]} in index.json"
    return ""
