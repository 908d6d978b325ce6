"""A branch of the Hub: commits whose answers are lost, and what reading is refused."""

import importlib
from types import SimpleNamespace

import pytest
from huggingface_hub.errors import HfHubHTTPError

from wdsremux.core.errors import StoreError, UnreachableStoreError
from wdsremux.stores.hub import ranges
from wdsremux.stores.hub import repo as repos
from wdsremux.stores.hub.answers import HttpError
from wdsremux.stores.hub.errors import OVERTAKEN
from wdsremux.stores.hub.ranges import HubAccess, HubFile, RangeClient
from wdsremux.stores.hub.repo import HubRepo, PlannedCommit

# The HTTP library of the client.
http = importlib.import_module(HttpError.__module__.partition(".")[0])


def answer(status, content=b"", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = http.Request("GET", "https://hub/datasets/u/n/a?Signature=SECRET")
    if status == 206:
        headers |= {"content-range": f"bytes 0-{len(content) - 1}/3"}
    stream = http.ByteStream(content)
    return http.Response(status, stream=stream, headers=headers, request=request)


class Api:
    """One branch on a Hub that is away at will, or whose next answer is lost."""

    endpoint = "https://hub"

    def __init__(self):
        self.commits = 0
        self.is_away = self.loses_answer = False

    def repo_info(self, *_, **__):
        self.meet()
        return SimpleNamespace(sha=f"commit {self.commits}")

    def create_commit(self, *_, parent_commit, **__):
        self.meet()
        if parent_commit != f"commit {self.commits}":
            raise HfHubHTTPError("late", response=answer(OVERTAKEN))
        self.commits += 1
        if self.loses_answer:
            self.loses_answer = False
            raise http.ReadTimeout("lost")
        return SimpleNamespace(oid=f"commit {self.commits}")

    def meet(self):
        if self.is_away:
            raise http.ConnectError("away")


@pytest.fixture
def api():
    return Api()


@pytest.fixture
def repo(api):
    made = HubRepo("u/n", "main")
    made._api = api
    made.follow()
    return made


def attempt(*, stands):
    return PlannedCommit([], "message", lambda: stands)


def test_a_commit_with_a_lost_response_is_found_after_an_outage(api, repo):
    api.loses_answer = True
    with pytest.raises(UnreachableStoreError):
        repo.commit(attempt(stands=True))
    api.is_away = True
    with pytest.raises(UnreachableStoreError):
        repo.commit(attempt(stands=False))
    api.is_away = False
    repo.commit(attempt(stands=False))
    assert api.commits == 2


def test_a_foreign_commit_is_not_accepted(api, repo):
    api.commits += 1
    with pytest.raises(StoreError, match="another writer has committed"):
        repo.commit(attempt(stands=False))
    assert api.commits == 1


def read(monkeypatch, found):
    """Read the first two bytes of a file when the server answers with the given response."""
    session = http.Client(transport=http.MockTransport(lambda _request: found))
    monkeypatch.setattr(ranges, "get_session", lambda: session)
    access = HubAccess()
    file = HubFile("'a'", "https://hub/a", 3, access)
    return repos._fetch(RangeClient(access), file, 0, 2)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 503])
def test_temporary_read_errors_are_unreachable(monkeypatch, status):
    with pytest.raises(UnreachableStoreError, match=f"cannot read 'a': .*{status}"):
        read(monkeypatch, answer(status))


def test_an_answer_that_ends_early_is_unreachable(monkeypatch):
    with pytest.raises(UnreachableStoreError, match="the answer ended 1 bytes early"):
        read(monkeypatch, answer(206, b"x"))


def test_a_pause_requested_while_reading_is_reported(monkeypatch):
    with pytest.raises(UnreachableStoreError) as caught:
        read(monkeypatch, answer(429, Retry_After="9"))
    assert caught.value.retry_after_s == 9


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (answer(401), "hf auth login"),
        (answer(403), "request access on its page"),
        (answer(404), "it has been removed"),
        (answer(416), "its size has changed"),
        (answer(200, b"xyz"), "ignored the Range header; check for a proxy"),
    ],
)
def test_permanent_read_errors_name_their_remedy(monkeypatch, found, says):
    with pytest.raises(StoreError, match=says) as caught:
        read(monkeypatch, found)
    assert type(caught.value) is StoreError
    assert "SECRET" not in str(caught.value)


def test_exactly_the_requested_range_is_returned(monkeypatch):
    assert read(monkeypatch, answer(206, b"xy")) == b"xy"
