"""Serve the page and the API from one process, on one address.

The promise: the page answers before torch is imported; the queue is recovered and the model warmed in the background
meanwhile. Nothing here is imported by another module but the command line.
"""

import gc
import os
import secrets
import socket
import sys
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import FastAPI

from webui.errors import StorageError
from webui.settings import Settings
from webui.studio import Studio

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp


def application(studio: Studio) -> FastAPI:
    """Compose the API's routes and the page into one application."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    from webui.api import app
    from webui.ui import page

    return page.mount(app.create(studio), studio)


def config(app: "ASGIApp") -> "uvicorn.Config":
    """Say how an application is served.

    What a proxy says is read by webui.api.proxy, and only when a person said that there is one. A line that nobody uses
    stays open for longer than a proxy keeps its own (nginx: 60 seconds), so that none asks on one just being closed.
    """
    import uvicorn

    return uvicorn.Config(
        app, log_level="warning", timeout_graceful_shutdown=3, timeout_keep_alive=75, proxy_headers=False
    )


def serve(settings: Settings) -> int:
    """Serve until interrupted; return the exit status.

    Raises StorageError when the port is taken (another program must not be reached by mistake) and JobError when
    another server works in the data folder.
    """
    import uvicorn

    listener = listen(settings.host, settings.port)
    studio = Studio.open(settings)
    try:
        studio.jobs.claim()
        app = application(studio)
        ready()
        server = uvicorn.Server(config(app))
        threading.Thread(target=_begin, args=(studio,), name="begin", daemon=True).start()
        listener.listen(128)  # whoever comes from now on is answered, a moment later perhaps
        port = listener.getsockname()[1]
        shown = "127.0.0.1" if settings.host == "0.0.0.0" else settings.host
        print(f"Reseed is at http://{shown}:{port}  (stop with Ctrl+C)", flush=True)
        for sentence in studio.engine.told:
            print(sentence, flush=True)
        if not settings.is_loopback and not settings.door.is_guarded:
            print("It answers every machine that can reach this one, without a password.", file=sys.stderr, flush=True)
        if settings.door.share:
            threading.Thread(target=_share, args=(app, port), name="share", daemon=True).start()
        server.run(sockets=[listener])
    finally:
        listener.close()
        studio.close()
    return 0


def _share(app: FastAPI, port: int) -> None:
    """Ask for a public link to this server and say what it is, or why there is none; the server goes on without."""
    from webui.ui import sharing

    here = f"http://127.0.0.1:{port}"
    try:
        link = sharing.link("127.0.0.1", port, secrets.token_urlsafe(32))
    except StorageError as error:
        print(f"The link could not be made: {error} The page is at {here} only.", file=sys.stderr, flush=True)
        return
    app.state.shared.add(urlsplit(link).hostname or "")
    print(f"Everybody who knows it reaches it for at most a week at {link}", flush=True)


def ready() -> None:
    """Do once what some request would wait a tenth of a second for.

    That is to load what runs the threads of requests (anyio 4: its backend), and to look through all that was imported
    for garbage: what is here by now stays, and the collector does not look at it again.
    """
    import anyio

    anyio.run(anyio.sleep, 0)
    gc.collect()
    gc.freeze()


def listen(host: str, port: int) -> socket.socket:
    """Bind a port, any free one for 0; raise StorageError when it cannot be had.

    The protocol is named: only then does asyncio send the small parts of an answer at once (TCP_NODELAY). Without, a
    client that keeps its connection waits some 40 ms for the end of nearly every answer.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise StorageError(f"Port {port} cannot be used: {error.strerror}. Choose another with --port.") from None
    return listener


def _begin(studio: Studio) -> None:
    """Take up the queue and load the model; whatever fails here is printed with its traceback by the thread."""
    studio.start()
    studio.jobs.warm(studio.model)
