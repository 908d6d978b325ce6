"""Datasets to verify: outputs, made once and copied; foreign tars, member by member."""

import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path

from support.corpora import jpeg

import wdsremux
from wdsremux.dataset.entry import ShardEntry

SHARD = "train-000001.tar"


def make_dataset(folder, *, rows=40, broken=(7, 20), **options):
    """Convert rows, some of them broken, into a few small shards; return the folder."""
    records = [
        {
            "image": b"broken" if i in broken else jpeg(i, 24, 20, noisy=True),
            "label": i % 3,
            "caption": f"caption {i}",
        }
        for i in range(rows)
    ]
    options = {"workers": 0, "max_shard_size": "40KB", "max_errors": "50%"} | options
    wdsremux.convert(records, folder, progress="none", **options)
    return Path(folder)


def copied(dataset, folder):
    """Return a copy of a dataset that may be damaged."""
    shutil.copytree(dataset, folder)
    return folder


def flip(path, offset, bit=0):
    """Flip one bit of a file."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    path.write_bytes(data)


def entry_path(dataset, shard=SHARD):
    return dataset / ".wdsremux" / f"{shard.removesuffix('.tar')}.msgpack"


def entry_of(dataset, shard=SHARD):
    """Return the entry of a shard as it is stored."""
    return ShardEntry.from_bytes(entry_path(dataset, shard).read_bytes(), shard)


def replace_entry(dataset, entry, shard=SHARD):
    """Write another entry for a shard, and its SHA-256 into index.json."""
    data = entry.to_bytes()
    entry_path(dataset, shard).write_bytes(data)

    def record(index):
        for listed in index["shardlist"]:
            if listed["url"] == shard:
                listed["entry_sha256"] = hashlib.sha256(data).hexdigest()

    edit_json(dataset / "index.json", record)


def edit_json(path, change):
    """Change the JSON in a file by a function that edits it in place."""
    value = json.loads(path.read_bytes())
    change(value)
    path.write_text(json.dumps(value))


def codes(report):
    """Return the codes of the findings, in order, without their W."""
    return [int(finding.code.code[1:]) for finding in report.findings]


def member(name, content=b"x", *, kind=tarfile.REGTYPE, pax=False, **fields):
    """Return the bytes of one tar member."""
    content = content if kind in (tarfile.REGTYPE, tarfile.AREGTYPE) else b""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    info.type = kind
    if pax:
        info.mtime = 1.5
    for field, value in fields.items():
        setattr(info, field, value)
    form = tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT
    header = info.tobuf(form)
    return header + content + bytes(-len(content) % 512)


def write_tar(path, members, *, end=bytes(1024)):
    """Write a tar of member bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(members) + end)
    return path


def sample(key, label=1, **contents):
    """Return the members of a clean sample."""
    entry = json.dumps({"label": label}).encode()
    files = {"jpg": jpeg(label, 16, 16), "json": entry} | contents
    return [member(f"{key}.{name}", content) for name, content in files.items()]


def patched(header, at, field):
    """Return a header block with other bytes at an offset and a checksum that is right."""
    block = bytearray(header)
    block[at : at + len(field)] = field
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block[:512])
    return bytes(block)


def gzipped(path, data):
    """Write data compressed."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("a.txt"), io.BytesIO(data))
    path.write_bytes(file.getvalue())
