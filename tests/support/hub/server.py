"""The server: routes, faults drawn by a seed, counters, start and stop."""

import contextlib
import random
import re
import socket
import threading
from collections import Counter
from dataclasses import asdict, replace
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from .options import HubError, Options
from .store import Store
from .writes import Writes

REPO = r"(?P<repo>[^/]+/[^/]+)"
REVISION = r"(?P<revision>[^/]+)"
ROUTES = [
    (name, methods.split(), re.compile(pattern + "$"))
    for name, methods, pattern in (
        ("resolve", "GET HEAD", rf"/datasets/{REPO}/resolve/(?P<revision>.+?)/(?P<name>.+)"),
        ("cdn", "GET HEAD", rf"/cdn/{REPO}/(?P<revision>[0-9a-f]{{40}})/(?P<name>.+)"),
        ("tree", "GET", rf"/api/datasets/{REPO}/tree/{REVISION}(?:/(?P<name>.*))?"),
        ("paths_info", "POST", rf"/api/datasets/{REPO}/paths-info/{REVISION}"),
        ("info", "GET", rf"/api/datasets/{REPO}(?:/revision/{REVISION})?"),
        ("refs", "GET", rf"/api/datasets/{REPO}/refs"),
        ("commits", "GET", rf"/api/datasets/{REPO}/commits/{REVISION}"),
        ("branch", "POST", rf"/api/datasets/{REPO}/branch/{REVISION}"),
        ("preupload", "POST", rf"/api/datasets/{REPO}/preupload/{REVISION}"),
        ("commit", "POST", rf"/api/datasets/{REPO}/commit/{REVISION}"),
        ("lfs_batch", "POST", r"/datasets/(?P<repo>[^/]+/[^/]+?)\.git/info/lfs/objects/batch"),
        ("lfs_put", "PUT", r"/lfs/put/(?P<oid>[0-9a-f]{64})(?:/(?P<part>\d+))?"),
        ("lfs_done", "POST", r"/lfs/done/(?P<oid>[0-9a-f]{64})"),
        ("xet", "GET", rf"/api/datasets/{REPO}/xet-(?:read|write)-token/{REVISION}"),
        ("whoami", "GET", r"/api/whoami-v2"),
        ("create_repo", "POST", r"/api/repos/create"),
        ("delete_repo", "DELETE", r"/api/repos/delete"),
        ("settings", "PUT", rf"/api/(?:datasets/{REPO}|repos)/settings"),
        ("yaml", "POST", r"/api/validate-yaml"),
    )
]
SETTLE_S = 5.0
ONE_WORD_REPO = re.compile(r"(/api)?/datasets/[^/]+(/(resolve|tree|revision)/|$)")


class Routes(Writes):
    """Finds the route of a request."""

    def dispatch(self):
        if self.headers.get("Host", "").startswith("datasets-server."):
            raise HubError(404, "no dataset viewer here")
        if ONE_WORD_REPO.match(self.url_path):
            raise HubError(404 if self.bearer() else 401, "Repository not found", "RepoNotFound")
        for name, methods, pattern in ROUTES:
            match = pattern.match(self.url_path)
            if match and self.command in methods:
                self.route = name
                arguments = {k: unquote(v) if v else v for k, v in match.groupdict().items()}
                getattr(self, f"r_{name}")(**arguments)
                return
        raise HubError(404, f"Sorry, we can't find {self.command} {self.url_path}")


class Listener(ThreadingHTTPServer):
    """A threading server that can drop its open connections."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address, handler):
        super().__init__(address, handler)
        self.open_sockets = set()

    def handle_error(self, request, client_address):
        """Print nothing: broken connections are what the tests are about."""

    def process_request(self, request, client_address):
        self.open_sockets.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self.open_sockets.discard(request)
        super().shutdown_request(request)

    def stop(self, *, was_started):
        """End at once, open connections included: kept-alive ones would still be served."""
        if was_started:
            self.shutdown()
        self.server_close()
        for request in list(self.open_sockets):
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)


class HubServer:
    """A fake Hub over the repos below a folder; a context manager."""

    def __init__(self, root, options=None, port=0):
        self.options = options or Options()
        Path(root).mkdir(parents=True, exist_ok=True)
        self.store = Store(root, self.options)
        self.lock, self.stopping = threading.Condition(), threading.Event()
        self.signature = self.repos = self.in_flight = 0
        self.is_started = False
        self.reset()
        handler = type("Handler", (Routes,), {"hub": self})
        self.listeners = [Listener(("127.0.0.1", port), handler)]
        port = self.listeners[0].server_address[1]
        self.address = f"127.0.0.1:{port}"
        self.url = self.cdn_url = f"http://{self.address}"
        if self.options.redirect:
            # Another host, as on the Hub: clients must not send their token there. macOS has only 127.0.0.1.
            with contextlib.suppress(OSError):
                self.listeners.append(Listener(("127.0.0.2", port), handler))
                self.cdn_url = f"http://127.0.0.2:{port}"

    def configure(self, **changes):
        """Change options while running."""
        replace(self.options, **changes)  # refuses unknown names
        for name, value in changes.items():
            setattr(self.options, name, value)

    def reset(self):
        """Zero the counters and reseed the faults."""
        with self.lock:
            self.settle()
            self.rng = random.Random(self.options.seed)  # noqa: S311
            self.requests, self.bytes_sent = Counter(), 0
            self.faults = self.contents = 0
            self.requests_seen = []

    def draw_fault(self, method, path):
        """Return the fault of a request, or None."""
        options = self.options
        with self.lock:
            is_content = method == "GET" and re.search(options.fault_match, path)
            if options.dead_after is not None and self.contents >= options.dead_after:
                return "reset"
            if method not in options.fault_methods or not re.search(options.fault_match, path):
                return None
            enough = options.fault_max is not None and self.faults >= options.fault_max
            if not options.fault_rate or enough or self.rng.random() >= options.fault_rate:
                self.contents += bool(is_content)
                return None
            self.faults += 1
            return self.rng.choice(options.fault_kinds)

    def sign(self):
        """Return a signature."""
        return self.signature

    def revoke_signatures(self):
        """Let all URLs signed so far lapse."""
        self.signature += 1

    def fresh(self):
        """Take the default options and zero the counters: for the next test."""
        self.configure(**asdict(Options()))
        self.reset()

    def new_repo(self):
        """Return (repo id, its folder) of a new empty repo."""
        with self.lock:
            self.repos += 1
            repo = f"u/set{self.repos}"
        folder = self.store.root / repo
        folder.mkdir(parents=True)
        return repo, folder

    def begin(self):
        """Note that a request is being answered."""
        with self.lock:
            self.in_flight += 1

    def record(self, handler):
        """Count one request that was answered, once."""
        with self.lock:
            if handler.is_counted:
                return
            handler.is_counted = True
            self.requests[
                f"{handler.command} {handler.route} {handler.status or handler.fault}"
            ] += 1
            self.bytes_sent += handler.sent
            self.requests_seen.append((handler.command, handler.path, handler.headers.get("Range")))
            self.in_flight -= 1
            self.lock.notify_all()

    def settle(self):
        """Wait, with the lock held, until what clients have read is counted: that comes after it."""
        self.lock.wait_for(lambda: not self.in_flight, SETTLE_S)

    @property
    def sent(self):
        """How many bytes of bodies were sent."""
        with self.lock:
            self.settle()
            return self.bytes_sent

    @property
    def seen(self):
        """All requests: method, path, range asked for."""
        with self.lock:
            self.settle()
            return list(self.requests_seen)

    def count(self, start):
        """Return how many requests were counted under a name that starts so, e.g. "GET cdn"."""
        with self.lock:
            self.settle()
            return sum(n for name, n in self.requests.items() if name.startswith(start))

    def __enter__(self):
        self.start()
        return self

    def start(self):
        """Begin to serve; harmless when called twice."""
        if self.is_started:
            return
        self.is_started = True
        for listener in self.listeners:
            run = {"poll_interval": 0.05}
            threading.Thread(target=listener.serve_forever, kwargs=run, daemon=True).start()

    def stop(self):
        """End at once; harmless when called twice."""
        if not self.stopping.is_set():
            self.stopping.set()
            for listener in self.listeners:
                listener.stop(was_started=self.is_started)

    def __exit__(self, *exc):
        self.stop()
