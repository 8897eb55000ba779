"""What the JSON doors have in common: a body is read whole or refused, an error becomes one answer, a job is awaited.

The promise: nothing of a body that is not plain JSON reaches a door (no NaN, no lone surrogate, nothing too large or
too deep); whatever goes wrong is a sentence in the door's own shape, never a traceback; and who waits for a job keeps
no thread of the server's for itself after hanging up.
"""

import base64
import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NoReturn

import anyio.to_thread
from anyio import CapacityLimiter
from anyio.lowlevel import RunVar
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from webui.errors import (
    BadRecipe,
    BadValue,
    CheckpointError,
    JobError,
    KeyReused,
    LimitError,
    PictureError,
    ReseedError,
    ShuttingDown,
    UnknownJob,
)
from webui.gallery import Record
from webui.jobs import Jobs
from webui.progress import Progress

BODY: Final = 1 << 20
"""Bytes of a body without pictures in it."""
SLICE: Final = 1.0
"""Seconds after which one who waits looks whether its client is still there."""
WAITERS: Final = 256
"""So many wait at a time, each in a thread of its own; they take none from those that answer."""
_THREADS: Final = RunVar[CapacityLimiter]("reseed-waiters")
STATUSES: Final[dict[type[ReseedError], int]] = {
    BadValue: 422,
    BadRecipe: 422,
    CheckpointError: 422,
    PictureError: 422,
    UnknownJob: 404,
    KeyReused: 422,
    ShuttingDown: 503,
    JobError: 409,
}


@dataclass(frozen=True)
class Refused(Exception):
    """A request that cannot be answered: the HTTP status, a stable ``code``, a sentence, and every bad field.

    ``retry_after`` are the seconds after which it may be, 0 when nothing is known.
    """

    status: int
    code: str
    sentence: str
    errors: tuple[BadValue, ...] = ()
    retry_after: int = 0

    @classmethod
    def of(cls, error: Exception) -> "Refused":
        """Read an error that a handler raised; what is none of ours is raised again."""
        if isinstance(error, Refused):
            return error
        if isinstance(error, HTTPException):
            return cls(error.status_code, "http", str(error.detail))
        if not isinstance(error, ReseedError):
            raise error
        status = next((status for kind, status in STATUSES.items() if isinstance(error, kind)), 500)
        errors = error.errors if isinstance(error, BadRecipe) else (error,) if isinstance(error, BadValue) else ()
        if isinstance(error, LimitError):  # one that time does not lift is a bad value
            return cls(429 if error.retry_after else 422, error.code, str(error), (), error.retry_after)
        return cls(status, error.code, str(error), errors)


def problem(refused: Refused, **more: Any) -> JSONResponse:
    """Answer in the form of RFC 9457, with every bad field in ``errors``."""
    errors = [{"field": one.field, "code": one.code, "message": str(one)} for one in refused.errors]
    body = {"type": "about:blank", "title": refused.code, "status": refused.status, "detail": refused.sentence}
    told = {**body, "code": refused.code, **({"errors": errors} if errors else {}), **more}
    return JSONResponse(told, refused.status, media_type="application/problem+json")


def route(answer: Callable[[Request, Refused], Response]) -> type[APIRoute]:
    """Make the class of a door's routes, in which every error with a sentence becomes the door's own ``answer``."""

    class Route(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def handled(request: Request) -> Response:
                try:
                    return await handle(request)
                except (Refused, ReseedError, HTTPException) as error:
                    refused = Refused.of(error)
                    response = answer(request, refused)
                    if refused.retry_after:
                        response.headers["Retry-After"] = str(refused.retry_after)
                    return response

            return handled

    return Route


async def read(request: Request, limit: int = BODY) -> Any:
    """Read a JSON body of at most ``limit`` bytes; raise Refused with 400, 413 or 415."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise Refused(415, "not_json", f"The content type must be application/json; got {kind or 'none'}.")
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > limit:
            raise Refused(413, "too_large", f"The body must have at most {limit} bytes.")
    try:
        found = json.loads(data.decode(), parse_constant=_no_constant)
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeError as error:
        raise Refused(400, "not_json", "The body must be UTF-8 text without unpaired surrogate characters.") from error
    except (ValueError, RecursionError) as error:
        raise Refused(400, "not_json", f"The body cannot be read as JSON: {str(error)[:200]}.") from error
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def an_object(found: Any) -> dict[str, Any]:
    """Return a body that is one JSON object; raise Refused with 400 for anything else."""
    if not isinstance(found, dict):
        raise Refused(400, "not_an_object", f"The body must be a JSON object; got {_kind(found)}.")
    return found


def _kind(value: Any) -> str:
    kinds = {list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


async def changed(jobs: Jobs, job: str, seq: int, timeout: float) -> Progress:
    """Return where a job stands as soon as its ``seq`` is another, or after ``timeout`` seconds."""
    wait = partial(jobs.wait, job, seq, timeout)
    return await anyio.to_thread.run_sync(wait, abandon_on_cancel=True, limiter=_waiters())


def _waiters() -> CapacityLimiter:
    """Return what counts the threads of those who wait in this event loop."""
    try:
        return _THREADS.get()
    except LookupError:
        _THREADS.set(CapacityLimiter(WAITERS))
        return _THREADS.get()


async def until(
    enough: Callable[[Progress], bool], jobs: Jobs, job: str, request: Request, timeout: float = float("inf")
) -> Progress:
    """Return where a job stands when that is ``enough``, after ``timeout`` seconds, or when the client has hung up."""
    progress = await changed(jobs, job, -1, 0)
    end = anyio.current_time() + timeout
    while not enough(progress) and (left := end - anyio.current_time()) > 0:
        if jobs.closing or await request.is_disconnected():
            break
        progress = await changed(jobs, job, progress.seq, min(SLICE, left))
    return progress


async def ended(jobs: Jobs, job: str, request: Request, timeout: float = float("inf")) -> Progress:
    """Return where a job stands when it has ended, after ``timeout`` seconds, or when the client has hung up."""
    return await until(lambda progress: progress.done, jobs, job, request, timeout)


def contents(records: Sequence[Record]) -> list[str]:
    """Return the files of pictures as they were saved, in base64; raise OSError when one is gone."""
    return [base64.b64encode(record.path.read_bytes()).decode() for record in records]
