"""Requests without boto3's client: signed and placed as its own, or left to it."""

import datetime as dt
import hashlib
import io
from urllib.parse import urlsplit

import pytest
import urllib3
from botocore import auth, session
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from wdsremux.stores.s3.direct import MAX_FAILURES, DirectRequests, direct_requests

BODY = b"x" * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()


class Pool:
    """Answers every request in the same way, and records it."""

    def __init__(self, status=200, error=None):
        self.status, self.error = status, error
        self.asked = []

    def urlopen(self, method, url, *, headers, **_details):
        self.asked.append((method, url, headers))
        if self.error is not None:
            raise self.error
        return urllib3.HTTPResponse(
            io.BytesIO(b"content"), {"ETag": '"of-it"'}, self.status, preload_content=False
        )


def direct(pool, base="https://host.example:8000/bucket/"):
    return DirectRequests(base, Credentials("key", "secret"), "us-east-1", pool)


@pytest.mark.parametrize(
    ("profile", "base"),
    [
        ({}, "https://s3.example:8000/bucket/"),
        ({"s3": {"addressing_style": "virtual"}}, "https://bucket.s3.example:8000/"),
    ],
)
def test_an_object_is_put_where_the_client_puts_it(monkeypatch, profile, base):
    monkeypatch.setattr(session.Session, "get_credentials", lambda _self: Credentials("a", "b"))
    core = session.Session()
    client = core.create_client(
        "s3", "us-east-1", endpoint_url="https://s3.example:8000", config=Config(**profile)
    )
    assert direct_requests(client, core, "bucket")._base_url == base
    assert direct_requests(client, core, "arn:aws:s3:eu:1:accesspoint/a") is None
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    assert direct_requests(client, core, "bucket") is None


def test_a_put_is_signed_with_the_known_checksum_of_its_content():
    pool = Pool()
    details = {"ContentType": "a/b", "Metadata": {"note": "n"}, "IfNoneMatch": "*"}
    assert direct(pool).put("a folder/é.tar", BODY, details, SHA256).etag == '"of-it"'
    (method, url, fields), *_ = pool.asked
    assert (method, url) == ("PUT", "/bucket/a%20folder/%C3%A9.tar")
    assert fields["X-Amz-Content-SHA256"] == SHA256
    wanted = {"content-type": "a/b", "x-amz-meta-note": "n", "if-none-match": "*"}
    assert wanted.items() <= fields.items()
    # botocore's own signer, which hashes the content, agrees.
    again = AWSRequest("PUT", f"https://host.example:8000{url}", headers=wanted, data=BODY)
    signer = auth.S3SigV4Auth(Credentials("key", "secret"), "s3", "us-east-1")
    signed_at = dt.datetime.strptime(fields["X-Amz-Date"], "%Y%m%dT%H%M%SZ")  # noqa: DTZ007
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auth, "get_current_datetime", lambda: signed_at)
        signer.add_auth(again)
    assert again.headers["Authorization"] == fields["Authorization"]


@pytest.mark.parametrize(
    ("base", "details", "signed"),
    [
        ("https://h/b/", {"ChecksumCRC64NVME": "c"}, "UNSIGNED-PAYLOAD"),
        ("https://h/b/", {"ContentMD5": "c"}, "UNSIGNED-PAYLOAD"),
        ("https://h/b/", {}, SHA256),
        ("http://h/b/", {"ChecksumCRC64NVME": "c"}, SHA256),
    ],
)
def test_only_tls_and_a_checksum_replace_the_hash_of_a_part(base, details, signed):
    pool = Pool()
    upload = {"PartNumber": 2, "UploadId": "an/id+", **details}
    direct(pool, base).put("k", BODY, upload, None)
    (_, url, fields), *_ = pool.asked
    assert urlsplit(url).query == "partNumber=2&uploadId=an%2Fid%2B"
    assert fields["X-Amz-Content-SHA256"] == signed


def test_an_unmet_condition_is_an_answer():
    assert direct(Pool(412)).put("k", BODY, {"IfNoneMatch": "*"}, SHA256).is_conflict


@pytest.mark.parametrize(
    "pool", [Pool(503), Pool(301), Pool(error=urllib3.exceptions.ProtocolError("reset"))]
)
def test_other_failures_are_left_to_the_client_and_end_direct_requests(pool):
    requests = direct(pool)
    assert [requests.put("k", BODY, {}, SHA256) for _ in range(10)] == [None] * 10
    assert len(pool.asked) == MAX_FAILURES


def test_a_missing_object_does_not_end_direct_requests():
    pool = Pool(404)
    requests = direct(pool)
    assert [requests.get("k", {}, 100) for _ in range(10)] == [None] * 10
    assert len(pool.asked) == 10
