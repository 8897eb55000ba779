"""Wildcards: one template for many prompts. ``__colour__`` draws a line of the list *colour*, ``{a|b|c}`` one of three.

``{2$$a|b|c}`` draws two, ``{1-3$$ and $$a|b|c}`` one to three, joined by " and "; ``{3::a|b}`` draws a three times as
often. Lines and options may hold wildcards in turn. A backslash before ``{``, ``}`` or ``__`` makes it text; where a
backslash itself is to stand before one of them, it is doubled.

The promise: settled at the door, like −1. What is drawn is a function of the template, the lists and the image's seed
alone, the same on every computer and in every version of Python (SHA-256 is the die), so the recipe holds plain words.
Words that were drawn once are never drawn again: ``escape`` makes a template that draws exactly a given text. A list
that is not known is an error with near names; a bracket without partner is text. Size and depth have bounds.
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
NAMED: Final = 20
"""Lists that an error names; a collection may have thousands."""

_TOKEN: Final = re.compile(
    r"(?<!\\)(?P<pairs>(?:\\\\)*+)"
    r"(?:\\(?P<plain>[{}|]|__)|(?P<sign>[{}|])|__(?P<name>[^\W_](?:[\w/ .-]{0,98}?[^\W_])??)__)"
)
_SPECIAL: Final = re.compile(r"(?<!\\)(\\*+)([{}]|__)")
_COUNT: Final = re.compile(r"\s*([0-9]{1,3})(?:-([0-9]{1,3}))?\$\$")
_OFTEN: Final = re.compile(r"\s*([0-9]{1,6}(?:\.[0-9]{1,6})?)::")


def expand(template: str, seed: int, lists: Mapping[str, Sequence[str]], salt: str = "", field: str = "prompt") -> str:
    """Draw a prompt from a template.

    ``seed``: the image's; ``lists``: lines by name, perhaps read from files when they are asked for; empty ones and
    those that begin with # are not drawn; ``salt`` gives another template of the same picture (the negative prompt)
    draws of its own; ``field`` is named in errors.

    >>> expand("a {red|blue} __animal__", 7, {"animal": ["cat", "dog"]})
    'a red dog'
    >>> expand("no wildcards {here}", 7, {})
    'no wildcards {here}'

    Raises BadValue for an unknown or empty list, and when lists run in a circle or the result is too long.
    """
    text = _Draw(seed, lists, salt, field).expand(template, 0)
    if len(text) > LIMIT:
        raise _refused(field, template, f"a template for at most {LIMIT} characters", f"It drew {len(text)}.")
    return text


def escape(text: str) -> str:
    r"""Write a text as a template that draws it and nothing else: ``expand(escape(text), seed, lists) == text``.

    What no wildcard would change stays as it is.

    >>> escape("a {red|blue} __init__"), escape("{{masterpiece}}, [a|b]")
    ('a \\{red|blue\\} \\__init\\__', '{{masterpiece}}, [a|b]')
    """
    return text if _is_still(text) else _SPECIAL.sub(r"\1\1\\\2", text)


def check(template: str, lists: Mapping[str, Sequence[str]], field: str = "prompt") -> None:
    """Raise BadValue when a template names a list that is not known, whether or not a seed would draw from it."""
    draw = _Draw(0, lists, "", field)
    for name in names(template):
        draw.lines(name)


def _is_still(text: str) -> bool:
    """Say whether a text draws nothing and comes out as it is."""
    draw = _Draw(0, {}, "", "")
    try:
        return draw.expand(text, 0) == text and draw.number == 0
    except BadValue:
        return False


def names(template: str) -> list[str]:
    """List the wildcards that a template names itself, in order.

    >>> names("__a__ {__b/c__|d}")
    ['a', 'b/c']
    """
    return [match["name"] for match in _TOKEN.finditer(template) if match["name"]]


class _Draw:
    """One template's draws, numbered from 0."""

    def __init__(self, seed: int, lists: Mapping[str, Sequence[str]], salt: str, field: str) -> None:
        self.seed, self.lists, self.salt, self.field = seed, lists, salt, field
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
            rule, hint = f"a template whose wildcards lead no deeper than {DEPTH}", "Do lists name each other?"
            raise _refused(self.field, text, rule, hint)
        tokens = list(_TOKEN.finditer(text))
        closes, bars = _pairs(tokens)
        found: list[str] = []
        place = index = 0
        while index < len(tokens):
            match = tokens[index]
            found.append(text[place : match.start()])
            place = match.end()
            if match["name"]:
                lines = self.lines(match["name"])
                found += [_half(match), self.expand(lines[self.below(len(lines))], depth + 1)]
            elif match["plain"] and (option or match["plain"] != "|"):  # elsewhere \| means something to the prompt
                found += [_half(match), match["plain"]]
            elif index in closes:
                close = tokens[closes[index]]
                ends = [tokens[bar] for bar in bars[index]] + [close]
                begins = [place, *(bar.end() for bar in ends[:-1])]
                options = [text[begin : _end(end)] for begin, end in zip(begins, ends, strict=True)]
                drawn = self.options(options, depth)
                if drawn is None:
                    found += [match[0], self.expand(text[place : close.start()], depth + 1), close[0]]
                else:
                    found += [_half(match), drawn]
                place, index = close.end(), closes[index]
            else:
                found.append(match[0])
            index += 1
        return "".join([*found, text[place:]])

    def lines(self, name: str) -> list[str]:
        """Return the lines of a list that can be drawn."""
        known = name if name in self.lists else next((one for one in self.lists if one.lower() == name.lower()), None)
        if known is None:
            some = ", ".join(list(self.lists)[:NAMED]) + (", …" if len(self.lists) > NAMED else "")
            rule = f"one of {some}" if some else "the name of a list; there are none yet"
            meant = f"{near(name, self.lists)} Write \\__{name}\\__ where the text itself is meant.".strip()
            raise BadValue(self.field, "Wildcard", name, rule, meant)
        try:
            found = self.lists[known]
        except (OSError, UnicodeDecodeError) as error:
            raise BadValue(self.field, "Wildcard", name, "a list that can be read as UTF-8 text", f"{error}.") from None
        lines = [line for line in map(str.strip, found) if line and not line.startswith("#")]
        if not lines:
            raise BadValue(self.field, "Wildcard", name, "a list with at least one line")
        return lines

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


def _half(match: re.Match[str]) -> str:
    """Return the backslashes before a sign that counts: each pair is one."""
    return match["pairs"][::2]


def _end(match: re.Match[str]) -> int:
    """Find where an option ends before a bar or bracket: behind the backslashes that stay of the pairs there."""
    return match.start() + len(match["pairs"]) // 2


def _pairs(tokens: list[re.Match[str]]) -> tuple[dict[int, int], dict[int, list[int]]]:
    """Pair the brackets: the closing token of each, and the bars between its options."""
    closes: dict[int, int] = {}
    bars: dict[int, list[int]] = {}
    opened: list[tuple[int, int]] = []  # its token, how many bars were before it
    marks: list[int] = []  # bars in the brackets that are open
    for index, match in enumerate(tokens):
        if match["sign"] == "{":
            opened.append((index, len(marks)))
        elif match["sign"] == "|" and opened:
            marks.append(index)
        elif match["sign"] == "}" and opened:
            begin, before = opened.pop()
            closes[begin], bars[begin] = index, marks[before:]
            del marks[before:]
    return closes, bars


def _refused(field: str, template: str, rule: str, hint: str) -> BadValue:
    return BadValue(field, field.replace("_", " ").capitalize(), template, rule, hint)
