"""Local servers for benchmarks, each in a process of its own that no contestant is charged for.

python tools/bench/serving.py files FOLDER
python tools/bench/serving.py hub ROOT --latency-s 0.03 --bandwidth 20000000

The URL is the first line of stdout; the server ends when its stdin is closed.
"""

import argparse
import functools
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).parents[2]


class _Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@contextmanager
def server(*arguments: str) -> Iterator[str]:
    """Run a server while the block runs, and yield its URL."""
    command = [sys.executable, __file__, *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout  # noqa: S101 (asked for above)
            url = process.stdout.readline().strip()
            if not url:
                raise RuntimeError(f"the server did not start: {' '.join(arguments)}")
            yield url
        finally:
            assert process.stdin  # noqa: S101 (asked for above)
            process.stdin.close()


def serve_files(folder: Path) -> None:
    """Serve a folder until stdin ends."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        print(f"http://127.0.0.1:{listener.server_address[1]}", flush=True)
        sys.stdin.read()
        listener.shutdown()


def serve_hub(root: Path, latency_s: float, bandwidth: int) -> None:
    """Serve the repos below a folder as the Hub would, until stdin ends."""
    sys.path.insert(0, str(ROOT / "tests"))
    from support.hub import HubServer, Options

    with HubServer(root, Options(latency_s=latency_s, bandwidth=bandwidth)) as hub:
        print(hub.url, flush=True)
        sys.stdin.read()


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("files", "hub"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latency-s", type=float, default=0.0)
    parser.add_argument("--bandwidth", type=int, default=0, help="bytes/s of each connection")
    given = parser.parse_args()
    if given.what == "files":
        serve_files(given.folder)
    else:
        serve_hub(given.folder, given.latency_s, given.bandwidth)


if __name__ == "__main__":
    main()
