"""A branch of the Hub: commits whose answers are lost."""

import importlib
from types import SimpleNamespace

import pytest
from huggingface_hub.errors import HfHubHTTPError

from wdsremux.errors import TargetError, UnreachableTargetError
from wdsremux.targets.hub.answers import OVERTAKEN, HttpError
from wdsremux.targets.hub.repo import Attempt, HubRepo

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
    with pytest.raises(UnreachableTargetError):
        repo.commit(attempt(stands=True))
    api.is_away = True
    with pytest.raises(UnreachableTargetError):
        repo.commit(attempt(stands=False))
    api.is_away = False
    repo.commit(attempt(stands=False))
    assert api.commits == 2


def test_a_commit_of_somebody_else_is_not_followed(api, repo):
    api.commits += 1
    with pytest.raises(TargetError, match="somebody else has committed"):
        repo.commit(attempt(stands=False))
    assert api.commits == 1
