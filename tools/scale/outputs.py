"""CPU seconds of the commands that read an output, by its number of shards.

    python tools/scale/outputs.py [--shards 1000,10000] [--samples 10] [--only REGEX] [--json FILE]

Makes outputs of that many shards in a temporary folder, with the product's own entries, manifest
and card: `verify --depth entries` calls each clean. The shards are files of holes of the recorded
size, except the first, which is real where a command reads it. Every command runs in a process of
its own; the CPU seconds of `import wdsremux` are subtracted. What grows faster than linearly shows
as a ratio above that of the sizes.
"""

import argparse
import hashlib
import json
import re
import resource
import subprocess
import sys
import tempfile
from array import array
from dataclasses import replace
from pathlib import Path

from wdsremux.core.head import Head, fingerprint_of
from wdsremux.core.keys import key_from_position
from wdsremux.core.manifest import Manifest, ShardSummary, indented_json
from wdsremux.core.tar import ustar
from wdsremux.dataset.card import card_bytes
from wdsremux.dataset.entry import ShardEntry, entry_name
from wdsremux.dataset.ledger import RECIPE_NAME
from wdsremux.dataset.rejected import REJECTED_NAME

SAMPLE_BYTES = ustar.member_bytes(100) + ustar.member_bytes(60)
COMMANDS = {
    "import": "pass",
    "open": "from wdsremux.dataset.reader import open_output; open_output(out)",
    "load[i]'s entry": "len(w.load(out)); o = open_output(out); o.entry(o.manifest.shards[-1])",
    "resume: Ledger.progress": "Ledger(FolderStore(Path(out))).progress()",
    "verify --depth entries": "assert not w.verify(out, 'entries').findings",
    "repair: records": (
        "f = UntrustedFolder(Path(out)); h = find_head(f, out); "
        "list(ShardRecords(f, h.head, h.manifest))"
    ),
}
PRELUDE = """
import resource, sys
from pathlib import Path
import wdsremux as w
from wdsremux.dataset.ledger import Ledger
from wdsremux.dataset.reader import open_output
from wdsremux.repairing.recorded_head import find_head
from wdsremux.repairing.shard_records import ShardRecords
from wdsremux.stores.folder.store import FolderStore
from wdsremux.stores.reading.untrusted import UntrustedFolder
out = sys.argv[1]

{command}
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime, used.ru_maxrss // 1024)
"""


def head_of() -> Head:
    """Return the head of an output of one split, whose fingerprint is right."""
    head = Head(
        name="scale",
        features={"jpg": "image", "json": {"struct": {"position": "int64"}}},
        series=("train",),
        options={"copies": 1, "key_column": None},
        source={"kind": "demo"},
        versions={},
        fingerprint="",
        origin={"source": "demo:", "transform": None},
    )
    return replace(head, fingerprint=fingerprint_of(head.to_json()))


def entry_of(number: int, samples: int, *, is_last: bool, fingerprint: str) -> ShardEntry:
    """Return the entry of a shard of equal samples."""
    start = number * samples
    positions = range(start, start + samples)
    return ShardEntry(
        summary=ShardSummary(
            name=f"train-{number:06d}.tar",
            split="train",
            copy=0,
            number=number,
            samples=samples,
            rejected=0,
            size_bytes=ustar.file_bytes(samples * SAMPLE_BYTES),
            sha256=f"{number:064x}",
            first_position=start,
            last_position=start + samples - 1,
            start=start,
            stop=start + samples,
            is_last=is_last,
        ),
        fingerprint=fingerprint,
        extensions=("jpg", "json"),
        keys=[key_from_position(position) for position in positions],
        positions=array("Q", positions),
        sizes=array("Q", [SAMPLE_BYTES] * samples),
        crcs=array("Q", bytes(8 * samples)),
        members=array("Q", [100, 60] * samples),
    )


def make_output(out: Path, shards: int, samples: int) -> None:
    """Write an output that is finished, but for the content of its shards."""
    head = head_of()
    (out / ".wdsremux").mkdir(parents=True)
    summaries = []
    for number in range(shards):
        entry = entry_of(
            number, samples, is_last=number == shards - 1, fingerprint=head.fingerprint
        )
        data = entry.to_bytes()
        (out / entry_name(entry.summary.name)).write_bytes(data)
        with (out / entry.summary.name).open("wb") as file:
            file.truncate(entry.summary.size_bytes)
        sha256 = hashlib.sha256(data).hexdigest()
        summaries.append(replace(entry.summary, entry_sha256=sha256))
    manifest = Manifest(head=head, shards=tuple(summaries))
    (out / RECIPE_NAME).write_bytes(indented_json(head.to_json()))
    (out / REJECTED_NAME).write_bytes(b"")
    (out / "README.md").write_bytes(card_bytes(manifest))
    (out / "index.json").write_bytes(manifest.to_bytes())


def measured(command: str, out: Path) -> tuple[float, int]:
    """Return (CPU seconds, peak MB) of a command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE.format(command=command), str(out)],
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, megabytes = done.stdout.split()[-2:]
    return float(seconds), int(megabytes)


def main() -> None:
    """Print a table: a row for each command, a column for each size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--shards", default="1000,10000")
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.shards.split(",")]
    found: dict[str, dict[int, tuple[float, int]]] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="wdsremux-scale-") as folder:
            out = Path(folder, "out")
            make_output(out, size, arguments.samples)
            for name, command in COMMANDS.items():
                if name == "import" or re.search(arguments.only, name):
                    found.setdefault(name, {})[size] = measured(command, out)
    width = max(map(len, found))
    print(f"{'CPU s / peak MB':{width}}", *(f"{size:>16,}" for size in sizes), "  ratio")
    for name, by_size in found.items():
        base = 0.0 if name == "import" else min(s for s, _ in found["import"].values())
        seconds = [max(by_size[size][0] - base, 0.0) for size in sizes]
        cells = [f"{s:9.2f} / {by_size[size][1]:4}" for s, size in zip(seconds, sizes, strict=True)]
        ratio = seconds[-1] / seconds[0] if seconds[0] > 0 else 0.0
        print(f"{name:{width}}", *cells, f"{ratio:7.1f}")
    if arguments.json:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        arguments.json.write_text(json.dumps({"makers_peak_mb": peak, "measured": found}, indent=1))


if __name__ == "__main__":
    main()
