"""Sweeps on the page: axes and their values in the form, and the grid of what came of them under the picture.

The promise: nothing is queued until every axis can be read, and what cannot is a sentence at its axis. The grid has
all its places from the start, so that nothing moves when pictures come; it is drawn from the job, so it is there again
after a reload. A picture in it is one click from the stage, and its recipe from the form.
"""

from collections.abc import Sequence
from html import escape
from typing import Any, Final
from urllib.parse import quote

import gradio as gr

from webui.axes import labels, sweeps
from webui.errors import BadRecipe, BadValue, JobError, ReseedError
from webui.progress import Progress
from webui.recipe import PARAMS, Recipe
from webui.studio import Studio
from webui.sweeping import FIELDS, Layout, Place, Planned, Row, layout_of, places
from webui.ui import form, views
from webui.ui import memory as remembered
from webui.ui.desk import Desk, owner_of
from webui.ui.events import text_of

TITLES: Final = (("X", "columns"), ("Y", "rows"), ("Z", "blocks"))
AXES: Final = 2 * len(FIELDS)
"""Arguments of a handler that are axes: label and values of each."""
HINT: Final = "3-12 or 3, 5, 9-12"


def fields() -> list[Any]:
    """Make the fields of the axes: for each the choice of what it changes, and its values."""
    made: list[Any] = []
    for field, (letter, what) in zip(FIELDS, TITLES, strict=True):
        with gr.Row(elem_classes="axis"):
            choices = [("—", ""), *((label, label) for label in labels())]
            first = "CFG scale" if letter == "X" else ""
            title = f"{letter}: {what}"
            made.append(gr.Dropdown(choices, value=first, label=title, elem_id=f"{field}_label", filterable=True))
            made.append(gr.Textbox(label=f"{letter} values", elem_id=field, lines=1, max_lines=4, placeholder=HINT))
    return made


def chips() -> str:
    """Draw the sweeps for one click."""
    buttons = "".join(
        f'<button type="button" class="quiet" data-do="quick" data-name="{escape(one.name)}" '
        f'title="{escape(one.about)}">{escape(one.name)}</button>'
        for one in sweeps(Recipe.of(seed=0))
    )
    return f'<p class="filters"><span class="word">In one click</span>{buttons}</p>'


class Sweeping:
    """The handlers of sweeps over a studio; a handler's arguments are the axes, then the form."""

    def __init__(self, studio: Studio, desk: Desk) -> None:
        self.studio, self.desk = studio, desk

    def check(self, request: gr.Request, memory: Any, *arguments: Any) -> list[Any]:
        """Check axes and form before anything is queued; give each field that is not right its sentence."""
        names = ["memory", *(name for field in FIELDS for name in (f"{field}_label", field)), *form.NAMES, *form.EXTRA]
        found = self._problems(request, arguments)
        return [gr.validate(name not in found, found.get(name, "")) for name in names]

    def _problems(self, request: gr.Request, arguments: Sequence[Any]) -> dict[str, str]:
        try:
            plan(self.studio.of(owner_of(request)), arguments)
        except BadRecipe as error:
            return _first(error)
        return {}

    def check_quick(self, request: gr.Request, *arguments: Any) -> list[Any]:
        """Check the form before it is swept in one click."""
        plain = [PARAMS["steps"].label, str(PARAMS["steps"].default), *[""] * (AXES - 2)]
        found = self._problems(request, [*plain, *arguments])
        return [gr.validate(name not in found, found.get(name, "")) for name in [*form.NAMES, *form.EXTRA]]

    def quick(self, event: gr.EventData, request: gr.Request, *arguments: Any) -> list[Any]:
        """Fill in the axes of a sweep for one click; the last output is the variation seed."""
        name = text_of(event, "name")
        values, seed, _, _, came, share = form.read(arguments)
        try:
            recipe = self.studio.of(owner_of(request)).settle(values, seed, 1, "increment", came, share)[0][0]
        except ReseedError as error:  # between the check and this, a file of the words has changed
            raise gr.Error(str(error), title="Nothing was queued", print_exception=False) from None
        one = next((one for one in sweeps(recipe) if one.name == name), sweeps(recipe)[0])
        texts = [text for axis in one.axes for text in axis]
        changed = one.changes.get("variation_seed")
        return [*texts, *[""] * (AXES - len(texts)), gr.skip() if changed is None else str(changed)]

    def estimate(self, request: gr.Request, *arguments: Any) -> str:
        """Say how many pictures the axes as they stand are, and how long they take; or what an axis lacks."""
        if not any(str(text or "").strip() for text in arguments[1:AXES:2]):
            return ""
        try:
            planned = plan(self.studio.of(owner_of(request)), arguments)
        except BadRecipe as error:
            found = _first(error)
            return _line(next((found[field] for field in FIELDS if field in found), ""))
        count, empty = len(planned.recipes), sum(isinstance(cell, str) for cell in planned.layout.cells)
        seconds = self.studio.jobs.pace.estimate(planned.recipes)
        said = "1 picture" if count == 1 else f"{count} pictures"
        said += "" if seconds is None else f", about {views.duration(seconds)}"
        cells = "1 cell is" if empty == 1 else f"{empty} cells are"
        return _line(f"{said}. {cells} of values that do not go together." if empty else f"{said}.")

    def away(self, event: gr.EventData, memory: Any, request: gr.Request) -> list[str]:
        """Put the grid away; its pictures stay, also the one on the stage."""
        tab = self.desk.tab(request)
        tab.picked = tab.shown
        return [id for id in remembered.ids(memory) if id != text_of(event, "job")]


def plan(own: Studio, arguments: Sequence[Any]) -> Planned:
    """Settle a sweep of what axes and form ask for; raises BadRecipe like ``Studio.plan``."""
    texts = [str(one or "") for one in arguments[:AXES]]
    try:
        values, seed, _, _, came, share = form.read(arguments[AXES:])
    except BadValue as problem:
        raise BadRecipe([problem]) from None
    return own.plan(list(zip(texts[::2], texts[1::2], strict=True)), values, seed, came, share)


def submit(own: Studio, arguments: Sequence[Any]) -> Progress:
    """Queue a sweep in an owner's studio; raises BadRecipe like ``Studio.plan``."""
    return own.sweep(plan(own, arguments))


def _first(error: BadRecipe) -> dict[str, str]:
    """Return the first sentence for each field."""
    found: dict[str, str] = {}
    for problem in error.errors:
        found.setdefault(problem.field, str(problem))
    return found


def _line(said: str) -> str:
    return f'<p class="about" role="status" aria-live="polite">{escape(said)}</p>'


def draw(jobs: Sequence[Progress], current: str) -> str:
    """Draw the sweep that is at work, else the last one; nothing when there was none. ``current`` is on the stage."""
    found = [job for job in jobs if job.kind == "sweep"]
    if not found:
        return ""
    job = next((job for job in found if not job.done), found[-1])
    try:
        layout = layout_of(job)
    except JobError as error:
        return f'<section class="sweep" aria-label="Sweep"><p class="hint">{escape(str(error))}</p></section>'
    shown = places(layout, job)
    tables = "".join(_table(title, layout, rows, shown, current) for title, rows in layout.blocks())
    name = " × ".join(legend.label for legend in layout.legends)
    return (
        f'<section class="sweep" aria-label="Sweep" data-key="{job.job}" style="--columns:{len(layout.columns)}">'
        f'<div class="head"><p class="lead">{escape(name)}</p>{_links(job)}</div>'
        f'<div class="scroll" role="region" tabindex="0" aria-label="Grid of {escape(name)}">{tables}</div></section>'
    )


def _links(job: Progress) -> str:
    """Draw what can be done with a grid: its picture once something is in it, putting it away once nothing comes."""
    picture = (
        f'<a class="quiet" href="sweeps/{job.job}.png" target="_blank" rel="noopener" title="All pictures as one, with '
        'what the axes say">Grid picture</a>'
    )
    away = (
        f'<button type="button" class="quiet" data-do="away" data-job="{job.job}" title="The pictures stay in the '
        'history">Put away</button>'
    )
    return f"{picture if job.made else ''}{away if job.done else ''}"


def _table(title: str, layout: Layout, rows: Sequence[Row], shown: Sequence[Place], current: str) -> str:
    corner = "<td></td>" if len(layout.legends) > 1 else ""
    columns = "".join(f'<th scope="col">{escape(caption)}</th>' for caption in layout.columns)
    body = "".join(_row(row, bool(corner), shown, current) for row in rows)
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    return f"<table>{caption}<thead><tr>{corner}{columns}</tr></thead><tbody>{body}</tbody></table>"


def _row(row: Row, named: bool, shown: Sequence[Place], current: str) -> str:
    head = f'<th scope="row">{escape(row.caption)}</th>' if named else ""
    return f"<tr>{head}{''.join(_cell(cell, shown[cell], current) for cell in row.cells)}</tr>"


def _cell(number: int, place: Place, current: str) -> str:
    name = escape(", ".join(place.captions))
    if place.record is not None:
        id, mark = escape(place.record.id), ' aria-current="true"' if place.record.id == current else ""
        inner = (
            f'<button type="button" class="pick" data-do="pick" data-what="all" data-id="{id}"{mark} title="{name}" '
            f'aria-label="Show {name} and load its recipe"><img src="thumbnails/{quote(place.record.id, safe="")}" '
            'alt="" loading="lazy" draggable="false"></button>'
        )
    elif place.working:
        watch = "Watch the picture being made"
        inner = (
            f'<button type="button" class="pick live" data-do="follow" title="{watch}" aria-label="{watch}"></button>'
        )
    elif place.reason:
        inner = f'<p class="none" title="{escape(place.reason)}">{escape(place.reason)}</p>'
    else:
        inner = '<p class="none waits"><span class="sr">Not made yet.</span></p>'
    return f'<td data-key="{number}">{inner}</td>'
