"""Where a bucket is, and with which keys: as boto3 finds them."""

import pytest

from wdsremux.core.errors import StoreError, UsageError
from wdsremux.stores.s3.bucket import Bucket

CONFIG = """
[profile work]
region = eu-central-1
endpoint_url = https://ceph.example:8000
[profile amazon]
region = eu-west-3
[profile elsewhere]
endpoint_url = https://oss.example
s3 =
    addressing_style = virtual
"""
CREDENTIALS = """
[work]
aws_access_key_id = work-key
aws_secret_access_key = work-secret
[amazon]
aws_access_key_id = amazon-key
aws_secret_access_key = amazon-secret
[elsewhere]
aws_access_key_id = elsewhere-key
aws_secret_access_key = elsewhere-secret
"""


@pytest.fixture
def of_profile(monkeypatch, tmp_path):
    """Open a bucket with a profile and nothing else."""
    (tmp_path / "config").write_text(CONFIG)
    (tmp_path / "credentials").write_text(CREDENTIALS)
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "ENDPOINT_URL", "ENDPOINT_URL_S3", "REGION"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    def open_bucket(profile, arguments="s3://bucket/data/pets/"):
        monkeypatch.setenv("AWS_PROFILE", profile)
        return Bucket(arguments)

    return open_bucket


def address(bucket):
    key = {"Bucket": bucket.bucket, "Key": bucket.key("a.tar")}
    return bucket._client.generate_presigned_url("get_object", key).split("?")[0]


def test_profile_endpoint_and_region_come_from_the_configuration(of_profile):
    bucket = of_profile("work")
    assert bucket.endpoint == "https://ceph.example:8000"
    assert bucket._client.meta.region_name == "eu-central-1"
    assert address(bucket) == "https://ceph.example:8000/bucket/data/pets/a.tar"


def test_the_environment_comes_first(of_profile, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9000")
    assert of_profile("work").endpoint == "http://127.0.0.1:9000"


def test_amazon_is_the_default_endpoint(of_profile):
    bucket = of_profile("amazon")
    assert bucket.endpoint == "https://s3.eu-west-3.amazonaws.com"
    assert address(bucket) == "https://bucket.s3.amazonaws.com/data/pets/a.tar"


def test_a_way_of_addressing_that_is_configured_is_kept(of_profile):
    assert address(of_profile("elsewhere")) == "https://bucket.oss.example/data/pets/a.tar"


def test_a_bucket_is_called_by_its_url_without_the_last_slash(of_profile):
    bucket = of_profile("work")
    assert (bucket.url, bucket.key("a.tar")) == ("s3://bucket/data/pets", "data/pets/a.tar")
    bucket = of_profile("work", "s3://bucket")
    assert (bucket.url, bucket.key("a.tar")) == ("s3://bucket", "a.tar")


def test_missing_keys_are_reported_before_any_request(of_profile, monkeypatch, tmp_path):
    (tmp_path / "credentials").write_text("")
    with pytest.raises(StoreError, match="no credentials were found"):
        of_profile("work")


@pytest.mark.parametrize("name", ["Bucket With Blanks", "ü"])
def test_an_impossible_bucket_name_is_refused(of_profile, name):
    with pytest.raises(UsageError, match="is not a valid bucket name"):
        of_profile("work", f"s3://{name}/x").check()
