"""Measures what copying a dataset to S3 costs, beside the copying tools that are installed.

python tools/bench/syncing.py --out out/bench/syncing.json [--rounds 5] [--only small,large]

The server is SeaweedFS in a process of its own. CPU seconds are those of the client and of all it
starts, in interleaved rounds, each into an empty bucket; requests are counted once by a proxy in
front of the server. `many` measures how `sync`, `verify` and `ls --samples` grow with shards.
"""

import argparse
import contextlib
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from machine import ROOT, commit, machine
from measure import interleaved, measured, summary

from wdsremux import ShardWriter

sys.path.insert(0, str(ROOT / "tests"))
from support.fault_proxy import FaultProxy
from support.s3_server import SeaweedFS

PEERS = ROOT / ".venv-copying" / "bin"
MB = 1_000_000
WORKLOADS = {"small": (2_000, MB), "large": (4, 512 * MB)}
"""Number of shards, and the size of each."""
MANY = 20_000
MANY_BYTES = 20_000


def make_dataset(folder: Path, shards: int, shard_bytes: int) -> None:
    """Write a dataset of random bytes, one member of up to 1 MB a sample."""
    if (folder / "index.json").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    samples = max(1, shard_bytes // MB)
    content_bytes = shard_bytes // samples - 4096
    with ShardWriter(folder, max_shard_size=2 * shard_bytes, max_shard_samples=samples) as writer:
        for number in range(shards * samples):
            writer.write({"__key__": f"{number:09}", "bin": os.urandom(content_bytes)})


def commands_of(source: Path, bucket: str, endpoint: str) -> dict[str, list[str]]:
    """Return the command of each tool that is installed; all copy with four files at a time."""
    to = f"s3://{bucket}/data"
    found = {
        "wdsremux": [sys.executable, "-m", "wdsremux", "sync", str(source), to],
        "s5cmd": ["s5cmd", "--endpoint-url", endpoint, "cp", f"{source}/", f"{to}/"],
        "rclone": [
            *("rclone", "copy", str(source), f":s3:{bucket}/data", "--s3-env-auth"),
            *("--s3-provider", "SeaweedFS", "--s3-endpoint", endpoint, "--config", os.devnull),
        ],
        "aws": [
            *("aws", "--endpoint-url", endpoint, "s3", "cp", "--recursive", "--only-show-errors"),
            *(str(source), f"{to}/"),
        ],
    }
    installed = {
        name: shutil.which(arguments[0], path=_path()) for name, arguments in found.items()
    }
    return {
        name: [str(installed[name]), *arguments[1:]]
        for name, arguments in found.items()
        if installed[name]
    }


def _path() -> str:
    return f"{PEERS}{os.pathsep}{os.environ.get('PATH', '')}"


@contextlib.contextmanager
def empty_bucket(server: SeaweedFS) -> Iterator[str]:
    """Yield a bucket that is removed with its content."""
    bucket = server.new_bucket()
    try:
        yield bucket
    finally:
        server.client().delete_bucket(Bucket=bucket)


def cpu_s(arguments: list[str], env: Mapping[str, str], scratch: Path) -> float:
    """Run a command, which must succeed, and return its CPU seconds."""
    done = measured(arguments, scratch, env)
    if done.exit_code:
        raise SystemExit(f"{arguments[0]}: {done.stderr[-2000:]}")
    print(f"{done.cpu_s:8.2f} s  {Path(arguments[0]).name}", file=sys.stderr)
    return done.cpu_s


def copying(server: SeaweedFS, source: Path, rounds: int, scratch: Path) -> dict[str, Any]:
    """Measure every tool on one dataset."""
    names = list(commands_of(source, "bucket", server.url))

    def run(name: str) -> float:
        with empty_bucket(server) as bucket:
            arguments = commands_of(source, bucket, server.url)[name]
            return cpu_s(arguments, server.settings(), scratch)

    found = interleaved({name: lambda name=name: run(name) for name in names}, rounds)
    return {
        name: {"cpu_s": summary(values, 2), "requests": requests_of(server, source, name, scratch)}
        for name, values in found.items()
    }


def requests_of(server: SeaweedFS, source: Path, name: str, scratch: Path) -> dict[str, int]:
    """Count the requests of one copy, by method."""
    with empty_bucket(server) as bucket, FaultProxy(server.port) as proxy:
        arguments = commands_of(source, bucket, proxy.url)[name]
        cpu_s(arguments, server.settings(proxy.url), scratch)
        return counted(proxy)


def counted(proxy: FaultProxy) -> dict[str, int]:
    """Return the requests that a proxy has seen, by method."""
    methods = Counter(one.method for one in proxy.seen)
    return {"all": methods.total(), **dict(sorted(methods.items()))}


def growth(server: SeaweedFS, source: Path, shards: int, scratch: Path) -> dict[str, Any]:
    """Measure the commands that ask for every shard of a dataset, once each, with requests."""
    found: dict[str, Any] = {"shards": shards}
    with empty_bucket(server) as bucket, FaultProxy(server.port) as proxy:
        to, us = f"s3://{bucket}/data", (sys.executable, "-m", "wdsremux")
        for name, arguments in {
            "sync": ("sync", str(source), to),
            "sync again": ("sync", str(source), to),
            "verify": ("verify", to),
            "ls --samples": ("ls", to, "--samples"),
        }.items():
            proxy.seen.clear()
            taken_s = cpu_s([*us, *arguments], server.settings(proxy.url), scratch)
            found[name] = {"cpu_s": round(taken_s, 2), "requests": counted(proxy)}
    return found


def main() -> None:
    """Measure what is asked for, and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="small,large,many")
    given = parser.parse_args()
    folder = given.out.parent / "syncing"
    results: dict[str, Any] = {}
    with SeaweedFS() as server:
        for name in given.only.split(","):
            shards, size_bytes = WORKLOADS.get(name, (MANY, MANY_BYTES))
            make_dataset(folder / name, shards, size_bytes)
            if name == "many":
                results[name] = growth(server, folder / name, shards, folder)
            else:
                results[name] = copying(server, folder / name, given.rounds, folder)
    about = {"machine": machine(), "commit": commit(), "rounds": given.rounds}
    given.out.write_text(json.dumps(about | {"results": results}, indent=1) + "\n")
    for name, result in results.items():
        for tool, one in result.items():
            print(f"{name:6} {tool:14} {one}")


if __name__ == "__main__":
    main()
