"""Requests and answers on the wire: bodies, ranges, faults, bandwidth, access."""

import contextlib
import io
import json
import re
import socket
import struct
import sys
import time
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, quote, urlsplit

from .options import HubError

BLOCK = 1 << 16
RETRY_STATUSES = ("503", "500", "429")


class Wire(BaseHTTPRequestHandler):
    """What all routes need; `hub` is set by the server, `dispatch` by the routes."""

    protocol_version = "HTTP/1.1"
    server_version = "hubserver/1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    timeout = 120
    hub = None

    def log_message(self, *args):
        """Print nothing."""

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (OSError, ValueError):  # the other side has gone, or the server was stopped
            self.close_connection = True

    def finish(self):
        with contextlib.suppress(OSError):
            super().finish()

    def do_GET(self):
        self.start_request()
        self.hub.begin()
        try:
            self.answer()
        finally:
            try:
                self.wfile.flush()
            except (OSError, ValueError):
                self.close_connection = True
            self.hub.record(self)

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 (the same)

    def start_request(self):
        """Forget the request before this one on the connection."""
        self.sent, self.status, self.route, self.repo = 0, 0, "none", None
        self.fault, self.body_done, self.is_counted = None, False, False
        url = urlsplit(self.path)
        self.url_path = url.path
        query = parse_qs(url.query, keep_blank_values=True)
        self.query = {k: v[-1] for k, v in query.items()}

    def answer(self):
        """Answer one request, with its fault."""
        try:
            time.sleep(self.hub.options.latency_s)
            self.fault = self.hub.draw_fault(self.command, self.path)
            if self.fault in RETRY_STATUSES:
                raise self.injected(int(self.fault))
            if self.fault == "reset":
                self.reset_connection()
                return
            self.dispatch()
        except HubError as error:
            self.send_error_answer(error)
        except (BrokenPipeError, ConnectionResetError):
            self.status = self.status or 499
            self.close_connection = True
        except Exception as error:  # noqa: BLE001 (a bug here must not look like a flaky network)
            if not self.status:
                self.send_json({"error": f"hubserver bug: {error!r}"}, 501)
            self.close_connection = True
            sys.stderr.write(f"hubserver: {self.command} {self.path}: {error!r}\n")

    def injected(self, status):
        """Return the error of an injected fault."""
        after = self.hub.options.retry_after
        headers = {"Retry-After": after} if status != 500 and after is not None else {}
        return HubError(status, f"injected fault {status}", headers=headers)

    def reset_connection(self):
        """Drop the connection the hard way."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def send_error_answer(self, error):
        """Send an error with the message of the Hub."""
        headers = {"X-Error-Code": error.code} if error.code else {}
        headers |= {"X-Error-Message": error.message, **error.headers}
        self.send_json({"error": error.message}, error.status, headers)

    def body(self):
        """Return the request's body; empty the second time."""
        if self.body_done:
            return b""
        self.body_done = True
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        out = []
        while length := int(self.rfile.readline().split(b";")[0], 16):
            out.append(self.rfile.read(length))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(out)

    def send_head(self, status, headers):
        """Send status and headers."""
        self.body()  # keep-alive: an unread request body would be parsed as the next request
        self.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()

    def send_json(self, value, status=200, headers=None):
        """Send a JSON answer."""
        data = json.dumps(value).encode()
        kind = {"Content-Type": "application/json; charset=utf-8", "Content-Length": len(data)}
        self.send_head(status, {**kind, **(headers or {})})
        if self.command != "HEAD":
            self.send_body(io.BytesIO(data), len(data))

    def send_body(self, file, length):
        """Send bytes of an open file, at the configured rate, with the drawn fault."""
        rate = self.hub.options.bandwidth
        faulty = self.fault in ("cut", "stall", "short")
        left = length // 2 if faulty else length
        due = time.monotonic()
        while left and (block := file.read(min(left, BLOCK if rate else 1 << 20))):
            if rate:
                due = max(due, time.monotonic() - BLOCK / rate) + len(block) / rate
                time.sleep(max(0.0, due - time.monotonic()))
            self.wfile.write(block)
            if rate:
                self.wfile.flush()
            self.sent += len(block)
            left -= len(block)
        self.wfile.flush()
        if faulty:
            self.break_off()

    def break_off(self):
        """End an answer half way: "cut" and "stall" never reach the promised length."""
        if self.fault == "stall":
            self.hub.record(self)
            self.hub.stopping.wait(self.hub.options.stall_s)
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def send_file(self, blob, headers):
        """Send a file or the asked range of it."""
        start, stop, status = 0, blob.size, 200
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", (self.headers.get("Range") or "").strip())
        if asked and (asked[1] or asked[2]):
            start, stop = range_of(asked[1], asked[2], blob.size)
            if start >= stop:
                unsatisfied = {"Content-Range": f"bytes */{blob.size}", "Content-Length": 0}
                self.send_head(416, {**headers, **unsatisfied})
                return
            status = 206
            headers = {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{blob.size}"}
        length = stop - start
        reported = length // 2 if self.fault == "short" else length  # well-formed, but too short
        headers = {
            **headers,
            "Content-Type": "application/octet-stream",
            "Content-Length": reported,
            "Last-Modified": self.date_time_string(int(blob.mtime_ns / 1e9)),
            "Content-Disposition": f"inline; filename*=UTF-8''{quote(blob.path.rsplit('/', 1)[-1])}",
        }
        self.send_head(status, headers)
        if self.command != "HEAD":
            with open(blob.path, "rb") as file:  # noqa: PTH123
                file.seek(start)
                self.send_body(file, length)

    def bearer(self):
        """Return the token of the request."""
        value = self.headers.get("Authorization", "")
        return value[7:].strip() if value.lower().startswith("bearer ") else None

    def authed(self):
        """Return whether the request has the valid token; a wrong one is an error, as on the Hub."""
        valid, given = self.hub.options.token, self.bearer()
        if given and valid and given != valid:
            raise HubError(401, "Invalid credentials in Authorization header")
        return bool(valid) and given == valid

    def base_url(self):
        """Return how this client addresses us."""
        return f"http://{self.headers.get('Host') or self.hub.address}"


def range_of(first, last, size):
    """Return [start, stop) of a Range header's two numbers."""
    if first:
        return int(first), min(int(last) + 1, size) if last else size
    return max(0, size - int(last)), size
