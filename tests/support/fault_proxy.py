"""A proxy between a client and an HTTP server that injects the faults it is configured with.

Signatures cover the Host header, so it is forwarded unchanged: the server sees the proxy's.
"""

import asyncio
import contextlib
import re
import socket
import struct
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from support.proxy_server import ProxyServer

CHUNK = 65_536
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>injected</Message></Error>"


class Seen(NamedTuple):
    """One request."""

    method: str
    target: str


@dataclass
class Fault:
    """What to do to the requests that match.

    * "status": answer `n` at once, without asking the server
    * "reset": reset both connections after `n` bytes of the request's body
    * "hang": after `n` bytes of the request's body, move nothing more
    * "flip": change one bit of byte `n` of the request's body
    * "flip_answer": change one bit of byte `n` of the answer's body
    * "lose_answer": let the server do it, then reset the connection instead of passing the answer on
    * "cut_answer": reset the connection after `n` bytes of the answer's body
    * "hold": wait before the request is forwarded, until `release` is set
    """

    action: str
    n: int = 0
    method: str = ""
    match: str = ""
    """A regular expression for path and query."""
    times: int | None = 1
    hits: int = 0
    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)

    def hit(self, seen):
        """Return whether a request is to be broken, and count it."""
        if self.method not in ("", seen.method) or not re.search(self.match, seen.target):
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        self.hits += 1
        self.reached.set()
        return True


class Broken(Exception):  # noqa: N818 (it is what we do, not what went wrong)
    """The connection is to be reset."""


class FaultProxy(ProxyServer):
    """Listens on a port of its own while the block runs."""

    def __init__(self, upstream_port):
        super().__init__(upstream_port)
        self.faults = []
        self.seen = deque()

    def add(self, action, n=0, **details):
        """Break the requests that match from now on; returns the fault, which counts its hits."""
        fault = Fault(action, n, **details)
        self.faults.append(fault)
        return fault

    def count(self, method, match=""):
        """Return how many such requests were seen."""
        return sum(one.method == method and bool(re.search(match, one.target)) for one in self.seen)

    def __exit__(self, *exc):
        for fault in self.faults:
            fault.release.set()
        super().__exit__(*exc)

    async def _serve(self, reader, writer):
        above = None
        self._tasks.add(asyncio.current_task())
        # Python 3.11 prints a traceback for a cancelled handler; only `_close` cancels.
        with contextlib.suppress(asyncio.CancelledError):
            try:
                above = await asyncio.open_connection("127.0.0.1", self.upstream_port)
                while await self._pass_on(reader, writer, *above):
                    pass
            except (Broken, OSError, EOFError):
                reset(writer)
            finally:
                if above:
                    above[1].close()
                writer.close()
                self._tasks.discard(asyncio.current_task())

    async def _pass_on(self, reader, writer, above_reader, above_writer):
        """Pass one request and its answer on; return whether the connection stays."""
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        seen = Seen(method, target)
        self.seen.append(seen)
        faults = {fault.action: fault for fault in self.faults if fault.hit(seen)}
        if "hold" in faults:
            await asyncio.to_thread(faults["hold"].release.wait)
        if "status" in faults:
            body = b"" if method == "HEAD" else SLOW_DOWN
            line = f"HTTP/1.1 {faults['status'].n} X\r\nContent-Length: {len(body)}\r\n"
            writer.write(line.encode() + b"Connection: close\r\n\r\n" + body)
            await writer.drain()
            return False
        above_writer.write(head)
        if field_of(head, "expect"):
            interim = await above_reader.readuntil(b"\r\n\r\n")
            writer.write(interim)
            if b" 100 " not in interim.split(b"\r\n", 1)[0]:
                await copy(body_of(above_reader, interim), writer)
                return False
        await self._pass_body(body_of(reader, head, is_request=True), above_writer, faults)
        answer = await above_reader.readuntil(b"\r\n\r\n")
        if "lose_answer" in faults:
            raise Broken
        writer.write(answer)
        if method != "HEAD" and b" 204 " not in answer.split(b"\r\n", 1)[0]:
            flip = faults.get("flip_answer")
            await copy(body_of(above_reader, answer), writer, faults.get("cut_answer"), flip)
        await writer.drain()
        return "close" not in field_of(head, "connection") + field_of(answer, "connection")

    async def _pass_body(self, body, writer, faults):
        at = 0
        async for data, is_content in body:
            passed = data
            if is_content:
                for action in ("reset", "hang"):
                    if action in faults and at + len(data) > faults[action].n:
                        writer.write(data[: max(0, faults[action].n - at)])
                        if action == "hang":
                            await asyncio.Event().wait()
                        reset(writer)
                        raise Broken
                if "flip" in faults and at <= faults["flip"].n < at + len(data):
                    changed = bytearray(data)
                    changed[faults["flip"].n - at] ^= 1
                    passed = bytes(changed)
                at += len(data)
            writer.write(passed)
            await writer.drain()


def reset(writer):
    """Close a connection by RST, as a router does that lost its state."""
    with contextlib.suppress(OSError):
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


def field_of(head, name):
    """Return a header field in small letters, empty where there is none."""
    found = re.search(rb"(?im)^" + name.encode() + rb":[ \t]*(.*?)\r$", head)
    return found[1].decode("latin-1").lower() if found else ""


async def copy(body, writer, cut=None, flip=None):
    """Pass an answer's body on, or the first `cut.n` bytes of it."""
    at = 0
    async for data, is_content in body:
        if is_content and cut is not None and at + len(data) > cut.n:
            writer.write(data[: max(0, cut.n - at)])
            await writer.drain()
            raise Broken
        if is_content and flip is not None and at <= flip.n < at + len(data):
            changed = bytearray(data)
            changed[flip.n - at] ^= 1
            writer.write(bytes(changed))
        else:
            writer.write(data)
        at += len(data) if is_content else 0
        await writer.drain()


async def body_of(reader, head, *, is_request=False):
    """Yield a body in pieces, each with whether it is content or framing."""
    length = field_of(head, "content-length")
    if "chunked" in field_of(head, "transfer-encoding"):
        pieces = chunks(reader)
    elif length or is_request:
        pieces = exactly(reader, int(length or 0))
    else:
        pieces = until_closed(reader)
    async for data, is_content in pieces:
        yield data, is_content


async def chunks(reader):
    """Yield a body that has the size of each piece before it, and what follows the last."""
    size = -1
    while size:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        yield line, False
        async for piece in exactly(reader, size):
            yield piece
        if size:
            yield await reader.readexactly(2), False
    while line != b"\r\n":
        line = await reader.readuntil(b"\r\n")
        yield line, False


async def exactly(reader, size):
    """Yield that many bytes of content."""
    while size:
        data = await reader.read(min(size, CHUNK))
        if not data:
            raise EOFError
        size -= len(data)
        yield data, True


async def until_closed(reader):
    """Yield content until the connection ends."""
    while data := await reader.read(CHUNK):
        yield data, True
