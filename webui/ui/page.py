"""The page: its parts, where they stand, and which handler each of them calls.

The promise: ``build`` makes a page over any studio and touches nothing outside it; ``mount`` puts it on an
application. Every handler is private, nothing bypasses the queue, and no request leaves this machine.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import gradio as gr
from fastapi import FastAPI

from webui.recipe import PARAMS
from webui.studio import Studio
from webui.ui import form, views
from webui.ui.form import Form
from webui.ui.handlers import VIEW, Handlers, swap

HERE: Final = Path(__file__).parent
UPLOAD_LIMIT: Final = "64mb"
SHARED: Final = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
"""Of every listener: it draws its own progress, is no public interface, and waits for no other."""


def tool(name: str, sign: str, words: str) -> str:
    """Draw a small button with a sign; its name for those who do not see it holds the sign and the words."""
    label = f"{sign} {words}"
    return f'<button type="button" class="tool" data-do="{name}" aria-label="{label}" title="{words}">{sign}</button>'


SEED_TOOLS: Final = (
    ("dice", "🎲", "Random seed for every click (−1)"),
    ("recycle", "♻️", "Reuse the seed of the picture on screen"),
    ("plus", "+1", "Next seed"),
)


def build(studio: Studio) -> gr.Blocks:
    """Make the page over a studio."""
    handlers = Handlers(studio)
    with gr.Blocks(title="Reseed", analytics_enabled=False, fill_width=True, delete_cache=(3600, 3600)) as demo:
        _ui(handlers, demo)
    demo.queue(api_open=False, default_concurrency_limit=None)
    return demo


def mount(app: FastAPI, studio: Studio) -> FastAPI:
    """Put the page at the root of an application whose own routes were declared before."""
    return gr.mount_gradio_app(  # type: ignore[no-any-return]
        app,
        build(studio),
        path="/",
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=UPLOAD_LIMIT,
        theme=theme(),
        css=_file("style.css"),
        head=_head(studio),
    )


def theme() -> Any:
    """Make the theme: fonts of the machine, a green of one meaning, contrast of 4.5 and more in light and dark."""
    fonts = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"]
    mono = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace"]
    base = gr.themes.Base(primary_hue="emerald", neutral_hue="zinc", font=fonts, font_mono=mono, radius_size="md")
    return base.set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        input_placeholder_color="*neutral_600",
        input_placeholder_color_dark="*neutral_400",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_800",
        button_primary_text_color="white",
        button_cancel_background_fill="#b91c1c",
        button_cancel_background_fill_dark="#b91c1c",
        button_cancel_background_fill_hover="#991b1b",
        button_cancel_background_fill_hover_dark="#991b1b",
        button_cancel_text_color="white",
        slider_color="*primary_600",
        block_label_text_size="*text_sm",
        block_title_text_weight="600",
    )


def _tools(*tools: tuple[str, str, str]) -> str:
    return f'<div class="tools">{"".join(tool(*each) for each in tools)}</div>'


def _file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _head(studio: Studio) -> str:
    """Write the page's scripts, with what they need to know of the form."""
    first = _first_values(studio)
    fields = [
        {
            "name": name,
            "first": first[name],
            "help": PARAMS[name].help if name in PARAMS else "",
            "choices": studio.models() if name == "model" else list(getattr(PARAMS.get(name), "choices", ()) or ()),
        }
        for name in [*form.NAMES, *form.EXTRA]
    ]
    known = json.dumps(fields).replace("<", "\\u003c")
    scripts = "\n".join(_file(name) for name in ("listen.js", "page.js", "keys.js"))
    return f'<meta name="color-scheme" content="light dark"><script>window.reseedFields = {known};\n{scripts}</script>'


def _first_values(studio: Studio) -> dict[str, Any]:
    return {**studio.defaults(studio.model), "seed": "", "variation_seed": "", "count": 1, "numbering": "increment"}


def _html(id: str, value: str = "", *events: str, script: str = "", kept: bool = False) -> Any:
    """Make a component of our own HTML; clicks on its ``data-do`` buttons become its events of these names.

    With ``kept`` it is redrawn by ``reseed.keep``: what has the same ``data-key`` stays the same element.
    """
    if events:
        script += f"window.reseed.wire(element, trigger, {json.dumps(events)});"
    if kept:
        script += "window.reseed.keep(element, props, watch);"
    template = '<div class="kept"></div>' if kept else "${value}"
    return gr.HTML(value, elem_id=id, html_template=template, js_on_load=script or None, apply_default_css=False)


def _ui(handlers: Handlers, demo: Any) -> None:
    """Lay the page out and connect it."""
    studio = handlers.studio
    parts: dict[str, Any] = {
        "memory": gr.BrowserState([], storage_key="reseed-jobs", secret="reseed"),
        "shown": gr.Textbox("", visible=False),
        "model_before": gr.State(studio.model),
        "found_values": gr.State({}),
    }
    _html("top", _file("header.html"), script="window.reseed.header(element);")
    with gr.Row(elem_id="board"):
        with gr.Column(elem_id="compose"):
            fields = _compose(handlers, parts)
        with gr.Column(elem_id="side"):
            _result(handlers, parts)
        with gr.Column(elem_id="settings"):
            fields |= _settings(studio, parts)
        with gr.Column(elem_id="past"):
            _html("past-title", "<h2>History</h2>")
            parts["history"] = _html("history", "", "pick", "reuse", "more", kept=True)
    page = Form(fields)
    _connect_making(handlers, page, parts, demo)
    _connect_seeds(handlers, page, parts)
    _connect_recipes(handlers, page, parts)
    _connect_form(handlers, page, parts, demo)


def _compose(handlers: Handlers, parts: dict[str, Any]) -> dict[str, Any]:
    """Lay out what is written for each picture: prompts, seed, and the buttons that make it."""
    first = _first_values(handlers.studio)
    parts["found"] = _html("found", "", "take")
    parts["tokens"] = _html("tokens")
    fields = {"prompt": form.component("prompt", first["prompt"])}
    fields["negative_prompt"] = form.component("negative_prompt", first["negative_prompt"])
    parts["traps"] = _html("traps")
    words = handlers.vocabulary(handlers.studio.model)
    parts["words"] = _html("words", words, script="window.reseed.addWord(element);")
    with gr.Row(elem_id="seedrow"):
        fields["seed"] = form.seed_field()
        parts["tools"] = _html("seedtools", _tools(*SEED_TOOLS), "dice", "recycle", "plus")
    parts["note"] = _html("seednote", views.note(""))
    with gr.Accordion("Vary the seed", open=False, elem_id="vary"):
        for pair in (form.VARY[:2], form.VARY[2:4], form.VARY[4:6], form.VARY[6:]):
            with gr.Row():
                for name in pair:
                    fields[name] = form.component(name, first[name])
    with gr.Row(elem_id="gorow"):
        parts["go"] = gr.Button("Generate", variant="primary", elem_id="go", scale=2, min_width=120)
        parts["new"] = gr.Button("New seed", elem_id="go-new", scale=1, min_width=104)
        parts["same"] = gr.Button("Same seed", elem_id="go-same", scale=1, min_width=104)
        parts["stop"] = gr.Button("Stop", variant="stop", elem_id="stop", scale=1, min_width=70, interactive=False)
    return fields


def _result(handlers: Handlers, parts: dict[str, Any]) -> None:
    """Lay out what comes of it: progress, the stage, the job's pictures, and what made the one on screen."""
    with gr.Column(elem_id="result"):
        title = "watch('value', () => window.reseed.title(element));"
        parts["status"] = _html("status", views.status([]), "unqueue", script=title)
        parts["stage"] = _html("stage", handlers.welcome(), "reuse", "bring", "example", kept=True)
        parts["strip"] = _html("strip", "", "pick", "reuse", "follow", kept=True)
    with gr.Accordion("Details", open=False, elem_id="details-box"):
        parts["details"] = _html("details", views.NO_DETAILS)


def _settings(studio: Studio, parts: dict[str, Any]) -> dict[str, Any]:
    """Lay out the settings that stay from picture to picture."""
    first = _first_values(studio)
    fields: dict[str, Any] = {}

    def put(name: str) -> None:
        fields[name] = form.component(name, first[name], studio.models())

    for pair in (("sampler", "schedule"), ("steps", "cfg_scale")):
        with gr.Row():
            for name in pair:
                put(name)
    with gr.Row(elem_id="sizerow"):
        put("width")
        parts["swap"] = _html("swaptool", _tools(("swap", "⇅", "Swap width and height")), "swap")
        put("height")
    with gr.Row():
        fields["count"], fields["numbering"] = form.batch_fields()
    put("model")
    with gr.Accordion("More", open=False, elem_id="more"):
        for name in form.MORE:
            put(name)
    parts["file"] = gr.File(
        label="Read a picture's recipe: drop a PNG, JPEG or WebP anywhere", elem_id="drop", height=64, type="filepath"
    )
    return fields


def _connect_making(handlers: Handlers, page: Form, parts: dict[str, Any], demo: Any) -> None:
    """Connect what starts, watches and stops jobs."""
    view = [parts[name] for name in VIEW]
    memory, inputs = parts["memory"], [parts["memory"], parts["shown"], *page.inputs()]
    ways: tuple[tuple[str, Callable[..., Any], Callable[..., Any]], ...] = (
        ("go", handlers.submit, handlers.check),
        ("new", handlers.submit_new, handlers.check_new),
        ("same", handlers.submit_same, handlers.check_same),
    )
    for button, submit, check in ways:
        parts[button].click(
            submit,
            inputs,
            [memory, parts["note"]],
            validator=check,
            js="(jobs, shown, ...rest) => [jobs, window.reseed.shownSeed(), ...rest]",
            trigger_mode="multiple",
            **SHARED,
        ).success(
            handlers.start_following,
            memory,
            view,
            trigger_mode="multiple",
            js="(jobs) => window.reseed.toStage(jobs)",
            **SHARED,
        ).then(handlers.count_tokens, [page["prompt"], page["model"]], parts["tokens"], **SHARED)
    parts["stop"].click(handlers.stop, memory, None, trigger_mode="multiple", **SHARED)
    dropped = parts["status"].unqueue(handlers.drop, memory, memory, **SHARED)
    dropped.success(handlers.follow, memory, view, trigger_mode="multiple", **SHARED)
    demo.load(handlers.follow, memory, view, **SHARED)
    demo.unload(handlers.leave)
    for row in ("strip", "history"):
        parts[row].pick(handlers.pick, memory, view, trigger_mode="always_last", **SHARED)
    parts["strip"].follow(handlers.watch_again, memory, view, **SHARED)
    parts["history"].more(handlers.more, memory, view, **SHARED)


def _connect_seeds(handlers: Handlers, page: Form, parts: dict[str, Any]) -> None:
    """Connect the seed row and every seed chip."""
    seed, shown, outputs = page["seed"], parts["shown"], [page["seed"], parts["note"]]
    tools = parts["tools"]
    tools.dice(handlers.dice, None, outputs, **SHARED)
    tools.recycle(handlers.recycle, shown, outputs, js="() => [window.reseed.shownSeed()]", **SHARED)
    tools.plus(
        handlers.step_up,
        [seed, shown],
        outputs,
        js="(seed) => [seed, window.reseed.shownSeed()]",
        trigger_mode="multiple",
        **SHARED,
    )
    for row in ("stage", "strip", "history"):
        parts[row].reuse(handlers.reuse, None, outputs, **SHARED)


def _connect_recipes(handlers: Handlers, page: Form, parts: dict[str, Any]) -> None:
    """Connect what loads recipes into the form: from the picture on screen and from a dropped file."""
    outputs = [*page.inputs(), parts["note"]]
    parts["stage"].bring(handlers.load, None, outputs, **SHARED)
    parts["file"].upload(
        handlers.inspect, parts["file"], [parts["found"], parts["found_values"], parts["file"]], **SHARED
    )
    parts["found"].take(handlers.take, parts["found_values"], [*outputs, parts["found"]], **SHARED)
    parts["stage"].example(handlers.example, None, page["prompt"], **SHARED)
    page["model"].change(handlers.vocabulary, page["model"], parts["words"], **SHARED)


def _connect_form(handlers: Handlers, page: Form, parts: dict[str, Any], demo: Any) -> None:
    """Connect the form to itself: what a browser remembers, the size, the model, the token counter."""
    inputs = page.inputs()
    demo.load(None, inputs, inputs, js="(...values) => window.reseed.restore(values)")
    gr.on(
        [part.change for part in inputs],
        None,
        inputs,
        None,
        js="(...values) => window.reseed.remember(values)",
        trigger_mode="always_last",
    )
    width, height, model = page["width"], page["height"], page["model"]
    parts["swap"].swap(swap, [width, height], [width, height], **SHARED)
    model.input(
        handlers.change_model,
        [model, parts["model_before"], width, height],
        [width, height, parts["model_before"]],
        **SHARED,
    )
    gr.on(
        [page["prompt"].change, model.change],
        handlers.count_tokens,
        [page["prompt"], model],
        parts["tokens"],
        trigger_mode="always_last",
        **SHARED,
    )
    prompts = [page["prompt"], page["negative_prompt"]]
    gr.on(
        [part.change for part in prompts],
        handlers.traps,
        prompts,
        parts["traps"],
        trigger_mode="always_last",
        **SHARED,
    )
