"""The command `wdsremux`, also as `python -m wdsremux`.

Short because it handles Ctrl-C before anything slow is imported.
"""

import sys
from typing import NoReturn

from wdsremux.cli import console
from wdsremux.cli.supervisor import supervise


def command() -> NoReturn:
    """Run the command line and end the process; Ctrl-C works from the first moment."""
    console.open_closed_streams()
    try:
        supervise()
        from wdsremux.cli.main import command as run  # noqa: PLC0415 (the first thing that takes time)

        run()
    except KeyboardInterrupt:
        console.err("wdsremux: stopped before anything was done")
        sys.exit(130)


if __name__ == "__main__":
    command()
