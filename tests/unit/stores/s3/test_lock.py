"""The lock object at an S3 server that leaves something out."""

from datetime import UTC, datetime

import pytest

from wdsremux.core.errors import StoreError
from wdsremux.stores.lease import LockVersion
from wdsremux.stores.s3.abilities import Abilities
from wdsremux.stores.s3.errors import RefusalError
from wdsremux.stores.s3.lock import S3LockObject

WRITTEN_AT = datetime(2026, 1, 5, 12, 0, 0, tzinfo=UTC)


class Bucket:
    """Holds a lock, and answers with the Date that it is given."""

    url = "s3://bucket/data"

    def __init__(self, **headers):
        self.headers = headers

    def content(self, _name):
        about = {"HTTPHeaders": self.headers}
        return b"{}", {"ETag": "1", "LastModified": WRITTEN_AT, "ResponseMetadata": about}


def read(**headers):
    return S3LockObject(Bucket(**headers), abilities=None).read()


def test_the_age_of_a_lock_is_measured_by_the_servers_clock():
    assert read(date="Mon, 05 Jan 2026 12:00:42 GMT").age_s == 42


@pytest.mark.parametrize(
    "headers", [{}, {"date": "yesterday"}, {"date": "Mon, 05 Jan 2026 12:00:42 -0000"}]
)
def test_a_server_without_a_date_header_is_named(headers):
    with pytest.raises(StoreError, match="'s3://bucket/data' sends no Date header"):
        read(**headers)


class Refusing:
    """A bucket that answers with one status to every writing."""

    def __init__(self, status):
        self.status = status

    def ask(self, *_, **__):
        raise RefusalError("cannot write", "", self.status)


@pytest.mark.parametrize(("status", "is_error"), [(404, True), (412, False)])
def test_an_existing_lock_is_not_an_error_at_creation(status, is_error):
    abilities = Abilities(
        checks_crc64=True, etag_is_md5=True, keeps_existing=True, replaces_seen=True
    )
    lock = S3LockObject(Refusing(status), lambda: abilities)
    assert lock.replace(b"{}", LockVersion(b"", "1")) is None
    if is_error:
        with pytest.raises(RefusalError):
            lock.create(b"{}")
    else:
        assert lock.create(b"{}") is None
