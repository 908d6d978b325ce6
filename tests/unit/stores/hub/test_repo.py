"""A branch of the Hub: commits whose answers are lost, and what reading is refused."""

import importlib
from types import SimpleNamespace

import pytest
from huggingface_hub.errors import HfHubHTTPError

from wdsremux.core.errors import StoreError, UnreachableStoreError
from wdsremux.stores.hub import repo as repos
from wdsremux.stores.hub.answers import HttpError
from wdsremux.stores.hub.errors import OVERTAKEN
from wdsremux.stores.hub.repo import Attempt, HubRepo

# The HTTP library of the client.
http = importlib.import_module(HttpError.__module__.partition(".")[0])


def answer(status, content=b"", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = http.Request("GET", "https://hub/datasets/u/n/a?Signature=SECRET")
    return http.Response(status, content=content, headers=headers, request=request)


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
    return Attempt([], "message", lambda: stands)


def test_a_commit_whose_answer_was_lost_is_followed_though_the_hub_went_away_then(api, repo):
    api.loses_answer = True
    with pytest.raises(UnreachableStoreError):
        repo.commit(attempt(stands=True))
    api.is_away = True
    with pytest.raises(UnreachableStoreError):
        repo.commit(attempt(stands=False))
    api.is_away = False
    repo.commit(attempt(stands=False))
    assert api.commits == 2


def test_a_commit_of_somebody_else_is_not_followed(api, repo):
    api.commits += 1
    with pytest.raises(StoreError, match="another writer has committed"):
        repo.commit(attempt(stands=False))
    assert api.commits == 1


def read(monkeypatch, found):
    """Read the first two bytes of a file when the server gives what was found."""
    session = SimpleNamespace(get=lambda *_, **__: found)
    monkeypatch.setattr(repos, "get_session", lambda: session)
    return repos._fetch("https://hub/a", "read 'a'", 0, 2)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 503])
def test_what_may_be_read_later_is_unreachable(monkeypatch, status):
    with pytest.raises(UnreachableStoreError, match=f"cannot read 'a': .*{status}"):
        read(monkeypatch, answer(status))


def test_a_pause_that_the_hub_asks_for_while_it_is_read_is_told(monkeypatch):
    with pytest.raises(UnreachableStoreError) as caught:
        read(monkeypatch, answer(429, Retry_After="9"))
    assert caught.value.retry_after_s == 9


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (answer(401), "hf auth login"),
        (answer(403), "read or write access"),
        (answer(404), "the repository does not exist"),
        (answer(416), "the Hub answers 416"),
        (answer(200, b"xyz"), r"ignored the Range header \(200\); check for a proxy"),
        (answer(206, b"x"), r"ignored the Range header \(206\); check for a proxy"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_remedy(monkeypatch, found, says):
    with pytest.raises(StoreError, match=says) as caught:
        read(monkeypatch, found)
    assert type(caught.value) is StoreError
    assert "SECRET" not in str(caught.value)


def test_what_was_asked_for_is_given(monkeypatch):
    assert read(monkeypatch, answer(206, b"xy")) == b"xy"
