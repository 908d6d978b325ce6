"""Passes TCP connections on, and flips one bit of what passes: heads, bodies, framing."""

import asyncio
import contextlib
from dataclasses import dataclass

from support.proxy_server import ProxyServer

CHUNK = 65_536


@dataclass
class Direction:
    """The bytes of all connections in one direction."""

    passed: int = 0
    flip_at: int | None = None
    """The byte to change, counted over all connections."""
    flips: int = 0

    def changed(self, data):
        """Count bytes, and return them with the flip if it is among them."""
        at = None if self.flip_at is None else self.flip_at - self.passed
        self.passed += len(data)
        if at is None or not 0 <= at < len(data):
            return data
        self.flips += 1
        return data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :]


class FlippingProxy(ProxyServer):
    """Changes one bit of what passes, where it was asked to."""

    def __init__(self, upstream_port):
        super().__init__(upstream_port)
        self.up, self.down = Direction(), Direction()

    def flip(self, direction, at):
        """Count from zero, and flip a bit of one byte to come; nothing with `at` None."""
        self.up, self.down = Direction(), Direction()
        getattr(self, direction).flip_at = at

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        above = None
        with contextlib.suppress(OSError, asyncio.CancelledError):
            above = await asyncio.open_connection("127.0.0.1", self.upstream_port)
            ends = (self._pump(reader, above[1], "up"), self._pump(above[0], writer, "down"))
            both = [asyncio.ensure_future(end) for end in ends]
            try:
                # The first side that closes ends both.
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for end in both:
                    end.cancel()
                await asyncio.gather(*both, return_exceptions=True)
        for end in (writer, above[1] if above else writer):
            end.close()
        self._tasks.discard(asyncio.current_task())

    async def _pump(self, reader, writer, direction):
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                writer.write(getattr(self, direction).changed(data))
                await writer.drain()
