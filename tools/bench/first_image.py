"""Prints how long after the start of a process the first image of a dataset was done, as JSON."""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

HEAVY = ("datasets", "pandas", "torch")


def main() -> None:
    """Start a process that converts one row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--src", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--began", type=float, help="for the process that is started")
    given = parser.parse_args()
    if given.began is None:
        # The system's own notes of when a process began go wrong where the clock was set since.
        subprocess.run([*sys.orig_argv, "--began", str(time.time())], check=True)
    else:
        convert_one(given.src, given.out, given.began)


def convert_one(source: Path, out: Path, began: float) -> None:
    """Convert one row and look at the clock when its batch arrives."""
    import wdsremux
    from wdsremux.core.events import Advanced, Event
    from wdsremux.transforms.steps.catalogue import FOUNDING

    moments: list[float] = []

    def note(event: Event) -> None:
        if isinstance(event, Advanced):
            moments.append(time.time() - began)

    wdsremux.convert(str(source), out, steps=FOUNDING, limit=1, observer=note)
    heavy = [name for name in HEAVY if name in sys.modules]
    print(json.dumps({"seconds": moments[0], "heavy_modules": heavy}))


if __name__ == "__main__":
    main()
