"""`python -m wdsremux` is the command `wdsremux`."""

import sys

from wdsremux.cli import main

if __name__ == "__main__":
    sys.exit(main())
