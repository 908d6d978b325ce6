"""`urls`: the shards of a split, in the form that `webdataset` and other loaders open."""

import os
import re
from collections.abc import Sequence

from braceexpand import braceexpand

from wdsremux.core.errors import UsageError
from wdsremux.core.manifest import Manifest, brace_patterns
from wdsremux.core.option_values import is_url
from wdsremux.dataset.loading.split import chosen_copy, split_shards
from wdsremux.dataset.reader import Output, open_output


def urls(
    out: str | os.PathLike[str],
    split: str | None = None,
    *,
    copy: int | None = None,
    epoch: int | None = None,
    form: str | None = None,
    as_patterns: bool = False,
) -> list[str]:
    """Return the shards of one split and copy, for `webdataset.WebDataset` and other loaders.

    From a folder these are absolute paths. Behind a URL they are what the dataset records about
    the place it was copied to: `form` names one, such as "https" or "aws" (a pipe to the AWS
    command line); the first is the default. `as_patterns` returns brace patterns, one for each run
    of numbers, which is one string as a rule.

    Raises UsageError for a split, copy or form that does not exist, CorruptDataError when there is
    no finished output, StoreError when it cannot be reached.
    """
    with open_output(out) as output:
        copy = chosen_copy(output, copy, epoch)
        names = [shard.name for shard in split_shards(output, split) if shard.copy == copy]
        patterns = list(brace_patterns(names))
        found = _recorded(output, patterns, form) if is_url(output.location) else None
    if found is None:
        if form is not None:
            raise UsageError(
                f"form={form!r}: {output.location!r} is a folder, whose URLs are paths; leave "
                "form out"
            )
        folder = os.path.abspath(os.path.expanduser(output.location))  # noqa: PTH100, PTH111 (keeps links)
        if not as_patterns:
            return [f"{folder}/{name}" for name in names]
        escaped = re.sub(r"([\\{}])", r"\\\1", folder)
        return [f"{escaped}/{pattern}" for pattern in patterns]
    if as_patterns:
        return found
    return [url for pattern in found for url in braceexpand(pattern)]


def _recorded(output: Output, patterns: Sequence[str], form: str | None) -> list[str]:
    """Return the patterns of these shards in a form that `sync` or `convert` recorded."""
    manifest: Manifest = output.manifest
    forms = manifest.published.get("loaders", {})
    if not forms:
        raise UsageError(
            f"{output.location!r} has no recorded URLs for other loaders; read it with "
            "wdsremux.pipeline"
        )
    chosen = next(iter(forms)) if form is None else form
    if chosen not in forms:
        known = ", ".join(map(repr, forms))
        raise UsageError(
            f"form={form!r}: {output.location!r} has the forms {known}; choose one of them"
        )
    wanted = set(patterns)
    return [
        url
        for split, own in manifest.patterns().items()
        for pattern, url in zip(own, forms[chosen].get(split, ()), strict=False)
        if pattern in wanted
    ]
