"""The history on the page: a search field, what narrows it, and the pictures that are found.

The promise: what is drawn stays small however many pictures there are. So many are shown at most, then the next take
their place; thumbnails are fetched when they come into sight.
"""

from collections.abc import Sequence, Set
from dataclasses import replace
from html import escape
from typing import Any, Final

import gradio as gr

from webui.errors import BadValue, ReseedError, StorageError
from webui.gallery import Record
from webui.search import Search
from webui.studio import Studio
from webui.ui import views
from webui.ui.desk import PAGE_OF_HISTORY, Desk, Look, Tab, owner_of
from webui.ui.events import text_of

MOST_SHOWN: Final = 5 * PAGE_OF_HISTORY
"""So many pictures are on the page at once."""
HINT: Final = 'words of the prompts, or seed:7 model:reseed sampler:"Euler a" since:2026-11-01'
SEEDS, AMONG = 8, 48
"""So many seeds are offered above the form's buttons, from so many of the newest pictures."""
EMPTY: Final = "Pictures you make stay here, each with its seed, also after a restart."
NOTHING: Final = "No picture is like that."
UNMARKED: Final = "No picture is a favourite yet: ☆ beside the picture on screen marks it."


class Past:
    """The history's handlers over a studio; each tab has its own look at it."""

    def __init__(self, studio: Studio, desk: Desk) -> None:
        self.studio, self.desk = studio, desk

    def seeds(self, tab: Tab) -> str:
        """Draw the seeds that were used last."""
        return views.seeds(self.studio.of(tab.owner).gallery.recent(AMONG), SEEDS)

    def find(self, text: str, request: gr.Request) -> str:
        """Search for what is typed."""
        tab = self.desk.tab(request)
        return self._look(tab, replace(tab.look, text=text or "", before=""))

    def siblings(self, event: gr.EventData, request: gr.Request) -> tuple[str, str]:
        """Find the pictures with the seed of the one on screen, or with its words; return what to search for, too."""
        tab = self.desk.tab(request)
        record = self.studio.of(tab.owner).gallery.get(text_of(event, "id"))
        if record is None:
            return tab.look.text, self.draw(tab)
        by_seed = text_of(event, "what") == "seed"
        look = Look(f"seed:{record.recipe.seed}") if by_seed else Look(words_of=record.id)
        return look.text, self._look(tab, look)

    def favourites(self, request: gr.Request) -> str:
        """Show only the favourites, or again all that is found."""
        tab = self.desk.tab(request)
        return self._look(tab, replace(tab.look, favourites=not tab.look.favourites, before=""))

    def mark(self, event: gr.EventData, request: gr.Request) -> tuple[str, str]:
        """Mark the picture on screen as a favourite, or no longer; return the stage and the history."""
        tab = self.desk.tab(request)
        record = self.studio.of(tab.owner).gallery.get(text_of(event, "id"))
        if record is None:
            return gr.skip(), self.draw(tab)
        try:
            self.studio.favourites.mark(record.id, record.id not in self.studio.favourites.ids())
        except StorageError as error:
            raise gr.Error(str(error), title="Not marked", print_exception=False) from None
        tab.picked = record.id
        return self.stage(record), self.draw(tab)

    def discard(self, event: gr.EventData, request: gr.Request) -> None:
        """Move the picture on screen to the trash; whoever draws the page next shows another."""
        self.desk.tab(request).picked = ""
        try:
            self.studio.must_not_be_demo("Deleting is")
            self.studio.of(owner_of(request)).trash.put(text_of(event, "id"))
        except ReseedError as error:
            raise gr.Error(str(error), title="Not deleted", print_exception=False) from None

    def put_back(self, event: gr.EventData, request: gr.Request) -> None:
        """Put the picture that was deleted last back, and show it."""
        id = text_of(event, "id")
        try:
            self.studio.must_not_be_demo("Putting back is")
            self.studio.of(owner_of(request)).trash.put_back(id)
        except ReseedError as error:
            raise gr.Error(str(error), title="Not put back", print_exception=False) from None
        self.desk.tab(request).picked = id

    def stage(self, record: Record) -> str:
        """Draw a finished picture on the stage, with what the history can do with it."""
        marked = record.id in self.studio.favourites.ids()
        words = "No longer a favourite" if marked else "Mark as a favourite"
        sign, pressed = "★" if marked else "☆", _pressed(marked)
        star = (
            f'<span class="group"><button type="button" class="quiet" data-do="mark"{pressed} title="{words}" '
            f'aria-label="{sign} Favourite">{sign}</button>{"" if self.studio.settings.door.demo else DISCARD}</span>'
        )
        return views.record_stage(record, SIBLINGS + star)

    def every(self, request: gr.Request) -> tuple[str, str]:
        """Show every picture again."""
        return "", self._look(self.desk.tab(request), Look())

    def newest(self, request: gr.Request) -> str:
        """Go back from older pictures to the newest that are found."""
        tab = self.desk.tab(request)
        return self._look(tab, replace(tab.look, before=""))

    def more(self, tab: Tab) -> None:
        """Show more, and beyond what a page can hold the older ones instead."""
        if tab.depth + PAGE_OF_HISTORY <= MOST_SHOWN:
            tab.depth += PAGE_OF_HISTORY
        else:
            tab.look, tab.depth = replace(tab.look, before=tab.last), PAGE_OF_HISTORY

    def _look(self, tab: Tab, look: Look) -> str:
        tab.look, tab.depth = look, PAGE_OF_HISTORY
        return self.draw(tab)

    def draw(self, tab: Tab) -> str:
        """Draw what a tab looks at."""
        look = tab.look
        try:
            wanted = Search.parse(look.text)
        except BadValue as problem:
            return f'{self._chips(tab)}<p class="hint" role="status">{escape(str(problem))}</p>'
        marked = self.studio.favourites.ids()
        if look.favourites:
            wanted = wanted.but(among=marked)
        gallery = self.studio.of(tab.owner).gallery
        like = gallery.get(look.words_of) if look.words_of else None
        if like is not None:
            prompts = (like.recipe.prompt, like.recipe.negative_prompt)
            wanted = wanted.but(prompts=prompts, other_than=str(like.recipe.seed))
        records = gallery.search(wanted, tab.depth + 1, look.before or None)
        shown = records[: tab.depth]
        tab.last = shown[-1].id if shown else ""
        return self._chips(tab, like) + _found(shown, look, len(records) > tab.depth, tab.shown, marked)

    def _chips(self, tab: Tab, like: Record | None = None) -> str:
        """Draw what narrows the history, each with a way back."""
        look = tab.look
        title = "Show only the favourites, or again all"
        chips = [_chip("favourites", "★ Favourites", title, _pressed(look.favourites))]
        if like is not None:
            chips.append(_chip("every", f"The words of seed {like.recipe.seed}, other seeds ✕", "Show every picture"))
        elif look.text:
            chips.append(_chip("every", "Every picture", "Show every picture"))
        deleted = self.studio.of(tab.owner).trash.ids()
        if deleted:
            count = f" (1 of {len(deleted)})" if len(deleted) > 1 else ""
            back = f"↩ Put back what was deleted last{count}"
            chips.append(_chip("putback", back, "Bring it back from the trash", f' data-id="{escape(deleted[0])}"'))
        if look.before:
            chips.append(_chip("newest", "Back to the newest", "Show the newest pictures"))
        return f'<p class="filters" data-key="filters">{"".join(chips)}</p>'


def _pressed(so: bool) -> str:
    return f' aria-pressed="{"true" if so else "false"}"'


def _found(records: Sequence[Record], look: Look, more: bool, current: str, marked: Set[str]) -> str:
    if not records and look == Look(favourites=True):
        return f'<p class="hint" role="status">{UNMARKED}</p>'
    if not records:
        return f'<p class="hint" role="status">{NOTHING if look != Look() else EMPTY}</p>'
    button = '<p><button type="button" class="quiet" data-do="more">Show more</button></p>' if more else ""
    return views.tiles(records, current, marked=marked) + button


def _chip(name: str, words: str, title: str, more: str = "") -> str:
    return f'<button type="button" class="quiet" data-do="{name}" title="{title}"{more}>{escape(words)}</button>'


def field() -> Any:
    """Make the search field."""
    return gr.Textbox(
        "", label="Search the history", placeholder=HINT, elem_id="find", lines=1, max_lines=1, interactive=True
    )


DISCARD: Final = (
    '<button type="button" class="quiet" data-do="discard" title="Move it to the trash; the history can put it back" '
    'aria-label="Delete the picture">🗑</button>'
)
SIBLINGS: Final = (
    '<span class="group"><span class="word">Find</span>'
    '<button type="button" class="quiet" data-do="siblings" data-what="seed" title="Find the pictures with this seed">'
    "this seed</button>"
    '<button type="button" class="quiet" data-do="siblings" data-what="words" title="Find the pictures with these '
    'words and other seeds">these words</button></span>'
)
