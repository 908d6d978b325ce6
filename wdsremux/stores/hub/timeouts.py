"""Sets timeouts on all requests to the Hub: huggingface_hub sets none on most of its calls.

A server that accepts a connection and sends nothing would block the run and all its workers.
Short because both ways to read from the Hub share it.
"""

from typing import Any

from huggingface_hub import get_session

from wdsremux.stores.hub.ranges import HubAccess

_WAITS = ("connect", "read", "write")


class _Timeouts:
    """Adds the missing timeouts of a request; a hook of the HTTP library."""

    def __init__(self, access: HubAccess) -> None:
        self.access = access

    def __call__(self, request: Any) -> None:
        known = request.extensions.get("timeout") or {}
        own, most = self.access.timeout_s, self.access.longest_timeout_s
        bounds = {name: min(known.get(name) or own, most) for name in _WAITS}
        request.extensions["timeout"] = {**known, **bounds}


def bound_requests(access: HubAccess) -> None:
    """Bound how long requests of this process to the Hub wait, by what the access allows.

    Called again before each try: huggingface_hub makes a new session after a lost connection.
    """
    session = get_session()
    hooks = session.event_hooks
    for hook in hooks["request"]:
        if isinstance(hook, _Timeouts):
            hook.access = access
            return
    session.event_hooks = {**hooks, "request": [*hooks["request"], _Timeouts(access)]}
