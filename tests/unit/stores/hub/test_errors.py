"""How refusals of the Hub are reported, and that no message contains a secret."""

import pytest
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from wdsremux.core.errors import StoreError, UnreachableStoreError
from wdsremux.stores.hub.answers import HttpError, asked_pause_s, status_of
from wdsremux.stores.hub.errors import translating_errors
from wdsremux.stores.hub.ranges import HubAccess, HubFile, raise_for_status
from wdsremux.stores.patience import TemporaryError


class Answer:
    """As much of an answer as an exception of the client wants."""

    request = None

    def __init__(self, status, headers):
        self.status_code, self.headers = status, headers


def answered(status, said=None, **headers):
    """Return what the client raises for an answer."""
    text = f"{status} Error for url: https://hub/x?Signature=SECRET"
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return HfHubHTTPError(text, response=Answer(status, headers), server_message=said)


def reported(raised):
    """Return the error that an exception of the client becomes."""
    with pytest.raises(StoreError) as caught, translating_errors("write to hf://datasets/u/n"):
        raise raised
    assert "SECRET" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504])
def test_temporary_errors_are_unreachable(status):
    assert type(reported(answered(status))) is UnreachableStoreError
    assert str(status) in str(reported(answered(status)))


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (400, "the Hub answers 400; check the page"),
        (401, "hf auth login"),
        (403, "write access"),
        (404, "the repository does not exist"),
        (412, "another writer has committed"),
        (413, "the Hub answers 413"),
    ],
)
def test_permanent_errors_name_their_remedy(status, says):
    error = reported(answered(status))
    assert type(error) is StoreError
    assert says in str(error)


def test_messages_of_the_hub_are_shown_without_tokens_and_urls():
    said = "No space left\nfor hf_SECRETtoken, authorization: Bearer SECRET, see https://hub/SECRET"
    assert (
        "(message of the Hub: No space left for [hidden], authorization: [hidden] see [hidden])"
        in str(reported(answered(403, said)))
    )


COMMITS = "You have exceeded the rate limit for repository commits (128 per hour). "


@pytest.mark.parametrize(
    ("answer", "pause_s"),
    [
        (answered(429), 0),
        (answered(429, f"{COMMITS}You can retry this action in 43 minutes."), 43 * 60),
        (answered(429, f"{COMMITS}You can retry this action in an hour."), 3600),
        (answered(429, RateLimit='"api";r=0;t=55'), 55),
        (answered(429, RateLimit='"api";r=7;t=55'), 0),
        (answered(429, RateLimit='"api";r=7;t=55', Retry_After="9"), 9),
        (answered(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"), 0),
        (answered(503, Retry_After="9"), 0),
    ],
)
def test_the_pause_requested_by_the_hub_is_reported(answer, pause_s):
    assert reported(answer).retry_after_s == pause_s


def test_wrapped_errors_of_an_upload_are_inspected():
    wrapped = RuntimeError("Error while uploading 'a.tar' to the Hub.")
    wrapped.__cause__ = answered(503)
    assert status_of(wrapped) == 503
    assert type(reported(wrapped)) is UnreachableStoreError


def test_a_broken_connection_is_unreachable():
    for raised in (
        ConnectionResetError("SECRET"),
        HttpError("SECRET"),
        RuntimeError("the client has been closed"),
    ):
        assert type(reported(raised)) is UnreachableStoreError


def test_offline_mode_and_a_missing_local_file_are_reported():
    assert "unset HF_HUB_OFFLINE" in str(reported(OfflineModeIsEnabled("x")))
    assert "'a.tar': No such file; make it readable" in str(
        reported(FileNotFoundError(2, "No such file", "a.tar"))
    )
    assert "not good" in str(reported(ValueError("not\ngood")))


@pytest.mark.parametrize(
    ("headers", "pause_s"),
    [
        ({"Retry-After": "40"}, 40),
        ({"RateLimit": '"resolvers";r=0;t=163'}, 163),
        ({"ratelimit": '"resolvers";r=12;t=163', "retry-after": "5"}, 5),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0),
        ({}, 0),
    ],
)
def test_reading_respects_the_pause_requested_by_the_hub(headers, pause_s):
    file = HubFile("u/n a.parquet", "https://hub/a.parquet", 10, HubAccess())
    assert asked_pause_s(headers) == pause_s
    with pytest.raises(TemporaryError, match="the Hub answers 429") as caught:
        raise_for_status(429, headers, file)
    assert caught.value.retry_after_s == pause_s
