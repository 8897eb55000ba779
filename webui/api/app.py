"""The application: pictures, thumbnails, drafts and the answer to "are you there", behind guard and gate.

The promise: a picture is served byte for byte as it was saved, and no text from a client ever becomes a path: an id
is looked up in the gallery, and the path is the gallery's own.
"""

import io
import re
import socket
from typing import Final

from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse, JSONResponse
from starlette.requests import Request
from starlette.responses import Response

from webui import __version__, grid_picture, owners, sweeping
from webui.api import status
from webui.api.firefly import routes as firefly
from webui.api.gate import Gate, seen
from webui.api.guard import LOOPBACK, Guard
from webui.api.people import People
from webui.api.proxy import Forwarded
from webui.api.runware import routes as runware
from webui.api.sdapi import routes as sdapi
from webui.drafts import enlarged
from webui.errors import JobError, ReseedError, StorageError
from webui.gallery import Record
from webui.jobs import Jobs
from webui.studio import Studio

EVERYWHERE: Final = ("0.0.0.0", "::", "")
FOREVER: Final = "private, max-age=31536000, immutable"
"""A picture never changes: its id is never given twice. Private: no proxy between keeps a copy."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


def create(studio: Studio) -> FastAPI:
    """Make the application over a studio; routes of the page are added by whoever mounts it."""
    # No interactive documentation: it would fetch scripts from outside.
    app = FastAPI(title="Reseed", version=__version__, docs_url=None, redoc_url=None)
    everywhere = studio.settings.host in EVERYWHERE
    hosts = (*LOOPBACK, *own_names()) if everywhere else (*LOOPBACK, studio.settings.host)
    _guard(app, studio, (*hosts, *studio.settings.door.hosts), everywhere)
    app.add_exception_handler(ReseedError, _sentence)
    app.get("/healthz")(_health)
    status.add(app, studio)
    _add_pictures(app, studio)
    _add_jobs(app, studio)
    app.include_router(firefly.router(studio))
    app.include_router(runware.router(studio))
    app.include_router(sdapi.router(studio))
    return app


def _guard(app: FastAPI, studio: Studio, hosts: tuple[str, ...], everywhere: bool) -> None:
    """Put before all routes, from within: the gate, the guard, and what a proxy says.

    ``app.state.people`` are those who may come in, ``app.state.shared`` the names of a public link.
    """
    door, shared = studio.settings.door, set[str]()
    app.state.people, app.state.shared = People(door.users), shared
    secret = owners.secret(studio.settings.data_dir) if door.is_guarded else b""
    app.add_middleware(Gate, door=door, people=app.state.people, secret=secret)
    app.add_middleware(Guard, hosts=hosts, any_address=everywhere, shared=shared)
    app.add_middleware(Forwarded, believed=door.proxy, secure=shared)


def own_names() -> tuple[str, ...]:
    """Return the names under which other machines of a network know this one."""
    name = socket.gethostname()
    return (name, f"{name}.local", f"{name}.lan")


def _health() -> dict[str, str]:
    """Say that the server answers."""
    return {"status": "ok", "version": __version__}


def _add_pictures(app: FastAPI, studio: Studio) -> None:
    """Serve what the gallery holds."""

    @app.get("/pictures/{id}.png")
    def picture(request: Request, id: str) -> Response:
        """Serve the original file of a picture."""
        record = _record(seen(studio, request), id)
        path = record.path.resolve()
        # A link that leads out of the outputs is not followed, whoever put it there.
        if not path.is_relative_to(studio.gallery.outputs.resolve()) or not path.is_file():
            raise HTTPException(404, "The picture's file is gone.")
        return FileResponse(
            path,
            media_type="image/png",
            filename=record.path.name,
            content_disposition_type="inline",
            headers={"Cache-Control": FOREVER},
        )

    @app.get("/thumbnails/{id}")
    def thumbnail(request: Request, id: str) -> Response:
        """Serve a picture's thumbnail."""
        try:
            path = studio.gallery.thumbnail(_record(seen(studio, request), id))
        except (StorageError, OSError):
            raise HTTPException(404, "The picture's file is gone.") from None
        return FileResponse(path, headers={"Cache-Control": FOREVER})


def _add_jobs(app: FastAPI, studio: Studio) -> None:
    """Serve what jobs leave beside pictures: differences, grid pictures and drafts."""

    @app.get("/differences/{job}.png")
    def difference(request: Request, job: str) -> Response:
        """Serve the difference that a check of a picture found, drawn when it is asked for."""
        data = seen(studio, request).checks.difference(job)
        if data is None:
            raise HTTPException(
                404, "There is no difference of that check: it is drawn while the program remembers it."
            )
        return Response(data, media_type="image/png", headers={"Cache-Control": FOREVER})

    @app.get("/sweeps/{job}.png")
    def sweep(request: Request, job: str) -> Response:
        """Serve the grid picture of a sweep as it stands now, drawn when it is asked for."""
        try:
            progress = seen(studio, request).jobs.progress(job)
            layout = sweeping.layout_of(progress)
        except JobError as error:
            raise HTTPException(404, str(error)) from None
        data = grid_picture.draw(layout, sweeping.places(layout, progress))
        return Response(data, media_type="image/png", headers={"Cache-Control": "no-store"})

    @app.get("/drafts/{key}.png")
    def draft(request: Request, key: str) -> Response:
        """Serve what a draft shows, enlarged; where people are told apart, to those who name a job that drew it."""
        jobs = seen(studio, request).jobs
        found = studio.drafts.load(key) if not jobs.owner or _drew(jobs, request.url.query, key) else None
        if found is None:
            raise HTTPException(404, "There is no draft of that key: drafts that are not used go when room is needed.")
        buffer = io.BytesIO()
        enlarged(found.preview).save(buffer, "PNG")
        return Response(buffer.getvalue(), media_type="image/png", headers={"Cache-Control": FOREVER})


def _drew(jobs: Jobs, job: str, key: str) -> bool:
    """Say whether a job of an owner drew a draft: drafts are found by their recipe, which is no secret."""
    try:
        return key in dict(jobs.progress(job).drafts).values()
    except JobError:
        return False


def _record(studio: Studio, id: str) -> Record:
    record = studio.gallery.get(id) if _ID.match(id) else None
    if record is None:
        raise HTTPException(404, "There is no picture of that id.")
    return record


def _sentence(request: Request, error: Exception) -> Response:
    """Answer an error that is a sentence with the sentence."""
    code = error.code if isinstance(error, ReseedError) else "error"
    return JSONResponse({"error": {"code": code, "message": str(error)}}, 422)
