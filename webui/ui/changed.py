"""What changed, beside the picture on the stage: its words, its fields and its composition against its parent's.

The promise: what differs is said in signs and words, never by a colour alone; a picture without a parent in the gallery
shows nothing; and drawing waits for no pixel: the page asks for the drift once it shows the rest.
"""

import threading
from collections.abc import Sequence
from html import escape
from typing import Any, Final
from urllib.parse import quote

import gradio as gr

from webui import pixels
from webui.changes import EMPTY, Changes, FieldChange, Piece, PromptChange, changes
from webui.drift import KEPT, LOST, Drift, drift
from webui.errors import PictureError
from webui.gallery import Gallery, Record
from webui.recipe import PARAMS
from webui.studio import Studio
from webui.ui.desk import Desk

REMEMBERED: Final = 512
"""Pairs of pictures whose drift is kept; the oldest go first."""
AROUND: Final = 3
"""Words that stay on either side of a change; the rest of a long prompt becomes an ellipsis."""
MEASURE: Final = (
    "Likeness of the two compositions, whatever their colours: 1 for the same things in the same places, about 0 for "
    f"pictures that have nothing to do with each other. From {1 - KEPT:.2f} it is kept, down to {1 - LOST:.2f} lost."
)


class Drifts:
    """Measures how far pictures are from their parents, each pair once. Any thread may use it."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Drift | None] = {}
        self._writing = threading.Lock()

    def known(self, parent: Record, child: Record) -> bool:
        """Say whether a pair was measured."""
        return _pair(parent, child) in self._known

    def of(self, parent: Record, child: Record) -> Drift | None:
        """Return what was measured; None for pictures that could not be compared, or were not."""
        return self._known.get(_pair(parent, child))

    def measure(self, parent: Record, child: Record) -> Drift | None:
        """Read two pictures of one size and compare them; None when one is damaged or gone."""
        if self.known(parent, child):
            return self.of(parent, child)
        try:
            found = drift(pixels.decoded(parent.path), pixels.decoded(child.path))
        except PictureError:
            found = None
        with self._writing:
            self._known[_pair(parent, child)] = found
            while len(self._known) > REMEMBERED:
                del self._known[next(iter(self._known))]
        return found


class Changed:
    """Draws what changed over a studio; ``desk`` knows which picture is on a tab's stage."""

    def __init__(self, studio: Studio, desk: Desk) -> None:
        self.studio, self.desk = studio, desk
        self.drifts = Drifts()

    def draw(self, child: Record | None, gallery: Gallery) -> str:
        """Draw what changed from a picture's parent to the picture, without reading a pixel; or nothing."""
        before = parent(gallery, child)
        return "" if child is None or before is None else draw(before, child, self.badge(before, child))

    def badge(self, parent: Record, child: Record) -> str:
        """Draw the drift where it is known, else a place that the page asks for; nothing for other sizes."""
        if not same_size(parent, child):
            return ""
        if not self.drifts.known(parent, child):
            return f'<span class="drift" data-ask="{escape(child.id)}">composition …</span>'
        return self.measured(parent, child)

    def measured(self, parent: Record, child: Record) -> str:
        """Draw the drift of a pair of one size, measured now if it was not; nothing when it cannot be."""
        found = self.drifts.measure(parent, child) if same_size(parent, child) else None
        return "" if found is None else badge(found)

    def measure(self, event: gr.EventData, request: gr.Request) -> Any:
        """Measure the drift that a page asks for, and draw what changed again if its picture is still on the stage."""
        data = getattr(event, "_data", None) or {}
        tab = self.desk.tab(request)
        gallery = self.studio.of(tab.owner).gallery
        child = gallery.get(str(data.get("ask", "")))
        before = parent(gallery, child)
        if child is None or before is None or not same_size(before, child):
            return gr.skip()
        self.drifts.measure(before, child)
        return self.draw(child, gallery) if tab.shown == child.id else gr.skip()


def parent(gallery: Gallery, child: Record | None) -> Record | None:
    """Return the record of the picture that one came from, while it is in the gallery."""
    return None if child is None or not child.lineage.parent else gallery.get(child.lineage.parent)


def _pair(parent: Record, child: Record) -> tuple[str, str]:
    return parent.id, child.id


def same_size(one: Record, other: Record) -> bool:
    """Say whether two pictures have the same width and height."""
    return (one.recipe.width, one.recipe.height) == (other.recipe.width, other.recipe.height)


def draw(parent: Record, child: Record, drifted: str = "") -> str:
    """Draw what changed between two pictures, with a way to the parent."""
    id, seed = escape(parent.id), parent.recipe.seed
    words = f"Show the picture that this one came from, with seed {seed}"
    found = changes(parent.recipe, child.recipe)
    rest = f"{prompts(found)}{fields(found.fields)}" if found else '<p class="note">The recipe is the same.</p>'
    return (
        f'<section class="changed" aria-label="What changed" data-key="{escape(child.id)}"><p class="lead">'
        f'<button type="button" class="from" data-do="pick" data-id="{id}" title="{words}" aria-label="{words}">'
        f'<img src="thumbnails/{quote(parent.id, safe="")}" alt="" draggable="false">from seed {seed}</button>'
        f"{drifted}</p>{rest}</section>"
    )


def badge(found: Drift) -> str:
    """Say a drift in its word and the likeness that it is the rest of."""
    likeness = round(1 - found.number, 2) + 0.0  # no minus before a zero
    return f'<span class="drift {found.word}" title="{MEASURE}">composition {found.word} {likeness:.2f}</span>'


def prompts(found: Changes) -> str:
    """Draw the prompts that differ, in reading order."""
    drawn = ""
    for name, change in (("prompt", found.prompt), ("negative_prompt", found.negative_prompt)):
        if change or change.punctuation:
            label = "" if name == "prompt" else f'<span class="word">{PARAMS[name].label}</span> '
            drawn += f'<p class="diff">{label}{pieces(change)}</p>'
    return drawn


def pieces(change: PromptChange, around: int | None = AROUND) -> str:
    """Draw a prompt's change: + and − before what came and went, both weights of what was weighed anew.

    Of what was kept, ``around`` words stay on either side of a change; all of them when it is None.
    """
    if not change:
        return "only punctuation or spaces" if change.punctuation else ""
    shown = [piece for piece in change.pieces if piece.kind != "left"]
    drawn = ""
    for number, piece in enumerate(shown):
        comma = number > 0 and (piece.new or piece.old)[0].comma
        said = _piece(piece)
        if piece.kind == "kept" and around is not None:
            said = _shortened(said, around if number else 0, around if number + 1 < len(shown) else 0)
        drawn += f"{',' if comma else ''}{' ' if number else ''}{said}"
    return drawn


def _piece(piece: Piece) -> str:
    if piece.kind == "reweighted":
        old, new = piece.weights
        return f'<span class="reweighted">{escape(piece.text)} <b>{old:.4g}→{new:.4g}</b></span>'
    said = escape(str(piece))
    if piece.kind == "kept":
        return said
    if piece.kind == "removed":  # a sign that is struck through is none
        return f'<del><span class="sign">{said[0]}</span>{said[1:]}</del>'
    return f"<ins>{said}</ins>" if piece.kind == "added" else f"<em>{said}</em>"


def _shortened(text: str, first: int, last: int) -> str:
    """Keep so many words at either end.

    >>> _shortened("a small house by a lake at night", 1, 2)
    'a … at night'
    >>> _shortened("by a lake", 1, 2)
    'by a lake'
    """
    words = text.split(" ")
    if len(words) <= first + last + 1:
        return text
    return " ".join([*words[:first], "…", *words[len(words) - last :]])


def fields(found: Sequence[FieldChange]) -> str:
    """Draw the fields that differ: label, the old value and the new one."""
    rows = "".join(
        f'<li><span class="word">{escape(one.label)}</span> {escape(one.old or EMPTY)} → '
        f"<b>{escape(one.new or EMPTY)}</b></li>"
        for one in found
    )
    return f'<ul class="fields">{rows}</ul>' if rows else ""
