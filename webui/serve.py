"""Serve the page and the API from one process, on one address.

The promise: the page answers before torch is imported; the queue is recovered and the model warmed in the background
meanwhile. Nothing here is imported by another module but the command line.
"""

import os
import socket
import sys
import threading

from fastapi import FastAPI

from webui.errors import StorageError
from webui.settings import Settings
from webui.studio import Studio


def application(studio: Studio) -> FastAPI:
    """Compose the API's routes and the page into one application."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    from webui.api import app
    from webui.ui import page

    return page.mount(app.create(studio), studio)


def serve(settings: Settings) -> int:
    """Serve until interrupted; return the exit status.

    Raises StorageError when the port is taken (another program must not be reached by mistake) and JobError when
    another server works in the data folder.
    """
    import uvicorn

    listener = _listen(settings.host, settings.port)
    studio = Studio.open(settings)
    try:
        studio.jobs.claim()
        config = uvicorn.Config(application(studio), log_level="warning", timeout_graceful_shutdown=3)
        server = uvicorn.Server(config)
        threading.Thread(target=_begin, args=(studio,), name="begin", daemon=True).start()
        listener.listen(128)  # whoever comes from now on is answered, a moment later perhaps
        shown = "127.0.0.1" if settings.host == "0.0.0.0" else settings.host
        print(f"Reseed is at http://{shown}:{listener.getsockname()[1]}  (stop with Ctrl+C)", flush=True)
        if settings.host == "0.0.0.0":
            print("It answers every machine that can reach this one, without a password.", file=sys.stderr, flush=True)
        server.run(sockets=[listener])
    finally:
        listener.close()
        studio.close()
    return 0


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
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
