"""A public link to this server, by the tunnel that gradio's maker runs. The page and all APIs are reached by it."""

import os
from collections.abc import Callable
from typing import Any

import httpx

from webui.errors import StorageError


def link(host: str, port: int, token: str, connect: Callable[..., Any] | None = None) -> str:
    """Open the tunnel and return its https address; raise StorageError when it cannot be had.

    Gradio asks its own server for a way, fetches a program of its own (frpc) once, and runs it until this process ends.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    from gradio.exceptions import ChecksumMismatchError

    try:
        found = (connect or _tunnel())(
            local_host=host,
            local_port=port,
            share_token=token,
            share_server_address=None,
            share_server_tls_certificate=None,
        )
    except (OSError, RuntimeError, ValueError, httpx.HTTPError, ChecksumMismatchError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise StorageError(f"{said[0].rstrip('.')}.") from error
    return str(found).replace("http://", "https://", 1)


def _tunnel() -> Callable[..., Any]:
    from gradio.networking import setup_tunnel

    return setup_tunnel  # type: ignore[no-any-return]
