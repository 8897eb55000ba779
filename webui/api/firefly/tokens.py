"""Tokens in Adobe's manner: a name and a password as ``client_id`` and ``client_secret``, in a form or in JSON.

The promise: who guesses here is slowed down like one who guesses at the login page, for it is the same door. Where
nobody has a password everybody gets a token, by which a demo knows a program that keeps no cookies.
"""

import secrets
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from webui.api import wire
from webui.api.people import NotLet, People
from webui.api.wire import Refused

FORM: Final = "application/x-www-form-urlencoded"
LIMIT: Final = 16_384
"""Bytes of a body."""
WANTED: Final = ("client_id", "client_secret")


async def give(people: People, request: Request) -> str:
    """Return a new token; raise Refused when the name or the password is wrong, missing, or comes too soon."""
    if people.is_open:
        return people.token_for(secrets.token_hex(16))
    given = await _given(request)
    missing = [name for name in WANTED if not isinstance(given.get(name), str)]
    if missing:
        raise Refused(400, "invalid_request", f"The request must have {' and '.join(missing)}, as text.")
    address = request.client.host if request.client is not None else ""
    try:
        user = people.enter(str(given["client_id"]), str(given["client_secret"]), address)
    except NotLet as refused:
        raise Refused(refused.status, "invalid_client", refused.sentence, (), refused.retry_after) from None
    return people.token_for(user)


async def _given(request: Request) -> dict[str, object]:
    """Read a form or a JSON object; what stands in the address is not looked at: addresses are written into logs."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        return wire.an_object(await wire.read(request, LIMIT))
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > LIMIT:
            raise Refused(413, "too_large", f"The body must have at most {LIMIT} bytes.")
    try:
        return dict(parse_qsl(data.decode("ascii"), max_num_fields=20, encoding="utf-8", errors="strict"))
    except ValueError:
        raise Refused(400, "invalid_request", "The form cannot be read: it must be percent-encoded UTF-8.") from None
