"""The command `wdsremux`, also as `python -m wdsremux`."""

import sys
from typing import NoReturn

from wdsremux.cli.console import complain
from wdsremux.cli.supervisor import watch


def command() -> NoReturn:
    """Run the command line and end the process; Ctrl-C is heard from the first moment on."""
    try:
        arm = watch()
        from wdsremux.cli.main import command as run  # noqa: PLC0415 (the first thing that takes time)

        run(arm)
    except KeyboardInterrupt:
        complain("wdsremux: stopped before anything was done")
        sys.exit(130)


if __name__ == "__main__":
    command()
