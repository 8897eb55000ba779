"""Styles: named words that are put around a prompt, as A1111 keeps them in ``styles.csv``.

The promise: settled before a recipe exists, like everything that only helps to write one; the recipe holds the words.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Style:
    """Words for a prompt and a negative prompt; ``{prompt}`` in them stands for what the person wrote."""

    name: str
    prompt: str = ""
    negative_prompt: str = ""


def apply(prompt: str, negative_prompt: str, styles: Iterable[Style]) -> tuple[str, str]:
    """Put styles around both prompts, one after the other.

    >>> apply("a lake", "", [Style("Oil", "oil painting of {prompt}", "photo"), Style("Calm", "calm")])
    ('oil painting of a lake, calm', 'photo')
    """
    for style in styles:
        prompt, negative_prompt = _around(style.prompt, prompt), _around(style.negative_prompt, negative_prompt)
    return prompt, negative_prompt


def _around(style: str, words: str) -> str:
    if "{prompt}" in style:
        return style.replace("{prompt}", words)
    return ", ".join(part for part in (words.strip(), style.strip()) if part) if style.strip() else words


def parse(text: str) -> list[Style]:
    r"""Read ``styles.csv``: columns name, prompt (once ``text``) and negative_prompt; rows whose name begins with # are
    remarks. Lines that cannot be read end the list.

    >>> parse('\ufeffname,prompt,negative_prompt\nOil,"oil, {prompt}",photo\n# old,x,y\n')
    [Style(name='Oil', prompt='oil, {prompt}', negative_prompt='photo')]
    """
    found: list[Style] = []
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    try:
        for row in reader:
            name = (row.get("name") or "").strip()
            if name and not name.startswith("#"):
                words = row.get("prompt") if row.get("prompt") is not None else row.get("text")
                found.append(Style(name, words or "", row.get("negative_prompt") or ""))
    except csv.Error:
        pass
    return found
