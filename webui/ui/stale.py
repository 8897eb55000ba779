"""Requests that are not of the page as it is: from a tab that was open while the program was renewed, or of no page.

The promise: they are answered with a sentence that says what to do, not with gradio's (6.31) words for whoever writes
such a page: a list of its parts, or nothing but *Internal Server Error*.
"""

from typing import Final

from fastapi import FastAPI
from fastapi.exception_handlers import http_exception_handler
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

SENTENCE: Final = "This is not of the page as it is now: another version of it was open. Reload the page."
_TOO_FEW: Final = "An event handler ("
"""How gradio begins to tell that values are missing."""


def answer(app: FastAPI) -> None:
    """Let gradio's application answer them so."""
    app.add_exception_handler(KeyError, _unknown)
    app.add_exception_handler(HTTPException, _odd)


def _unknown(request: Request, error: Exception) -> Response:
    """Answer for a function that the page does not have: gradio looks it up by its number. Other errors go on."""
    if request.url.path.endswith("/queue/join") and error.args and isinstance(error.args[0], int):
        return JSONResponse({"detail": SENTENCE}, 404)
    raise error


async def _odd(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if str(error.detail).startswith(_TOO_FEW):
        return JSONResponse({"detail": SENTENCE}, 400)
    return await http_exception_handler(request, error)
