"""Tells how long after the start of its process the first image of a dataset was done, as JSON."""

import argparse
import json
import sys
import time
from pathlib import Path

import psutil

HEAVY = ("datasets", "pandas", "torch")


def main() -> None:
    """Convert one row and look at the clock when its batch arrives."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--src", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    import wdsremux
    from wdsremux.events import Advanced, Event
    from wdsremux.transforms.steps import FOUNDING

    began = psutil.Process().create_time()
    moments: list[float] = []

    def note(event: Event) -> None:
        if isinstance(event, Advanced):
            moments.append(time.time() - began)

    wdsremux.convert(str(given.src), given.out, steps=FOUNDING, limit=1, observer=note)
    heavy = [name for name in HEAVY if name in sys.modules]
    print(json.dumps({"seconds": moments[0], "heavy_modules": heavy}))


if __name__ == "__main__":
    main()
