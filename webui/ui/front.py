"""The front: the page's HTML, which gradio would compose anew for every request in a tenth of a second of a processor.

The promise: what is kept is what gradio gave under the very same address, and says nothing of who asked: it stands
behind the gate, and nothing in it is anybody's own. A request with anything special in it is passed on; one of a form
too large to be anybody's is refused before gradio reads it.
"""

from collections import OrderedDict
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

KEPT: Final = 16
"""Addresses under which the page is kept: few names lead to one server."""
LARGEST: Final = 1 << 20
"""Bytes that a filled form may have: pictures are uploaded beside it."""
READ: Final = "x-gradio-server"
"""The one header that gradio reads the address from, and that no proxy of ours has checked."""


class Front:
    """Middleware around gradio: answers ``GET /`` from what it answered before, and refuses too large a form (413)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._kept: OrderedDict[tuple[str, str, str], list[Message]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on."""
        if _is_too_large(scope):
            sentence = f"What the form holds is too long: it may have {LARGEST} bytes in all."
            return await JSONResponse({"detail": sentence}, 413)(scope, receive, send)
        key = _key(scope)
        if key is None:
            return await self.app(scope, receive, send)
        if key not in self._kept:
            sent: list[Message] = []
            await self.app(scope, receive, _noting(sent, send))
            if sent and sent[0].get("status") == 200 and not sent[-1].get("more_body"):
                self._kept[key] = sent
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            return None
        for message in self._kept[key]:
            await send(message)


def _key(scope: Scope) -> tuple[str, str, str] | None:
    """Return the address that is asked for, or None when it is not the plain page."""
    if scope["type"] != "http" or scope["method"] != "GET" or scope.get("query_string"):
        return None
    root = str(scope.get("root_path", ""))
    if str(scope["path"]).removeprefix(root).strip("/"):
        return None
    headers = Headers(scope=scope)
    return None if READ in headers else (str(scope["scheme"]), headers.get("host", ""), f"{root} {scope['path']}")


def _is_too_large(scope: Scope) -> bool:
    if scope["type"] != "http" or not str(scope["path"]).endswith("/queue/join"):
        return False
    length = Headers(scope=scope).get("content-length", "0")
    return length.isdecimal() and int(length) > LARGEST


def _noting(sent: list[Message], send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        sent.append({**message, "headers": [*message["headers"]]} if "headers" in message else dict(message))
        await send(message)

    return wrapped
