"""The gate: tells people apart, before the page and before every API.

The promise: behind it every request has an owner in ``request.state.owner``.
"""

from starlette.requests import Request

from webui.studio import Studio


def seen(studio: Studio, request: Request) -> Studio:
    """Return the studio as whoever asks sees it. Every route that shows or makes something begins with this."""
    return studio.of(getattr(request.state, "owner", ""))
