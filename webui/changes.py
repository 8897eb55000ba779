"""What changed between a picture's recipe and its parent's: words, weights and the fields that differ, nothing else.

A prompt is compared as it is read (``webui.prompt``, ``webui.prompt_schedule``): its tokens are words with weights,
brackets that depend on the step, AND, BREAK and extra networks. Commas and white space divide words and are no change
of their own, so a prompt that differs in nothing else is said to differ in punctuation.

The promise: there is no change exactly where the tokens are equal; the pieces of a change, in reading order, hold all
tokens of both prompts, each once on its side; and two prompts of 10,000 characters are compared in well under a second
whatever they say.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from itertools import chain, groupby
from typing import Final, Literal

from webui import prompt, prompt_schedule
from webui.recipe import PARAMS, Recipe

Kind = Literal["kept", "added", "removed", "reweighted", "moved", "left"]
"""What became of a piece; ``moved`` is where words went to, ``left`` the place that they went from."""

SMALL: Final = 1024
"""Stretches without a word that both have once are matched word by word up to this product of their lengths."""
SUMMARY: Final = 120
EMPTY: Final = "(empty)"

_PROMPTS: Final = ("prompt", "negative_prompt")
_HOLE: Final = "\0"
_WORD: Final = re.compile(r"\0|,|[^\s,\0]+")


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a prompt and its weight; ``comma`` says that one stands before it, which is no difference."""

    text: str
    weight: float = 1.0
    comma: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Piece:
    """Neighbouring tokens of one fate: ``old`` are the parent's, ``new`` the child's; one side may be empty."""

    kind: Kind
    old: tuple[Token, ...] = ()
    new: tuple[Token, ...] = ()

    @property
    def text(self) -> str:
        """The words, without weights."""
        return _said(self.new or self.old)

    @property
    def weights(self) -> tuple[float, float]:
        """The weight of the first word before and after; of one side only, twice the same."""
        old, new = self.old or self.new, self.new or self.old
        return old[0].weight, new[0].weight

    def __str__(self) -> str:
        old, new = self.weights
        if self.kind == "reweighted":
            return f"weight {old:.4g}→{new:.4g} of {self.text}"
        words = self.text if new == 1 else f"({self.text}:{new:.4g})"
        return {"added": f"+{words}", "removed": f"−{words}", "moved": f"moved {words}"}.get(self.kind, words)


@dataclass(frozen=True, slots=True)
class PromptChange:
    """The pieces of a prompt's change in reading order; ``punctuation`` says that only commas or spaces differ."""

    pieces: tuple[Piece, ...] = ()
    punctuation: bool = False

    def __bool__(self) -> bool:
        return any(piece.kind != "kept" for piece in self.pieces)

    def apply(self, old: Sequence[Token]) -> tuple[Token, ...]:
        """Make the change to the tokens that it was found for; raise ValueError for others."""
        if tuple(old) != tuple(chain.from_iterable(piece.old for piece in self.pieces)):
            raise ValueError("This change was found for another prompt.")
        return tuple(chain.from_iterable(piece.new for piece in self.pieces))

    def parts(self) -> list[str]:
        """Say every change in a few signs."""
        said = [str(piece) for piece in self.pieces if piece.kind not in ("kept", "left")]
        return said or (["punctuation"] if self.punctuation else [])


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A parameter that differs, as its ``Param`` writes it; seeds in all their digits."""

    name: str
    label: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.label} {self.old or EMPTY}→{self.new or EMPTY}"


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything that differs between two recipes."""

    prompt: PromptChange
    negative_prompt: PromptChange
    fields: tuple[FieldChange, ...]

    def __bool__(self) -> bool:
        prompts = (self.prompt, self.negative_prompt)
        return bool(self.fields) or any(one or one.punctuation for one in prompts)

    def summary(self, limit: int = SUMMARY) -> str:
        """Say it in one line of at most ``limit`` characters, for chips and alternative texts; empty for no change."""
        negative = self.negative_prompt.parts()
        groups = [
            " ".join(self.prompt.parts()),
            f"{PARAMS['negative_prompt'].label} {' '.join(negative)}" if negative else "",
            *map(str, self.fields),
        ]
        line = " · ".join(" ".join(group.split()) for group in groups if group)
        return line if len(line) <= limit else line[: limit - 1] + "…"


def changes(old: Recipe, new: Recipe) -> Changes:
    """Compare a recipe with its parent's.

    >>> old = Recipe.of(prompt="a house by a lake, snow, (boat:1.2)", seed=7, cfg_scale=7)
    >>> changes(old, old.but(prompt="a house by a lake, (boat:1.4), duckling", cfg_scale=5)).summary()
    '−snow weight 1.2→1.4 of boat +duckling · CFG scale 7→5'
    """
    prompts = [
        compare(getattr(old, name), getattr(new, name), (old.emphasis, old.profile), (new.emphasis, new.profile))
        for name in _PROMPTS
    ]
    fields = tuple(
        FieldChange(name, param.label, param.format(getattr(old, name)), param.format(getattr(new, name)))
        for name, param in PARAMS.items()
        if name not in _PROMPTS and getattr(old, name) != getattr(new, name)
    )
    return Changes(prompts[0], prompts[1], fields)


def compare(
    old: str, new: str, before: tuple[str, str] = ("Original", "A1111"), after: tuple[str, str] = ("Original", "A1111")
) -> PromptChange:
    """Compare two prompts; ``before`` and ``after`` are the recipes' emphasis and profile, which they are read by.

    >>> [str(piece) for piece in compare("a house, ducks", "a house at night").pieces]
    ['a house', '−ducks', '+at night']
    >>> compare("a house, ducks", "a  house ducks").parts()
    ['punctuation']
    """
    first, second = tokens(old, *before), tokens(new, *after)
    pieces = tuple(_pieces(first, second))
    return PromptChange(pieces, punctuation=old != new and first == second)


def tokens(text: str, emphasis: str = "Original", profile: str = "A1111") -> tuple[Token, ...]:
    """Read a prompt as words with weights; what depends on the step is one token, extra networks come last.

    >>> [(one.text, one.weight) for one in tokens("a (red:1.3) [cat:dog:0.4] <lora:ink:0.8>")]
    [('a', 1.0), ('red', 1.3), ('[cat:dog:0.4]', 1.0), ('<lora:ink>', 0.8)]
    """
    words, networks = prompt_schedule.networks(text.replace(_HOLE, " "))
    if profile == "ComfyUI":
        return (*_words(words, [], emphasis, profile), *map(_network, networks))
    found: list[Token] = []
    for number, part in enumerate(prompt_schedule.parts(words)):
        if number:
            found.append(Token("AND"))
        found += _words(*_holes(part.text), emphasis, profile)
        if part.weight != 1:
            found.append(Token(f":{part.weight:g}"))
    return (*found, *map(_network, networks))


def _network(network: prompt_schedule.Network) -> Token:
    """Take a network's weight, if that is all it has beside its name, for the token's."""
    weight = prompt_schedule.trailing(str(network)[:-1])
    if len(network.arguments) != 2 or weight is None:
        return Token(str(network))
    return Token(f"<{network.kind}:{network.name}>", weight)


def _holes(text: str) -> tuple[str, list[str]]:
    """Put a hole in the place of each outermost bracket that depends on the step, and return them."""
    found = prompt_schedule.outline(text) if "[" in text else prompt_schedule.Outline([text])
    written: list[str] = []
    cut: list[str] = []
    index = 0
    while index < len(found.tokens):
        if index in found.choices:
            end = found.choices[index].end
            cut.append(" ".join("".join(found.tokens[index:end]).split()))
            written.append(_HOLE)
            index = end
        else:
            written.append(found.tokens[index])
            index += 1
    return "".join(written), cut


def _words(text: str, holes: list[str], emphasis: str, profile: str) -> Iterator[Token]:
    """Divide a prompt, without what depends on the step, into words."""
    filling = iter(holes)
    comma = False
    for number, section in enumerate(prompt.parse(text, emphasis, profile)):
        if number:
            yield Token("BREAK", comma=comma)
            comma = False
        for span in section:
            for word in _WORD.findall(span.text):
                if word == ",":
                    comma = True
                    continue
                yield Token(next(filling) if word == _HOLE else word, span.weight, comma)
                comma = False


def _pieces(old: Sequence[Token], new: Sequence[Token]) -> Iterator[Piece]:
    """Cut two token streams into pieces of one fate, in reading order."""
    found = list(_aligned(old, new))
    moved = Counter(piece.old for piece in found if piece.kind == "removed")
    moved &= Counter(piece.new for piece in found if piece.kind == "added")
    fates: dict[Kind, tuple[Kind, Counter[tuple[Token, ...]]]] = {
        "removed": ("left", moved.copy()),
        "added": ("moved", moved.copy()),
    }
    for index, piece in enumerate(found):
        if piece.kind in fates:
            fate, remaining = fates[piece.kind]
            words = piece.old or piece.new
            if remaining[words] > 0:
                remaining[words] -= 1
                found[index] = replace(piece, kind=fate)
    for (kind, _), group in groupby(found, key=lambda piece: (piece.kind, piece.weights)):
        if kind in ("kept", "reweighted"):
            same = list(group)
            yield Piece(kind, tuple(piece.old[0] for piece in same), tuple(piece.new[0] for piece in same))
        else:
            yield from group


def _aligned(old: Sequence[Token], new: Sequence[Token]) -> Iterator[Piece]:
    """Yield each token that both have, and between them the phrases of the one and of the other."""
    a = b = 0
    matches = _matches([one.text for one in old], [one.text for one in new])
    for i, j in [*matches, (len(old), len(new))]:
        yield from (Piece("removed", old=phrase) for phrase in _phrases(old[a:i]))
        yield from (Piece("added", new=phrase) for phrase in _phrases(new[b:j]))
        if i < len(old):
            yield Piece("kept" if old[i] == new[j] else "reweighted", (old[i],), (new[j],))
        a, b = i + 1, j + 1


def _phrases(found: Sequence[Token]) -> Iterator[tuple[Token, ...]]:
    """Divide tokens where a comma stands or the weight changes."""
    begin = 0
    for at in range(1, len(found) + 1):
        if at == len(found) or found[at].comma or found[at].weight != found[at - 1].weight:
            yield tuple(found[begin:at])
            begin = at


def _said(found: Sequence[Token]) -> str:
    """Write tokens as text, with their commas."""
    return "".join((", " if one.comma else " ") + one.text for one in found).lstrip(", ")


def _matches(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Pair equal words of two texts, rising on both sides.

    Patience diff (B. Cohen): words that both have exactly once hold the rest in place. It takes no longer than n log n
    a level, where longest common stretches (difflib) take minutes for some texts; those match only what is small.
    """
    pairs: list[tuple[int, int]] = []
    todo = [(0, len(old), 0, len(new))]
    while todo:
        a, a_end, b, b_end = todo.pop()
        while a < a_end and b < b_end and old[a] == new[b]:
            pairs.append((a, b))
            a, b = a + 1, b + 1
        while a < a_end and b < b_end and old[a_end - 1] == new[b_end - 1]:
            a_end, b_end = a_end - 1, b_end - 1
            pairs.append((a_end, b_end))
        anchors, begins = _anchors(old[a:a_end], new[b:b_end]), (a, b)
        if not anchors and (a_end - a) * (b_end - b) <= SMALL:
            matcher = SequenceMatcher(None, old[a:a_end], new[b:b_end], autojunk=False)
            for block in matcher.get_matching_blocks():
                pairs += [(a + block.a + k, b + block.b + k) for k in range(block.size)]
        for i, j in anchors:
            pairs.append((begins[0] + i, begins[1] + j))
            todo.append((a, begins[0] + i, b, begins[1] + j))
            a, b = begins[0] + i + 1, begins[1] + j + 1
        if anchors:
            todo.append((a, a_end, b, b_end))
    return sorted(pairs)


def _anchors(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Find the longest rising run of words that both sides have exactly once."""
    counts = Counter(old), Counter(new)
    places = {word: j for j, word in enumerate(new) if counts[1][word] == 1}
    once = [(i, places[word]) for i, word in enumerate(old) if counts[0][word] == 1 and word in places]
    ends: list[int] = []  # of the runs of each length, the lowest place in `new` that one ends at
    last: list[int] = []  # and that one's last word, as a number in `once`
    before: list[int] = []
    for number, (_, j) in enumerate(once):
        length = bisect_left(ends, j)
        before.append(last[length - 1] if length else -1)
        ends[length : length + 1] = [j]
        last[length : length + 1] = [number]
    run: list[tuple[int, int]] = []
    number = last[-1] if last else -1
    while number >= 0:
        run.append(once[number])
        number = before[number]
    return run[::-1]
