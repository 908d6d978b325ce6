import pytest

from wdsremux.core.errors import UsageError
from wdsremux.sources.hub.layout import repo_and_revision


@pytest.mark.parametrize(
    ("dataset_id", "revision", "expected"),
    [
        ("user/name", None, ("user/name", None)),
        ("user/na.me-1_x", "v1", ("user/na.me-1_x", "v1")),
        ("hf://datasets/user/name", None, ("user/name", None)),
        (
            "hf://datasets/user/name@refs/convert/parquet",
            None,
            ("user/name", "refs/convert/parquet"),
        ),
        ("user/name@v1", "v1", ("user/name", "v1")),
    ],
)
def test_an_id_names_repo_and_revision(dataset_id, revision, expected):
    assert repo_and_revision(dataset_id, revision) == expected


@pytest.mark.parametrize(
    "dataset_id", ["mnist", "a/b/c", "hf://spaces/a/b", "a b/c", "../../x", ""]
)
def test_an_invalid_id_is_refused(dataset_id):
    with pytest.raises(UsageError, match="is not a dataset ID"):
        repo_and_revision(dataset_id, None)


def test_two_revisions_are_refused():
    with pytest.raises(UsageError, match="different revisions"):
        repo_and_revision("user/name@v1", "v2")
