"""Styles: named words that are put around a prompt: those of presets, and of ``styles.csv``, where A1111 keeps them.

The promise: settled before a recipe exists, like everything that only helps to write one; the recipe holds the words.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from webui.errors import BadValue, near, one_of

NAME_LIMIT: Final = 100
"""Characters of a style's name: it is kept in every picture that is made with it."""
PLACE: Final = "{prompt}"
"""Stands for what the person wrote."""


@dataclass(frozen=True, slots=True)
class Style:
    """Words for a prompt and a negative prompt; ``{prompt}`` in them stands for what the person wrote.

    ``id`` is a second name that it may be asked for by: the name of its file.
    """

    name: str
    prompt: str = ""
    negative_prompt: str = ""
    id: str = field(default="", repr=False)


def apply(prompt: str, negative_prompt: str, styles: Iterable[Style]) -> tuple[str, str]:
    """Put styles around both prompts, one after the other.

    >>> apply("a lake", "", [Style("Oil", "oil painting of {prompt}", "photo"), Style("Calm", "calm")])
    ('oil painting of a lake, calm', 'photo')
    """
    for style in styles:
        prompt, negative_prompt = around(style.prompt, prompt), around(style.negative_prompt, negative_prompt)
    return prompt, negative_prompt


def around(style: str, words: str) -> str:
    """Put a style's words around a person's; those without a place for them come behind a comma.

    >>> around("a painting of {prompt}", "a lake"), around("pastel", "a lake"), around("pastel", "")
    ('a painting of a lake', 'a lake, pastel', 'pastel')
    """
    if PLACE in style:
        return style.replace(PLACE, words)
    return ", ".join(part for part in (words.strip(), style.strip()) if part) if style.strip() else words


def parse(text: str) -> tuple[dict[str, Style], list[str]]:
    r"""Read ``styles.csv``: columns name, prompt (once ``text``) and negative_prompt; rows whose name begins with # are
    remarks. Return the styles by name and a sentence for each line that cannot be read, so that none is lost unsaid.

    >>> parse('\ufeffname,prompt,negative_prompt\nOil,"oil, {prompt}",photo\n# old,x,y\n,ink,\n')
    ({'Oil': Style(name='Oil', prompt='oil, {prompt}', negative_prompt='photo')}, ['Line 4 has no name.'])
    """
    found: dict[str, Style] = {}
    problems: list[str] = []
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        columns = reader.fieldnames or []
        if text.strip("\ufeff \r\n") and "name" not in columns:
            return {}, ["Line 1 must name the columns: name,prompt,negative_prompt."]
        for row in reader:
            name = (row.get("name") or "").strip()
            if name.startswith("#"):
                continue
            if problem := _problem(row, name, len(columns), name in found):
                problems.append(f"Line {reader.line_num} {problem}")
                continue
            words = row.get("prompt") if row.get("prompt") is not None else row.get("text")
            found[name] = Style(name, words or "", row.get("negative_prompt") or "")
    except csv.Error as error:
        problems.append(f"From line {reader.line_num + 1} on nothing can be read: {error}.")
    return found, problems


def _problem(row: Mapping[str | None, Any], name: str, columns: int, known: bool) -> str:
    """Say what is wrong with a row, or nothing."""
    if None in row:  # where DictReader puts the cells that have no column
        return (
            f'has {columns + len(row[None])} columns and the first line {columns}: put words with a comma in "quotes".'
        )
    if not name:
        return "has no name."
    if len(name) > NAME_LIMIT:
        return f"has a name of {len(name)} characters: at most {NAME_LIMIT} are allowed."
    return f"names {name} once more: the style that came first counts." if known else ""


def find(names: Sequence[str], styles: Mapping[str, Style]) -> list[Style]:
    """Find styles by their names or ids, without regard to case; raise BadValue that says what there is."""
    known = {style.id.lower(): style for style in styles.values() if style.id}
    known |= {name.lower(): style for name, style in styles.items()}
    for name in names:
        if name.strip().lower() not in known:
            rule = one_of(styles) if styles else "the name of a style; there are none yet"
            raise BadValue("styles", "Styles", name, rule, near(name, styles))
    return [known[name.strip().lower()] for name in names]
