"""Which handler each part of the page calls.

The promise: every listener is private, draws its own progress and waits for no other; nothing here draws anything.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import gradio as gr

from webui.ui import holding, presets, speeds
from webui.ui.events import on_change
from webui.ui.form import Form
from webui.ui.handlers import VIEW, Handlers, swap
from webui.ui.links import Links
from webui.ui.recall import Recall

SHARED: Final = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
"""Of every listener: it draws its own progress, is no public interface, and waits for no other."""
RAW: Final = {**SHARED, "preprocess": False}
"""Of those that read the form: they get what the browser sent. What gradio makes of a value first ends, for a number
field that was emptied or a choice that is none, in words of its own that name neither the field nor what is allowed."""


def connect(handlers: Handlers, page: Form, parts: dict[str, Any], demo: Any) -> None:
    """Connect the parts of the page with the handlers of its studio."""
    recall = Recall(handlers.studio, handlers.verifying)
    _connect_making(handlers, page, parts, demo)
    _connect_seeds(handlers, recall, page, parts)
    _connect_recipes(recall, page, parts)
    _connect_sweeps(handlers, recall, page, parts)
    _connect_form(handlers, page, parts)
    _connect_undo(page, parts)
    links = Links(handlers.studio, recall)
    _connect_links(handlers, links, page, parts)
    _connect_browser(recall, links, page, parts, demo)
    demo.load(handlers.vocabulary, page["model"], parts["words"], **SHARED)  # files come and go while it runs
    _connect_history(handlers, parts)
    speeds.connect(handlers.studio, page, parts, SHARED)


def _connect_making(handlers: Handlers, page: Form, parts: dict[str, Any], demo: Any) -> None:
    """Connect what starts, watches and stops jobs."""
    view = [parts[name] for name in VIEW]
    memory, inputs = parts["memory"], [parts["memory"], parts["shown"], *page.inputs()]
    counted = on_change([page["prompt"], page["model"]], handlers.count_tokens, parts["tokens"], SHARED)
    ways: tuple[tuple[str, Callable[..., Any], Callable[..., Any]], ...] = (
        ("go", handlers.submit, handlers.check),
        ("new", handlers.submit_new, handlers.check_new),
        ("same", handlers.submit_same, handlers.check_same),
        ("explore", handlers.explore, handlers.check_explore),
    )
    for button, submit, check in ways:
        parts[button].click(
            submit,
            inputs,
            [memory, parts["note"]],
            validator=check,
            js="(jobs, shown, ...rest) => [jobs, window.reseed.shown(), ...rest]",
            trigger_mode="multiple",
            **RAW,
        ).success(
            handlers.start_following,
            memory,
            view,
            trigger_mode="multiple",
            js="(jobs) => window.reseed.toStage(jobs)",
            **SHARED,
        ).then(*counted, **SHARED)  # the model may have been loaded for it
    parts["stop"].click(handlers.stop, memory, None, trigger_mode="multiple", **SHARED)
    verified = parts["stage"].verify(handlers.verifying.press, None, parts["check"], **SHARED)
    verified.success(handlers.follow, memory, view, trigger_mode="multiple", **SHARED)
    dropped = parts["status"].unqueue(handlers.drop, memory, memory, **SHARED)
    dropped.success(handlers.follow, memory, view, trigger_mode="multiple", **SHARED)
    demo.load(handlers.follow, memory, view, **SHARED)
    demo.unload(handlers.leave)
    parts["changed"].measure(handlers.changed.measure, None, parts["changed"], **SHARED)
    for part in ("stage", "strip", "sweep", "sheet", "history", "compare"):
        parts[part].compare(handlers.comparing.press, None, parts["compare"], trigger_mode="always_last", **SHARED)
    for row in ("strip", "sweep", "sheet", "history", "branch", "changed"):
        parts[row].pick(handlers.pick, memory, view, trigger_mode="always_last", **SHARED)
    for row in ("strip", "sweep", "sheet"):
        parts[row].follow(handlers.watch_again, memory, view, **SHARED)
    for press, act in handlers.exploring.presses(parts["sheet"]):
        press(act, memory, memory, **SHARED).success(handlers.follow, memory, view, trigger_mode="multiple", **SHARED)
    parts["history"].more(handlers.more, memory, view, **SHARED)


def _connect_sweeps(handlers: Handlers, recall: Recall, page: Form, parts: dict[str, Any]) -> None:
    """Connect what starts sweeps, and their grid."""
    sweeping, memory, view = handlers.sweeping, parts["memory"], [parts[name] for name in VIEW]
    axes, form = parts["axes"], page.inputs()
    asked: dict[str, Any] = {"inputs": [memory, *axes, *form], "outputs": [memory, parts["note"]], **RAW}
    pressed = parts["sweep_go"].click(handlers.sweep, validator=sweeping.check, trigger_mode="multiple", **asked)
    filled = parts["quick"].quick(
        sweeping.quick, form, [*axes, page["variation_seed"]], validator=sweeping.check_quick, **RAW
    )
    for started in (pressed, filled.success(handlers.sweep, **asked)):
        started.success(handlers.start_following, memory, view, js="(jobs) => window.reseed.toStage(jobs)", **SHARED)
    counted = [*axes, *(page[name] for name in ("steps", "sampler", "width", "height"))]
    on_change(counted, sweeping.estimate, parts["planned"], SHARED, asked=True, read=[*axes, *form])
    stored: dict[str, Any] = {"inputs": axes, "trigger_mode": "always_last"}
    gr.on([part.change for part in axes], None, js="(...values) => window.reseed.rememberAxes(values)", **stored)
    grid = parts["sweep"]
    grid.pick(recall.load, page["parent"], [*form, parts["note"]], **SHARED)
    grid.away(sweeping.away, memory, memory, **SHARED).success(handlers.follow, memory, view, **SHARED)


def _connect_history(handlers: Handlers, parts: dict[str, Any]) -> None:
    """Connect what finds pictures again, and what deletes them."""
    past, view = handlers.past, [parts[name] for name in VIEW]
    for moved in (parts["stage"].discard(past.discard, **SHARED), parts["history"].putback(past.put_back, **SHARED)):
        moved.success(handlers.follow, parts["memory"], view, trigger_mode="multiple", **SHARED)
    field, row = parts["find"], parts["history"]
    field.change(past.find, field, row, trigger_mode="always_last", **SHARED)
    parts["stage"].siblings(past.siblings, None, [field, row], **SHARED)
    parts["stage"].mark(past.mark, None, [parts["stage"], row], **SHARED)
    row.favourites(past.favourites, None, row, **SHARED)
    row.every(past.every, None, [field, row], **SHARED)
    row.newest(past.newest, None, row, **SHARED)


def _connect_seeds(handlers: Handlers, recall: Recall, page: Form, parts: dict[str, Any]) -> None:
    """Connect the seed row and every seed chip."""
    seed, shown, outputs = page["seed"], parts["shown"], [page["seed"], parts["note"]]
    parent, brought = page["parent"], [page["seed"], page["parent"], parts["note"]]
    tools = parts["tools"]
    tools.dice(handlers.dice, None, outputs, **SHARED)
    tools.recycle(
        recall.recycle,
        [shown, parent],
        brought,
        js="(shown, parent) => [window.reseed.shown(), parent]",
        **SHARED,
    )
    tools.plus(
        handlers.step_up,
        [seed, shown],
        outputs,
        js="(seed) => [seed, window.reseed.shown()]",
        trigger_mode="multiple",
        **SHARED,
    )
    for row in ("stage", "strip", "sheet", "history", "seeds"):
        parts[row].reuse(recall.reuse, parent, brought, **SHARED)


def _connect_recipes(recall: Recall, page: Form, parts: dict[str, Any]) -> None:
    """Connect what loads recipes into the form: from the picture on screen and from a dropped file."""
    parent, outputs = page["parent"], [*page.inputs(), parts["note"]]
    parts["stage"].bring(recall.load, parent, outputs, **SHARED)
    parts["file"].upload(
        recall.inspect, parts["file"], [parts["found"], parts["found_recipe"], parts["file"]], **SHARED
    )
    parts["found"].take(recall.take, [parts["found_recipe"], parent], [*outputs, parts["found"]], **SHARED)
    parts["stage"].example(recall.example, parent, [page["prompt"], parent], **SHARED)


def _connect_links(handlers: Handlers, links: Links, page: Form, parts: dict[str, Any]) -> None:
    """Connect what copies a link of the form; that of a picture is in its button."""
    written = parts["formtools"].link(
        links.copy,
        [parts["memory"], parts["shown"], *page.inputs()],
        [parts["link"], parts["note"]],
        validator=handlers.check,
        **RAW,
    )
    written.success(None, parts["link"], None, js="(text) => window.reseed.copyLink(text)")


def _connect_browser(recall: Recall, links: Links, page: Form, parts: dict[str, Any], demo: Any) -> None:
    """Connect the form to what a browser remembers of it, and to a link that it was opened by."""
    inputs = page.inputs()
    restored = demo.load(None, inputs, inputs, js="(...values) => window.reseed.restore(values)")
    demo.load(None, parts["axes"], parts["axes"], js="(...values) => window.reseed.restoreAxes(values)")
    presets.connect(recall.studio, page, parts, restored, SHARED)
    # Only a link asks the server: its answer comes late, and would take away sentences that came meanwhile.
    restored.then(None, None, parts["address"], js="() => window.reseed.arrived()")
    opened = parts["address"].change(links.open, [parts["address"], page["parent"]], [*inputs, parts["note"]], **SHARED)
    opened.success(None, js="() => window.reseed.clean()")
    gr.on(
        [part.change for part in inputs],
        None,
        inputs,
        None,
        js="(...values) => window.reseed.remember(values)",
        trigger_mode="always_last",
    )


def _connect_undo(page: Form, parts: dict[str, Any]) -> None:
    """Connect undo and redo of the whole form; the browser remembers its steps."""
    for listener, by in ((parts["formtools"].undo, -1), (parts["formtools"].redo, 1)):
        listener(None, None, page.inputs(), js=f"() => window.reseed.move({by})")


def _connect_form(handlers: Handlers, page: Form, parts: dict[str, Any]) -> None:
    """Connect the form to itself: what is held, the size, the model and its words, what a prompt may not mean."""
    kept = [page["parent"], page["seed"], page["share"]]
    on_change(kept, partial(holding.followed, handlers.studio), parts["holding"], SHARED, asked=True)
    width, height, model = page["width"], page["height"], page["model"]
    on_change([model], handlers.vocabulary, parts["words"], SHARED)
    parts["swap"].swap(swap, [width, height], [width, height], **SHARED)
    model.input(
        handlers.change_model,
        [model, parts["model_before"], width, height],
        [width, height, parts["model_before"]],
        **SHARED,
    )
    on_change([page["prompt"], page["negative_prompt"]], handlers.traps, parts["traps"], SHARED)
