"""The page: its parts, where they stand, and which handler each of them calls.

The promise: ``build`` makes a page over any studio and touches nothing outside it; ``mount`` puts it on an
application. Every handler is private, nothing bypasses the queue, and no request leaves this machine.
"""

import json
from pathlib import Path
from typing import Any, Final

import gradio as gr
from fastapi import FastAPI
from starlette.routing import Mount

from webui.axes import labels
from webui.recipe import PARAMS
from webui.studio import Studio
from webui.ui import exploring, form, history, holding, presets, speeds, stale, sweeping, views, wiring
from webui.ui.form import Form
from webui.ui.front import Front
from webui.ui.handlers import Handlers
from webui.ui.recall import Found
from webui.ui.theme import theme

HERE: Final = Path(__file__).parent
UPLOAD_LIMIT: Final = "64mb"
DEMO: Final = "A demo: this browser sees only its own pictures, and each visitor takes turns with the others."


def tool(name: str, sign: str, words: str) -> str:
    """Draw a small button with a sign; its name for those who do not see it holds the sign and the words."""
    label = f"{sign} {words}"
    return f'<button type="button" class="tool" data-do="{name}" aria-label="{label}" title="{words}">{sign}</button>'


FOLDS: Final = {"hold": ("share",), "vary": form.VARY, "more": form.MORE, "details-of-sampler": form.DETAILS}
"""The fields in each accordion, by its id."""
SEED_TOOLS: Final = (
    ("dice", "🎲", "Random seed for every click (−1)"),
    ("recycle", "♻️", "Reuse the seed of the picture on screen"),
    ("plus", "+1", "Next seed"),
)

FORM_TOOLS: Final = (
    '<button type="button" class="quiet" data-do="undo" title="Give the form back what it held before" disabled>↶ '
    "Undo</button>"
    '<button type="button" class="quiet" data-do="redo" title="Take the undo back" disabled>↷ Redo</button>'
    '<button type="button" class="quiet" data-do="link" title="Copy an address of this page that fills the form as it '
    'stands">Copy link of the form</button>'
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
    mounted: FastAPI = gr.mount_gradio_app(
        app,
        build(studio),
        path="/",
        root_path=studio.settings.door.root or None,
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=UPLOAD_LIMIT,
        theme=theme(),
        css="".join(map(_file, ("style.css", "compare.css", "explore.css", "sweep.css"))),
        head=_head(studio),
    )
    for route in mounted.routes:
        if isinstance(route, Mount):
            stale.answer(route.app)  # type: ignore[arg-type]
            route.app = Front(route.app)
    return mounted


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
            "fold": next((id for id, names in FOLDS.items() if name in names), ""),
            "choices": studio.models() if name == "model" else list(getattr(PARAMS.get(name), "choices", ()) or ()),
        }
        for name in [*form.NAMES, *form.EXTRA]
    ]
    known = json.dumps(fields).replace("<", "\\u003c")
    axes = json.dumps(["", *labels()])
    names = ("listen.js", "page.js", "compare.js", "explore.js", "keys.js", "link.js", "undo.js")
    scripts = "\n".join(map(_file, names))
    told = f"window.reseedFields = {known};\nwindow.reseedLabels = {axes};"
    return f'<meta name="color-scheme" content="light dark"><script>{told}\n{scripts}</script>'


def _header(studio: Studio) -> str:
    """Draw the header; where people log in, with a way out, and in a demo with what there is to know of it."""
    drawn, more = _file("header.html"), ""
    if studio.settings.door.users:
        more = '<form method="post" action="logout"><button type="submit" class="quiet">Log out</button></form>'
    elif studio.settings.door.demo:
        more = f'<p class="demo">{DEMO}</p>'
    return drawn.replace("</header>", f"{more}</header>")


def _first_values(studio: Studio) -> dict[str, Any]:
    first = {
        "seed": "",
        "variation_seed": "",
        "count": 1,
        "numbering": "increment",
        "styles": [],
        "parent": "",
        "share": 0,
    }
    return {**studio.defaults(studio.model), **first}


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
        "link": gr.Textbox("", visible=False),
        "address": gr.Textbox("", visible=False),
        "model_before": gr.State(studio.model),
        "found_recipe": gr.State(Found()),
    }
    _html("top", _header(studio), script="window.reseed.header(element);")
    with gr.Row(elem_id="board"):
        with gr.Column(elem_id="compose"):
            fields = _compose(handlers, parts)
        with gr.Column(elem_id="side"):
            _result(handlers, parts)
        with gr.Column(elem_id="settings"):
            _sweep(parts)
            fields |= _settings(studio, parts)
        with gr.Column(elem_id="past"):
            _html("past-title", "<h2>History</h2>")
            parts["branch"] = _html("branch", "", "pick", kept=True)
            parts["find"] = history.field()
            parts["history"] = _html(
                "history",
                "",
                *("pick", "reuse", "more", "compare", "every", "newest", "favourites", "putback"),
                kept=True,
            )
    wiring.connect(handlers, Form(fields), parts, demo)


def _compose(handlers: Handlers, parts: dict[str, Any]) -> dict[str, Any]:
    """Lay out what is written for each picture: prompts, seed, and the buttons that make it."""
    first = _first_values(handlers.studio)
    parts["found"] = _html("found", "", "take")
    parts["tokens"] = _html("tokens")
    fields = {"prompt": form.component("prompt", first["prompt"])}
    fields["negative_prompt"] = form.component("negative_prompt", first["negative_prompt"])
    fields["styles"] = presets.styles_field(handlers.studio)
    fields["parent"] = form.parent_field()
    parts["traps"] = _html("traps")
    words = handlers.vocabulary(handlers.studio.model)
    parts["words"] = _html("words", words, script="window.reseed.addWord(element);")
    with gr.Row(elem_id="seedrow"):
        fields["seed"] = form.seed_field()
        parts["tools"] = _html("seedtools", _tools(*SEED_TOOLS), "dice", "recycle", "plus")
    parts["note"] = _html("seednote", views.note(""))
    parts["seeds"] = _html("seeds", views.seeds([], 0), "reuse", kept=True)
    with gr.Accordion("⚓ Hold the composition", open=False, elem_id="hold"):
        fields["share"] = form.share_field()
        parts["holding"] = _html("holding", holding.line(handlers.studio, "", "", 0))
    with gr.Accordion("Vary the seed", open=False, elem_id="vary"):
        for pair in (form.VARY[:2], form.VARY[2:4], form.VARY[4:6], form.VARY[6:]):
            with gr.Row():
                for name in pair:
                    fields[name] = form.component(name, first[name])
    with gr.Row(elem_id="gorow"):
        parts["go"] = gr.Button("Generate", variant="primary", elem_id="go", scale=2, min_width=120)
        parts["new"] = gr.Button("New seed", elem_id="go-new", scale=1, min_width=104)
        parts["same"] = gr.Button("Same seed", elem_id="go-same", scale=1, min_width=104)
        parts["explore"] = gr.Button("Explore", elem_id="go-explore", scale=1, min_width=88)
        parts["stop"] = gr.Button("Stop", variant="stop", elem_id="stop", scale=1, min_width=70, interactive=False)
    parts["formtools"] = _html("formtools", FORM_TOOLS, "undo", "redo", "link")
    return fields


def _result(handlers: Handlers, parts: dict[str, Any]) -> None:
    """Lay out what comes of it: progress, the stage, the job's pictures, and what made the one on screen."""
    with gr.Column(elem_id="result"):
        title = "watch('value', () => window.reseed.title(element));"
        parts["status"] = _html("status", views.status([]), "unqueue", script=title)
        compare = "window.reseed.compare(element, props, watch);"
        parts["compare"] = _html("compare", "", "compare", script=compare, kept=True)
        parts["stage"] = _html(
            "stage",
            handlers.welcome(),
            *("reuse", "bring", "example", "verify", "compare", "siblings", "mark", "discard"),
            kept=True,
        )
        ask = "window.reseed.ask(props, trigger, watch);"
        parts["changed"] = _html("changed", "", "pick", "measure", script=ask, kept=True)
        parts["check"] = _html("check", kept=True)
        parts["sheet"] = _html("sheet", "", *exploring.EVENTS, script=exploring.SCRIPT, kept=True)
        parts["strip"] = _html("strip", "", "pick", "reuse", "follow", "compare", kept=True)
        parts["sweep"] = _html("sweep", "", "pick", "follow", "compare", "away", kept=True)
    with gr.Accordion("Details", open=False, elem_id="details-box"):
        parts["details"] = _html("details", views.NO_DETAILS)


def _sweep(parts: dict[str, Any]) -> None:
    """Lay out the axes of a sweep."""
    with gr.Accordion("Sweep", open=False, elem_id="sweep-box"):
        parts["quick"] = _html("quick", sweeping.chips(), "quick")
        parts["axes"] = sweeping.fields()
        parts["planned"] = _html("planned")
        parts["sweep_go"] = gr.Button("Sweep", elem_id="go-sweep")


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
    with gr.Row():
        parts["speed"], parts["formpreset"] = speeds.field(studio), presets.forms_field(studio)
    with gr.Row(elem_id="sizerow"):
        put("width")
        parts["swap"] = _html("swaptool", _tools(("swap", "⇅", "Swap width and height")), "swap")
        put("height")
    parts["seedtraps"] = _html("seedtraps")
    with gr.Row():
        fields["count"], fields["numbering"] = form.batch_fields()
    put("model")
    with gr.Accordion("More", open=False, elem_id="more"):
        for name in form.MORE:
            put(name)
    with gr.Accordion("Sampler details", open=False, elem_id="details-of-sampler"), gr.Row():
        for name in form.DETAILS:
            with gr.Column(min_width=230):  # side by side where a label and its number fit
                put(name)
    parts.update(presets.build(studio))
    parts["file"] = gr.File(
        label="Read a picture's recipe: drop a PNG, JPEG or WebP anywhere", elem_id="drop", height=64, type="filepath"
    )
    return fields
