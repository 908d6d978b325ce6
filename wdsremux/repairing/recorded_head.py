"""Finds the correct head of a dataset: it is stored twice, in recipe.json and in index.json."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from wdsremux.core.errors import CorruptDataError, UsageError
from wdsremux.core.head import MANIFEST_FORMAT, Head, fingerprint_of
from wdsremux.core.manifest import (
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    STATE_FOLDER,
    Manifest,
    indented_json,
)
from wdsremux.dataset.card import CARD_NAME, card_bytes
from wdsremux.dataset.head import first_difference
from wdsremux.dataset.ledger import RECIPE_NAME
from wdsremux.dataset.validation import validated_manifest
from wdsremux.stores.reading.untrusted import UntrustedFolder, is_safe_name

_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What changed or damaged JSON can raise on its way to a head."""


@dataclass(frozen=True, slots=True)
class FoundHead:
    """What can be read of a dataset's head and manifest."""

    head: Head
    """Its fingerprint is the one of its fields."""
    manifest: Manifest | None
    """None when it cannot be read. What it records of the shards may be wrong."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A head as one of the two files stores it."""

    head: Head
    is_canonical: bool
    """Whether the file is, byte for byte, as wdsremux writes it."""


def find_head(folder: UntrustedFolder, out: str) -> FoundHead:
    """Return the head that a dataset was made by, and the manifest if it can be read.

    Raises CorruptDataError when neither can be read, or when they contradict each other and nothing
    shows which is correct; UsageError for a dataset that `convert` did not make.
    """
    manifest_data = read(folder, MANIFEST_NAME)
    manifest = _manifest(manifest_data)
    if manifest is not None and "writer" in manifest.head.options:
        writer = manifest.head.options["writer"]
        raise UsageError(
            f"cannot repair {out!r}: it was written by {writer}, which records no source to "
            "rebuild shards from"
        )
    recipe_data = read(folder, RECIPE_NAME)
    candidates = [
        *(
            []
            if manifest is None
            else [_Candidate(manifest.head, _is_own(manifest, manifest_data))]
        ),
        *_candidates(recipe_data),
    ]
    sound = [one for one in candidates if _is_sound(one.head)]
    if not sound:
        raise CorruptDataError(_nothing_left(folder, out))
    return FoundHead(_choose(sound, folder, manifest), manifest)


def read(folder: UntrustedFolder, name: str) -> bytes | None:
    """Return a small file; None when it is missing, not a file, or unreadable."""
    try:
        return folder.read(name, MAX_MANIFEST_BYTES)
    except OSError:
        return None


def _manifest(data: bytes | None) -> Manifest | None:
    if data is None:
        return None
    try:
        return validated_manifest(data)
    except (CorruptDataError, *_UNREADABLE):
        return None


def _is_own(manifest: Manifest, data: bytes | None) -> bool:
    try:
        return manifest.to_bytes() == data
    except _UNREADABLE:
        return False


def _candidates(data: bytes | None) -> list[_Candidate]:
    """Return the head in recipe.json, if it has one."""
    try:
        head = Head.from_json(json.loads(data or b""))
        return [_Candidate(head, indented_json(head.to_json()) == data)]
    except _UNREADABLE:
        return []


def _is_sound(head: Head) -> bool:
    """Return whether the fields of a head that decide the bytes fit its fingerprint."""
    return (
        head.format == MANIFEST_FORMAT
        and fingerprint_of(head.to_json()) == head.fingerprint
        and head.copies == head.options.get("copies")
        and {"json"} < head.features.keys()
        and all(is_safe_name(name) and "/" not in name for name in head.series)
    )


def _choose(
    sound: Sequence[_Candidate], folder: UntrustedFolder, manifest: Manifest | None
) -> Head:
    """Return the correct head: fields that decide no byte are not part of the fingerprint."""
    one, other = sound[0].head, sound[-1].head
    difference = first_difference(one.to_json(), other.to_json())
    if difference is None:
        return one
    if one.fingerprint == other.fingerprint:
        fit = [one.head for one in sound if one.is_canonical]
        if len(fit) != 1 and manifest is not None:
            # The card is made from the head as well: it can show which is correct.
            card = read(folder, CARD_NAME)
            fit = [w.head for w in sound if _card_of(w.head, manifest) == card]
        if len(fit) == 1:
            return fit[0]
    where, first, second = difference
    raise CorruptDataError(
        f"{MANIFEST_NAME} and {RECIPE_NAME} contradict each other: {where} is {first} in the first "
        f"and {second} in the second; remove the file that is wrong"
    )


def _card_of(head: Head, manifest: Manifest) -> bytes | None:
    try:
        return card_bytes(Manifest(head=head, shards=manifest.shards))
    except (*_UNREADABLE, StopIteration):
        return None


def _nothing_left(folder: UntrustedFolder, out: str) -> str:
    names = [item.name for item in folder.items()]
    state = [item.name for item in folder.items(STATE_FOLDER)]
    if MANIFEST_NAME in names or any(n == RECIPE_NAME or n.endswith(".msgpack") for n in state):
        return (
            f"neither {MANIFEST_NAME} nor {RECIPE_NAME} of {out!r} can be read, so the recipe of "
            "the dataset is lost; restore one of them, or convert again into another folder"
        )
    if any(name.endswith(".tar") for name in names):
        return (
            f"{out!r} contains shards, but no record of how they were made; `wdsremux index` makes "
            "an index of them as they are"
        )
    return f"{out!r} contains no dataset; pass the folder that convert wrote"
