"""The catalogue of what `verify` can report, and how a finding is shown.

A code never changes its meaning. W1xx: the folder, its manifest and entries; W2xx: bytes; W3xx:
tars and samples; W4xx: images; W5xx: what loaders cannot handle in datasets of other tools.
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
_FETCH = "download or pack the shard again"
_PACK = "pack the dataset again: wdsremux convert OUT NEW makes clean shards"


class Code(Enum):
    """Every kind of finding: code, severity, title, remedy."""

    # fmt: off
    MANIFEST_UNREADABLE = ("W101", "error",
        "index.json is damaged or of a newer format", f"{_REPAIR} rebuilds it",
    )
    UNFINISHED = ("W102", "error", "index.json is missing: the conversion is not finished", _AGAIN)
    MANIFEST_DISAGREES = ("W103", "error",
        "index.json contradicts itself", f"{_REPAIR} rebuilds it",
    )
    COUNTS_WRONG = ("W104", "error",
        "samples + rejected + filtered differs from rows × copies", f"{_REPAIR} rebuilds it",
    )
    SERIES_BROKEN = ("W105", "error", "the shards of a split have a gap or overlap", _REPAIR)
    SHARD_MISSING = ("W106", "error", "a shard of the dataset is missing", _REPAIR_SHARD)
    SHARD_EXTRA = ("W107", "error",
        "a shard beside the dataset's own is not part of it",
        "move it elsewhere: loaders that read all *.tar would read it",
    )
    SHARD_SIZE = ("W108", "error",
        "the size of a shard differs from the recorded one", _REPAIR_SHARD,
    )
    NOT_A_FILE = ("W109", "error",
        "a link, folder or device has the name of a file",
        "replace it with the file itself; links are not followed",
    )
    UNREADABLE = ("W110", "error",
        "the system could not read a file", "check its permissions and the disk",
    )
    ENTRY_MISSING = ("W111", "error", "a shard's entry is missing", f"{_REPAIR} rebuilds it")
    ENTRY_DAMAGED = ("W112", "error", "a shard's entry is damaged", f"{_REPAIR} rebuilds it")
    ENTRY_EXTRA = ("W113", "error",
        "an entry belongs to no shard of the dataset",
        f"{_REPAIR} moves it away; if its shard is there, move both elsewhere",
    )
    ENTRY_DISAGREES = ("W114", "error",
        "entry and index.json disagree about a shard",
        f"{_REPAIR} keeps the one that fits the shard",
    )
    FINGERPRINT_DIFFERS = ("W115", "error",
        "recipe.json, index.json and entries belong to different conversions",
        f"{_AGAIN} into an empty folder",
    )
    RECIPE_UNREADABLE = ("W116", "error",
        "recipe.json is missing or damaged", f"{_REPAIR} rebuilds it",
    )
    REJECTED_DISAGREES = ("W117", "error",
        "rejected.jsonl differs from what the entries record", f"{_REPAIR} rebuilds it",
    )
    KEY_DUPLICATE = ("W118", "error",
        "two samples of the dataset have the same key",
        "pack again with unique keys, or without --key-column",
    )
    TEMPORARY_LEFT = ("W119", "warning",
        "a killed run left an unfinished file", f"remove it, or {_AGAIN}",
    )
    CARD_MISSING = ("W120", "warning",
        "README.md does not describe the shards for load_dataset",
        f"{_REPAIR} writes the card; to a README.md of your own, add the YAML",
    )
    CARD_STALE = ("W121", "warning",
        "README.md and index.json list different shards, counts or features",
        f"{_REPAIR} rewrites the card; in a README.md of your own, fix the YAML",
    )
    UNSAFE_NAME = ("W122", "error",
        "a recorded file name leads out of the folder; the file was not opened",
        "do not use this folder",
    )
    SHARD_MOVED = ("W123", "warning",
        "sync --move has moved a shard away", "wdsremux sync from there copies it back",
    )
    LOADER_INDEX = ("W124", "error",
        "an index for another loader is missing, damaged or describes other shards",
        "wdsremux index OUT renews it",
    )

    SAMPLE_DAMAGED = ("W201", "error", "bytes of a sample are damaged", _REPAIR_SHARD)
    END_DAMAGED = ("W202", "error",
        "bytes after the last sample are damaged: end blocks or padding", _REPAIR_SHARD,
    )
    SHARD_SWAPPED = ("W203", "error",
        "a shard contains the bytes of another one", "rename the files",
    )
    SUM_STALE = ("W204", "error",
        "a recorded SHA-256 is wrong; all samples are intact", f"{_REPAIR} rebuilds it",
    )
    BYTES_DAMAGED = ("W205", "error",
        "a shard's SHA-256 differs from the recorded one; the damaged sample is unknown",
        _REPAIR_SHARD,
    )
    UNVERIFIED = ("W206", "warning",
        "the store reports no checksum of a shard; only its size was compared",
        "wdsremux verify OUT --deep reads it",
    )

    TAR_DAMAGED = ("W301", "error",
        "a tar header is damaged; the rest of the tar was not read", _FETCH,
    )
    TAR_CUT = ("W302", "error", "the tar ends within a member", _FETCH)
    NO_END_BLOCKS = ("W303", "warning",
        "the tar has no end blocks: its writer was killed, or the file is cut", _FETCH,
    )
    DATA_AFTER_END = ("W304", "warning",
        "data follows the end of the archive; readers do not see them", _FETCH,
    )
    ENTRY_DIFFERS = ("W305", "error",
        "the shard is intact, but its entry lists other samples",
        f"remove the entry; {_REPAIR} rebuilds it",
    )
    JSON_BROKEN = ("W306", "error", "a sample's JSON is not a JSON object", _PACK)
    JSON_SCHEMA = ("W307", "error",
        "a sample's JSON has other fields or types than the dataset", _PACK,
    )
    LABEL_RANGE = ("W308", "error", "a label is not one of the dataset's classes", _PACK)
    JSON_DISAGREES = ("W309", "error",
        "a sample's JSON and its entry have different positions", _PACK,
    )
    FIELD_TWICE = ("W310", "error",
        "a sample has two members of the same name; readers raise an error", _PACK,
    )
    KEY_RETURNS = ("W311", "error",
        "a key appears again later in its shard: readers make two samples of it",
        "pack again with the members of a sample next to each other",
    )
    FIELD_UNREADABLE = ("W312", "error",
        "a member's content does not match its extension; decoding readers fail", _PACK,
    )
    EMPTY_SHARD = ("W313", "error",
        "a shard contains no sample; some readers fail on it", "remove it",
    )
    SPARSE_MEMBER = ("W314", "error",
        "a member is stored as a sparse file; readers get its map as data", _PACK,
    )
    UNSAFE_MEMBER = ("W315", "error",
        "a member's name leads out of the folder it is unpacked in",
        "do not unpack this shard; pack it again",
    )
    LINK_MEMBER = ("W316", "warning",
        "the tar contains links or devices, which readers skip", _PACK,
    )
    MEMBERS_DIFFER = ("W317", "error",
        "a sample has other members than the dataset's samples", _PACK,
    )

    IMAGE_BROKEN = ("W401", "error", "an image cannot be decoded", _PACK)
    IMAGE_SIZE = ("W402", "error", "an image's size differs from the one in its JSON", _PACK)

    DOTTED_KEY = ("W501", "warning",
        "names have dots before the extension: readers end the key at the first one",
        "pack again with keys without dots",
    )
    NAMELESS_MEMBER = ("W502", "warning",
        "members belong to no sample: webdataset skips them, wids counts them", _PACK,
    )
    FOLDER_MEMBER = ("W503", "warning", "the tar contains folder members, which wids counts", _PACK)
    EXTENDED_HEADERS = ("W504", "warning",
        "PAX or GNU headers: wds2idx writes wrong offsets, wids loses long names",
        "pack again as ustar with whole-number times",
    )
    LONG_NAME = ("W505", "warning",
        "names over 100 bytes: wids and DALI cut them", "pack again with shorter names",
    )
    ODD_NAME = ("W506", "warning",
        "names with spaces, backslashes or non-ASCII characters do not fit a DALI index",
        "pack again with letters, digits, _ and -",
    )
    UPPER_CASE = ("W507", "warning",
        "extensions in upper case: another column for load_dataset, the same for webdataset", _PACK,
    )
    MIXED_MEMBERS = ("W508", "warning",
        "samples differ in their members: load_dataset fails or drops some", _PACK,
    )
    MIXED_JSON = ("W509", "warning",
        "JSON fields or types differ between samples: load_dataset fails, drops or truncates",
        _PACK,
    )
    COMPRESSED = ("W510", "warning",
        "a compressed tar, without random access and not for wids; it was not read",
        "decompress it, for example with gunzip",
    )
    SIDECAR = ("W511", "warning",
        "load_dataset reads this file as data, or fails on it",
        "move it elsewhere, or name the shards in the README.md (wdsremux index OUT)",
    )
    SPLIT_NAME = ("W512", "warning",
        "load_dataset puts this shard into two splits, or into none",
        "rename it, or name the shards in the README.md (wdsremux index OUT)",
    )
    SAME_NAME = ("W513", "warning",
        "shards in different folders have the same name: wids' cache confuses them", "rename them",
    )
    INDEX_UNREADABLE = ("W514", "error",
        "wids cannot read index.json", "remove it and run wdsremux index OUT",
    )
    INDEX_DISAGREES = ("W515", "error",
        "index.json and the folder list different shards", "remove it and run wdsremux index OUT",
    )
    # fmt: on

    def __init__(self, code: str, severity: Severity, title: str, remedy: str) -> None:
        self.code = code
        self.severity = severity
        self.title = title
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
    """What is specific to this one."""

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
            "meaning": self.code.title,
            "detail": self.detail,
            "remedy": self.remedy,
        }

    def line(self, out: str = "OUT") -> str:
        """Return one line, hostile names escaped; `out` is what the remedies call the dataset."""
        where = [] if self.shard is None else [escaped(self.shard)]
        where += [] if self.key is None else [f"sample {self.key!r}"]
        where += [] if self.offset is None else [f"byte {self.offset}"]
        at = f" {', '.join(where)}:" if where else ""
        detail = f" ({escaped(self.detail)})" if self.detail else ""
        remedy = re.sub(r"\bOUT\b", lambda _: shlex.quote(out), self.code.remedy)
        remedy = remedy.replace("{shard}", escaped(self.shard or "NAME"))
        return f"{self.code.code} {self.code.severity}{at} {self.code.title}{detail}; {remedy}"


def catalogue_markdown() -> str:
    """Return the table of all codes for the help page of findings."""
    rows = [(code.code, code.severity, code.title, _remedy_cell(code)) for code in Code]
    lines = [("code", "severity", "meaning", "what to do"), ("---",) * 4, *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def _remedy_cell(code: Code) -> str:
    return code.remedy.replace("{shard}", "NAME")
