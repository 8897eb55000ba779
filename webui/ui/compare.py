"""Compare: two pictures of the gallery, one over the other or side by side, and what made them in a table.

The promise: comparing costs the server two records and one look at their compositions; sliding, alternating and the
difference are the browser's work. The picture of the stage is on the right; the other, by default its parent, left.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

import gradio as gr

from webui.changes import Changes, changes
from webui.gallery import Gallery, Record
from webui.params import Param
from webui.recipe import PARAMS
from webui.studio import Studio
from webui.ui import form, views
from webui.ui.changed import Changed, parent, pieces, same_size
from webui.ui.desk import owner_of

MODES: Final = {"slider": "Slider", "side": "Side by side", "flicker": "Flicker", "difference": "Difference"}
TITLE: Final = "Nothing to compare"
ALONE: Final = "There is only one picture yet: make another one first."
GONE: Final = "The picture is no longer in the outputs folder: it was moved or deleted."


class Comparing:
    """The Compare button over a studio; ``changed`` knows drifts."""

    def __init__(self, studio: Studio, changed: Changed) -> None:
        self.studio, self.changed = studio, changed

    def press(self, event: gr.EventData, request: gr.Request) -> str:
        """Compare the picture on the stage with the one that the page names, or with what it came from."""
        data = getattr(event, "_data", None) or {}
        gallery = self.studio.of(owner_of(request)).gallery
        record = gallery.get(str(data.get("id", "")))
        if record is None:
            raise gr.Error(GONE, title=TITLE, print_exception=False)
        named = str(data.get("other", ""))
        other = gallery.get(named) if named else _other(gallery, record)
        if other is None:
            raise gr.Error(GONE if named else ALONE, title=TITLE, print_exception=False)
        return draw(other, record, self.changed.measured(other, record))


def _other(gallery: Gallery, record: Record) -> Record | None:
    """Return a picture's parent, else the one before it in the history, else the newest of the others."""
    others = [*gallery.recent(1, before=record.id), *gallery.recent(2)]
    return parent(gallery, record) or next((one for one in others if one.id != record.id), None)


def draw(left: Record, right: Record, drifted: str = "") -> str:
    """Draw two pictures for comparing; the page's script shows them in one of the MODES."""
    found = changes(left.recipe, right.recipe)
    size = f"--w:{right.recipe.width};--h:{right.recipe.height}"
    figures = "".join(_figure(side, record) for side, record in (("left", left), ("right", right)))
    ids = f'data-id="{escape(right.id)}" data-other="{escape(left.id)}"'
    swapped = f'data-id="{escape(left.id)}" data-other="{escape(right.id)}"'
    return (
        f'<section class="compare" aria-label="Compare" {ids}><div class="head">{_modes()}'
        f'<button type="button" class="quiet" data-do="compare" {swapped} title="Left to right">⇄ Swap</button>'
        '<button type="button" class="quiet" data-close title="Back to the picture (Esc)">Close</button></div>'
        f'<div class="pair" style="{size}">{figures}<canvas aria-label="Difference"></canvas>{DIVIDER}</div>{AIDS}'
        f'{_notes(left, right)}<p class="lead">{drifted}</p>'
        '<div class="scroll" role="region" tabindex="0" aria-label="What made both pictures">'
        f'<table class="recipe">{_head(left, right)}<tbody>{"".join(_rows(left, right, found))}</tbody></table>'
        "</div></section>"
    )


DIVIDER: Final = (
    '<input type="range" class="divider" min="0" max="100" step="0.5" value="50" '
    'aria-label="Divider between the left picture and the right one">'
)
AIDS: Final = (
    '<p class="aid flicker"><button type="button" class="quiet" data-turn>Show the other</button>'
    '<label><input type="checkbox" data-alternate> Alternate</label></p>'
    '<p class="aid difference"><label>Brightened <input type="range" data-factor min="1" max="16"> '
    "<output data-times></output></label><output data-figures></output></p>"
)
"""What the modes need beside the pictures; each is shown in its own."""
EQUAL: Final = '<tr class="equal">'
DIFFERS: Final = '<tr class="differs">'


def _modes() -> str:
    """Draw the choice of modes: radio buttons, so that arrow keys change them."""
    choices = "".join(
        f'<label><input type="radio" name="compare-mode" value="{mode}">{words}</label>'
        for mode, words in MODES.items()
    )
    return f'<fieldset class="modes"><legend class="sr">How to compare</legend>{choices}</fieldset>'


def _figure(side: str, record: Record) -> str:
    name, url = f"{side.capitalize()}: seed {record.recipe.seed}", views.picture_url(record)
    return (
        f'<figure class="{side}" data-key="{side}-{escape(record.id)}">'
        f'<img src="{url}" alt="{name}" draggable="false"><figcaption>{name}</figcaption></figure>'
    )


def _notes(left: Record, right: Record) -> str:
    said = ["Pick a picture in the history to put it on the left."]
    if not same_size(left, right):
        sizes = [f"{record.recipe.width}×{record.recipe.height}" for record in (left, right)]
        said.insert(0, f"The sizes differ: {sizes[0]} on the left and {sizes[1]} on the right, scaled to fit.")
    return "".join(f'<p class="note">{sentence}</p>' for sentence in said)


def _head(left: Record, right: Record) -> str:
    names = (f"{side}: seed {record.recipe.seed}" for side, record in (("Left", left), ("Right", right)))
    cells = "".join(f'<th scope="col">{name}</th>' for name in names)
    return f'<thead><tr><th scope="col"><span class="sr">Parameter</span></th>{cells}</tr></thead>'


def _rows(left: Record, right: Record, found: Changes) -> list[str]:
    """Draw every parameter and what else made the pictures: first what differs, then, dimmed, what is equal."""
    values = [record.recipe.values() for record in (left, right)]
    told = {*form.telling(values[0]), *form.telling(values[1])}
    rows = [row for name, param in PARAMS.items() if name in told for row in _parameter(name, param, values, found)]
    facts = [record.fingerprint.to_dict() for record in (left, right)]
    for name in facts[0]:
        if any(texts := [str(one.get(name, "")) for one in facts]):
            rows.append(_pair(views.MADE_BY.get(name, name), *texts))
    return sorted(rows, key=lambda row: row.startswith(EQUAL))


def _parameter(name: str, param: Param, values: Sequence[Mapping[str, Any]], found: Changes) -> Iterator[str]:
    change = {"prompt": found.prompt, "negative_prompt": found.negative_prompt}.get(name)
    if change is not None and (change or change.punctuation):
        yield _row(DIFFERS, param.label, f'<td colspan="2" class="diff">{pieces(change, around=None)}</td>')
    elif any(one[name] != "" for one in values):
        yield _pair(param.label, *(param.format(one[name]) for one in values))


def _pair(label: str, left: str, right: str) -> str:
    if left == right:
        return _row(EQUAL, label, f'<td colspan="2">{escape(left)}</td>')
    return _row(DIFFERS, label, f"<td>{escape(left)}</td><td><b>{escape(right)}</b></td>")


def _row(begin: str, label: str, cells: str) -> str:
    return f'{begin}<th scope="row">{"≠ " if begin == DIFFERS else ""}{escape(label)}</th>{cells}</tr>'
