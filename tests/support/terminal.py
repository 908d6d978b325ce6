"""Runs a command on a terminal of its own, and shows what a person would see."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from support.runs import COMMAND, TIMEOUT_S


def on_a_terminal(arguments, columns, *, interrupt_when=None, **environment):
    """Return (exit code, everything that was shown); press Ctrl-C when a condition on it holds."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with subprocess.Popen(
        [COMMAND, *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", **environment},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 (one thread here)
    ) as process:
        os.close(theirs)
        shown, quiet_until = "", time.monotonic() + TIMEOUT_S
        while time.monotonic() < quiet_until:
            if interrupt_when is not None and interrupt_when(shown):
                os.write(ours, b"\x03")
                interrupt_when = None
            if not select.select([ours], [], [], 0.05)[0]:
                continue
            try:
                block = os.read(ours, 1 << 16)
            except OSError:  # Linux: the other side has closed
                break
            if not block:
                break
            shown, quiet_until = (
                shown + block.decode(errors="replace"),
                time.monotonic() + TIMEOUT_S,
            )
        os.close(ours)
    return process.returncode, shown


def screen(shown):
    """Return the lines that are left on the screen: later prints replace what they cover."""
    lines = []
    for line in re.sub(r"\x1b\[[0-9;]*m|\x1b\[A", "", shown).replace("\r\n", "\n").split("\n"):
        cells = []
        for part in line.split("\r"):
            cells[: len(part)] = part
        lines.append("".join(cells).rstrip())
    return [line for line in lines if line]
