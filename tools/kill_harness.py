"""Kill a conversion at random moments, run it again, and compare the bytes with an undisturbed run.

    python tools/kill_harness.py --kills 1000
    python tools/kill_harness.py --kills 99 --seed 7 --source user/name -- --step resize=224

Each kill is `kill -9` of the whole process group, after which every file under its final name must
be complete. The same command then resumes; the result must be that of an uninterrupted run, and
the next conversion begins. Ends with 1 at the first difference, and leaves the folder to be looked
at. Needs the development environment (`make setup`) and a system with process groups.
"""

import argparse
import contextlib
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

PRIVATE = (".wdsremux-tmp", "lock")
"""How the names of files end that are not published."""

WAIT_S = 120.0
DEFAULTS = ("--split", "all", "--step", "random-resized-crop=48", "--max-shard-size", "150KB")


class HarnessError(Exception):
    """What must not happen has happened."""


def tree_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder, by name."""
    found = {}
    for path in sorted(folder.rglob("*")):
        with contextlib.suppress(FileNotFoundError):  # a temporary file that was just renamed
            if path.is_file():
                name = path.relative_to(folder).as_posix()
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def published_files(folder: Path) -> int:
    """Return how many published files there are."""
    found = 0
    for path in (folder, folder / ".wdsremux"):
        with contextlib.suppress(FileNotFoundError), os.scandir(path) as entries:
            found += sum(not entry.name.endswith(PRIVATE) and entry.is_file() for entry in entries)
    return found


class Harness:
    """One command, its undisturbed output, and runs of it that are killed."""

    def __init__(self, command: list[str], folder: Path, rng: random.Random) -> None:
        self.command, self.folder, self.rng = command, folder, rng
        self.kills = self.finished = 0
        began = time.monotonic()
        self.run_to_the_end(folder / "reference")
        self.duration_s = time.monotonic() - began
        self.reference = tree_of(folder / "reference")

    def start(self, out: Path) -> subprocess.Popen[bytes]:
        """Start the command in a process group of its own."""
        arguments = [word.replace("{out}", str(out)) for word in self.command]
        with (self.folder / "errors.txt").open("wb") as errors:
            return subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )

    def run_to_the_end(self, out: Path) -> None:
        """Run the command undisturbed."""
        self.check_end(self.start(out).wait(WAIT_S))

    def check_end(self, code: int) -> None:
        """Demand a good end."""
        if code:
            errors = (self.folder / "errors.txt").read_text(errors="replace")
            raise HarnessError(f"the command ended with {code}:\n{errors}")

    def disturb(self, out: Path) -> bool:
        """Run the command and kill it at a random moment; return whether it ended before."""
        process = self.start(out)
        self.wait(process, out)
        workers: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            workers = psutil.Process(process.pid).children(recursive=True)
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        code = process.wait(WAIT_S)
        if code != -signal.SIGKILL:
            self.check_end(code)
            return True
        self.kills += 1
        self.check_workers(workers)
        self.check_published(out)
        return False

    def wait(self, process: subprocess.Popen[bytes], out: Path) -> None:
        """Wait for a random moment: any, or soon after one more file was published."""
        now = time.monotonic()
        if self.rng.random() < 0.25:
            end, files = now + self.rng.uniform(0, self.duration_s), sys.maxsize
        else:
            there = published_files(out)
            files = self.rng.randint(there, max(there, len(self.reference))) + 1
            end = now + WAIT_S
        while process.poll() is None and time.monotonic() < end and published_files(out) < files:
            time.sleep(0.002)
        if process.poll() is None:
            time.sleep(self.rng.uniform(0, 0.01))

    def check_workers(self, workers: list[psutil.Process]) -> None:
        """Demand that the workers, which lead groups of their own, end with their parent."""
        _, alive = psutil.wait_procs(workers, timeout=30)
        if alive:
            raise HarnessError(f"orphans: {[worker.pid for worker in alive]}")

    def check_published(self, out: Path) -> None:
        """Demand that published files are complete."""
        for name, digest in tree_of(out).items():
            if not name.endswith(PRIVATE) and self.reference.get(name) != digest:
                raise HarnessError(f"{name} is not whole after kill {self.kills}, in {out}")

    def check_finished(self, out: Path) -> None:
        """Demand the very tree of the undisturbed run, and begin a new one."""
        found, wanted = tree_of(out), self.reference
        if found != wanted:
            missing, extra = sorted(wanted.keys() - found), sorted(found.keys() - wanted)
            differing = [name for name in found if found[name] != wanted.get(name, found[name])]
            raise HarnessError(
                f"after kill {self.kills}, in {out}: missing {missing}, extra {extra}, "
                f"differing {differing}"
            )
        self.finished += 1
        shutil.rmtree(out)

    def run(self, kills: int) -> None:
        """Kill that many runs, each conversion as often as it takes until it is finished."""
        out = self.folder / "out"
        while self.kills < kills:
            if self.disturb(out):
                self.check_finished(out)
            elif self.kills % 50 == 0:
                print(f"{self.kills} kills, {self.finished} conversions finished", flush=True)
        self.run_to_the_end(out)
        self.check_finished(out)


def command_from(options: argparse.Namespace) -> list[str]:
    """Return the command, with {out} for the output folder."""
    if options.command:
        return list(options.command)
    wdsremux = str(Path(sys.executable).with_name("wdsremux"))
    arguments = options.arguments or list(DEFAULTS)
    return [wdsremux, "convert", options.source, "{out}", "--progress", "none", *arguments]


def parsed() -> argparse.Namespace:
    """Read the command line."""
    arguments = sys.argv[1:]
    at = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=None, help="of the moments; printed")
    parser.add_argument("--source", default="demo:", help="what is converted")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary one by default")
    parser.add_argument(
        "--command", action="store_true", help="what follows -- is a whole command, with {out}"
    )
    options = parser.parse_args(arguments[:at])
    options.arguments = arguments[at + 1 :]
    options.command = options.arguments if options.command else []
    return options


def main() -> int:
    """Run the harness and return its exit code."""
    options = parsed()
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    folder = options.folder or Path(tempfile.mkdtemp(prefix="wdsremux-kills-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"seed {seed}, folder {folder}", flush=True)
    try:
        harness = Harness(command_from(options), folder, random.Random(seed))  # noqa: S311
        harness.run(options.kills)
    except HarnessError as exc:
        print(f"FAILED (seed {seed}): {exc}")
        return 1
    print(
        f"{harness.kills} kills (seed {seed}): {harness.finished} conversions finished with the "
        f"bytes of an undisturbed run, {len(harness.reference)} files each"
    )
    if options.folder is None:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
