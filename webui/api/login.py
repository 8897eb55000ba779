"""The page on which people log in, and where they go from it.

The promise: it works without anything else of the program, on a phone and in the dark; what is typed is escaped; and
nobody is ever sent to another website from it, whatever stands in the address.
"""

import base64
import hashlib
from html import escape
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from webui.api.people import NotLet

LONGEST: Final = 100_000
"""Characters of a page's address that is gone back to: a link may hold a long prompt."""
BODY: Final = 16_384
"""Bytes of a form with a name and a password."""
_PAGE: Final = (Path(__file__).parent / "login.html").read_text(encoding="utf-8")
_SCRIPT: Final = _PAGE[_PAGE.index("<script>") + len("<script>") : _PAGE.index("</script>")]
_HASH: Final = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
POLICY: Final = (
    f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{_HASH}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


def local(address: str) -> str:
    """Return an address if it is a page of this server, from its root; else the root.

    >>> local("/?v=1&prompt=a+lake"), local("//evil.example"), local("https://evil.example")
    ('/?v=1&prompt=a+lake', '/', '/')
    """
    plain = address.isprintable() and address.isascii() and not set(' \\"<>') & set(address)
    if not (plain and address[:1] == "/" and address[:2] != "//" and len(address) <= LONGEST):
        return "/"
    try:
        parts = urlsplit(address)
    except ValueError:
        return "/"
    leads_back = parts.path in ("/login", "/logout")
    return "/" if parts.scheme or parts.netloc or leads_back else address


def asked(path: str, query: str) -> str:
    """Return the address of what was asked for, to come back to it."""
    return local(quote(path) + (f"?{query}" if query else ""))


def way(root: str, back: str) -> str:
    """Return the address of the login page that leads back to another."""
    return f"{root}/login" + ("" if back == "/" else f"?next={quote(back, safe='')}")


def page(root: str, back: str, user: str = "", refused: NotLet | None = None) -> Response:
    """Draw the page, with a sentence when somebody was not let in."""
    wrong = f'<p class="wrong" role="alert">{escape(refused.sentence)}</p>' if refused is not None else ""
    filled = {"{action}": escape(way(root, back)), "{wrong}": wrong, "{user}": escape(user)}
    drawn = _PAGE
    for name in ("{action}", "{wrong}", "{user}"):  # what is typed comes last: nothing is put into it
        drawn = drawn.replace(name, filled[name])
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": POLICY}
    if refused is not None and refused.retry_after:
        headers["Retry-After"] = str(refused.retry_after)
    return HTMLResponse(drawn, 200 if refused is None else refused.status, headers)


async def typed(request: Request) -> tuple[str, str]:
    """Read name and password from a form; raise NotLet for anything else."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise NotLet(415, "The login is a form with user and password.")
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > BODY:
            raise NotLet(413, "The name or the password is too long.")
    try:
        found = parse_qs(data.decode("ascii"), strict_parsing=True, max_num_fields=8, errors="strict")
        (user,), (password,) = found["user"], found["password"]
    except (ValueError, KeyError):
        raise NotLet(422, "Type a name and a password.") from None
    return user, password
