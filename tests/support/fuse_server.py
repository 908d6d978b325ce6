"""Serves a mount that shows a folder and fails on order. Runs in a process of its own.

A line of JSON on stdin is an order, and is answered by a line; the end of stdin is the end of the mount.
"""

import errno
import json
import os
import re
import select
import struct
import sys
from dataclasses import dataclass, replace

from support import fuse_protocol as fuse
from support.fuse_passthrough import Passthrough


@dataclass
class Fault:
    """Calls that go wrong."""

    op: str
    """Regular expression for the whole name of an operation, or of `open-write`."""
    name: str = ""
    """Regular expression, searched in the name below the mount; of a rename that is the new one."""
    errno: int = 0
    """What the call ends with."""
    byte: int | None = None
    """Only reads and writes of this byte of a file."""
    flips: bool = False
    """The lowest bit of that byte is turned round."""
    at_most: int | None = None
    """Number of bytes that are read or written at once."""
    stalls: bool = False
    """The call waits until other faults are ordered."""
    skip: int = 0
    """Number of calls that succeed before."""
    times: int | None = None
    """Number of calls that fail; None: all that follow."""
    after: str | None = None
    """Only once a file was renamed to a name in which this is found."""

    def strikes(self, op, name, span):
        """Return whether a call goes wrong, and count it."""
        if self.after is not None or self.times == 0 or not re.fullmatch(self.op, op):
            return False
        if not re.search(self.name, name) or (self.byte is not None and self.byte not in span):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True

    def note(self, published):
        """Take note of a file that was renamed."""
        if self.after is not None and re.search(self.after, published):
            self.after = None

    def twist(self, data, offset):
        """Return what becomes of bytes that are read or written."""
        data = bytearray(data[: self.at_most])
        if self.flips and self.byte - offset < len(data):
            data[self.byte - offset] ^= 1
        return data


class Server:
    """Answers the kernel and takes orders, one after the other in one thread."""

    def __init__(self, connection, files):
        self.connection, self.files = connection, files
        self.faults, self.struck = [], 0
        self.waiting = {}
        """Requests that wait, by number."""

    def run(self):
        while True:
            readable, _, _ = select.select([self.connection.handle, sys.stdin], [], [])
            if sys.stdin in readable:
                line = sys.stdin.readline()
                if not line:
                    return
                self.obey(json.loads(line))
            elif (request := self.connection.receive()) is not None:
                self.take(request)

    def obey(self, order):
        """Answer an order with what the one before has come to; null only asks."""
        waiting = [f"{request.op} {self.files.name(request)}" for request in self.waiting.values()]
        reported = {"struck": self.struck, "waiting": waiting}
        if order is not None:
            self.faults, self.struck = [Fault(**fault) for fault in order["faults"]], 0
            self.files.room = order["room"]
            requests, self.waiting = [*self.waiting.values()], {}
            for request in requests:
                self.take(request)
        tell(reported)

    def take(self, request):
        """Do as a request wants, and answer it unless it wants no answer or has to wait."""
        if request.op == "init":
            self.connection.answer_init(request)
        elif request.op == "interrupt":
            interrupted = self.waiting.pop(*request.fields("Q"), None)
            if interrupted is not None:
                self.connection.answer(interrupted, error=errno.EINTR)
        elif request.op in ("forget", "batch_forget"):
            getattr(self.files, request.op)(request)
        else:
            self.answer(request)

    def answer(self, request):
        """Answer a request with what it comes to, faults and all."""
        try:
            do = getattr(self.files, request.op, None)
            if do is None:
                raise OSError(errno.ENOSYS, request.op)
            name = self.files.name(request)
            faults = self.striking(request, name)
            if any(fault.stalls for fault in faults):
                self.waiting[request.unique] = request
                return
            refuse(faults)
            payload = do(twisted(request, faults)) or b""
        except OSError as exc:
            self.connection.answer(request, error=exc.errno)
            return
        if request.op == "read":
            for fault in faults:
                payload = fault.twist(payload, request.fields("QQ")[1])
        elif request.op == "rename":
            for fault in self.faults:
                fault.note(name)
        self.connection.answer(request, payload)

    def striking(self, request, name):
        """Return the faults that strike a request."""
        op, span = request.op, range(0)
        if op in ("read", "write"):
            _, offset, size = request.fields("QQI")
            span = range(offset, offset + size)
        elif op == "open" and request.fields("I")[0] & os.O_ACCMODE != os.O_RDONLY:
            op = "open-write"
        found = [fault for fault in self.faults if fault.strikes(op, name, span)]
        self.struck += len(found)
        return found


def refuse(faults):
    """Raise the error that a request is to end with, if any."""
    for fault in faults:
        if fault.errno:
            raise OSError(fault.errno, os.strerror(fault.errno))


def twisted(request, faults):
    """Return a request as faults make it: a write has other data, all else is as it was."""
    if request.op != "write":
        return request
    head, data = request.body[: fuse.WRITE_IN_BYTES], request.body[fuse.WRITE_IN_BYTES :]
    _, offset = request.fields("QQ")
    for fault in faults:
        data = fault.twist(data, offset)
    return replace(request, body=head[:16] + struct.pack("=I", len(data)) + head[20:] + data)


def tell(what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def serve(folder, mountpoint, open_flags):
    """Mount and serve until stdin ends."""
    try:
        connection = fuse.Connection(mountpoint)
    except OSError as exc:
        tell({"problem": str(exc)})
        return
    try:
        tell({"problem": None})
        os.umask(0)
        Server(connection, Passthrough(folder, int(open_flags))).run()
    finally:
        connection.close()
