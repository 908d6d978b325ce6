"""The contract of targets, kept on real S3 servers: http, https, and one that is old."""

import pytest
from support.s3_server import found, moved
from support.store_conformance import StoreConformance

from wdsremux.stores.s3.store import open_s3

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def modern(seaweedfs):
    with found(seaweedfs.settings()):
        return open_s3(seaweedfs.new_place(), part_bytes=5 << 20)


@pytest.fixture(scope="module")
def over_tls(seaweedfs):
    with found(seaweedfs.secure_settings()):
        return open_s3(seaweedfs.new_place(), part_bytes=5 << 20)


@pytest.fixture(scope="module")
def old(juicefs):
    with found(juicefs.settings()):
        return open_s3(f"{juicefs.new_place()}/below/", part_bytes=5 << 20)


class TestS3(StoreConformance):
    @pytest.fixture
    def target(self, modern):
        return moved(modern)


class TestS3OverTls(StoreConformance):
    @pytest.fixture
    def target(self, over_tls):
        return moved(over_tls)


class TestOldS3(StoreConformance):
    @pytest.fixture
    def target(self, old):
        return moved(old)
