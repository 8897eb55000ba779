"""What a proxy before the server says of a request: believed when a person said so, else not even read.

The promise: behind this nobody sees ``X-Forwarded-…``. Host, scheme and address of a request are what the connection
says, or, with a proxy that is believed, what the nearest one says. A name in ``secure`` is only reached by https.
Whether any said anything, believed or not, is in ``request.state.proxied``.
"""

from collections.abc import Set
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from webui.api.guard import split_host

FORWARDED: Final = b"x-forwarded-"
SECURE: Final = {"http": "https", "ws": "wss"}


class Forwarded:
    """Middleware before all others; ``believed`` is whether a proxy stands before the server."""

    def __init__(self, app: ASGIApp, believed: bool = False, secure: Set[str] = frozenset()) -> None:
        self.app, self.believed, self.secure = app, believed, secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write what counts into the scope."""
        if scope["type"] in ("http", "websocket"):
            scope = self._settled(scope)
        await self.app(scope, receive, send)

    def _settled(self, scope: Scope) -> Scope:
        headers = Headers(scope=scope)
        raw = [(name, value) for name, value in scope["headers"] if not name.startswith((FORWARDED, b"forwarded"))]
        proxied = len(raw) < len(scope["headers"])
        settled = {**scope, "headers": raw, "state": {**scope.get("state", {}), "proxied": proxied}}
        named = split_host(headers.get("host", ""))
        shared = named is not None and named[0] in self.secure
        if self.believed or shared:
            address = _last(headers, "x-forwarded-for")
            if address:
                settled["client"] = (address, 0)
        if self.believed and (host := _last(headers, "x-forwarded-host")):
            settled["headers"] = [*((name, value) for name, value in raw if name != b"host"), (b"host", host.encode())]
        if shared or (self.believed and _last(headers, "x-forwarded-proto") == "https"):
            settled["scheme"] = SECURE.get(scope["scheme"], scope["scheme"])
        return settled


def _last(headers: Headers, name: str) -> str:
    """Return what the nearest proxy says: each adds its own behind what was there, which anybody may have written."""
    return (headers.getlist(name) or [""])[-1].rpartition(",")[2].strip()
