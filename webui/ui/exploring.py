"""Explore on the page: a contact sheet of drafts, of which the chosen ones are finished.

The promise: a sheet is nothing but jobs that the browser remembers, so it is there again after a reload and after a
restart. Its seeds are on it before their drafts are, and nothing moves when these come. A finished picture is the one
that would have been made without a stop, also when its draft is gone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final
from urllib.parse import quote

import gradio as gr

from webui import words
from webui.errors import ReseedError
from webui.gallery import Record
from webui.journal import origin
from webui.lineage import Lineage
from webui.progress import Progress
from webui.recipe import Recipe
from webui.studio import COUNT, SEEDS, Studio
from webui.ui import memory as remembered
from webui.ui import views
from webui.ui.desk import Desk, Tab, owner_of
from webui.ui.events import text_of

EVENTS: Final = ("pick", "compare", "reuse", "finish", "more", "away", "follow")
SCRIPT: Final = "window.reseed.sheet(element, watch);"
HINT: Final = (
    "Drafts, half made: choose those you like and finish them. A finished picture is the one that its seed gives "
    "without a stop, bit for bit."
)
NOTHING: Final = "Stopped before a draft was drawn."
GONE: Final = "The draft is no longer kept: its picture is made from the start."


@dataclass(frozen=True)
class Sheet:
    """The jobs of a contact sheet in order; ``is_last`` when nothing else was asked for after its newest drafts."""

    jobs: Sequence[Progress]
    is_last: bool

    @classmethod
    def of(cls, jobs: Sequence[Progress]) -> "Sheet | None":
        """Return the newest contact sheet among a browser's jobs."""
        found = remembered.sheet(jobs)
        if not any(job.recipes for job in found if job.kind == "explore"):
            return None
        newest = max(number for number, job in enumerate(jobs) if job.kind == "explore")
        return cls(found, all(job in found for job in jobs[newest:]))

    @property
    def name(self) -> str:
        """The id of its first job."""
        return remembered.first(self.jobs[0])

    @property
    def share(self) -> float:
        """The share of the steps that holds its pictures to their parent, as it was asked for."""
        return float(self.drawn[-1].about.partition(":")[2])

    @property
    def drawn(self) -> list[Progress]:
        """The jobs that draw it."""
        return [job for job in self.jobs if job.kind == "explore" and job.recipes]

    @property
    def recipes(self) -> list[Recipe]:
        """The recipes of all its drafts."""
        return [recipe for job in self.drawn for recipe in job.recipes]

    @property
    def varies(self) -> str:
        """The field in which its drafts differ: the seed, or the variation seed beside one seed."""
        first = self.recipes[0]
        one = first.variation_strength and len({recipe.seed for recipe in self.recipes}) == 1
        return "variation_seed" if one else "seed"


class Exploring:
    """The contact sheet's handlers over a studio; ``desk`` knows what each tab looks at."""

    def __init__(self, studio: Studio, desk: Desk) -> None:
        self.studio, self.desk = studio, desk

    def presses(self, part: Any) -> list[tuple[Any, Any]]:
        """List what changes the jobs that are remembered: events of the sheet's part, each with its handler."""
        return [(part.finish, self.finish), (part.more, self.more), (part.away, self.away)]

    def finish(self, event: gr.EventData, memory: Any, request: gr.Request) -> list[str]:
        """Queue the chosen drafts to be finished, but for those that are finished or waiting already."""
        own = self.studio.of(owner_of(request)).jobs
        jobs = remembered.known(own, memory)
        sheet, work = Sheet.of(jobs), _work([*jobs, *own.active()])
        chosen = text_of(event, "chosen").split(",")
        wanted: dict[Lineage, dict[Recipe, None]] = {}
        for job in sheet.drawn if sheet is not None else ():
            for number, recipe in enumerate(job.recipes):
                if origin(job.job, number) in chosen and recipe not in work:
                    wanted.setdefault(job.lineage, {})[recipe] = None
        self._stay(request)
        queued: list[str] = []
        try:
            for lineage, recipes in wanted.items():
                name = sheet.name if sheet is not None else ""
                queued.append(own.submit([*recipes], None, lineage, about=name).job)
        except ReseedError as error:
            raise gr.Error(str(error), title="Not finished", print_exception=False) from None
        return remembered.remember(own, memory, *queued)

    def more(self, memory: Any, request: gr.Request) -> list[str]:
        """Queue drafts of the seeds that follow those of the sheet, whatever is in the form by now."""
        own = self.studio.of(owner_of(request))
        sheet = Sheet.of(remembered.known(own.jobs, memory))
        if sheet is None:
            return remembered.ids(memory)
        last = sheet.drawn[-1]
        values = {**last.recipes[-1].values(), **words.template(last.recipes[-1].values(), last.lineage)}
        values[sheet.varies] = str(max(getattr(recipe, sheet.varies) for recipe in sheet.recipes) + 1)
        self._stay(request)
        try:
            job = own.explore(values, str(values["seed"]), last.lineage, sheet.share, sheet=sheet.name).job
        except ReseedError as error:
            raise gr.Error(str(error), title="Nothing was queued", print_exception=False) from None
        return remembered.remember(own.jobs, memory, job)

    def away(self, memory: Any, request: gr.Request) -> list[str]:
        """Put contact sheets away and stop drawing them; what was finished stays."""
        own = self.studio.of(owner_of(request)).jobs
        sheets = [job.job for job in remembered.known(own, memory) if job.kind == "explore"]
        for job in sheets:
            own.cancel(job)
        return [id for id in remembered.ids(memory) if id not in sheets]

    def _stay(self, request: gr.Request) -> None:
        """Keep a picture that is on the stage there: a sheet below it stays below."""
        tab = self.desk.tab(request)
        tab.picked = tab.picked or tab.shown

    def draw(self, sheet: Sheet | None, jobs: Iterable[Progress], tab: Tab) -> str:
        """Draw a contact sheet, or nothing; ``jobs`` may have finished some of it."""
        if sheet is None:
            return ""
        work = _work(jobs)
        tiles = [
            self._tile(_Tile(origin(job.job, number), recipe, sheet.varies), job, number, work.get(recipe), tab.shown)
            for job in sheet.drawn
            for number, recipe in enumerate(job.recipes)
        ]
        size = f"--w:{sheet.recipes[0].width};--h:{sheet.recipes[0].height}"
        shown = f'<ul class="tiles">{"".join(tiles)}</ul>' if any(tiles) else f'<p class="hint">{NOTHING}</p>'
        return (
            f'<section class="sheet" data-sheet="{sheet.name}" aria-label="Contact sheet" style="{size}">'
            f"{_head(sheet, tab)}{shown}{_wrong(sheet)}{_bar(sheet)}</section>"
        )

    def _tile(self, tile: "_Tile", job: Progress, number: int, work: tuple[Progress, int] | None, current: str) -> str:
        """Draw a seed of a sheet where it stands; nothing when it was not drawn and will not be."""
        key = dict(job.drafts).get(number, "")
        # The job is in the address since another model's draft could come to have this key, and browsers keep pictures.
        draft = f"drafts/{key}.png?{job.job}" if self.studio.drafts.has(key) else ""
        if work is not None:
            record = dict(work[0].made).get(work[1])
            return tile.finished(record, current) if record is not None else tile.finishing(*work, draft)
        if key:
            return tile.draft(draft)
        return "" if job.done else tile.drawing(job, number)


@dataclass(frozen=True)
class _Tile:
    """A seed's place on a sheet: its name there, its recipe, and the field in which it differs from the others."""

    id: str
    recipe: Recipe
    varies: str

    @property
    def name(self) -> str:
        return f"{self.varies.replace('_', ' ')} {getattr(self.recipe, self.varies)}"

    def draft(self, source: str) -> str:
        """Draw a draft that can be chosen; one without a picture is gone."""
        inner = _image(source) if source else '<span class="blank">not kept</span>'
        label = f"Draft of {self.name}" if source else f"Draft of {self.name}. {GONE}"
        pick = f'data-choose="{self.id}" aria-pressed="false" title="{"Choose it to be finished" if source else GONE}"'
        return self._item("draft", _button(pick, label, f'{inner}<span class="mark" aria-hidden="true">✓</span>'))

    def finished(self, record: Record, current: str) -> str:
        """Draw a finished picture; a click shows it on the stage."""
        id, label = escape(record.id), f"Show the finished picture of {self.name}"
        mark = ' aria-current="true"' if record.id == current else ""
        inner = _image(f"thumbnails/{quote(record.id, safe='')}")
        pick = f'data-do="pick" data-id="{id}" title="{label}"{mark}'
        inner += '<span class="mark" aria-hidden="true">finished</span>'
        return self._item("finished", _button(pick, label, inner), record.id)

    def finishing(self, job: Progress, number: int, draft: str) -> str:
        """Draw a picture that is being finished, or waits for it."""
        return self._waiting("finishing", job, number, draft, origin(job.job, number))

    def drawing(self, job: Progress, number: int) -> str:
        """Draw a draft that is being drawn, or waits for it."""
        return self._waiting("drawing", job, number)

    def _waiting(self, kind: str, job: Progress, number: int, draft: str = "", came: str = "") -> str:
        at_work = job.status == "running" and job.index == number
        if at_work and job.steps and job.preview:  # before the first step it is still the preview of the one before
            draft = views.data_url(job.preview, job.preview_type)
        inner = _image(draft) if draft else '<span class="blank"></span>'
        label = f"{kind.capitalize()} {self.name}" if at_work else f"Waiting: {self.name}"
        live = f"{kind} live" if at_work else kind
        return self._item(live, f'<span class="pick" role="img" aria-label="{label}">{inner}</span>', came)

    def _item(self, kind: str, inner: str, came: str = "") -> str:
        varied = f'<span class="word">{self.name}</span>' if self.varies != "seed" else ""
        chip = views.chip(self.recipe.seed, came)
        return f'<li class="tile {kind}" data-key="{self.id}">{inner}{chip}{varied}</li>'


def _work(jobs: Iterable[Progress]) -> dict[Recipe, tuple[Progress, int]]:
    """Find for each recipe the job that has made its picture or is going to, and the picture's number there."""
    found: dict[Recipe, tuple[Progress, int]] = {}
    for job in jobs:
        made = dict(job.made)
        for number, recipe in enumerate(job.recipes if job.kind != "explore" else ()):
            if number in made or not job.done:
                found[recipe] = (job, number)
    return found


def _image(source: str) -> str:
    return f'<img src="{source}" alt="" draggable="false">'


def _button(what: str, label: str, inner: str) -> str:
    return f'<button type="button" class="pick" {what} aria-label="{label}">{inner}</button>'


def _head(sheet: Sheet, tab: Tab) -> str:
    """Draw what the sheet is of, and the ways to put the picture above it or itself away."""
    count, prompt = len(sheet.recipes), sheet.recipes[0].prompt
    picture = '<button type="button" class="quiet" data-do="follow">Put the picture away</button>'
    back = picture if sheet.is_last and tab.picked else ""
    return (
        f'<div class="head"><p class="lead"><b>{count} {"seed" if count == 1 else "seeds"}</b> {escape(prompt)}</p>'
        f'{back}<button type="button" class="quiet" data-do="away" title="Put the contact sheet away">Close</button>'
        f'</div><p class="note">{HINT}</p>'
    )


def _wrong(sheet: Sheet) -> str:
    error = sheet.jobs[-1].error
    return f'<p class="wrong" role="alert">{escape(error)}</p>' if error else ""


def _bar(sheet: Sheet) -> str:
    """Draw what can be done with the drafts; the page's script counts those that are chosen."""
    more = f'<button type="button" class="quiet" data-do="more" aria-label="{SEEDS} more seeds">{SEEDS} more</button>'
    return (
        '<p class="do"><button type="button" class="strong" data-do="finish">Finish 0 chosen</button>'
        '<button type="button" class="quiet" data-mark="all" aria-label="Choose all">All</button>'
        '<button type="button" class="quiet" data-mark="none" aria-label="Choose none">None</button>'
        f"{more if len(sheet.recipes) + SEEDS <= COUNT.maximum else ''}</p>"
    )
