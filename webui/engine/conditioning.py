"""Conditioning: from a prompt to what the network reads, for models whose text encoders are CLIP (SD 1.x, 2.x, SDXL).

The promise: A1111's way. Emphasis multiplies a token's vectors and then restores the mean of its chunk; prompts of any
length are read in chunks (``webui.engine.chunking``); clip skip N reads the N-th layer from the end. What a prompt says
at other steps is read along with it, as one batch is there: all its texts have the chunks of the longest, and emphasis
restores the mean of them together. Equal text gives equal bits, whether it comes from the cache or not.

A word that names an embedding (textual inversion: Gal et al. 2022, https://arxiv.org/abs/2208.01618) stands for its
vectors, which are put in where the tokens' own would be.

The recipe's ``emphasis`` and ``profile`` choose other ways: No norm leaves the mean as it becomes. ComfyUI leads from
the empty prompt's vector to the token's, and as much further as it weighs.
"""

import itertools
import math
import threading
from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch

from webui import prompt_schedule
from webui.engine.chunking import EMPTY, ROOM, Chunk, Manner, Vector, chunks
from webui.errors import BadValue

LEAST_MEAN = 1e-3
"""Share of the values' size under which their mean says nothing and is not restored."""
CACHED = 16
COUNTED_STEPS = 150
"""Steps that a prompt with schedules is counted over: the most that a recipe has."""
COUNTED_TEXTS = 8
"""Texts of such a prompt that are counted, the longest ones: it is counted while the person types."""

Weights: TypeAlias = tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Words:
    """What makes words read otherwise than the encoders were loaded.

    ``key`` tells readings apart: it names the LoRAs on the encoders and the embeddings. ``vectors`` are those of each
    embedding by its spelled name, (count, width) for each encoder.
    """

    key: Hashable = ()
    vectors: Mapping[str, Sequence[torch.Tensor]] = field(default_factory=dict)


PLAIN = Words()


@dataclass(frozen=True, eq=False)
class Embedding:
    """A prompt as the network reads it: ``tokens`` (1, 77 · chunks, D) and, in SDXL, ``pooled`` (1, P)."""

    tokens: torch.Tensor
    pooled: torch.Tensor | None = None

    def zeros(self) -> "Embedding":
        """Return the embedding of nothing at all, of the same shape."""
        return Embedding(torch.zeros_like(self.tokens), None if self.pooled is None else torch.zeros_like(self.pooled))


class ClipReader:
    """Reads prompts with the CLIP text encoders of a pipeline: one (SD) or two (SDXL).

    ``tokenizers`` and ``encoders`` go together; with two, features are joined and the second's pooled output is kept.
    ``words`` are the extras of the picture that is being made.
    """

    words = PLAIN

    def __init__(self, tokenizers: Sequence[Any], encoders: Sequence[Any], penultimate: bool) -> None:
        self.tokenizers, self.encoders, self.penultimate = tuple(tokenizers), tuple(encoders), penultimate
        self._cache: OrderedDict[tuple[str, Manner, tuple[str, ...], Hashable], Embedding] = OrderedDict()
        self._together: OrderedDict[tuple[Manner, tuple[str, ...], Hashable], list[list[float]]] = OrderedDict()
        self._lock = threading.Lock()  # a tokenizer cannot serve the page's counter and a picture at once

    def read(
        self,
        text: str,
        clip_skip: int,
        emphasis: str = "Original",
        profile: str = "A1111",
        beside: tuple[str, ...] = (),
    ) -> Embedding:
        """Encode a prompt; raise BadValue when ``clip_skip`` is more than the encoder has layers.

        ``beside``: all that the prompt says over the steps, this text among it.
        """
        manner = Manner(clip_skip, emphasis, profile)
        beside = beside if len(set(beside)) > 1 else ()
        key = (text, manner, beside, self.words.key)
        with self._lock:
            if key not in self._cache:
                self._cache[key] = self._read(text, manner, beside)
            self._cache.move_to_end(key)
            while len(self._cache) > CACHED:
                self._cache.popitem(last=False)
            return self._cache[key]

    def count(self, text: str, embeddings: Mapping[str, int] | None = None) -> tuple[int, int]:
        """Count a prompt's tokens, and the room in the chunks that they fill; the most of all parts and steps.

        ``embeddings`` says how many vectors stand for a name.
        """
        with self._lock:
            filled = [chunks(self.tokenizers[0], words, embeddings=embeddings) for words in variants(text)]
        return max((sum(len(chunk.tokens) for chunk in found), ROOM * len(found)) for found in filled)

    @torch.inference_mode()
    def _read(self, text: str, manner: Manner, beside: tuple[str, ...]) -> Embedding:
        joined: list[torch.Tensor] = []
        pooled = None
        together = self._scales(manner, beside) if beside else [[] for _ in self.tokenizers]
        for tokenizer, encoder, scales in zip(self.tokenizers, self.encoders, together, strict=True):
            own: list[Chunk | None] = [*self._chunks(tokenizer, text, manner)]
            shared = itertools.zip_longest(own, scales)  # the shorter of its texts are filled up with empty chunks
            parts = [self._encode(tokenizer, encoder, chunk or EMPTY, manner, scale) for chunk, scale in shared]
            joined.append(torch.cat([features for features, _ in parts], dim=1))
            pooled = parts[0][1] if hasattr(encoder, "text_projection") else pooled
        length = max(part.shape[1] for part in joined)  # two tokenizers may need unequal numbers of chunks
        return Embedding(torch.cat([_repeated(part, length) for part in joined], dim=-1), pooled)

    def _chunks(self, tokenizer: Any, text: str, manner: Manner) -> list[Chunk]:
        counts = {name: len(parts[0]) for name, parts in self.words.vectors.items()}
        return chunks(tokenizer, text, manner, counts)

    def _scales(self, manner: Manner, beside: tuple[str, ...]) -> list[list[float]]:
        """Return, for each encoder and chunk, what restores the mean of a prompt's texts of all steps together."""
        key = (manner, beside, self.words.key)
        if key not in self._together:
            self._together[key] = [
                self._scales_of(tokenizer, encoder, manner, Counter(beside))
                for tokenizer, encoder in zip(self.tokenizers, self.encoders, strict=True)
            ]
            while len(self._together) > CACHED:
                self._together.popitem(last=False)
        return self._together[key]

    def _scales_of(self, tokenizer: Any, encoder: Any, manner: Manner, texts: Counter[str]) -> list[float]:
        split = {words: self._chunks(tokenizer, words, manner) for words in texts}
        scales = [1.0] * max(map(len, split.values()))
        weighed = any(weight != 1.0 for found in split.values() for chunk in found for weight in chunk.weights)
        if not weighed or manner.emphasis != "Original":
            return scales
        for index in range(len(scales)):
            before = after = size = 0.0
            for words, times in texts.items():
                chunk = split[words][index] if index < len(split[words]) else EMPTY
                features, weights, _ = self._plain(tokenizer, encoder, chunk, manner)
                values = features.float()
                weighted = values * torch.tensor(weights, device=values.device)[None, :, None]
                before += times * float(values.mean())
                after += times * float(weighted.mean())
                size += times * float(weighted.abs().mean())
            scales[index] = before / after if abs(after) > LEAST_MEAN * size else 1.0
        return scales

    def _encode(
        self, tokenizer: Any, encoder: Any, chunk: Chunk, manner: Manner, scale: float | None = None
    ) -> tuple[torch.Tensor, Any]:
        """Return features (1, 77, D) with emphasis, and the projected pooled output (1, P) if the encoder has one.

        ``scale``: what restores the mean where more texts than this one are read together.
        """
        features, weights, pooled = self._plain(tokenizer, encoder, chunk, manner)
        if manner.interpolates and any(weight != 1.0 for weight in weights):
            empty, _, _ = self._plain(tokenizer, encoder, EMPTY, manner)
            return interpolate(features, empty, weights), pooled
        if scale is None:
            return emphasise(features, weights, restore=manner.emphasis == "Original"), pooled
        weighted = emphasise(features, weights, restore=False)
        return (weighted.float() * scale).to(weighted.dtype) if scale != 1.0 else weighted, pooled

    def _plain(self, tokenizer: Any, encoder: Any, chunk: Chunk, manner: Manner) -> tuple[torch.Tensor, Weights, Any]:
        """Return features (1, 77, D) without emphasis, the weight of each, and the pooled output."""
        end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
        fill = ROOM - len(chunk.tokens)
        tokens = [token if isinstance(token, int) else 0 for token in chunk.tokens]
        ids = [tokenizer.bos_token_id, *tokens, end, *[end if pad is None else pad] * fill]
        device = next(encoder.parameters()).device
        with self._put_in(encoder, chunk):
            output = encoder(torch.tensor([ids], device=device), output_hidden_states=True)
        weights = (1.0, *chunk.weights, *[1.0] * (fill + 1))
        return self._layer(encoder, output, manner.clip_skip), weights, getattr(output, "text_embeds", None)

    @contextmanager
    def _put_in(self, encoder: Any, chunk: Chunk) -> Iterator[None]:
        """Put an embedding's vectors where the encoder looks up those of tokens."""
        number = self.encoders.index(encoder)
        found = [(at, token) for at, token in enumerate(chunk.tokens, 1) if isinstance(token, Vector)]
        if not found:
            yield
            return

        def put(table: Any, ids: Any, looked_up: torch.Tensor) -> torch.Tensor:
            changed = looked_up.clone()
            for at, token in found:
                changed[0, at] = self.words.vectors[token.name][number][token.number].to(changed)
            return changed

        hook = encoder.get_input_embeddings().register_forward_hook(put)
        try:
            yield
        finally:
            hook.remove()

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
    if restore and mean.abs() > LEAST_MEAN * weighted.abs().mean():
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
