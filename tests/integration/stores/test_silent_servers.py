"""A server that accepts connections and never answers is shown on the terminal, soon and by name."""

import socket
import threading

import pytest
from support.terminal import on_a_terminal

pytestmark = pytest.mark.integration


@pytest.fixture
def silent():
    """Return the environment of an S3 server that never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        held = []

        def accept():
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.getsockname()[1]}",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_REGION": "us-east-1",
        }
        server.shutdown(socket.SHUT_RDWR)
        for connection in held:
            connection.close()


@pytest.mark.parametrize(
    "words", [("verify",), ("ls",), ("convert", "demo:")], ids=lambda words: words[0]
)
def test_a_silent_s3_server_is_a_line_and_the_status(silent, words):
    in_bar = "s3://bucket/folder unreachable, retrying, "
    code, shown = on_a_terminal(
        [*words, "s3://bucket/folder"], 100, interrupt_when=lambda shown: in_bar in shown, **silent
    )
    assert code == 130, shown
    assert "s3://bucket/folder does not answer; still waiting" in shown
    assert in_bar in shown
