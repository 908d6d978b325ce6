"""Runs the installed command and looks at what it left."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import webdataset as wds

COMMAND = str(Path(sys.executable).with_name("wdsremux"))
FOUNDING = ("center-crop-scale=0.7,1.0", "resize=256x256", "hflip", "sharpen")
TIMEOUT_S = 120


def wdsremux(*arguments, env=None, cwd=None, timeout=TIMEOUT_S):
    """Run the installed command to its end and return the finished process."""
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        env={**os.environ, **(env or {})},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def convert(source, out, *arguments, code=0, **options):
    """Run `wdsremux convert` and demand its exit code."""
    done = wdsremux("convert", source, out, "--progress", "none", *arguments, **options)
    assert done.returncode == code, done.stderr
    return done


def step_options(*steps):
    return [word for step in steps for word in ("--step", step)]


def tree(folder):
    """Return the SHA-256 of every file below a folder, by name."""
    folder = Path(folder)
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def files_of(folder):
    """Return the bytes of every file below a folder, by name."""
    return {name: (folder / name).read_bytes() for name in tree(folder)}


def published(folder):
    """Return the SHA-256 of every published file, by name."""
    private = ("lock", ".wdsremux-tmp")
    return {name: digest for name, digest in tree(folder).items() if not name.endswith(private)}


def shards(folder):
    """Return the SHA-256 of every shard below a folder, by name."""
    return {name: digest for name, digest in tree(folder).items() if name.endswith(".tar")}


def shards_of(folder):
    """Return the names of the shards directly in a folder, in order."""
    return sorted(path.name for path in folder.glob("*.tar"))


def manifest(folder):
    return json.loads(Path(folder, "index.json").read_text())


def rejected(folder):
    lines = Path(folder, ".wdsremux", "rejected.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def samples(folder, prefix="train"):
    """Return all samples of a series as the webdataset library reads them, undecoded."""
    urls = sorted(str(path) for path in Path(folder).glob(f"{prefix}-*.tar"))
    return list(wds.WebDataset(urls, shardshuffle=False, empty_check=False))


def entries(folder, prefix="train"):
    """Return the JSON of all samples of a series."""
    return [json.loads(sample["json"]) for sample in samples(folder, prefix)]
