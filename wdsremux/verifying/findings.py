"""The catalogue of what `verify` can report, and how a finding is told.

A code never changes its meaning. W1xx: the folder, its manifest and entries; W2xx: bytes; W3xx:
tars and samples; W4xx: images; W5xx: what loaders stumble over in folders that others made.
"""

import re
import shlex
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from wdsremux.core.escaping import escaped

Severity = Literal["error", "warning"]

_REPAIR = "wdsremux repair OUT"
_REPAIR_SHARD = "wdsremux repair OUT --shard {shard}"
_AGAIN = "run the same convert command again"
_FETCH = "fetch or pack the shard again"
_PACK = "pack the dataset again: wdsremux convert OUT NEW makes clean shards"


class Code(Enum):
    """Every kind of finding: (code, severity, what it means, what to do)."""

    MANIFEST_UNREADABLE = (
        "W101", "error", "index.json is damaged or of a newer format", f"{_REPAIR} rebuilds it",
    )  # fmt: skip
    UNFINISHED = (
        "W102", "error", "there is no manifest: the conversion is not finished", _AGAIN,
    )  # fmt: skip
    MANIFEST_DISAGREES = (
        "W103", "error", "the manifest contradicts itself", f"{_REPAIR} rebuilds it",
    )  # fmt: skip
    COUNTS_WRONG = (
        "W104", "error", "samples + rejected is not rows × copies", f"{_REPAIR} rebuilds it",
    )  # fmt: skip
    SERIES_BROKEN = (
        "W105", "error", "the shards of a split do not join without a gap", _REPAIR,
    )  # fmt: skip
    SHARD_MISSING = ("W106", "error", "a shard of the dataset is not there", _REPAIR_SHARD)
    SHARD_EXTRA = (
        "W107", "error", "a shard that the dataset does not know lies beside its own",
        "move it elsewhere: loaders that take all *.tar would read it",
    )  # fmt: skip
    SHARD_SIZE = ("W108", "error", "a shard has another size than recorded", _REPAIR_SHARD)
    NOT_A_FILE = (
        "W109", "error", "a link, folder or device stands in the place of a file",
        "put the file itself there; links are never followed",
    )  # fmt: skip
    UNREADABLE = (
        "W110", "error", "the system could not read a file", "check its permissions and the disk",
    )  # fmt: skip
    ENTRY_MISSING = ("W111", "error", "a shard's entry is not there", f"{_REPAIR} rebuilds it")
    ENTRY_DAMAGED = (
        "W112", "error", "a shard's entry is damaged", f"{_REPAIR} rebuilds it",
    )  # fmt: skip
    ENTRY_EXTRA = (
        "W113", "error", "an entry belongs to no shard of the dataset",
        f"{_REPAIR} moves it away; where its shard is there, move both elsewhere",
    )  # fmt: skip
    ENTRY_DISAGREES = (
        "W114", "error", "entry and manifest tell different things of a shard",
        f"{_REPAIR} takes what fits the shard",
    )  # fmt: skip
    FINGERPRINT_DIFFERS = (
        "W115", "error", "recipe, manifest and entries are not of one conversion",
        f"{_AGAIN} into an empty folder",
    )  # fmt: skip
    RECIPE_UNREADABLE = (
        "W116", "error", "recipe.json is missing or damaged", f"{_REPAIR} rebuilds it",
    )  # fmt: skip
    REJECTED_DISAGREES = (
        "W117", "error", "rejected.jsonl is not what the entries say", f"{_REPAIR} rebuilds it",
    )  # fmt: skip
    KEY_DUPLICATE = (
        "W118", "error", "two samples of the dataset have one key",
        "pack again with unique keys, or without --key-column",
    )  # fmt: skip
    TEMPORARY_LEFT = (
        "W119", "warning", "a killed run left an unfinished file", f"remove it, or {_AGAIN}",
    )  # fmt: skip
    CARD_MISSING = (
        "W120", "warning", "no README.md tells load_dataset how to read the shards",
        f"{_REPAIR} writes the card; to a README.md of your own, add the YAML",
    )  # fmt: skip
    CARD_STALE = (
        "W121", "warning", "README.md tells other shards, counts or features than the manifest",
        f"{_REPAIR} writes the card anew; in a README.md of your own, mend the YAML",
    )  # fmt: skip
    UNSAFE_NAME = (
        "W122", "error", "a recorded file name leads out of the folder; it was not opened",
        "do not use this folder",
    )  # fmt: skip
    SHARD_MOVED = (
        "W123", "warning", "a shard was moved away by sync --move",
        "wdsremux sync from there brings it back",
    )  # fmt: skip

    SAMPLE_DAMAGED = ("W201", "error", "bytes of a sample are damaged", _REPAIR_SHARD)
    END_DAMAGED = (
        "W202", "error", "bytes behind the last sample are damaged: end blocks or padding",
        _REPAIR_SHARD,
    )  # fmt: skip
    SHARD_SWAPPED = (
        "W203", "error", "a shard holds the bytes of another one", "give the files their own names",
    )  # fmt: skip
    SUM_STALE = (
        "W204", "error", "a recorded SHA-256 is wrong; every sample is whole",
        f"{_REPAIR} rebuilds it",
    )  # fmt: skip
    BYTES_DAMAGED = (
        "W205", "error", "a shard's bytes are not those recorded, and nothing tells which sample",
        _REPAIR_SHARD,
    )  # fmt: skip
    UNVERIFIED = (
        "W206", "warning", "the target tells no checksum of a shard: only its size was compared",
        "wdsremux verify OUT --deep reads it",
    )  # fmt: skip

    TAR_DAMAGED = (
        "W301", "error", "no tar header stands where one must; nothing behind it was read", _FETCH,
    )  # fmt: skip
    TAR_CUT = ("W302", "error", "the tar ends within a member", _FETCH)
    NO_END_BLOCKS = (
        "W303", "warning", "the tar has no end blocks: its writer was not closed, or it is cut",
        _FETCH,
    )  # fmt: skip
    DATA_AFTER_END = (
        "W304", "warning", "data follow the end of the archive; no reader sees them", _FETCH,
    )  # fmt: skip
    ENTRY_DIFFERS = (
        "W305", "error", "a shard is whole, but its entry tells other samples",
        f"remove the entry; {_REPAIR} rebuilds it",
    )  # fmt: skip
    JSON_BROKEN = ("W306", "error", "a sample's JSON is no JSON object", _PACK)
    JSON_SCHEMA = (
        "W307", "error", "a sample's JSON has other fields or types than the dataset", _PACK,
    )  # fmt: skip
    LABEL_RANGE = ("W308", "error", "a label is none of the dataset's classes", _PACK)
    JSON_DISAGREES = (
        "W309", "error", "a sample's JSON tells another position than its entry", _PACK,
    )  # fmt: skip
    FIELD_TWICE = (
        "W310", "error", "a sample has two members of one name; readers raise an error", _PACK,
    )  # fmt: skip
    KEY_RETURNS = (
        "W311", "error", "a key comes back later in its shard: readers make two samples of it",
        "pack again with the members of a sample side by side",
    )  # fmt: skip
    FIELD_UNREADABLE = (
        "W312", "error", "a member is not what its extension says; decoding readers fail", _PACK,
    )  # fmt: skip
    EMPTY_SHARD = (
        "W313", "error", "a shard holds no sample; some readers fail on it", "remove it",
    )  # fmt: skip
    SPARSE_MEMBER = (
        "W314", "error", "a member is stored as a sparse file; readers get its map for data", _PACK,
    )  # fmt: skip
    UNSAFE_MEMBER = (
        "W315", "error", "a member's name leads out of the folder it is unpacked in",
        "do not unpack this shard; pack it again",
    )  # fmt: skip
    LINK_MEMBER = (
        "W316", "warning", "the tar holds links or devices, which readers skip", _PACK,
    )  # fmt: skip
    MEMBERS_DIFFER = (
        "W317", "error", "a sample has other members than the dataset's samples", _PACK,
    )  # fmt: skip

    IMAGE_BROKEN = ("W401", "error", "an image cannot be decoded", _PACK)
    IMAGE_SIZE = ("W402", "error", "an image has another size than its JSON says", _PACK)

    DOTTED_KEY = (
        "W501", "warning",
        "names have dots before the extension: readers cut the key at the first one",
        "pack again with keys without dots",
    )  # fmt: skip
    NAMELESS_MEMBER = (
        "W502", "warning", "members belong to no sample: webdataset skips them, wids counts them",
        _PACK,
    )  # fmt: skip
    FOLDER_MEMBER = ("W503", "warning", "the tar holds folder members, which wids counts", _PACK)
    EXTENDED_HEADERS = (
        "W504", "warning", "PAX or GNU headers: wds2idx gives wrong offsets, wids loses long names",
        "pack again as ustar with whole-number times",
    )  # fmt: skip
    LONG_NAME = (
        "W505", "warning", "names over 100 bytes: wids and DALI lose a part", "pack again, shorter",
    )  # fmt: skip
    ODD_NAME = (
        "W506", "warning",
        "names with spaces, backslashes or beyond ASCII cannot stand in a DALI index",
        "pack again with letters, digits, _ and -",
    )  # fmt: skip
    UPPER_CASE = (
        "W507", "warning",
        "extensions in upper case: another column for load_dataset, the same for webdataset", _PACK,
    )  # fmt: skip
    MIXED_MEMBERS = (
        "W508", "warning", "samples differ in their members: load_dataset fails or drops some",
        _PACK,
    )  # fmt: skip
    MIXED_JSON = (
        "W509", "warning",
        "JSON fields or types differ between samples: load_dataset fails, drops or truncates",
        _PACK,
    )  # fmt: skip
    COMPRESSED = (
        "W510", "warning",
        "a compressed tar: no random access, not for wids; it was not looked into",
        "unpack it with gunzip or the like",
    )  # fmt: skip
    SIDECAR = (
        "W511", "warning", "load_dataset takes this file for data, or fails on it",
        "move it elsewhere, or name the shards in the README.md (wdsremux index OUT)",
    )  # fmt: skip
    SPLIT_NAME = (
        "W512", "warning", "load_dataset puts this shard into two splits, or into none",
        "rename it, or name the shards in the README.md (wdsremux index OUT)",
    )  # fmt: skip
    SAME_NAME = (
        "W513", "warning", "shards in several folders have one name: wids' cache mixes them up",
        "rename them",
    )  # fmt: skip
    INDEX_UNREADABLE = (
        "W514", "error", "index.json cannot be read by wids",
        "remove it and run wdsremux index OUT",
    )  # fmt: skip
    INDEX_DISAGREES = (
        "W515", "error", "index.json tells other shards than there are",
        "remove it and run wdsremux index OUT",
    )  # fmt: skip

    def __init__(self, code: str, severity: Severity, meaning: str, remedy: str) -> None:
        self.code = code
        self.severity = severity
        self.meaning = meaning
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault, and where it is."""

    code: Code
    shard: str | None = None
    """File it was found in, relative to the dataset."""
    key: str | None = None
    """Of the sample."""
    offset: int | None = None
    """Byte in the file."""
    detail: str = ""
    """What is special about this one."""

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return self.code.remedy.replace("{shard}", self.shard or "NAME")

    def to_json(self) -> dict[str, Any]:
        """Return the finding for programs."""
        return {
            "code": self.code.code,
            "name": self.code.name.lower().replace("_", "-"),
            "severity": self.code.severity,
            "shard": self.shard,
            "key": self.key,
            "offset": self.offset,
            "meaning": self.code.meaning,
            "detail": self.detail,
            "remedy": self.remedy,
        }

    def line(self, out: str = "OUT") -> str:
        """Return one line, hostile names escaped; `out` is what the remedies call the dataset."""
        where = [] if self.shard is None else [escaped(self.shard)]
        where += [] if self.key is None else [f"sample {self.key!r}"]
        where += [] if self.offset is None else [f"byte {self.offset}"]
        place = f" {', '.join(where)}:" if where else ""
        detail = f" ({escaped(self.detail)})" if self.detail else ""
        remedy = re.sub(r"\bOUT\b", lambda _: shlex.quote(out), self.code.remedy)
        remedy = remedy.replace("{shard}", escaped(self.shard or "NAME"))
        return f"{self.code.code} {self.code.severity}{place} {self.code.meaning}{detail}; {remedy}"


def catalogue_markdown() -> str:
    """Return the table of all codes for the README."""
    rows = [(code.code, code.severity, code.meaning, _remedy_cell(code)) for code in Code]
    lines = [("code", "severity", "meaning", "what to do"), ("---",) * 4, *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def _remedy_cell(code: Code) -> str:
    return code.remedy.replace("{shard}", "NAME")
