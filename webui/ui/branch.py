"""The branch of a picture: what it came from and what came of it, as a tree of lists.

The promise: the tree is whole for those who hear it, as nested lists of buttons that name seed and words; it stays
small, and a parent that is gone, or a file that names itself as its own ancestor, only ends it.
"""

from collections.abc import Sequence
from html import escape
from typing import Final
from urllib.parse import quote

from webui.gallery import Gallery, Record

MOST_PARENTS: Final = 6
MOST_CHILDREN: Final = 8
GENERATIONS: Final = 2
"""How many generations of what came of a picture are drawn."""


def draw(gallery: Gallery, record: Record) -> str:
    """Draw the branch of a picture, or nothing when it has neither a parent nor children."""
    line, beginning = _ancestors(gallery, record)
    below = _children(gallery, record, GENERATIONS, {one.id for one in line} | {record.id})
    if not line and not beginning and not below:
        return ""
    tree = _node(record, below, current=True)
    for one in reversed(line):
        tree = _node(one, f"<ul>{tree}</ul>")
    first = f'<li class="gone">{beginning}<ul>{tree}</ul></li>' if beginning else tree
    return (
        f'<section class="branch" aria-label="Branch of the picture with seed {record.recipe.seed}">'
        f'<p class="word">Where it came from, and what came of it</p><ul>{first}</ul></section>'
    )


def _ancestors(gallery: Gallery, record: Record) -> tuple[Sequence[Record], str]:
    """Return what a picture came from, the first one first, and what to say of the line's beginning."""
    line: list[Record] = []
    seen = {record.id}
    parent = record.lineage.parent
    while parent and parent not in seen:
        if len(line) == MOST_PARENTS:
            return line[::-1], "Earlier pictures"
        found = gallery.get(parent)
        if found is None:
            return line[::-1], "A picture that is not here"
        line.append(found)
        seen.add(parent)
        parent = found.lineage.parent
    return line[::-1], ""


def _children(gallery: Gallery, record: Record, generations: int, seen: set[str]) -> str:
    found = gallery.children(record.id, MOST_CHILDREN + 1) if generations else []
    fresh = [one for one in found if one.id not in seen]
    items = "".join(
        _node(one, _children(gallery, one, generations - 1, seen | {one.id})) for one in fresh[:MOST_CHILDREN]
    )
    more = '<li class="gone">and more</li>' if len(fresh) > MOST_CHILDREN else ""
    return f"<ul>{items}{more}</ul>" if items else ""


def _node(record: Record, below: str, current: bool = False) -> str:
    words = escape(f"Show the picture with seed {record.recipe.seed}: {record.recipe.prompt[:120]}")
    mark = ' aria-current="true"' if current else ""
    id = escape(record.id)
    return (
        f'<li data-key="{id}"><button type="button" class="leaf" data-do="pick" data-id="{id}" title="{words}" '
        f'aria-label="{words}"{mark}><img src="thumbnails/{quote(record.id, safe="")}" alt="" loading="lazy">'
        f"<span>{record.recipe.seed}</span></button>{below}</li>"
    )
