"""`python -m wdsremux` is the command `wdsremux`."""

from wdsremux.cli import command

if __name__ == "__main__":
    command()
