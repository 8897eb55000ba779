"""The gate: tells people apart, once for the page and every API.

The promise: behind the gate every request has an owner in ``request.state.owner``, an opaque key; where people are told
apart there is none without, and nothing but the gate decides who comes in. It is open on one's own machine: then the
owner is empty and sees everything.

With passwords, one comes in by the cookie that the login page gives, by ``Authorization: Basic`` or by a token in
``Authorization: Bearer``. In a demo everybody comes in, and is known from then on by a cookie, or by a token.
"""

import base64
import re
import secrets
from http.cookies import SimpleCookie
from typing import Final

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webui.api import login
from webui.api.guard import SAFE
from webui.api.people import SECONDS, NotLet, People
from webui.limits import Rate
from webui.owners import owner_key
from webui.settings import Door
from webui.studio import Studio

SESSION: Final = "reseed_session"
VISITOR: Final = "reseed_visitor"
OPEN: Final = ("/healthz", "/ims/token/v3")
"""What answers without a login: a sign of life, and the route that gives tokens for a name and a password."""
UPLOAD, BODY = 16 << 20, 2 << 20
"""Bytes of a visitor's upload, and of anything else that a visitor sends."""
UPLOADS: Final = 5
"""Uploads of a visitor in a minute."""
_TOKEN: Final = re.compile(r"[0-9a-f]{32}\Z")


def seen(studio: Studio, request: HTTPConnection) -> Studio:
    """Return the studio as whoever asks sees it. Every route that shows or makes something begins with this."""
    return studio.of(getattr(request.state, "owner", ""))


class Gate:
    """Middleware that lets in and names who asks. ``secret`` makes the keys of owners, see ``webui.owners``."""

    def __init__(self, app: ASGIApp, door: Door, people: People, secret: bytes) -> None:
        self.app, self.door, self.people, self.secret = app, door, people, secret
        self.uploads = Rate(UPLOADS, 60)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on."""
        if scope["type"] in ("http", "websocket"):
            scope.setdefault("state", {})["owner"] = ""
            if self.door.users:
                return await self._with_password(scope, receive, send)
            if self.door.demo:
                return await self._as_visitor(scope, receive, send)
        return await self.app(scope, receive, send)

    # ---- passwords -------------------------------------------------------------------------------------------------

    async def _with_password(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = self._path(scope)
        if path in OPEN:
            return await self.app(scope, receive, send)
        if path in ("/login", "/logout") and scope["type"] == "http":
            request = Request(scope, receive)
            answer = await self._login(request) if path == "/login" else self._logout(request)
            return await answer(scope, receive, send)
        try:
            user = self._user(HTTPConnection(scope))
        except NotLet as refused:
            return await self._refuse(refused, scope, receive, send)
        scope["state"]["owner"] = owner_key(self.secret, f"user {user}")
        return await self.app(scope, receive, send)

    def _path(self, scope: Scope) -> str:
        path, root = str(scope["path"]), self.door.root
        return path.removeprefix(root) if root and path.startswith(f"{root}/") else path

    def _user(self, asks: HTTPConnection) -> str:
        """Return the user who asks; raise NotLet when nobody is known."""
        found = self.people.user_of(asks.cookies.get(SESSION, ""), "session")
        if found is not None:
            return found
        kind, shown = _authorization(asks)
        if kind == "bearer":
            found = self.people.user_of(shown)
            if found is None:
                raise NotLet(401, "The token is not known, or too old. Get a new one.")
            return found
        if kind == "basic":
            return self.people.enter(*_basic(shown), _address(asks))
        raise NotLet(401, "Log in first.")

    async def _refuse(self, refused: NotLet, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a person to the login page, and tell a program what is missing."""
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008})
        request = Request(scope)
        if refused.status == 401 and request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            back = login.asked(self._path(scope), request.url.query)
            answer: Response = RedirectResponse(login.way(self.door.root, back), 303, {"Cache-Control": "no-store"})
        else:
            answer = _told(refused.status, "not_let", refused.sentence, refused.retry_after)
            if refused.status == 401:  # a browser that asks for a part of the page shall not open a box of its own
                scheme = "Bearer" if "sec-fetch-mode" in request.headers else "Basic"
                answer.headers["WWW-Authenticate"] = f'{scheme} realm="Reseed"'
        await answer(scope, receive, send)

    async def _login(self, request: Request) -> Response:
        """Show the login page, and log in who fills it in."""
        back = login.local(request.query_params.get("next", "/"))
        if request.method in ("GET", "HEAD"):
            return login.page(self.door.root, back)
        if request.method != "POST":
            return _told(405, "method", "The login page takes GET and POST.")
        user = ""
        try:
            user, password = await login.typed(request)
            token = self.people.token_for(self.people.enter(user, password, _address(request)), "session")
        except NotLet as refused:
            return login.page(self.door.root, back, user, refused)
        answer = RedirectResponse(self.door.root + back, 303, {"Cache-Control": "no-store"})
        answer.headers["Set-Cookie"] = self._cookie(SESSION, token, SECONDS["session"], request)
        return answer

    def _logout(self, request: Request) -> Response:
        """End the session, and clear what the browser keeps of it: the next user of the browser is another."""
        if request.method != "POST":
            return _told(405, "method", "Logging out takes POST.")
        self.people.forget(request.cookies.get(SESSION, ""))
        answer = RedirectResponse(login.way(self.door.root, "/"), 303, {"Cache-Control": "no-store"})
        answer.headers["Set-Cookie"] = self._cookie(SESSION, "", 0, request)
        answer.headers["Clear-Site-Data"] = '"cache", "storage"'
        return answer

    def _cookie(self, name: str, value: str, seconds: int, asks: HTTPConnection) -> str:
        cookie: SimpleCookie = SimpleCookie({name: value})
        cookie[name]["path"], cookie[name]["max-age"] = self.door.root or "/", str(seconds)
        cookie[name]["httponly"], cookie[name]["samesite"] = True, "Lax"
        if asks.scope["scheme"] in ("https", "wss"):
            cookie[name]["secure"] = True
        return cookie[name].OutputString()

    # ---- visitors --------------------------------------------------------------------------------------------------

    async def _as_visitor(self, scope: Scope, receive: Receive, send: Send) -> None:
        asks = HTTPConnection(scope)
        kind, shown = _authorization(asks)
        named = self.people.user_of(shown) if kind == "bearer" else None  # a program, which keeps no cookies
        token = named or asks.cookies.get(VISITOR, "")
        known = bool(named or _TOKEN.match(token))
        token = token if known else secrets.token_hex(16)
        scope["state"]["owner"] = owner_key(self.secret, f"visitor {token}")
        if self._path(scope) in OPEN:
            return await self.app(scope, receive, send)
        if not known and scope["type"] == "http":
            send = _adding(send, self._cookie(VISITOR, token, SECONDS["session"], asks))
        refused = self._too_much(asks, scope["state"]["owner"] if known else _address(asks))
        if refused is not None:
            return await refused(scope, receive, send)
        return await self.app(scope, receive, send)

    def _too_much(self, asks: HTTPConnection, who: str) -> Response | None:
        """Refuse what a visitor sends when it is too large, of no known size, or one upload too many."""
        if asks.scope["type"] != "http" or asks.scope["method"] in SAFE:
            return None
        uploads = self._path(asks.scope).endswith("/upload")
        size, most = asks.headers.get("content-length", ""), UPLOAD if uploads else BODY
        if "transfer-encoding" in asks.headers or (size and not re.fullmatch(r"[0-9]{1,18}", size, re.ASCII)):
            return _told(411, "length", "A request to this demo must say its length.")
        if int(size or 0) > most:
            return _told(413, "too_large", f"A request to this demo has at most {most >> 20} MiB.")
        left = self.uploads.take(who) if uploads else 0
        if left:
            return _told(429, "limit", f"This demo takes {UPLOADS} uploads a minute. Try again in {left} s.", left)
        return None


def _told(status: int, code: str, sentence: str, retry_after: int = 0) -> Response:
    headers = {"Cache-Control": "no-store"} | ({"Retry-After": str(retry_after)} if retry_after else {})
    return JSONResponse({"error": {"code": code, "message": sentence}}, status, headers)


def _authorization(asks: HTTPConnection) -> tuple[str, str]:
    kind, _, shown = asks.headers.get("authorization", "").partition(" ")
    return kind.lower(), shown.strip()


def _basic(shown: str) -> tuple[str, str]:
    """Read what stands after ``Basic``; raise NotLet when it is no name and password."""
    try:
        user, colon, password = base64.b64decode(shown, validate=True).decode().partition(":")
    except ValueError:
        colon = ""
    if not colon:
        raise NotLet(401, "What stands after Basic must be a name, a colon and a password in base64.")
    return user, password


def _address(asks: HTTPConnection) -> str:
    return asks.client.host if asks.client is not None else ""


def _adding(send: Send, cookie: str) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), (b"set-cookie", cookie.encode("latin-1"))]}
        await send(message)

    return wrapped
