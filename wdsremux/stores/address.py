"""What a target is known by on this machine: its URL alone is that of many places."""

from urllib.parse import urlsplit, urlunsplit

from wdsremux.stores.base import RemoteTarget, ServedTarget
from wdsremux.stores.folder.store import LocalTarget


def address_of(target: RemoteTarget) -> str:
    """Return a text that no other place has, without credentials.

    Two servers may both have a bucket of one name, and a folder has as many names as ways lead to
    it.
    """
    if isinstance(target, LocalTarget):
        return str(target.root.resolve())
    endpoint = endpoint_of(target)
    return target.url if endpoint is None else f"{target.url} at {public_endpoint(endpoint)}"


def endpoint_of(target: RemoteTarget) -> str | None:
    """Return where the server is, login and all; None where everybody finds it by the URL."""
    return target.endpoint if isinstance(target, ServedTarget) else None


def public_endpoint(endpoint: str) -> str:
    """Return where a server is, without what may be a login: user, query and fragment."""
    parts = urlsplit(endpoint)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
