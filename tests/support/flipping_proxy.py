"""Passes TCP connections on, and flips one bit of what passes: heads, bodies, framing."""

import asyncio
import contextlib
import threading
from dataclasses import dataclass

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


class FlippingProxy:
    """Listens on a port of its own while the block runs."""

    def __init__(self, upstream_port):
        self.upstream_port = upstream_port
        self.up, self.down = Direction(), Direction()
        self._tasks = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def flip(self, direction, at):
        """Count from zero, and flip a bit of one byte to come; nothing with `at` None."""
        self.up, self.down = Direction(), Direction()
        getattr(self, direction).flip_at = at

    def __enter__(self):
        self._thread.start()
        listening = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(listening, self._loop).result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *exc):
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

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
