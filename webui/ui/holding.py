"""What the form holds to: the line under the slider of ``webui.hold``."""

from html import escape
from typing import Any, Final

from webui.studio import Studio
from webui.ui import form
from webui.ui.desk import owner_of

SHOWN: Final = 120
"""Characters of the parent's prompt that are shown."""


def followed(studio: Studio, request: Any, brought: str, seed: str, percent: Any) -> str:
    """Say it of the form of whoever asks."""
    return line(studio.of(owner_of(request)), brought, seed, percent)


def line(studio: Studio, brought: str, seed: str, percent: Any) -> str:
    """Say which picture's words are held and for how long; where there is none, how to get one."""
    id = form.parent(str(brought or ""), str(seed or ""))
    parent = studio.parent(id) if id else None
    if parent is None:
        said = (
            "Nothing to hold yet: bring a picture's seed or words into the form, with ♻️ or Load, then change the words."
        )
    else:
        words = parent.prompt if len(parent.prompt) <= SHOWN else f"{parent.prompt[: SHOWN - 1]}…"
        which = f"the words of seed {parent.seed}: {words}" if words else f"the empty prompt of seed {parent.seed}"
        said = f"Holds {which}" if percent else f"Off. Would hold {which}"
    return f'<p class="about" role="status" aria-live="polite">{escape(said)}</p>'
