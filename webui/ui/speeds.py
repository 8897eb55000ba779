"""Render speeds and what will not keep the composition: a radio that sets steps and sampler, and warnings under it.

The promise: the radio shows what the fields say and never the other way round, and a warning is there only while the
form holds a picture's seed and something that will not keep its composition.
"""

from collections.abc import Mapping
from typing import Any, Final

import gradio as gr

from webui import seed_traps, speeds
from webui.errors import ReseedError
from webui.studio import Studio
from webui.ui import form, views
from webui.ui.desk import owner_of
from webui.ui.events import on_change
from webui.ui.form import Form

LOOKED_AT: Final = ("parent", "seed", *seed_traps.FIELDS)
"""What of the form the radio and the warnings depend on."""


def field(studio: Studio) -> Any:
    """Make the radio for the model that the form begins with."""
    suggested = studio.defaults()
    name = speeds.name_of(suggested, suggested)
    return gr.Radio(
        speeds.labels(suggested),
        value=name,
        label="Render speed",
        info=speeds.ABOUT[name],
        elem_id="speed",
        interactive=True,
        min_width=280,
    )


def connect(studio: Studio, page: Form, parts: dict[str, Any], shared: dict[str, Any]) -> None:
    """Connect the radio with the fields that it stands for, and the warnings with all that they look at."""
    handlers = Speeds(studio)
    fields = [page["steps"], page["sampler"]]
    parts["speed"].input(handlers.choose, [parts["speed"], page["model"]], fields, **shared)
    on_change(
        [page[name] for name in LOOKED_AT], handlers.look, [parts["speed"], parts["seedtraps"]], shared, asked=True
    )


class Speeds:
    """The handlers over one studio."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def choose(self, name: str, model: str) -> list[Any]:
        """Put a speed's steps and sampler into the form; Custom leaves them."""
        try:
            found = speeds.settings(name, self.studio.defaults(model))
        except ReseedError:
            found = {}
        return [found.get(field, gr.skip()) for field in ("steps", "sampler")]

    def look(self, request: gr.Request, *arguments: Any) -> list[Any]:
        """Look at what a form holds: follow it with the radio, and warn."""
        values = dict(zip(LOOKED_AT, arguments, strict=True))
        return [
            self.follow(values["steps"], values["sampler"], values["model"]),
            self.traps(self.studio.of(owner_of(request)), values["parent"], values["seed"], values),
        ]

    def follow(self, steps: Any, sampler: str, model: str) -> Any:
        """Show the speed that the fields say, with the steps of each for the model."""
        try:
            suggested = self.studio.defaults(model)
        except ReseedError:
            return gr.skip()
        name = speeds.name_of({"steps": steps, "sampler": sampler}, suggested)
        return gr.update(choices=speeds.labels(suggested), value=name, info=speeds.ABOUT[name])

    def traps(self, own: Studio, brought: str, seed: str, values: Mapping[str, Any]) -> str:
        """Warn of what will not keep the composition of the picture whose seed is in the form."""
        id = form.parent(str(brought or ""), str(seed or ""))
        parent = own.parent(id) if id else None
        if parent is None or str(parent.seed) != str(seed).strip():
            return ""
        try:
            return views.traps(seed_traps.warnings(parent, values))
        except ReseedError:
            return ""
