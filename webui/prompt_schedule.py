"""Prompts that change from step to step, prompts that are joined, and names of extra networks in a prompt.

``[from:to:N]`` is ``from`` for the first N steps and ``to`` after them; ``[to:N]`` and ``[from::N]`` begin or end with
nothing. N with a decimal point is a fraction of the steps, cut down to a whole one; without, a number of steps; 0 and
less change at once, ``1.0`` never. ``[a|b|c]`` takes turns. ``a:1.2 AND b:0.5`` guides by two prompts at once.
``<lora:name:0.8>`` names an extra network. All of it nests, and a backslash escapes.

The promise: reading is total and linear, and knows no depth that it could fall over. What is not of this grammar
(``[a:b:c:0.5]``, ``[a|b:0.5]``, a bracket that stays open) is text, and so is everything around it up to the outermost
bracket, as in A1111. Weights of words stay in the text for ``webui.prompt``.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, TypeAlias

from webui.prompt import WEIGHT_LIMIT

Timeline: TypeAlias = tuple[tuple[int, str], ...]
"""Texts, each with the last step that it is for; steps count from 1."""

_TOKEN: Final = re.compile(r"\\.?|[()\[\]:|]|[^\\()\[\]:|]+", re.DOTALL)
_NUMBER: Final = re.compile(
    r"\s{0,30}([+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,2})?)\s{0,30}"
)
_WEIGHT: Final = re.compile(r"\s{0,30}([+-]?(?:[0-9]{1,30}\.?|[0-9]{0,30}\.[0-9]{1,30}))\s{0,30}")
_LONGEST_NUMBER: Final = 130
_AND: Final = re.compile(r"(?<!\w)AND(?!\w)")
_NETWORK: Final = re.compile(r"(?<!\\)<(\w+):([^<>]+)>")


@dataclass(frozen=True, slots=True)
class Part:
    """One of the prompts that AND joins, and its weight."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Network:
    """An extra network as a prompt names it: ``<kind:name:…>``."""

    kind: str
    arguments: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.arguments[0]

    def __str__(self) -> str:
        return f"<{self.kind}:{':'.join(self.arguments)}>"


@dataclass(frozen=True, slots=True)
class Choice:
    """A bracket whose text depends on the step: where each option begins, and what follows the bracket.

    ``number`` is that of a schedule; without one the options take turns.
    """

    options: tuple[int, ...]
    end: int
    number: str = ""

    def at(self, step: int, steps: int) -> int:
        """Say at which token to read on in a step."""
        if self.number:
            return self.options[step > switch(self.number, steps)]
        return self.options[(step - 1) % len(self.options)]


def switch(number: str, steps: int) -> int:
    """Return the last step before a schedule's change: 0 for at once, ``steps`` for never.

    >>> switch("0.51", 10), switch("3", 10), switch("1.0", 10), switch("-2", 10)
    (5, 3, 10, 0)
    """
    value = float(number) * steps if "." in number else float(number)
    return max(0, min(steps, int(value)))


@dataclass(slots=True)
class Outline:
    """A prompt's tokens and the brackets among them that depend on the step."""

    tokens: list[str]
    choices: dict[int, Choice] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    """Where to go on after an option: token by token."""
    failed: list[tuple[int, int]] = field(default_factory=list)
    """Brackets that look like a schedule or turns and are neither: first and last token."""

    def text(self, step: int, steps: int) -> str:
        """Return what the prompt says in a step."""
        found: list[str] = []
        index = 0
        while index < len(self.tokens):
            if index in self.choices:
                index = self.choices[index].at(step, steps)
            elif index in self.ends:
                index = self.ends[index]
            else:
                found.append(self.tokens[index])
                index += 1
        return "".join(found)

    def steps(self, steps: int) -> Iterator[int]:
        """Name the steps that something may change after, rising, with the last."""
        if any(not choice.number for choice in self.choices.values()):
            return iter(range(1, steps + 1))
        switches = {switch(choice.number, steps) for choice in self.choices.values()}
        return iter(sorted((switches - {0}) | {steps}))


def outline(text: str) -> Outline:
    """Find the brackets of a prompt that depend on the step."""
    found = Outline(_TOKEN.findall(text))
    opened: list[tuple[str, int, int]] = []  # kind, its token, how many marks were before it
    marks: list[int] = []  # colons and bars in the brackets that are open
    for index, token in enumerate(found.tokens):
        if token in ("(", "["):
            opened.append((token, index, len(marks)))
        elif token in (":", "|"):
            if opened:
                marks.append(index)
        elif token in (")", "]") and opened:
            kind, begin, before = opened.pop()
            if (kind == "(") is not (token == ")") or not _closed(found, begin, index, marks[before:]):
                opened.clear()  # what is around something outside of the grammar is outside of it, too
                before = 0
            del marks[before:]
    return found


def _closed(found: Outline, begin: int, close: int, marks: list[int]) -> bool:
    """Note a bracket that depends on the step; say whether it is of the grammar at all.

    ``marks``: its colons and bars.
    """
    bars = sum(found.tokens[mark] == "|" for mark in marks)
    if found.tokens[begin] == "(":
        return not bars and len(marks) <= 1
    if not marks:
        return True
    end, number = close + 1, _number(found.tokens[marks[-1] : close])
    if number and not bars and len(marks) <= 2:
        options: tuple[int, ...] = (begin + 1, marks[0] + 1) if len(marks) == 2 else (end, begin + 1)
    elif bars == len(marks):
        options = (begin + 1, *(mark + 1 for mark in marks))
    else:
        if bars or number:
            found.failed.append((begin, close))
        return False
    found.choices[begin] = Choice(options, end, number)
    found.ends.update(dict.fromkeys((*marks, close), end))
    return True


def _number(tokens: list[str]) -> str:
    """Return the number that a colon and at most one token make up, or nothing."""
    if len(tokens) != 2 or tokens[0] != ":" or len(tokens[1]) > _LONGEST_NUMBER:
        return ""
    match = _NUMBER.fullmatch(tokens[1])
    return match[1] if match else ""


def timeline(text: str, steps: int) -> Timeline:
    """Say what a prompt reads in which of ``steps`` steps.

    >>> timeline("a [dog:cat:0.25] on a [red|blue] mat", 4)
    ((1, 'a dog on a red mat'), (2, 'a cat on a blue mat'), (3, 'a cat on a red mat'), (4, 'a cat on a blue mat'))
    >>> timeline("no [change]", 20)
    ((20, 'no [change]'),)
    """
    return merged(entries(text, steps))


def entries(text: str, steps: int) -> Timeline:
    """List what a prompt reads after each step that something in it may change at, be the words the same or not.

    >>> entries("a [dog|dog|cat]", 3)
    ((1, 'a dog'), (2, 'a dog'), (3, 'a cat'))
    """
    found = outline(text) if "[" in text else Outline([text])
    if not found.choices:
        return ((steps, text),)
    return tuple((step, found.text(step, steps)) for step in found.steps(steps))


def merged(line: Timeline) -> Timeline:
    """Join neighbours of equal words."""
    return tuple((list(group)[-1][0], words) for words, group in groupby(line, key=lambda entry: entry[1]))


def at(line: Timeline, step: int) -> str:
    """Return a timeline's text in a step, counted from 1; past its end the last.

    >>> at(((5, "dog"), (20, "cat")), 5), at(((5, "dog"), (20, "cat")), 6)
    ('dog', 'cat')
    """
    return line[min(bisect_left(line, step, key=lambda entry: entry[0]), len(line) - 1)][1]


def parts(text: str) -> list[Part]:
    """Divide a prompt at AND into parts with weights; a prompt without AND is one part, as it is.

    A number at the end of such a prompt (``16:9``) belongs to its text, where A1111 cuts it off and multiplies CFG.

    >>> parts("a cat :1.2 AND a dog")
    [Part(text='a cat', weight=1.2), Part(text='a dog', weight=1.0)]
    >>> parts("ratio 3:4")
    [Part(text='ratio 3:4', weight=1.0)]
    """
    pieces = _AND.split(text)
    return [Part(text)] if len(pieces) == 1 else [_weighted(piece) for piece in pieces]


def _weighted(piece: str) -> Part:
    weight = trailing(piece)
    if weight is None:
        return Part(piece.strip())
    return Part(piece.rpartition(":")[0].strip(), max(-WEIGHT_LIMIT, min(WEIGHT_LIMIT, weight)))


def trailing(text: str) -> float | None:
    """Return the number after a colon that a text ends in, if it does; ``\\:`` is no such colon."""
    head, colon, tail = text.rpartition(":")
    match = _WEIGHT.fullmatch(tail) if colon and len(tail) <= _LONGEST_NUMBER and not head.endswith("\\") else None
    return float(match[1]) if match else None


def networks(text: str) -> tuple[str, list[Network]]:
    r"""Take the extra networks out of a prompt; ``\<`` is no beginning of one.

    >>> words, found = networks("a lake <lora:watercolour:0.8>")
    >>> words, str(found[0])
    ('a lake ', '<lora:watercolour:0.8>')
    """
    found = [Network(kind, tuple(arguments.split(":"))) for kind, arguments in _NETWORK.findall(text)]
    return (_NETWORK.sub("", text), found) if found else (text, [])
