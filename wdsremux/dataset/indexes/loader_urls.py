"""The forms of URL by which loaders read shards from the store they were copied to.

webdataset expands braces, then opens what it knows: `pipe:` runs a shell, `https:` curl. It knows
no s3:// (webdataset 1.0.2, `gopen.py`).
"""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from wdsremux.stores.address import public_endpoint

Loaders = dict[str, dict[str, list[str]]]
"""URLs by form and split."""

_RANGE = re.compile(r"\{\d+\.\.\d+\}")
_EXPANDED = re.compile(r"::|\$\{")
"""What webdataset would take for more than a name."""
_AZURE_HOST = re.compile(r"https://([a-z0-9]+)\.blob\.[^/]+/?")
_ENDPOINT = re.compile(r"https?://[\w.:\[\]-]+(?:/[\w.-]+)*", re.ASCII)
_HUB = re.compile(r"hf://datasets/(?P<repo>[^/@]+/[^/@]+)(?:@(?P<branch>.+))?")


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
    forms = _FORMS[scheme](url, endpoint) if scheme in _FORMS else {}
    return {
        form: {split: [make(pattern) for pattern in own] for split, own in patterns.items()}
        for form, make in forms.items()
    }


def own_loaders(published: Mapping[str, Any], patterns: Mapping[str, Sequence[str]]) -> Loaders:
    """Return those of a manifest's recorded URLs that `loader_urls` makes for these shards.

    A `pipe:` runs a shell when a loader opens it: of a manifest from elsewhere nothing may be shown
    as ours that is not. Where the server is may be recorded; how it is written is not.
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


Forms = dict[str, Callable[[str], str]]


def _s3_forms(url: str, endpoint: str | None) -> Forms:
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    option = f" --endpoint-url {shlex.quote(endpoint)}" if endpoint else ""
    if endpoint:
        base = f"{endpoint.rstrip('/')}/{bucket}"
    elif "." in bucket:
        base = f"https://s3.amazonaws.com/{bucket}"  # TLS knows no names with further dots
    else:
        base = f"https://{bucket}.s3.amazonaws.com"
    return {
        "aws": lambda name: f"pipe:aws{option} s3 cp {_shell(url, name)} -",
        "s5cmd": lambda name: f"pipe:s5cmd{option} cat {_shell(url, name)}",
        base.partition("://")[0]: lambda name: _web(base, prefix, name),
    }


def _gs_forms(url: str, _endpoint: str | None) -> Forms:
    path = url.removeprefix("gs://")
    return {
        "gsutil": lambda name: f"pipe:gsutil cat {_shell(url, name)}",
        "https": lambda name: _web("https://storage.googleapis.com", path, name),
    }


def _az_forms(url: str, endpoint: str | None) -> Forms:
    """Return forms for who has logged in to `az` or `azcopy`, and for blobs that anybody may read.

    `az` writes to its output where --file is not given (Azure CLI 2.38); `azcopy` may take an open
    input for what it is to copy.
    """
    if endpoint is None:
        return {}
    container, _, prefix = url.removeprefix("az://").partition("/")
    base = endpoint.rstrip("/")

    def web(name: str) -> str:
        return _web(base, f"{container}/{prefix}".rstrip("/"), name)

    forms: Forms = {
        "azcopy": lambda name: f"pipe:azcopy cp {_word(web(name))} --from-to BlobPipe < /dev/null",
        base.partition("://")[0]: web,
    }
    account = _AZURE_HOST.fullmatch(endpoint)
    if account is None:
        return forms
    az = f"pipe:az storage blob download --account-name {account[1]} --no-progress"
    az += f" --container-name {shlex.quote(container)}"
    return {"az": lambda name: f"{az} --name={_shell(prefix, name)}", **forms}


def _hub_forms(url: str, endpoint: str | None) -> Forms:
    match = _HUB.fullmatch(url)
    if match is None:
        return {}
    base = (endpoint or "https://huggingface.co").rstrip("/")
    # A branch is one part of the URL, whatever is in its name.
    branch = quote(match["branch"] or "main", safe="")
    path = f"{base}/datasets/{match['repo']}/resolve/{_braceless(branch)}"

    def curl(name: str) -> str:
        return f'pipe:curl -sfL -H "Authorization: Bearer $HF_TOKEN" {_shell(path, name)}'

    return {base.partition("://")[0]: lambda name: _web(path, "", name), "curl": curl}


_FORMS: Mapping[str, Callable[[str, str | None], Forms]] = {
    "s3": _s3_forms,
    "gs": _gs_forms,
    "az": _az_forms,
    "hf": _hub_forms,
}


def _braceless(text: str) -> str:
    """Return a string that the expansion of braces leaves as it is."""
    return re.sub(r"([\\{}])", r"\\\1", text)


def _shell(path: str, pattern: str) -> str:
    """Return a pattern below a path as one word of the shell."""
    return _word(f"{_braceless(path)}/{pattern}" if path else pattern)


def _word(text: str) -> str:
    """Return a string with ranges as one word of the shell that runs once braces are expanded."""
    first = _RANGE.sub("0", text)
    return text if shlex.quote(first) == first else shlex.quote(text)


def _web(base: str, path: str, pattern: str) -> str:
    parts = [base, quote(path), *(_web_name(pattern),)]
    return "/".join(part for part in parts if part)


def _web_name(pattern: str) -> str:
    """Return a pattern with all but its braces quoted for the web."""
    ranges = _RANGE.findall(pattern)
    parts = [quote(part) for part in _RANGE.split(pattern)]
    return "".join(a + b for a, b in zip(parts, [*ranges, ""], strict=True))
