"""The request guard: only this address may be asked, and only this page may ask for a change.

The promise: a web page from elsewhere that a person has open in the same browser can neither read from this server
(DNS rebinding: the Host must be one of ours) nor make it do something (CSRF: a request that changes anything must
come from our own origin, if the browser says where it comes from). Programs such as curl send no Origin and work.
"""

import ipaddress
import re
from collections.abc import Iterable, Set
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
SAFE: Final = ("GET", "HEAD", "OPTIONS")
PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}
HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
CORS: Final = b"access-control-"
"""What lets other websites read: gradio (6.31) gives it to those of this machine, and on other addresses to all."""
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?\Z")
_ORIGIN = re.compile(r"(https?)://(.+)\Z")


def split_host(text: str) -> tuple[str, int | None] | None:
    """Split a Host header into name (lower case, no brackets) and port; None when it is not one.

    >>> split_host("LOCALHOST:7860"), split_host("[::1]"), split_host("a@b"), split_host("")
    (('localhost', 7860), ('::1', None), None, None)
    """
    match = _HOST.match(text)
    if match is None:
        return None
    return match[1].strip("[]").lower(), int(match[2]) if match[2] else None


class Guard:
    """Middleware that refuses requests to a wrong Host (421) and changes asked for by another origin (403).

    ``hosts`` are the names that this server answers to, on any port. ``any_address`` also lets in every address
    written as a number, for a server that listens on all of them: rebinding needs a name. ``shared`` are names that
    may come while it runs.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: Iterable[str] = LOOPBACK,
        any_address: bool = False,
        shared: Set[str] = frozenset(),
    ) -> None:
        self.app = app
        self.shared = shared
        self.hosts = {host.strip("[]").lower() for host in hosts}
        self.any_address = any_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refused = self._refusal(scope)
        if refused is None:
            await self.app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            status, sentence = refused
            answer = JSONResponse({"error": {"code": "refused", "message": sentence}}, status)
            await answer(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        named = headers.getlist("host")
        host = split_host(named[0]) if len(named) == 1 else None
        if host is None:
            return 400, "The request must name one host."
        if not self._ours(host[0]):
            return 421, f"This server does not answer to the name {host[0]}. Open it under its own address."
        if scope["type"] == "http" and scope["method"] in SAFE:
            return None
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return 403, "Another website may not make this server do something."
        origins = headers.getlist("origin")
        if origins and (len(origins) > 1 or not _same(origins[0], host, scope["scheme"])):
            return 403, "Another website may not make this server do something."
        return None

    def _ours(self, name: str) -> bool:
        if name in self.hosts or name in self.shared:
            return True
        if not self.any_address:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _same(origin: str, host: tuple[str, int | None], scheme: str) -> bool:
    """Say whether an Origin is the address that was asked: scheme, name and port."""
    match = _ORIGIN.match(origin)
    asked = {"ws": "http", "wss": "https"}.get(scheme, scheme)
    if match is None or match[1] != asked:
        return False
    other = split_host(match[2])
    return other is not None and (other[0], other[1] or PORTS[asked]) == (host[0], host[1] or PORTS[asked])


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [pair for pair in message.get("headers", []) if not pair[0].lower().startswith(CORS)]
            present = {name.lower() for name, _ in headers}
            more = [(name, value) for name, value in HEADERS if name not in present]
            message = {**message, "headers": [*headers, *more]}
        await send(message)

    return wrapped
