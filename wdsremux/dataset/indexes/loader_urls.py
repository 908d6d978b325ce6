"""The URLs by which loaders read shards from the store they were copied to."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from wdsremux.stores.address import public_endpoint
from wdsremux.stores.schemes import SCHEMES

Loaders = dict[str, dict[str, list[str]]]
"""URLs by form and split."""

_EXPANDED = re.compile(r"::|\$\{")
"""What webdataset would take for more than a name."""
_ENDPOINT = re.compile(r"https?://[\w.:\[\]-]+(?:/[\w.-]+)*", re.ASCII)


def loader_urls(
    url: str, patterns: Mapping[str, Sequence[str]], endpoint: str | None = None
) -> Loaders:
    """Return what loaders take for the shards of a target, by form and split.

    `patterns` are those of `Manifest.patterns`; `endpoint` is where the server is, if not where
    everybody knows it to be.
    """
    if _EXPANDED.search(url):
        return {}
    scheme = url.partition("://")[0]
    endpoint = public_endpoint(endpoint) if endpoint else None
    forms = SCHEMES[scheme].loader_urls(url, endpoint) if scheme in SCHEMES else {}
    return {
        form: {split: [make(pattern) for pattern in own] for split, own in patterns.items()}
        for form, make in forms.items()
    }


def own_loaders(published: Mapping[str, Any], patterns: Mapping[str, Sequence[str]]) -> Loaders:
    """Return those of a manifest's recorded URLs that `loader_urls` makes for these shards.

    A `pipe:` runs a shell when a loader opens it: of a manifest from elsewhere only URLs that
    wdsremux makes may be shown. Where the server is may be recorded; how it is written is not.
    """
    at, recorded = published.get("at"), published.get("loaders")
    if not isinstance(at, str) or not isinstance(recorded, dict):
        return {}
    try:
        made = [loader_urls(at, patterns), *_with_endpoints(at, recorded, patterns)]
    except UnicodeEncodeError:  # a lone surrogate is in no URL
        return {}
    return {
        form: urls for form, urls in recorded.items() if any(own.get(form) == urls for own in made)
    }


def _with_endpoints(
    at: str, recorded: Mapping[str, Any], patterns: Mapping[str, Sequence[str]]
) -> Iterator[Loaders]:
    """Yield what is made for each server that the recorded web addresses name."""
    bucket = quote(at.partition("://")[2].partition("/")[0])
    for form in ("https", "http"):
        urls = recorded.get(form)
        first = next(iter(urls.values()), None) if isinstance(urls, dict) else None
        if isinstance(first, list) and first and isinstance(first[0], str):
            for part in ("/datasets/", f"/{bucket}/"):
                endpoint, found, _ = first[0].partition(part)
                if found and _ENDPOINT.fullmatch(endpoint):
                    yield loader_urls(at, patterns, endpoint)
