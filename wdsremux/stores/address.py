"""What identifies a store on this machine: its URL alone may be that of several servers.

Short because staging, syncs and loader URLs share it, and the contract in `base` parses no URLs.
"""

import os
from urllib.parse import urlsplit, urlunsplit

from wdsremux.stores.base import Store


def address_of(store: Store) -> str:
    """Return a string that no other store has, without credentials.

    Two servers may both have a bucket of one name, and several paths may lead to one folder.
    """
    if store.root is not None:
        return os.path.realpath(store.root)  # Path.resolve raises for a loop of links
    if store.endpoint is None:
        return store.url
    return f"{store.url} at {public_endpoint(store.endpoint)}"


def public_endpoint(endpoint: str) -> str:
    """Return the URL of a server without what may be a login: user, query and fragment."""
    parts = urlsplit(endpoint)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
