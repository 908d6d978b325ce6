"""How refusals of S3 are reported: permanent or temporary, and never with a secret."""

import sys

import pytest
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from wdsremux.core.errors import StoreError, UnreachableStoreError, UsageError
from wdsremux.stores.registry import open_store
from wdsremux.stores.s3.errors import RefusalError, s3_error

SIGNED_URL = "https://s3.example/bucket/key?X-Amz-Signature=secret-signature"


def reported(exc):
    return s3_error(exc, "write 's3://bucket/a.tar'", "bucket", "https://s3.example")


def refused(code, status):
    answer = {
        "Error": {"Code": code, "Message": "token secret-signature"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return reported(boto.ClientError(answer, "PutObject"))


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("SlowDown", 503), ("InternalError", 500), ("502", 502), ("TooManyRequests", 429),
        ("RequestTimeout", 400), ("ConditionalRequestConflict", 409), ("", 504),
    ],
)  # fmt: skip
def test_a_busy_server_is_retried(code, status):
    error = refused(code, status)
    assert isinstance(error, UnreachableStoreError)
    assert "'s3.example' is busy or failing" in str(error)


@pytest.mark.parametrize(
    ("code", "status", "arguments"),
    [
        ("NoSuchBucket", 404, "bucket 'bucket' does not exist at 's3.example'; create it"),
        ("InvalidAccessKeyId", 403, "refuses the keys (InvalidAccessKeyId); check AWS_PROFILE"),
        ("ExpiredToken", 400, "refuses the keys (ExpiredToken)"),
        ("RequestTimeTooSkewed", 403, "set the clock"),
        ("AccessDenied", 403, "bucket 'bucket' refuses it (AccessDenied); check the keys, their"),
        ("403", 403, "and the clock of this machine"),
        ("PermanentRedirect", 301, "is in another region; set AWS_REGION"),
        ("NotImplemented", 501, "(NotImplemented); see the documentation"),
        ("{bucket.__class__}", 400, "({bucket.__class__}); see the documentation"),
    ],
)
def test_a_permanent_refusal_says_what_to_do(code, status, arguments):
    error = refused(code, status)
    assert isinstance(error, RefusalError)
    assert str(error).startswith("cannot write 's3://bucket/a.tar': ")
    assert arguments in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    "exc",
    [
        boto.EndpointConnectionError(endpoint_url=SIGNED_URL),
        boto.ConnectTimeoutError(endpoint_url=SIGNED_URL),
        boto.ReadTimeoutError(endpoint_url=SIGNED_URL),
        boto.ConnectionClosedError(endpoint_url=SIGNED_URL),
        boto.SSLError(endpoint_url=SIGNED_URL, error="EOF occurred"),
        boto.ResponseStreamingError(error="broken"),
        ConnectionResetError(104, "reset"),
    ],
)
def test_a_failed_connection_is_retried(exc):
    error = reported(exc)
    assert isinstance(error, UnreachableStoreError)
    assert "no connection to 's3.example'" in str(error)
    assert "secret" not in str(error)


def test_a_login_in_the_endpoint_is_not_shown():
    endpoint = "https://me:secret@s3.example:9000"
    busy = {"Error": {"Code": "SlowDown"}, "ResponseMetadata": {"HTTPStatusCode": 503}}
    for exc in (ConnectionResetError(104, "reset"), boto.ClientError(busy, "PutObject")):
        error = str(s3_error(exc, "write 's3://bucket/a.tar'", "bucket", endpoint))
        assert "'s3.example:9000'" in error
        assert "secret" not in error


def test_an_untrusted_certificate_is_not_retried():
    error = reported(
        boto.SSLError(endpoint_url=SIGNED_URL, error="[SSL: CERTIFICATE_VERIFY_FAILED]")
    )
    assert not isinstance(error, UnreachableStoreError)
    assert "AWS_CA_BUNDLE" in str(error)


def test_missing_keys_and_an_invalid_name_are_reported():
    assert "no credentials were found" in str(reported(boto.NoCredentialsError()))
    assert isinstance(reported(boto.ParamValidationError(report="x")), UsageError)
    error = reported(boto.TokenRetrievalError(provider="sso", error_msg="secret"))
    assert type(error) is StoreError
    assert "TokenRetrievalError" in str(error)
    assert "secret" not in str(error)


def test_a_missing_library_is_reported_with_its_install_command(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("wdsremux.stores.s3")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(UsageError, match=r"needs the package .boto3.*pip install boto3 awscrt"):
        open_store("s3://bucket/data")


def test_an_unknown_profile_is_reported(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_PROFILE", "work")
    with pytest.raises(UsageError, match=r"\(ProfileNotFound\); check AWS_PROFILE"):
        open_store("s3://bucket/data")


def test_an_invalid_endpoint_is_reported(monkeypatch):
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "minio.local")
    with pytest.raises(UsageError, match="the endpoint is not a valid URL; check AWS_ENDPOINT_URL"):
        open_store("s3://bucket/data")


@pytest.mark.parametrize(
    "exc",
    [
        ResponseParserError("invalid XML received"),
        ReadTimeoutError(None, SIGNED_URL, "timed out"),
        ProtocolError("connection broken"),
        ValueError("invalid literal for int()"),
        KeyError("Size"),
    ],
)
def test_a_damaged_answer_is_retried(exc):
    error = reported(exc)
    assert isinstance(error, UnreachableStoreError)
    assert "no readable answer from 's3.example'" in str(error)
    assert "secret" not in str(error)
