"""Prompt grammar: what the person writes, as spans of text with weights.

The emphasis of A1111: ``(x)`` weighs 1.1, ``[x]`` 1/1.1, nesting multiplies, ``(x:1.5)`` weighs 1.5; a backslash
escapes a bracket. ``BREAK`` begins a new chunk of 75 tokens. ComfyUI's knows round brackets only, and its ``(x:1.5)``
weighs 1.5 wherever it stands. Reading is total and linear: every text has a reading and none raises. Where peers
crash or give a nonsensical weight (``(a:1.2.3)``, twenty thousand brackets), the text is taken literally or the
weight is held in bounds.

What changes from step to step, and what is joined by AND, is read before: see ``webui.prompt_schedule``.
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


def parse(text: str, emphasis: str = "Original", profile: str = "A1111") -> list[list[Span]]:
    """Read a prompt into sections, divided by BREAK, of spans.

    ``emphasis`` and ``profile`` as on the recipe: None takes all brackets literally, Ignore reads the weights and sets
    them to 1, ComfyUI has a grammar of its own without ``[x]`` and BREAK.

    >>> parse("a (red:1.3) house")
    [[Span(text='a ', weight=1.0), Span(text='red', weight=1.3), Span(text=' house', weight=1.0)]]
    >>> [[span.text for span in section] for section in parse("sky BREAK sea")]
    [['sky'], ['sea']]
    """
    if emphasis == "None":
        return [[Span(text)] if text else []]
    reader = _ComfyReader() if profile == "ComfyUI" else _Reader()
    for match in _TOKEN.finditer(text):
        reader.read(match[0], match["weight"])
    sections = reader.sections()
    if emphasis == "Ignore":
        return [[Span(span.text) for span in section] for section in sections]
    return sections


class _Reader:
    """Reads tokens into pieces of text, each between the brackets that are open around it.

    Round and square brackets nest among their own kind only, as in A1111: ``(a [b) c]`` is no error. A bracket's
    factor is known when it closes, so weights are worked out at the end, in one walk.
    """

    absolute = False
    """Whether an explicit weight stands for itself, instead of multiplying those around it."""

    def __init__(self) -> None:
        self.pieces: list[str | None] = []  # None stands for BREAK
        self.opened: dict[str, list[int]] = {"(": [], "[": []}
        self.brackets: list[tuple[int, str, float, bool]] = []  # before which piece, kind, factor, explicit

    def read(self, token: str, weight: str | None) -> None:
        if weight is not None and self.opened["("]:
            self.close("(", float(weight), True)
        elif token == ")" and self.opened["("]:
            self.close("(", ROUND)
        elif token == "]" and self.opened["["]:
            self.close("[", SQUARE)
        elif token in ("(", "["):
            self.opened[token].append(len(self.brackets))
            self.brackets.append((len(self.pieces), token, ROUND if token == "(" else SQUARE, False))
        elif token == "BREAK":
            self.pieces.append(None)
        else:
            self.pieces.append(token[1:] if token[0] == "\\" else token)

    def close(self, kind: str, factor: float, explicit: bool = False) -> None:
        begin = self.opened[kind].pop()
        self.brackets[begin] = (self.brackets[begin][0], kind, factor, explicit)
        self.brackets.append((len(self.pieces), kind, math.nan, False))

    def weights(self) -> list[float]:
        """Work out the weight of every piece: the product of the factors of the brackets around it."""
        products: dict[str, list[float]] = {"(": [1.0], "[": [1.0]}
        found: list[float] = []
        for before, kind, factor, explicit in [*self.brackets, (len(self.pieces), "(", math.nan, False)]:
            current = products["("][-1] * products["["][-1]
            found += [current] * (before - len(found))
            if not math.isnan(factor):
                product = factor if explicit and self.absolute else products[kind][-1] * factor
                products[kind].append(max(-WEIGHT_LIMIT, min(WEIGHT_LIMIT, product)))
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


class _ComfyReader(_Reader):
    """Reads ComfyUI's grammar: round brackets, those that stay open are text; a backslash escapes only them."""

    absolute = True

    def read(self, token: str, weight: str | None) -> None:
        if token in ("[", "]", "BREAK", "\\") or (token[0] == "\\" and token[1] not in "()"):
            self.pieces.append(token)
            return
        if token == "(":
            self.pieces.append(token)  # taken away again when the bracket closes
        super().read(token, weight)

    def close(self, kind: str, factor: float, explicit: bool = False) -> None:
        self.pieces[self.brackets[self.opened[kind][-1]][0] - 1] = ""
        super().close(kind, factor, explicit)

    def sections(self) -> list[list[Span]]:
        for index in self.opened["("]:
            self.brackets[index] = (self.brackets[index][0], "(", 1.0, False)
        return super().sections()


def _trimmed(section: list[Span], begin: bool, end: bool) -> list[Span]:
    """Take away the white space that stood beside BREAK, and spans that were nothing else."""
    spans = list(section)
    while begin and spans and spans[0].text != spans[0].text.lstrip():
        spans[:1] = [Span(text, spans[0].weight)] if (text := spans[0].text.lstrip()) else []
    while end and spans and spans[-1].text != spans[-1].text.rstrip():
        spans[-1:] = [Span(text, spans[-1].weight)] if (text := spans[-1].text.rstrip()) else []
    return spans


def plain(text: str, emphasis: str = "Original", profile: str = "A1111") -> str:
    """Return the words of a prompt without weights, for text encoders that take none.

    >>> plain("a (red:1.3) house BREAK night")
    'a red house night'
    """
    sections = parse(text, emphasis, profile)
    return " ".join("".join(span.text for span in section).strip() for section in sections).strip()
