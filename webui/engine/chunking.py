"""Chunks: a prompt as tokens with weights, in rows of the length that CLIP reads.

The promise: every text has chunks and none is cut off. A1111's are of 75 tokens, broken after a comma where one is
near, or at BREAK; ComfyUI's are broken between words. An embedding's vectors stand for the tokens of its name and, but
for ComfyUI's long words, stay together in one chunk.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from webui import networks, prompt

ROOM = 75
"""Tokens of text in one chunk; with the marks for begin and end CLIP reads 77."""
BACKTRACK = 20
"""A full chunk is broken after its last comma if that lies within this many tokens of the end."""
LONG_WORD = 8
"""Tokens from which on ComfyUI breaks a word where its chunk is full."""


class Vector(NamedTuple):
    """One vector of an embedding, in a token's place."""

    name: str
    number: int


Names: TypeAlias = Sequence[tuple[list[int], tuple[Vector, ...]]]
"""Embeddings: the tokens that each name is read as, and its vectors."""


@dataclass(frozen=True)
class Chunk:
    """At most 75 tokens of text and the weight of each."""

    tokens: tuple[int | Vector, ...]
    weights: tuple[float, ...]


EMPTY = Chunk((), ())


@dataclass(frozen=True)
class Manner:
    """How a prompt is read: the recipe's clip skip, emphasis and profile."""

    clip_skip: int = 1
    emphasis: str = "Original"
    profile: str = "A1111"

    @property
    def interpolates(self) -> bool:
        return self.profile == "ComfyUI" and self.emphasis == "Original"


def chunks(
    tokenizer: Any, text: str, manner: Manner = Manner(), embeddings: Mapping[str, int] | None = None
) -> list[Chunk]:
    """Split a prompt into chunks of at most 75 weighted tokens; an empty prompt is one empty chunk.

    ``embeddings`` says how many vectors stand for a name.
    """
    named = _named(tokenizer, embeddings or {}, manner.profile)
    if manner.profile == "ComfyUI":
        return _by_words(tokenizer, text, manner, named)
    found: list[Chunk] = []
    comma = _comma(tokenizer)
    sections = prompt.parse(text, manner.emphasis, manner.profile)
    for number, section in enumerate(sections):
        tokens: list[int | Vector] = []
        weights: list[float] = []
        for span in section:
            for unit, _ in _units(_ids(tokenizer, span.text), named):
                if len(tokens) + len(unit) > ROOM:
                    keep = _break_at(tokens, comma, unit[0]) if len(tokens) == ROOM else len(tokens)
                    found.append(Chunk(tuple(tokens[:keep]), tuple(weights[:keep])))
                    tokens, weights = tokens[keep:], weights[keep:]
                tokens += unit
                weights += [span.weight] * len(unit)
        if tokens or not found or number < len(sections) - 1:
            found.append(Chunk(tuple(tokens), tuple(weights)))
    return found or [Chunk((), ())]


def _by_words(tokenizer: Any, text: str, manner: Manner, named: Names) -> list[Chunk]:
    """Split a prompt as ComfyUI does: a word that does not fit begins the next chunk, unless it is a long one."""
    found: list[Chunk] = []
    tokens: list[int | Vector] = []
    weights: list[float] = []
    spans = itertools.chain.from_iterable(prompt.parse(text, manner.emphasis, manner.profile))
    for rest, weight in ((word, span.weight) for span in spans for word in _words(tokenizer, span.text, named)):
        long = len(rest) >= LONG_WORD
        while rest:
            room = ROOM - len(tokens)
            fitting = min(len(rest), room) if long or len(rest) <= room else 0
            tokens, weights = tokens + rest[:fitting], weights + [weight] * fitting
            del rest[:fitting]
            if rest:
                found.append(Chunk(tuple(tokens), tuple(weights)))
                tokens, weights = [], []
    return [*found, Chunk(tuple(tokens), tuple(weights))]


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False, truncation=False, verbose=False).input_ids)


def _words(tokenizer: Any, text: str, named: Names) -> Iterator[list[int | Vector]]:
    """Give the tokens of each word; words that name an embedding together are one."""
    ends = {*itertools.accumulate(len(_ids(tokenizer, word)) for word in text.split())}
    word: list[int | Vector] = []
    for unit, end in _units(_ids(tokenizer, text), named):
        word += unit
        if end in ends:
            yield word
            word = []


def _named(tokenizer: Any, embeddings: Mapping[str, int], profile: str) -> Names:
    """Give each embedding the tokens that its name is read as, the longest first, and its vectors."""
    found = [
        (_ids(tokenizer, networks.called(name, profile)), tuple(Vector(name, number) for number in range(count)))
        for name, count in embeddings.items()
    ]
    return sorted(found, key=lambda pair: -len(pair[0]))


def _units(ids: Sequence[int], named: Names) -> Iterator[tuple[tuple[int | Vector, ...], int]]:
    """Cut tokens into what stays together: single tokens, and the vectors of an embedding that they name.

    With each comes the number of tokens up to its end.
    """
    at = 0
    while at < len(ids):
        name, vectors = next((pair for pair in named if pair[0] == ids[at : at + len(pair[0])]), ([0], (ids[at],)))
        at += len(name)
        yield vectors, at


def _comma(tokenizer: Any) -> int | None:
    ids = _ids(tokenizer, ",")
    return ids[0] if len(ids) == 1 else None


def _break_at(tokens: Sequence[int | Vector], comma: int | None, following: int | Vector) -> int:
    """Say how many tokens of a full chunk stay in it when ``following`` comes next."""
    if comma is None or following == comma or comma not in tokens:
        return len(tokens)
    last = len(tokens) - 1 - tokens[::-1].index(comma)
    return last + 1 if len(tokens) - last <= BACKTRACK else len(tokens)
