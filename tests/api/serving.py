"""A real server on a free port, for tests that need one."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from webui.api.app import create
from webui.serve import config, listen
from webui.studio import Studio


@contextmanager
def served(studio: Studio, app: ASGIApp | None = None) -> Iterator[str]:
    """Serve the doors of a studio, or an application over it; yield the address and stop afterwards."""
    listener = listen("127.0.0.1", 0)
    assert listener.proto == socket.IPPROTO_TCP  # else asyncio leaves out TCP_NODELAY, and answers take 40 ms longer
    listener.listen(256)
    running = uvicorn.Server(config(app or create(studio)))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        running.should_exit = True
        thread.join(20)
        listener.close()
    assert not thread.is_alive()
