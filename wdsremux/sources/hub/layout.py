"""What a dataset ID refers to: a commit of a repo, its subset, splits and files.

`datasets` decides this, as `load_dataset` would. The Hub is asked for the commit first: `datasets`
alone would use a cached copy of any age when the Hub cannot be reached.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi

from wdsremux.core.errors import SourceError, UsageError
from wdsremux.core.redaction import shown_cause
from wdsremux.sources.hub.errors import builder_error, with_retries
from wdsremux.sources.hub.image_folders import LeftOut, is_image_folder, left_out
from wdsremux.stores.hub.ranges import HubAccess

_ID = re.compile(r"(?:hf://datasets/)?(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^@]+))?")


@dataclass(frozen=True, slots=True)
class HubLayout:
    """One subset of a dataset at one commit."""

    repo: str
    commit: str
    subset: str
    splits: Mapping[str, tuple[str, ...]]
    """Data files by split, in row order, relative to the repo; empty unless it is Parquet."""
    is_parquet: bool
    """Whether the files can be read by row groups; else `builder` streams."""
    features: Mapping[str, Any] | None
    """What the dataset card declares, in the JSON form of `Features.to_dict()`."""
    builder: Any
    """The `datasets` builder, pinned to the commit."""
    notes: tuple[str, ...] = ()
    """What the repo holds that is not read."""


def repo_and_revision(dataset_id: str, revision: str | None) -> tuple[str, str | None]:
    """Split a dataset ID. Raises UsageError when it is not valid or names another revision."""
    match = _ID.fullmatch(dataset_id)
    if not match:
        raise UsageError(
            f"{dataset_id!r} is not a dataset ID: write user/name or "
            "hf://datasets/user/name@revision"
        )
    if revision and match["revision"] not in (None, revision):
        raise UsageError(
            f"{dataset_id!r} and --revision {revision!r} are different revisions; pass one of them"
        )
    return match["repo"], match["revision"] or revision


def hub_layout(
    dataset_id: str, *, subset: str | None, revision: str | None, access: HubAccess
) -> HubLayout:
    """Ask the Hub and `datasets` what an ID refers to; imports `datasets`, a second or two.

    Raises UsageError for a subset that does not exist or must be named, SourceError for what the
    Hub does not have or does not show, or when it cannot be reached.
    """
    repo, revision = repo_and_revision(dataset_id, revision)
    commit = _commit_of(repo, revision, access)
    builder = with_retries(lambda: _builder(repo, subset, commit, access), repo, access)
    prefix = f"hf://datasets/{repo}@{commit}/"
    notes: tuple[str, ...] = ()
    if is_image_folder(builder) and not _has_configs(builder):
        found = _left_out(builder, repo, commit, access)
        if found.is_narrowed:
            every = {"train": "**"}
            builder = with_retries(
                lambda: _builder(repo, subset, commit, access, every), repo, access
            )
            found = _left_out(builder, repo, commit, access)
        notes = found.notes()
    splits = _splits(builder, prefix)
    return HubLayout(
        repo=repo,
        commit=commit,
        subset=builder.config.name,
        splits=splits or {},
        is_parquet=splits is not None,
        features=builder.info.features.to_dict() if builder.info.features else None,
        builder=builder,
        notes=notes,
    )


def _has_configs(builder: Any) -> bool:
    """Return whether the dataset card names the data files: its splits are plain strings."""
    return any(type(split) is str for split in builder.config.data_files or {})


def _left_out(builder: Any, repo: str, commit: str, access: HubAccess) -> LeftOut:
    prefix = f"hf://datasets/{repo}@{commit}/"
    api = HfApi(token=access.token, library_name="wdsremux")
    files = with_retries(
        lambda: api.list_repo_files(repo, repo_type="dataset", revision=commit), repo, access
    )
    data_files = {
        str(split): [str(name).removeprefix(prefix) for name in names]
        for split, names in builder.config.data_files.items()
    }
    return left_out(files, data_files)


def _commit_of(repo: str, revision: str | None, access: HubAccess) -> str:
    api = HfApi(token=access.token, library_name="wdsremux")
    info = with_retries(lambda: api.dataset_info(repo, revision=revision), repo, access)
    if not info.sha:
        raise SourceError(
            f"dataset {repo!r} has no commit yet; upload its files, or check its name"
        )
    return info.sha


def _builder(
    repo: str,
    subset: str | None,
    commit: str,
    access: HubAccess,
    data_files: Mapping[str, str] | None = None,
) -> Any:
    import datasets  # noqa: PLC0415 (takes a second or two, and brings pandas)

    # A folder of that name in the working directory would be used instead of the repo.
    path = f"hf://datasets/{repo}" if Path(repo).exists() else repo
    try:
        builder = datasets.load_dataset_builder(
            path, subset, data_files=data_files, revision=commit, token=access.token
        )
    except (datasets.exceptions.DatasetNotFoundError, ValueError, RuntimeError) as exc:
        raise builder_error(exc, repo, subset) from shown_cause(exc)
    if builder.hash != commit:
        # When a request fails, `datasets` falls back to any copy in its cache.
        raise ConnectionError(f"the Hub did not answer for {repo!r}")
    return builder


def _splits(builder: Any, prefix: str) -> dict[str, tuple[str, ...]] | None:
    """Return the Parquet files by split; None when the dataset cannot be read by row groups."""
    config = builder.config
    is_parquet = type(builder).__module__.endswith("packaged_modules.parquet.parquet")
    if not is_parquet or config.columns is not None or getattr(config, "filters", None) is not None:
        return None
    splits = {}
    for split, paths in (config.data_files or {}).items():
        if not all(str(path).startswith(prefix) for path in paths):
            return None  # files of another repo or website
        # `datasets` lists a file that fits two patterns twice.
        splits[str(split)] = tuple(dict.fromkeys(str(p).removeprefix(prefix) for p in paths))
    return splits or None
