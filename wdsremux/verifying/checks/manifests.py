"""Whether a manifest agrees with itself and with recipe.json, and whether its shards join."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wdsremux.core.head import Head, fingerprint_of
from wdsremux.core.manifest import MANIFEST_NAME, Manifest, ShardSummary
from wdsremux.dataset.ledger import RECIPE_NAME
from wdsremux.verifying.findings import Code, Finding
from wdsremux.verifying.reports import Collector


def check_manifest(manifest: Manifest, raw: Mapping[str, Any], found: Collector) -> None:
    """Compare the redundant fields of a manifest, and check its sums."""
    _check_sums(manifest, found)
    if not manifest.shards:
        found.add(Code.MANIFEST_DISAGREES, "it lists no shards")
        return
    # Derived fields, such as totals and patterns, must be what they are derived as.
    made = manifest.to_json()
    for name in raw:
        if name in made and raw[name] != made[name]:
            found.take(_of_manifest(Code.MANIFEST_DISAGREES, f"{name!r} does not match the shards"))
    doubled = _doubled(shard.name for shard in manifest.shards)
    if doubled:
        found.take(_of_manifest(Code.MANIFEST_DISAGREES, f"it lists {doubled!r} twice"))


def _check_sums(manifest: Manifest, found: Collector) -> None:
    for split, totals in manifest.splits.items():
        expected = totals.rows * manifest.head.copies + totals.expanded
        if totals.samples + totals.left_out != expected:
            more = f" + {totals.expanded}" if totals.expanded else ""
            filtered = f" + {totals.filtered}" if totals.filtered else ""
            found.take(
                _of_manifest(
                    Code.COUNTS_WRONG,
                    f"split {split!r}: {totals.samples} + {totals.rejected}{filtered} is not "
                    f"{totals.rows} × {manifest.head.copies}{more}",
                )
            )


def check_series(shards: Sequence[ShardSummary], found: Collector, *, is_finished: bool) -> None:
    """Check that the shards of every split and copy are numbered and joined without a gap."""
    series: dict[tuple[str, int], list[ShardSummary]] = {}
    for shard in shards:
        series.setdefault((shard.split, shard.copy), []).append(shard)
    for own in series.values():
        own.sort(key=lambda shard: shard.number)
        for number, shard in enumerate(own):
            problem = _gap(own, number, is_finished=is_finished)
            if problem is not None:
                found.take(Finding(Code.SERIES_BROKEN, shard.name, detail=problem))
                break


def _gap(own: Sequence[ShardSummary], number: int, *, is_finished: bool) -> str | None:
    """Return what is wrong with the position of a shard in its series."""
    shard = own[number]
    if shard.number != number:
        return f"its number is {shard.number}, but {number} is expected"
    if number and shard.start != own[number - 1].stop:
        return f"it begins at row {shard.start}, but the one before ends at {own[number - 1].stop}"
    is_last = number == len(own) - 1
    if shard.is_last and not is_last:
        return "it is marked as the last shard, but more follow"
    if is_last and is_finished and not shard.is_last:
        return "it is the last shard, but not marked as the last"
    return None


def check_head(
    manifest: Manifest | None, head: Head, fingerprints: set[str], found: Collector
) -> None:
    """Compare recipe.json, which holds a dataset's head, with the manifest and the entries."""
    recorded, listed = head.to_json(), manifest.head.to_json() if manifest is not None else {}
    for name in listed:
        if recorded[name] != listed[name]:
            detail = f"{name!r} differs from the one in {RECIPE_NAME}"
            found.take(_of_manifest(Code.FINGERPRINT_DIFFERS, detail))
    if fingerprint_of(recorded) != head.fingerprint:
        detail = "its fingerprint does not match its fields"
        found.take(Finding(Code.FINGERPRINT_DIFFERS, RECIPE_NAME, detail=detail))
    for other in sorted(fingerprints - {head.fingerprint}):
        detail = f"entries have the fingerprint {other[:12]!r}"
        found.take(Finding(Code.FINGERPRINT_DIFFERS, RECIPE_NAME, detail=detail))


def _of_manifest(code: Code, detail: str) -> Finding:
    return Finding(code, MANIFEST_NAME, detail=detail)


def _doubled(names: Iterable[str]) -> str | None:
    seen = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
