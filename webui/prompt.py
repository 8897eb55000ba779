"""Prompt grammar: what the person writes, as spans of text with weights.

The emphasis of A1111: ``(x)`` weighs 1.1, ``[x]`` 1/1.1, nesting multiplies, ``(x:1.5)`` weighs 1.5; a backslash
escapes a bracket. ``BREAK`` begins a new chunk of 75 tokens. Reading is total and linear: every text has a reading
and none raises. Where peers crash or give a nonsensical weight (``(a:1.2.3)``, twenty thousand brackets), the text
is taken literally or the weight is held in bounds.
"""

import math
import re
from dataclasses import dataclass
from itertools import groupby
from typing import Final

ROUND: Final = 1.1
SQUARE: Final = 1 / 1.1
WEIGHT_LIMIT: Final = 100.0
"""Weights are held within ± this: beyond it there is no picture, only infinities."""

# Digits and spaces are bounded so that no text makes the pattern go back over itself.
_TOKEN = re.compile(
    r"""
    \\[()\[\]\\]                          # an escaped bracket or backslash
    | \\                                  # any other backslash: dropped, as in A1111
    | [(\[\])]
    | :\s{0,9}(?P<weight>[+-]?(?:\d{1,9}(?:\.\d{0,9})?|\.\d{1,9}))\s{0,9}\)   # ends an explicit weight
    | (?<!\w)BREAK(?!\w)
    | [^\\()\[\]:B]+ | [:B]                # plain text, cut where something else may begin
    """,
    re.VERBOSE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of prompt text and the weight of its tokens (1 is neutral)."""

    text: str
    weight: float = 1.0


def parse(text: str) -> list[list[Span]]:
    """Read a prompt into sections, divided by BREAK, of spans.

    >>> parse("a (red:1.3) house")
    [[Span(text='a ', weight=1.0), Span(text='red', weight=1.3), Span(text=' house', weight=1.0)]]
    >>> [[span.text for span in section] for section in parse("sky BREAK sea")]
    [['sky'], ['sea']]
    """
    reader = _Reader()
    for match in _TOKEN.finditer(text):
        reader.read(match[0], match["weight"])
    return reader.sections()


class _Reader:
    """Reads tokens into pieces of text, each between the brackets that are open around it.

    Round and square brackets nest among their own kind only, as in A1111: ``(a [b) c]`` is no error. A bracket's
    factor is known when it closes, so weights are worked out at the end, in one walk.
    """

    def __init__(self) -> None:
        self.pieces: list[str | None] = []  # None stands for BREAK
        self.opened: dict[str, list[int]] = {"(": [], "[": []}
        self.brackets: list[tuple[int, str, float]] = []  # before which piece, kind, factor; 0 closes

    def read(self, token: str, weight: str | None) -> None:
        if weight is not None and self.opened["("]:
            self.close("(", float(weight))
        elif token == ")" and self.opened["("]:
            self.close("(", ROUND)
        elif token == "]" and self.opened["["]:
            self.close("[", SQUARE)
        elif token in ("(", "["):
            self.opened[token].append(len(self.brackets))
            self.brackets.append((len(self.pieces), token, ROUND if token == "(" else SQUARE))
        elif token == "BREAK":
            self.pieces.append(None)
        else:
            self.pieces.append(token[1:] if token[0] == "\\" else token)

    def close(self, kind: str, factor: float) -> None:
        begin = self.opened[kind].pop()
        self.brackets[begin] = (self.brackets[begin][0], kind, factor)
        self.brackets.append((len(self.pieces), kind, math.nan))

    def weights(self) -> list[float]:
        """Work out the weight of every piece: the product of the factors of the brackets around it."""
        products: dict[str, list[float]] = {"(": [1.0], "[": [1.0]}
        found: list[float] = []
        for before, kind, factor in [*self.brackets, (len(self.pieces), "(", math.nan)]:
            current = products["("][-1] * products["["][-1]
            found += [current] * (before - len(found))
            if not math.isnan(factor):
                products[kind].append(max(-WEIGHT_LIMIT, min(WEIGHT_LIMIT, products[kind][-1] * factor)))
            elif len(products[kind]) > 1:
                products[kind].pop()
        return found

    def sections(self) -> list[list[Span]]:
        """Join neighbouring pieces of one weight into spans; divide them at BREAK."""
        sections: list[list[Span]] = [[]]
        pieces = zip(self.pieces, self.weights(), strict=True)
        for (is_break, weight), group in groupby(pieces, key=lambda piece: (piece[0] is None, piece[1])):
            if is_break:
                sections += [[] for _ in group]
            elif text := "".join(text or "" for text, _ in group):
                sections[-1].append(Span(text, weight))
        last = len(sections) - 1
        return [_trimmed(section, at > 0, at < last) for at, section in enumerate(sections)]


def _trimmed(section: list[Span], begin: bool, end: bool) -> list[Span]:
    """Take away the white space that stood beside BREAK, and spans that were nothing else."""
    spans = list(section)
    while begin and spans and spans[0].text != spans[0].text.lstrip():
        spans[:1] = [Span(text, spans[0].weight)] if (text := spans[0].text.lstrip()) else []
    while end and spans and spans[-1].text != spans[-1].text.rstrip():
        spans[-1:] = [Span(text, spans[-1].weight)] if (text := spans[-1].text.rstrip()) else []
    return spans


def plain(text: str) -> str:
    """Return the words of a prompt without weights, for text encoders that take none.

    >>> plain("a (red:1.3) house BREAK night")
    'a red house night'
    """
    return " ".join("".join(span.text for span in section).strip() for section in parse(text)).strip()
