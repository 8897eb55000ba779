"""The door for programs written for A1111: its paths, its words, its shapes, over the studio.

The promise: such a client works unchanged, and a picture that it asks for is the one that the same recipe gives
anywhere else in this program. What is not here is an error with a sentence, never a picture made without it; which
that is, and where this differs from A1111, docs/sdapi.md says.
"""

from typing import Annotated, Any, Final

import anyio.to_thread
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from webui.api import schemas, wire
from webui.api.sdapi import answers, lists, options, png_info, txt2img
from webui.api.sdapi.door import Door, Doors
from webui.api.sdapi.txt2img import NAMES
from webui.api.wire import Refused
from webui.studio import Studio

PREFIX: Final = "/sdapi/v1"
NOT_HERE: Final = {
    "img2img": "Pictures are made from words alone here: there is no img2img.",
    "extra-single-image": "There is no upscaler here.",
    "extra-batch-images": "There is no upscaler here.",
    "interrogate": "There is no model here that describes pictures.",
    "unload-checkpoint": "A model stays loaded until another takes its place; it cannot be unloaded alone.",
}
"""Paths that answer 501, each with its sentence."""
NOTHING: Final = ("refresh-checkpoints", "refresh-vae", "refresh-loras", "refresh-embeddings")
"""Paths that need do nothing: files are looked for whenever they are asked about."""


def router(studio: Studio) -> APIRouter:
    """Make the routes over a studio; each request meets the door of its owner."""
    doors = Doors(studio)
    found = APIRouter(route_class=wire.route(_error))
    _add_making(found, doors)
    _add_options(found, doors)
    _add_rest(found, studio)
    lists.add(found, PREFIX, studio)
    return found


def _error(request: Request, refused: Refused) -> Response:
    """Answer an error in A1111's shape, and beside it every bad field by the client's name for it."""
    fields = [
        {"field": NAMES.get(one.field, one.field), "code": one.code, "message": str(one)} for one in refused.errors
    ]
    told = {"error": refused.code, "detail": refused.sentence, "body": "", "errors": refused.sentence}
    return JSONResponse({**told, "fields": fields}, refused.status)


def _add_making(found: APIRouter, doors: Doors) -> None:
    """Add what makes pictures, and what follows and stops it."""
    Mine = Annotated[Door, Depends(doors.of)]

    @found.post(f"{PREFIX}/txt2img", openapi_extra=schemas.body(txt2img.schema()))
    async def make(request: Request, door: Mine) -> Response:
        """Make pictures and wait for them; who hangs up does not stop them."""
        body = wire.an_object(await wire.read(request))
        run = await anyio.to_thread.run_sync(door.begin, body)
        ended = 0
        while await anyio.to_thread.run_sync(door.goes_on, run, ended):
            await wire.ended(door.studio.jobs, run.jobs[ended], request)
            ended += 1
        return await anyio.to_thread.run_sync(lambda: answers.pictures(run, door.finished(run)))

    @found.get(f"{PREFIX}/progress")
    def progress(request: Request, door: Mine) -> JSONResponse:
        """Say how far the newest request is."""
        skip = request.query_params.get("skip_current_image", "false").lower()
        if skip not in ("true", "false", "1", "0"):
            raise Refused(422, "bad_value", f"skip_current_image must be true or false; got {skip[:60]!r}.")
        return JSONResponse(answers.progress(door.newest(), skip in ("false", "0")))

    @found.post(f"{PREFIX}/interrupt")
    def interrupt(door: Mine) -> JSONResponse:
        """Stop the newest request."""
        door.interrupt()
        return JSONResponse({})

    @found.post(f"{PREFIX}/skip")
    def skip(door: Mine) -> JSONResponse:
        """Abandon the picture at work."""
        door.skip()
        return JSONResponse(None)

    @found.post(f"{PREFIX}/reload-checkpoint")
    def reload(door: Mine) -> JSONResponse:
        """Load the model before it is needed."""
        door.studio.jobs.warm(door.settings["model"])
        return JSONResponse({})


def _add_options(found: APIRouter, doors: Doors) -> None:
    """Add the options: what later requests begin with, until the program ends."""
    Mine = Annotated[Door, Depends(doors.of)]

    @found.get(f"{PREFIX}/options")
    def get_options(door: Mine) -> JSONResponse:
        """Say how the options stand."""
        return JSONResponse(options.told(door.settings))

    @found.post(f"{PREFIX}/options", openapi_extra=schemas.body(options.schema()))
    async def set_options(request: Request, door: Mine) -> JSONResponse:
        """Set some of them, all or none."""
        body = wire.an_object(await wire.read(request))
        values = await anyio.to_thread.run_sync(options.read, body, door.find_model)
        door.keep(values)
        return JSONResponse(None)


def _add_rest(found: APIRouter, studio: Studio) -> None:
    """Add png-info, what is not here, and what need do nothing."""

    @found.post(f"{PREFIX}/png-info", openapi_extra=schemas.body(png_info.SCHEMA))
    async def read_png_info(request: Request) -> JSONResponse:
        """Read what a picture says of itself."""
        body = wire.an_object(await wire.read(request, png_info.BODY))
        return JSONResponse(await anyio.to_thread.run_sync(png_info.info, body))

    @found.get("/internal/ping")
    def ping() -> dict[str, Any]:
        """Say that the server answers."""
        return {}

    for name in NOTHING:
        found.add_api_route(f"{PREFIX}/{name}", _nothing, methods=["POST"], name=name)
    for name in NOT_HERE:
        found.add_api_route(f"{PREFIX}/{name}", _absent, methods=["POST"], name=name)


def _nothing() -> JSONResponse:
    """Answer as A1111 does when it has looked for files again."""
    return JSONResponse(None)


def _absent(request: Request) -> JSONResponse:
    """Refuse what is not here."""
    raise Refused(501, "not_here", NOT_HERE[request.url.path.rpartition("/")[2]])
