"""The URLs that loaders take: expanded as webdataset does, and split as the shell does."""

import shlex
from urllib.parse import quote

import pytest
from webdataset.shardlists import expand_urls

from wdsremux.dataset.indexes.loader_urls import loader_urls

PATTERNS = {"train": ["train-{000000..000002}.tar"], "test": ["test-000000.tar"]}


def urls(url, form, split="train", **more):
    """Return what webdataset opens, one by one."""
    (pattern,) = loader_urls(url, PATTERNS, **more)[form][split]
    return expand_urls(pattern)


def test_aws_reads_a_dataset_on_s3():
    found = loader_urls("s3://bucket/pets", PATTERNS)
    assert list(found) == ["aws", "s5cmd", "https"]
    assert found["aws"]["train"] == ["pipe:aws s3 cp s3://bucket/pets/train-{000000..000002}.tar -"]
    assert found["s5cmd"]["test"] == ["pipe:s5cmd cat s3://bucket/pets/test-000000.tar"]
    assert urls("s3://bucket/pets", "https")[1] == (
        "https://bucket.s3.amazonaws.com/pets/train-000001.tar"
    )


def test_another_endpoint_is_named():
    endpoint = "http://127.0.0.1:8333"
    assert urls("s3://bucket/pets", "aws", endpoint=endpoint)[2] == (
        "pipe:aws --endpoint-url http://127.0.0.1:8333 s3 cp s3://bucket/pets/train-000002.tar -"
    )
    assert urls("s3://bucket", "http", endpoint=endpoint)[0] == (
        "http://127.0.0.1:8333/bucket/train-000000.tar"
    )


def test_a_login_in_an_address_is_left_out():
    found = loader_urls("s3://bucket", PATTERNS, "https://me:secret@here:9000")
    assert found["https"]["test"] == ["https://here:9000/bucket/test-000000.tar"]
    assert "secret" not in str(found)


def test_a_bucket_with_dots_is_named_in_the_path():
    assert urls("s3://my.bucket/p", "https")[0] == (
        "https://s3.amazonaws.com/my.bucket/p/train-000000.tar"
    )


@pytest.mark.parametrize(
    "prefix", ["two words", "it's", "a{b,c}", "$HOME;rm", "back\\slash", "grün", "{0..2}", "a&b"]
)
def test_odd_names_reach_the_command_as_they_are(prefix):
    found = urls(f"s3://bucket/{prefix}", "aws")
    assert len(found) == 3
    arguments = shlex.split(found[0].removeprefix("pipe:"))
    assert arguments == ["aws", "s3", "cp", f"s3://bucket/{prefix}/train-000000.tar", "-"]


def test_odd_names_are_quoted_for_the_web():
    assert urls("s3://bucket/two words{}", "https")[2] == (
        "https://bucket.s3.amazonaws.com/two%20words%7B%7D/train-000002.tar"
    )


@pytest.mark.parametrize("prefix", ["a::b", "${WDS_X}"])
def test_names_that_webdataset_would_expand_have_no_url(prefix):
    assert loader_urls(f"s3://bucket/{prefix}", PATTERNS) == {}


def test_google_storage_is_read_by_gsutil_and_by_the_web():
    assert urls("gs://bucket/p", "gsutil")[0] == "pipe:gsutil cat gs://bucket/p/train-000000.tar"
    assert urls("gs://bucket/p", "https")[0] == (
        "https://storage.googleapis.com/bucket/p/train-000000.tar"
    )


AZURE = "https://acc.blob.core.windows.net"


def test_azure_is_read_by_its_tools_and_by_the_web():
    found = loader_urls("az://box/pets", PATTERNS, AZURE)
    assert list(found) == ["az", "azcopy", "https"]
    place = f"{AZURE}/box/pets"
    assert found["https"]["train"] == [f"{place}/train-{{000000..000002}}.tar"]
    assert urls("az://box/pets", "azcopy", endpoint=AZURE)[1] == (
        f"pipe:azcopy cp {place}/train-000001.tar --from-to BlobPipe < /dev/null"
    )
    assert urls("az://box/pets", "az", endpoint=AZURE)[2] == (
        "pipe:az storage blob download --account-name acc --no-progress --container-name box "
        "--name=pets/train-000002.tar"
    )
    assert urls("az://box", "az", endpoint=AZURE)[0].endswith(" --name=train-000000.tar")
    assert urls("az://box", "https", endpoint=AZURE)[0] == f"{AZURE}/box/train-000000.tar"


@pytest.mark.parametrize("prefix", ["two words", "it's", "a{b,c}", "-x", "back\\slash", "grün"])
def test_odd_names_reach_the_tools_of_azure_as_they_are(prefix):
    for form, name in (("az", prefix), ("azcopy", quote(prefix))):
        found = urls(f"az://$web/{prefix}", form, endpoint=AZURE)
        assert len(found) == 3
        arguments = shlex.split(found[0].removeprefix("pipe:"))
        if form == "az":
            assert arguments[-2:] == ["$web", f"--name={name}/train-000000.tar"]
        else:
            assert arguments[2] == f"{AZURE}/%24web/{name}/train-000000.tar"


def test_signatures_of_azure_are_not_shown():
    found = loader_urls("az://box", PATTERNS, f"{AZURE}/?sv=2024&sig=SECRET#SECRET")
    assert found["https"]["test"] == [f"{AZURE}/box/test-000000.tar"]
    assert "SECRET" not in str(found)


def test_an_address_without_an_account_has_no_url_with_one():
    found = loader_urls("az://box", PATTERNS, "https://storage.example.org")
    assert list(found) == ["azcopy", "https"]


def test_the_hub_is_read_by_the_web_and_with_the_token_where_it_must_be():
    at = "hf://datasets/user/pets"
    place = "https://huggingface.co/datasets/user/pets/resolve"
    assert urls(at, "https")[0] == f"{place}/main/train-000000.tar"
    assert urls(f"{at}@a/b", "https")[0] == f"{place}/a%2Fb/train-000000.tar"
    assert urls(at, "curl")[0] == (
        f'pipe:curl -sfL -H "Authorization: Bearer $HF_TOKEN" {place}/main/train-000000.tar'
    )


@pytest.mark.parametrize("url", ["/data/pets", "az://container/pets", "hf://spaces/x"])
def test_an_unknown_store_has_no_loader_urls(url):
    assert loader_urls(url, PATTERNS) == {}
