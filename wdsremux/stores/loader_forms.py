"""How loaders open the files of a store: a function from a name to a URL, by form.

webdataset expands braces, then opens what it knows: `pipe:` runs a shell, `https:` curl. It knows
no s3:// (webdataset 1.0.2, `gopen.py`).
"""

import re
import shlex
from collections.abc import Callable
from urllib.parse import quote

_RANGE = re.compile(r"\{\d+\.\.\d+\}")
_AZURE_HOST = re.compile(r"https://([a-z0-9]+)\.blob\.[^/]+/?")
_HUB = re.compile(r"hf://datasets/(?P<repo>[^/@]+/[^/@]+)(?:@(?P<branch>.+))?")

Forms = dict[str, Callable[[str], str]]


def s3_forms(url: str, endpoint: str | None) -> Forms:
    """Return the forms for S3, and for servers that speak its protocol."""
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


def gs_forms(url: str, _endpoint: str | None) -> Forms:
    """Return the forms for Google Cloud Storage."""
    path = url.removeprefix("gs://")
    return {
        "gsutil": lambda name: f"pipe:gsutil cat {_shell(url, name)}",
        "https": lambda name: _web("https://storage.googleapis.com", path, name),
    }


def az_forms(url: str, endpoint: str | None) -> Forms:
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


def hub_forms(url: str, endpoint: str | None) -> Forms:
    """Return the forms for the Hub; the endpoint is that of a mirror."""
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
    parts = [base, quote(path), _web_name(pattern)]
    return "/".join(part for part in parts if part)


def _web_name(pattern: str) -> str:
    """Return a pattern with all but its braces quoted for the web."""
    ranges = _RANGE.findall(pattern)
    parts = [quote(part) for part in _RANGE.split(pattern)]
    return "".join(a + b for a, b in zip(parts, [*ranges, ""], strict=True))
