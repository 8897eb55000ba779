"""Events of the page: what our own buttons say when they are pressed."""

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gradio as gr


class Carried(NamedTuple):
    """What calls a handler with the values of fields as they were carried last: the arguments of an event."""

    fn: Callable[..., Any]
    inputs: Any
    outputs: Any


def on_change(  # noqa: PLR0913
    fields: Sequence[Any],
    handler: Callable[..., Any],
    outputs: Any,
    shared: dict[str, Any],
    *,
    asked: bool = False,
    read: Sequence[Any] = (),
) -> Carried:
    """Call a handler with the values of fields whenever one of them changes, or with those of others to ``read``.

    They travel through a hidden field: gradio (6.31) takes the sentences away from the inputs of an event when the
    server begins with it, so an event that begins late would take those that came meanwhile. Before them comes the
    request, when it is ``asked`` for. What is returned calls it again with what was carried last.
    """
    carried = gr.Textbox("", visible=False)
    written = "(...values) => JSON.stringify(values)"
    gr.on(
        [field.change for field in fields], None, [*(read or fields)], carried, js=written, trigger_mode="always_last"
    )

    def called(text: str, request: gr.Request) -> Any:
        return handler(*([request] if asked else []), *json.loads(text)) if text else gr.skip()

    carried.change(called, carried, outputs, trigger_mode="always_last", **shared)
    return Carried(called, carried, outputs)


def seed_of(shown: str) -> str:
    """Return the seed of what is on screen, which the page names as ``ID@SEED``."""
    return shown.rpartition("@")[2]


def text_of(event: gr.EventData, name: str) -> str:
    """Return a text that an event of the page carries, or nothing."""
    data = getattr(event, "_data", None)
    value = data.get(name) if isinstance(data, dict) else None
    return value if isinstance(value, str) else ""
