"""A real server on a free port, for tests that need one."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from webui.api.app import create
from webui.serve import config
from webui.studio import Studio


@contextmanager
def served(studio: Studio) -> Iterator[str]:
    """Serve the doors of a studio; yield the address and stop afterwards."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(256)
    running = uvicorn.Server(config(create(studio)))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        running.should_exit = True
        thread.join(20)
        listener.close()
    assert not thread.is_alive()
