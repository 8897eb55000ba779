"""Wildcards: one template for many prompts. ``__colour__`` draws a line of the list *colour*, ``{a|b|c}`` one of three.

``{2$$a|b|c}`` draws two, ``{1-3$$ and $$a|b|c}`` one to three, joined by " and "; ``{3::a|b}`` draws a three times as
often. Lines and options may hold wildcards in turn. A backslash before ``{`` or ``__`` makes it text.

The promise: settled at the door, like −1. What is drawn is a function of the template, the lists and the image's seed
alone, the same on every computer and in every version of Python (SHA-256 is the die), so the recipe holds plain words.
A list that is not known is an error with near names; a bracket without partner is text. Size and depth have bounds.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Final

from webui.errors import BadValue, near

LIMIT: Final = 10_000
"""Characters of a result; a recipe's prompt holds no more."""
DEPTH: Final = 30
WORK: Final = 1_000_000
"""Characters that may be looked at on the way: an end to lists that name each other twice."""

_TOKEN: Final = re.compile(r"\\[{}|\\]|\\__|__(?P<name>[^\W_](?:[\w/ .-]{0,98}?[^\W_])??)__|[{}|]")
_COUNT: Final = re.compile(r"\s*([0-9]{1,3})(?:-([0-9]{1,3}))?\$\$")
_OFTEN: Final = re.compile(r"\s*([0-9]{1,6}(?:\.[0-9]{1,6})?)::")


def expand(template: str, seed: int, lists: Mapping[str, Sequence[str]], salt: str = "") -> str:
    """Draw a prompt from a template.

    ``seed``: the image's; ``lists``: lines by name, empty ones and those that begin with # are not drawn; ``salt``
    gives another template of the same picture (the negative prompt) draws of its own.

    >>> expand("a {red|blue} __animal__", 7, {"animal": ["cat", "dog"]})
    'a red dog'
    >>> expand("no wildcards {here}", 7, {})
    'no wildcards {here}'

    Raises BadValue for an unknown or empty list, and when lists run in a circle or the result is too long.
    """
    text = _Draw(seed, lists, salt).expand(template, 0)
    if len(text) > LIMIT:
        raise _refused(template, f"a template for at most {LIMIT} characters", f"It drew {len(text)}.")
    return text


def names(template: str) -> list[str]:
    """List the wildcards that a template names itself, in order.

    >>> names("__a__ {__b/c__|d}")
    ['a', 'b/c']
    """
    return [match["name"] for match in _TOKEN.finditer(template) if match["name"]]


class _Draw:
    """One template's draws, numbered from 0."""

    def __init__(self, seed: int, lists: Mapping[str, Sequence[str]], salt: str) -> None:
        self.seed, self.lists, self.salt = seed, lists, salt
        self.number, self.left = 0, WORK

    def below(self, count: int) -> int:
        """Draw a whole number from 0 to ``count`` − 1."""
        digest = hashlib.sha256(f"{self.seed}/{self.salt}/{self.number}".encode()).digest()
        self.number += 1
        return (int.from_bytes(digest[:8]) * count) >> 64

    def expand(self, text: str, depth: int, option: bool = False) -> str:
        """Expand a text; ``option`` says that it stood in a bracket, where ``\\|`` is a bar and no end of it."""
        self.left -= len(text) + 1
        if depth > DEPTH or self.left < 0:
            raise _refused(text, f"a template whose wildcards lead no deeper than {DEPTH}", "Do lists name each other?")
        tokens = list(_TOKEN.finditer(text))
        closes, bars = _pairs(tokens)
        found: list[str] = []
        place = index = 0
        while index < len(tokens):
            match = tokens[index]
            found.append(text[place : match.start()])
            place = match.end()
            if match["name"]:
                found.append(self.expand(self.line(match["name"]), depth + 1))
            elif match[0][0] == "\\":  # \\ and \| mean something to the prompt itself
                found.append(match[0] if match[0] == "\\\\" or (match[0] == "\\|" and not option) else match[0][1:])
            elif index in closes:
                close = tokens[closes[index]]
                cuts = [place, *(end for bar in bars[index] for end in tokens[bar].span()), close.start()]
                inside = [text[begin:end] for begin, end in zip(cuts[::2], cuts[1::2], strict=True)]
                drawn = self.options(inside, depth)
                found.append("{" + self.expand(inside[0], depth + 1) + "}" if drawn is None else drawn)
                place, index = close.end(), closes[index]
            else:
                found.append(match[0])
            index += 1
        return "".join([*found, text[place:]])

    def line(self, name: str) -> str:
        """Draw a line of a list."""
        known = {key.lower(): key for key in self.lists}
        if name.lower() not in known:
            rule = f"one of {', '.join(self.lists)}" if self.lists else "the name of a list; there are none yet"
            raise BadValue("prompt", "Wildcard", name, rule, near(name, self.lists))
        lines = [line.strip() for line in self.lists[known[name.lower()]]]
        lines = [line for line in lines if line and not line.startswith("#")]
        if not lines:
            raise BadValue("prompt", "Wildcard", name, "a list with at least one line")
        return lines[self.below(len(lines))]

    def options(self, options: list[str], depth: int) -> str | None:
        """Draw from the options of a bracket; None when it is no such bracket but text."""
        least = most = 1
        joint = ", "
        if count := _COUNT.match(options[0]):
            least, most = sorted((int(count[1]), int(count[2] or count[1])))
            head, mark, rest = options[0][count.end() :].partition("$$")
            joint, options[0] = (head, rest) if mark else (joint, head)
        elif len(options) == 1:
            return None
        often = [_OFTEN.match(option) for option in options]
        chances = [round(float(match[1]) * 1_000_000) if match else 1_000_000 for match in often]
        words = [option[match.end() :] if match else option for option, match in zip(options, often, strict=True)]
        drawn: list[str] = []
        for _ in range(least + self.below(most - least + 1) if most > least else least):
            if not sum(chances):
                break
            chosen = self.chosen(chances)
            chances[chosen] = 0  # none is drawn twice
            drawn.append(self.expand(words[chosen].strip(), depth + 1, option=True))
        return joint.join(drawn)

    def chosen(self, chances: list[int]) -> int:
        point = self.below(sum(chances))
        for index, chance in enumerate(chances):
            point -= chance
            if point < 0:
                return index
        raise AssertionError("a point below the sum lies in one of its parts")


def _pairs(tokens: list[re.Match[str]]) -> tuple[dict[int, int], dict[int, list[int]]]:
    """Pair the brackets: the closing token of each, and the bars between its options."""
    closes: dict[int, int] = {}
    bars: dict[int, list[int]] = {}
    opened: list[tuple[int, int]] = []  # its token, how many bars were before it
    marks: list[int] = []  # bars in the brackets that are open
    for index, match in enumerate(tokens):
        if match[0] == "{":
            opened.append((index, len(marks)))
        elif match[0] == "|" and opened:
            marks.append(index)
        elif match[0] == "}" and opened:
            begin, before = opened.pop()
            closes[begin], bars[begin] = index, marks[before:]
            del marks[before:]
    return closes, bars


def _refused(template: str, rule: str, hint: str) -> BadValue:
    return BadValue("prompt", "Prompt", template, rule, hint)
