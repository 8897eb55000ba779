"""Pictures in Adobe Firefly's manner; it is also our own API for jobs.

The promise: a client that was written for Firefly's v3 images API runs with only the host changed. A job that was
accepted survives a restart and shows every seed at once; who waits is told of each change; and the same
``Idempotency-Key`` with the same body is the same job, whatever it drew.

Firefly: https://developer.adobe.com/firefly-services/docs/firefly-api. What differs is in docs/api.md.
"""

import re
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final

import anyio.to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from webui.api import asked, schemas, wire
from webui.api.firefly import answers, reading, tokens
from webui.api.firefly.answers import DOOR, URN
from webui.api.gate import seen
from webui.api.people import SECONDS
from webui.errors import UnknownJob, shown
from webui.jobs import Jobs
from webui.journal import Key
from webui.params import Number
from webui.progress import Progress
from webui.studio import Studio

WAIT: Final = Number("Wait", "Seconds to wait for a change.", name="wait", default=0.0, minimum=0, maximum=60)
LONGEST_KEY: Final = 200
_ID: Final = re.compile(rf"(?:{re.escape(URN)})?([0-9a-f]{{32}})\Z")
_SEQ: Final = re.compile(r'(?:W/)?"?([0-9]{1,18})"?\Z')


def router(studio: Studio) -> APIRouter:
    """Make the routes over a studio; each request sees what its owner may."""
    made = APIRouter(route_class=wire.route(lambda request, refused: wire.problem(refused)))
    _add_making(made, studio)
    _add_following(made, studio)
    return made


def _add_making(made: APIRouter, studio: Studio) -> None:
    """Add what is asked for: tokens, and jobs that are waited for or not."""
    described = schemas.body(reading.schema())

    @made.post("/ims/token/v3")
    async def token(request: Request) -> Response:
        """Give a token for a name and a password, and to everybody where nothing is locked."""
        given = await tokens.give(request.app.state.people, request)
        body = {"access_token": given, "token_type": "bearer", "expires_in": SECONDS["bearer"] - 1}
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    @made.post("/v3/images/generate-async", status_code=202, openapi_extra=described)
    async def generate_async(request: Request) -> Response:
        """Accept a job and say where it can be followed."""
        progress, replayed = await _accept(seen(studio, request), request)
        body = answers.accepted(progress, _base(request))
        headers = {"Location": body["statusUrl"], "Retry-After": "1", **_replayed(replayed)}
        return JSONResponse(body, 202, headers)

    @made.post("/v3/images/generate", openapi_extra=described)
    async def generate(request: Request) -> Response:
        """Accept a job and answer with its pictures when they are there."""
        mine = seen(studio, request)
        progress, replayed = await _accept(mine, request)
        progress = await wire.ended(mine.jobs, progress.job, request)
        if progress.status == "succeeded":
            return JSONResponse(answers.result(progress, _base(request)), headers=_replayed(replayed))
        return wire.problem(_unfinished(progress), jobId=URN + progress.job)


def _add_following(made: APIRouter, studio: Studio) -> None:
    """Add what follows a job and stops it."""

    @made.get("/v3/status/{job}")
    async def status(job: str, request: Request) -> Response:
        """Say where a job stands, at once or after a change."""
        jobs, id, known = seen(studio, request).jobs, _job(job), _seq(request.headers.get("if-none-match"))
        wait = WAIT.parse(request.query_params.get("wait", "0"))
        progress = await wire.changed(jobs, id, -1, 0)
        last = progress.seq if known is None else known
        if wait and progress.seq == last and not progress.done:
            progress = await wire.until(partial(_newer, last), jobs, id, request, wait)
        headers = {"ETag": f'"{progress.seq}"', "Cache-Control": "no-cache"}
        if progress.seq == known:
            return Response(status_code=304, headers=headers)
        if not progress.done:
            headers["Retry-After"] = "1"
        return JSONResponse(answers.status(progress, _base(request)), headers=headers)

    @made.put("/v3/cancel/{job}")
    @made.post("/v3/cancel/{job}")
    def cancel(job: str, request: Request) -> Response:
        """Stop a job within a step; one that has ended stays as it is."""
        progress = seen(studio, request).jobs.cancel(_job(job))
        return JSONResponse(answers.status(progress, _base(request)), 200 if progress.done else 202)

    @made.get("/v3/events/{job}")
    async def events(job: str, request: Request) -> Response:
        """Tell of every change of a job as server-sent events, until it has ended."""
        jobs, id, known = seen(studio, request).jobs, _job(job), _seq(request.headers.get("last-event-id"))
        progress = await wire.changed(jobs, id, -1, 0)
        if progress.done and progress.seq == known:
            return Response(status_code=204)  # which tells an EventSource not to come back
        stream = _stream(jobs, progress, known, _base(request))
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _accept(studio: Studio, request: Request) -> tuple[Progress, bool]:
    """Read, settle and queue what is asked for; return where the job stands, and whether it was there before."""
    body = wire.an_object(await wire.read(request))
    key = _key(request, body)
    return await anyio.to_thread.run_sync(partial(_submit, studio, body, key))


def _submit(studio: Studio, body: dict[str, Any], key: Key | None) -> tuple[Progress, bool]:
    if key is not None and (found := studio.jobs.keyed(key)):
        return found, True
    wanted, echo = reading.read(body, studio.styles()[0])
    recipes, came = wanted.settle(studio)
    return studio.jobs.submit(recipes, key, came, about=asked.keep(DOOR, echo)), False


def _key(request: Request, body: dict[str, Any]) -> Key | None:
    """Read the idempotency key, with the digest of the body: seeds that are drawn are others each time."""
    text = request.headers.get("idempotency-key")
    if text is None:
        return None
    if not (text.isascii() and text.isprintable() and 1 <= len(text) <= LONGEST_KEY):
        sentence = f"Idempotency-Key must be 1 to {LONGEST_KEY} printable ASCII characters; got {shown(text)}."
        raise wire.Refused(400, "bad_key", sentence)
    return Key(f"{DOOR} {text}", asked.digest(body, DOOR))


def _replayed(replayed: bool) -> dict[str, str]:
    return {"Idempotent-Replayed": "true"} if replayed else {}


def _unfinished(progress: Progress) -> wire.Refused:
    """Say why there are no pictures to answer with."""
    if progress.status == "canceled":
        return wire.Refused(409, "canceled", "The job was canceled.")
    if progress.done:
        return wire.Refused(500, progress.code or "error", progress.error or "The job failed.")
    return wire.Refused(503, "shutting_down", "The program shuts down; the job is finished when it is back.")


def _base(request: Request) -> str:
    """Return the address that the client used, without a slash at its end."""
    return str(request.base_url).rstrip("/")


def _job(text: str) -> str:
    """Read a job's id, bare or as a URN; raise UnknownJob for what is none."""
    match = _ID.match(text)
    if match is None:
        raise UnknownJob(f"There is no job {shown(text)}. A job's id is {URN} and 32 hexadecimal digits.")
    return match[1]


def _seq(text: str | None) -> int | None:
    """Read the ``seq`` that a client has seen; what is none is passed over, as HTTP has it."""
    match = _SEQ.match((text or "").strip())
    return int(match[1]) if match else None


def _newer(seen: int, progress: Progress) -> bool:
    return progress.done or progress.seq != seen


async def _stream(jobs: Jobs, progress: Progress, known: int | None, base: str) -> AsyncIterator[str]:
    """Yield the events of a job: first where it stands, then what changes; a comment when nothing does for long."""
    before = progress if progress.seq == known else None
    told = anyio.current_time()
    while True:
        if before is None or progress.seq != before.seq:
            for event in answers.events(before, progress, base):
                yield event
            before, told = progress, anyio.current_time()
        if progress.done or jobs.closing:
            return
        if anyio.current_time() - told >= answers.HEARTBEAT:
            yield ": nothing new\n\n"
            told = anyio.current_time()
        progress = await wire.changed(jobs, progress.job, progress.seq, wire.SLICE)
