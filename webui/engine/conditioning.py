"""Conditioning: from a prompt to what the network reads, for models whose text encoders are CLIP (SD 1.x, 2.x, SDXL).

The promise: A1111's way. Emphasis multiplies a token's vectors and then restores the mean of its chunk; prompts of any
length are read in chunks of 75 tokens, broken after a comma where one is near, or at BREAK; clip skip N reads the
N-th layer from the end. Equal text gives equal bits, whether it comes from the cache or not.

The recipe's ``emphasis`` and ``profile`` choose other ways: No norm leaves the mean as it becomes, and ComfyUI leads
from the empty prompt's vector to the token's, and as much further as it weighs. Chunks are A1111's in all of them.
"""

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from webui import prompt, prompt_schedule
from webui.errors import BadValue

ROOM = 75
"""Tokens of text in one chunk; with the marks for begin and end CLIP reads 77."""
BACKTRACK = 20
"""A full chunk is broken after its last comma if that lies within this many tokens of the end."""
CACHED = 16
COUNTED_STEPS = 150
"""Steps that a prompt with schedules is counted over: the most that a recipe has."""
COUNTED_TEXTS = 8
"""Texts of such a prompt that are counted, the longest ones: it is counted while the person types."""


@dataclass(frozen=True)
class Chunk:
    """At most 75 tokens of text and the weight of each."""

    tokens: tuple[int, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Embedding:
    """A prompt as the network reads it: ``tokens`` (1, 77 · chunks, D) and, in SDXL, ``pooled`` (1, P)."""

    tokens: torch.Tensor
    pooled: torch.Tensor | None = None

    def zeros(self) -> "Embedding":
        """Return the embedding of nothing at all, of the same shape."""
        return Embedding(torch.zeros_like(self.tokens), None if self.pooled is None else torch.zeros_like(self.pooled))


@dataclass(frozen=True)
class Manner:
    """How a prompt is read: the recipe's clip skip, emphasis and profile."""

    clip_skip: int = 1
    emphasis: str = "Original"
    profile: str = "A1111"

    @property
    def interpolates(self) -> bool:
        return self.profile == "ComfyUI" and self.emphasis == "Original"


def chunks(tokenizer: Any, text: str, manner: Manner = Manner()) -> list[Chunk]:
    """Split a prompt into chunks of at most 75 weighted tokens; an empty prompt is one empty chunk."""
    found: list[Chunk] = []
    comma = _comma(tokenizer)
    sections = prompt.parse(text, manner.emphasis, manner.profile)
    for number, section in enumerate(sections):
        tokens: list[int] = []
        weights: list[float] = []
        for span in section:
            for token in _ids(tokenizer, span.text):
                if len(tokens) == ROOM:
                    keep = _break_at(tokens, comma, token)
                    found.append(Chunk(tuple(tokens[:keep]), tuple(weights[:keep])))
                    tokens, weights = tokens[keep:], weights[keep:]
                tokens.append(token)
                weights.append(span.weight)
        if tokens or not found or number < len(sections) - 1:
            found.append(Chunk(tuple(tokens), tuple(weights)))
    return found or [Chunk((), ())]


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False, truncation=False, verbose=False).input_ids)


def _comma(tokenizer: Any) -> int | None:
    ids = _ids(tokenizer, ",")
    return ids[0] if len(ids) == 1 else None


def _break_at(tokens: Sequence[int], comma: int | None, following: int) -> int:
    """Say how many tokens of a full chunk stay in it when ``following`` comes next."""
    if comma is None or following == comma or comma not in tokens:
        return len(tokens)
    last = len(tokens) - 1 - tokens[::-1].index(comma)
    return last + 1 if len(tokens) - last <= BACKTRACK else len(tokens)


class ClipReader:
    """Reads prompts with the CLIP text encoders of a pipeline: one (SD) or two (SDXL).

    ``tokenizers`` and ``encoders`` go together; with two, features are joined and the second's pooled output is kept.
    """

    def __init__(self, tokenizers: Sequence[Any], encoders: Sequence[Any], penultimate: bool) -> None:
        self.tokenizers, self.encoders, self.penultimate = tuple(tokenizers), tuple(encoders), penultimate
        self._cache: OrderedDict[tuple[str, Manner], Embedding] = OrderedDict()
        self._lock = threading.Lock()  # a tokenizer cannot serve the page's counter and a picture at once

    def read(self, text: str, clip_skip: int, emphasis: str = "Original", profile: str = "A1111") -> Embedding:
        """Encode a prompt; raise BadValue when ``clip_skip`` is more than the encoder has layers."""
        manner = Manner(clip_skip, emphasis, profile)
        key = (text, manner)
        with self._lock:
            if key not in self._cache:
                self._cache[key] = self._read(text, manner)
            self._cache.move_to_end(key)
            while len(self._cache) > CACHED:
                self._cache.popitem(last=False)
            return self._cache[key]

    def count(self, text: str) -> tuple[int, int]:
        """Count a prompt's tokens, and the room in the chunks that they fill; the most of all parts and steps."""
        with self._lock:
            filled = [chunks(self.tokenizers[0], words) for words in variants(text)]
        return max((sum(len(chunk.tokens) for chunk in found), ROOM * len(found)) for found in filled)

    @torch.inference_mode()
    def _read(self, text: str, manner: Manner) -> Embedding:
        joined: list[torch.Tensor] = []
        pooled = None
        for tokenizer, encoder in zip(self.tokenizers, self.encoders, strict=True):
            parts = [self._encode(tokenizer, encoder, chunk, manner) for chunk in chunks(tokenizer, text, manner)]
            joined.append(torch.cat([features for features, _ in parts], dim=1))
            pooled = parts[0][1] if hasattr(encoder, "text_projection") else pooled
        length = max(part.shape[1] for part in joined)  # two tokenizers may need unequal numbers of chunks
        return Embedding(torch.cat([_repeated(part, length) for part in joined], dim=-1), pooled)

    def _encode(self, tokenizer: Any, encoder: Any, chunk: Chunk, manner: Manner) -> tuple[torch.Tensor, Any]:
        """Return features (1, 77, D) with emphasis, and the projected pooled output (1, P) if the encoder has one."""
        end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
        fill = ROOM - len(chunk.tokens)
        ids = [tokenizer.bos_token_id, *chunk.tokens, end, *[end if pad is None else pad] * fill]
        device = next(encoder.parameters()).device
        output = encoder(torch.tensor([ids], device=device), output_hidden_states=True)
        features, pooled = self._layer(encoder, output, manner.clip_skip), getattr(output, "text_embeds", None)
        weights = (1.0, *chunk.weights, *[1.0] * (fill + 1))
        if manner.interpolates and any(weight != 1.0 for weight in weights):
            empty, _ = self._encode(tokenizer, encoder, Chunk((), ()), manner)
            return interpolate(features, empty, weights), pooled
        return emphasise(features, weights, restore=manner.emphasis == "Original"), pooled

    def _layer(self, encoder: Any, output: Any, clip_skip: int) -> torch.Tensor:
        """Pick layer N from the end. SDXL reads the last but one without a final norm, for N = 1 and 2 alike."""
        layers = output.hidden_states
        back = max(clip_skip, 2) if self.penultimate else clip_skip
        if back > len(layers) - 1:
            rule = f"at most {len(layers) - 1} for this model, whose text encoder has so many layers"
            raise BadValue("clip_skip", "Clip skip", clip_skip, rule)
        if self.penultimate:
            return layers[-back]  # type: ignore[no-any-return]
        # transformers 5.6 moved the norm from encoder.text_model to the encoder itself
        norm = getattr(encoder, "text_model", encoder).final_layer_norm
        return output.last_hidden_state if back == 1 else norm(layers[-back])  # type: ignore[no-any-return]


def variants(text: str) -> list[str]:
    """List what the encoder may be given of a prompt, to count it: the texts of its parts and steps, of many the
    longest, without extra networks.

    >>> variants("a [dog|cat] AND a lake <lora:x:1>")
    ['a dog', 'a cat', 'a lake']
    """
    words, _ = prompt_schedule.networks(text)
    lines = [prompt_schedule.timeline(part.text, COUNTED_STEPS) for part in prompt_schedule.parts(words)]
    found = list(dict.fromkeys(entry for line in lines for _, entry in line))
    return sorted(found, key=len)[-COUNTED_TEXTS:] if len(found) > COUNTED_TEXTS else found


def emphasise(features: torch.Tensor, weights: Sequence[float], restore: bool = True) -> torch.Tensor:
    """Multiply each token's vector by its weight, then scale all so that their mean is what it was.

    ``features``: (1, T, D); ``weights``: T; ``restore``: False leaves the mean as it becomes. Where the mean is next
    to nothing beside the values, it says nothing and is left alone: dividing by it would blow up the features.
    """
    if all(weight == 1.0 for weight in weights):
        return features
    values = features.float()
    weighted = values * torch.tensor(weights, device=features.device)[None, :, None]
    mean = weighted.mean()
    if restore and mean.abs() > 1e-3 * weighted.abs().mean():
        weighted = weighted * (values.mean() / mean)
    return weighted.to(features.dtype)


def interpolate(features: torch.Tensor, empty: torch.Tensor, weights: Sequence[float]) -> torch.Tensor:
    """Move each token's vector along the line from the empty prompt's: empty + weight · (token − empty).

    ``features`` and ``empty``: (1, T, D); ``weights``: T. Tokens that weigh 1 keep every bit.
    """
    factors = torch.tensor(weights, device=features.device)[None, :, None]
    start = empty.float()
    moved = (start + factors * (features.float() - start)).to(features.dtype)
    return torch.where(factors == 1.0, features, moved)


def match(first: Embedding, second: Embedding) -> tuple[Embedding, Embedding]:
    """Repeat both token sequences to their least common length.

    Attention over repeated keys is the same average, so neither prompt changes what the other means; padding would.
    """
    length = math.lcm(first.tokens.shape[1], second.tokens.shape[1])
    return (
        Embedding(_repeated(first.tokens, length), first.pooled),
        Embedding(_repeated(second.tokens, length), second.pooled),
    )


def _repeated(tokens: torch.Tensor, length: int) -> torch.Tensor:
    """Repeat (1, T, D) along T up to ``length``; a length that T does not divide is filled from the start again."""
    count = -(-length // tokens.shape[1])
    return tokens.repeat(1, count, 1)[:, :length] if count > 1 else tokens
