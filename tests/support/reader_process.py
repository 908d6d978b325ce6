"""A process of its own that reads a source, for tests of memory and of the interpreter's end.

    python reader_process.py LOCATION all    reads everything, prints {"rows": n, "peak_bytes": n}
    python reader_process.py LOCATION open   reads one row and ends with the stream left open

LOCATION is a folder or, with "hub:" before it, a dataset ID.
"""

import json
import resource
import sys
from pathlib import Path

from wdsremux.core.columns import Columns
from wdsremux.sources.parquet.local import open_parquet


def opened(location):
    if not location.startswith("hub:"):
        return open_parquet(location, subset=None, image_root=None)
    from wdsremux.sources.hub.layout import hub_layout
    from wdsremux.sources.parquet.hub import open_hub
    from wdsremux.stores.hub.ranges import HubAccess

    repo = location.removeprefix("hub:")
    layout = hub_layout(repo, subset=None, revision=None, access=HubAccess())
    return open_hub(layout, HubAccess())


def records(source):
    for unit in source.units("train", Columns("image", None, (), None), 0):
        yield from unit.read(0, unit.rows)


def peak_bytes():
    """Return the highest resident size of this process."""
    status = Path("/proc/self/status")
    if status.exists():  # unlike getrusage it does not count the parent before the exec
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def main(location, mode):
    stream = records(opened(location))
    if mode == "open":
        next(stream)
        sys.stdout.write("left open")
        return stream
    rows = sum(1 for _ in stream)
    sys.stdout.write(json.dumps({"rows": rows, "peak_bytes": peak_bytes()}))
    return None


if __name__ == "__main__":
    LEFT_OPEN = main(*sys.argv[1:])
