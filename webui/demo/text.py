"""The words' side of the demo model: a CLIP tokenizer with a vocabulary of its own, and a small `CLIPTextModel`.

The encoder learns to name what a caption asks for (place, hour, weather, ... : the fields of `Content`) and is then
left alone, so that a denoiser starts with words that already mean something. The promise: every text can be encoded. A
word that no caption holds falls apart into letters; nothing is refused.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from tokenizers.pre_tokenizers import ByteLevel
from torch import nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from webui.demo import captions, runs
from webui.demo.words import CHOICES, Content, draw_content, labels

LENGTH = 77
WIDTH = 128
LAYERS = 3
START, END = "<|startoftext|>", "<|endoftext|>"


def learn_merges(words: set[str]) -> list[tuple[str, str]]:
    """Find byte pair merges, the most frequent pair first, until each word is one token."""
    spelled = {word: (*word[:-1], word[-1] + "</w>") for word in sorted(words)}
    merges: list[tuple[str, str]] = []
    while True:
        pairs = Counter(pair for parts in spelled.values() for pair in pairwise(parts))
        if not pairs:
            return merges
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        spelled = {word: _merged(parts, best) for word, parts in spelled.items()}


def _merged(parts: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    """Join every occurrence of a pair."""
    joined: list[str] = []
    for part in parts:
        if joined and (joined[-1], part) == pair:
            joined[-1] += part
        else:
            joined.append(part)
    return tuple(joined)


def make_tokenizer(folder: Path) -> CLIPTokenizer:
    """Write a tokenizer for the captions' vocabulary and give it."""
    letters = sorted(ByteLevel.alphabet())
    merges = learn_merges(captions.vocabulary())
    tokens = dict.fromkeys([*letters, *(f"{x}</w>" for x in letters), *(a + b for a, b in merges), START, END])
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {token: k for k, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": LENGTH, "do_lower_case": True, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return tokenizer


def tokenize(tokenizer: CLIPTokenizer, texts: list[str], padding: str = "max_length") -> torch.Tensor:
    """Encode texts as a diffusers pipeline does: cut and filled to 77 tokens."""
    ids = tokenizer(texts, padding=padding, truncation=True, max_length=LENGTH, return_tensors="pt").input_ids
    return torch.as_tensor(ids)


def make_encoder(tokens: int, seed: int) -> CLIPTextModel:
    """Build the untrained text encoder for a vocabulary of so many tokens."""
    config = CLIPTextConfig(
        vocab_size=tokens,
        hidden_size=WIDTH,
        intermediate_size=3 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        projection_dim=WIDTH,
        bos_token_id=tokens - 2,
        eos_token_id=tokens - 1,
        pad_token_id=tokens - 1,
        hidden_act="quick_gelu",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CLIPTextModel(config)


def read_earlier(work: Path) -> tuple[dict[str, int], CLIPTextModel] | None:
    """Give the vocabulary and the text encoder that are in a work folder (those of an adopted model), or None.

    Raises ValueError where the two do not belong together, because a run was stopped before its first checkpoint.
    """
    if not (work / "text_encoder" / "config.json").exists():
        return None
    vocabulary = json.loads((work / "tokenizer" / "vocab.json").read_text(encoding="utf-8"))
    encoder = CLIPTextModel.from_pretrained(work / "text_encoder")
    if encoder.config.vocab_size != len(vocabulary):
        raise ValueError(
            f"The text encoder in {work} knows {encoder.config.vocab_size} tokens and the tokenizer "
            f"{len(vocabulary)}: run `adopt` again."
        )
    return vocabulary, encoder


def take_over(encoder: CLIPTextModel, new: dict[str, int], earlier: CLIPTextModel, old: dict[str, int]) -> None:
    """Copy what an earlier encoder has learned, for every token that both vocabularies hold; others stay untrained."""
    weights, learned = encoder.state_dict(), earlier.state_dict()
    name = next(key for key in weights if key.endswith("token_embedding.weight"))
    known = [token for token in new if token in old]
    embedding = weights[name].clone()
    embedding[[new[token] for token in known]] = learned[name][[old[token] for token in known]]
    encoder.load_state_dict({**learned, name: embedding})


def word_batch(size: int, rng: random.Random) -> tuple[list[str], list[Content]]:
    """Draw contents and word a caption for each."""
    contents = [draw_content(rng) for _ in range(size)]
    return [captions.ornamented(captions.caption(c, rng), rng) for c in contents], contents


def name_loss(scores: torch.Tensor, contents: list[Content]) -> tuple[torch.Tensor, dict[str, float]]:
    """Add up the cross entropies of naming every field; give them with each field's accuracy."""
    wanted = torch.tensor([labels(c) for c in contents], device=scores.device)
    loss, accuracy, offset = scores.new_zeros(()), {}, 0
    for k, (name, choices) in enumerate(CHOICES.items()):
        part = scores[:, offset : offset + len(choices)]
        offset += len(choices)
        loss = loss + cross_entropy(part, wanted[:, k])
        accuracy[name] = round(float((part.argmax(1) == wanted[:, k]).float().mean()), 3)
    return loss, accuracy


@dataclass(frozen=True)
class TextPlan:
    """How the text encoder is trained."""

    seed: int
    steps: int
    batch: int = 96
    lr: float = 1.5e-3
    every: int = 50


def end_states(encoder: CLIPTextModel, ids: torch.Tensor, end: int) -> torch.Tensor:
    """Give the hidden state at each text's first end token."""
    hidden = encoder(ids).last_hidden_state
    first = (ids == end).int().argmax(1)
    return torch.as_tensor(hidden[torch.arange(len(ids), device=ids.device), first])


def train_text(work: Path, plan: TextPlan, device: torch.device) -> CLIPTextModel:
    """Train the text encoder to name contents, from its last checkpoint if there is one, else from the encoder of an
    adopted model, whose vocabulary may have been smaller."""
    state = runs.load_state(work / "text.pt")
    earlier = None if state else read_earlier(work)
    tokenizer = make_tokenizer(work / "tokenizer")
    end = len(tokenizer) - 1
    encoder = make_encoder(len(tokenizer), plan.seed)
    if earlier:
        take_over(encoder, tokenizer.get_vocab(), earlier[1], earlier[0])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed + 1)
        head = nn.Linear(WIDTH, sum(len(choices) for choices in CHOICES.values()))
    both = nn.ModuleList([encoder, head]).to(device)
    optimizer = torch.optim.AdamW(both.parameters(), plan.lr, betas=(0.9, 0.98), weight_decay=0.01)
    log, first = runs.Log(work / "text.jsonl"), 0
    if state is not None:
        both.load_state_dict(state["weights"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    for step in tqdm(range(first, plan.steps), desc="text", initial=first, total=plan.steps, mininterval=10):
        texts, contents = word_batch(plan.batch, runs.words(plan.seed, "text", step))
        ids = tokenize(tokenizer, texts, padding="longest").to(device)
        loss, accuracy = name_loss(head(end_states(encoder, ids, end)), contents)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(both.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = plan.lr * runs.ease(step, plan.steps, 40, 0.8)
        optimizer.step()
        optimizer.zero_grad()
        if (step + 1) % plan.every == 0 or step + 1 == plan.steps:
            runs.save_state(
                {"weights": both.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}, work / "text.pt"
            )
            log.write(step=step + 1, loss=round(loss.item(), 4), **accuracy)
    log.write(held_out=measure(encoder, head, tokenizer, plan.seed, device))
    encoder.cpu().save_pretrained(work / "text_encoder")
    return encoder


@torch.no_grad()
def measure(
    encoder: CLIPTextModel, head: nn.Module, tokenizer: CLIPTokenizer, seed: int, device: torch.device
) -> dict[str, float]:
    """Measure the accuracy of every field on captions worded for this purpose."""
    texts, contents = word_batch(1000, runs.words(seed, "text held out", 0))
    states = [
        end_states(encoder, tokenize(tokenizer, texts[k : k + 100], "longest").to(device), len(tokenizer) - 1)
        for k in range(0, 1000, 100)
    ]
    return name_loss(head(torch.cat(states)), contents)[1]
