"""The judge: a small convolutional network that names what a picture shows, trained on drawn scenes only.

It answers for every field of `Content` (place, time, weather, style, season, thing, colour, company), and its features
measure the distance between two sets of pictures. It learns from pictures that were softened, shifted and grained, so
that a model's softness alone does not mislead it.

The promise: training step n is a function of the plan's seed and n alone, so a run that was stopped goes on bit for
bit; it never sees the pictures numbered from `UNSEEN` on, on which it is measured and models are measured with it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.functional import cross_entropy, interpolate
from tqdm import tqdm

from webui.demo.data import HELD_OUT, content_of_picture, draw_picture
from webui.demo.optim import Average, Pair
from webui.demo.runs import Log, gaussians, half_precision, load_state, numbers, save_state
from webui.demo.words import CHOICES, EVERGREEN_PLACES, Content, labels

Bytes = NDArray[np.uint8]

SIDE = 96
"""Pixels on a side of the pictures that the judge sees: three ducks are five of them wide each."""

FEATURES = 64
FIRST = 1 << 30
"""Number of the first picture that the judge learns from; the model is trained on those below."""

UNSEEN = HELD_OUT + (1 << 20)
"""Number of the first picture that neither the model nor the judge has seen."""

NOT_ASKED = -100


class Judge(nn.Module):
    """Pictures (n, 3, SIDE, SIDE) in -1 .. 1 to features (n, FEATURES) and to scores of all classes, side by side."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 5, stride=2, padding=2)
        self.downs = nn.ModuleList(nn.Conv2d(width * a, width * b, 3, 2, 1) for a, b in ((1, 2), (2, 4), (4, 8)))
        self.blocks = nn.ModuleList(nn.Conv2d(width * k, width * k, 3, padding=1) for k in (2, 4, 8))
        self.norms = nn.ModuleList(nn.GroupNorm(4, width * k) for k in (2, 4, 8))
        self.gather = nn.Linear(16 * width, FEATURES)
        self.heads = nn.Linear(FEATURES, sum(len(values) for values in CHOICES.values()))

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Give features and scores."""
        x = self.stem(pictures).relu()
        for down, block, norm in zip(self.downs, self.blocks, self.norms, strict=True):
            x = norm(down(x)).relu()
            x = x + block(x).relu()
        pooled = torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)
        features = self.gather(pooled).float()
        return features, self.heads(features.relu()).float()


@dataclass(frozen=True)
class JudgePlan:
    """How a judge is trained. `minutes` says only where this call stops, not what a step does."""

    seed: int = 1
    steps: int = 20000
    minutes: float = math.inf
    pictures: int = 6000
    held: int = 512
    batch: int = 48
    lr: float = 2e-3
    width: int = 16
    every: int = 200


class Verdicts(NamedTuple):
    """What a judge says of n pictures: probabilities by attribute, (n, classes) each, and features (n, FEATURES)."""

    probabilities: dict[str, NDArray[np.float64]]
    features: NDArray[np.float64]

    def classes(self) -> NDArray[np.int64]:
        """Give the likeliest class of every attribute, (n, attributes), in the order of `CHOICES`."""
        return np.stack([found.argmax(1) for found in self.probabilities.values()], axis=1)


class Score(NamedTuple):
    """How well one attribute was named: share right, mean share right over the classes, share of the commonest class,
    and how many pictures it was asked of."""

    accuracy: float
    balanced: float
    majority: float
    asked: int


def shrink(picture: Bytes) -> Bytes:
    """Bring a picture of any size to the judge's."""
    image = Image.fromarray(picture).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(image, np.uint8)


def questions(content: Content) -> tuple[int, ...]:
    """Give the right class of every attribute; `NOT_ASKED` for the colour and the number of nothing and for seasons
    where they do not show."""
    found = dict(zip(CHOICES, labels(content), strict=True))
    if content.thing == "nothing":
        found["colour"] = found["number"] = NOT_ASKED
    if content.place in EVERGREEN_PLACES:
        found["season"] = NOT_ASKED
    return tuple(found.values())


def contents_of(seed: int, numbers_of: range) -> list[Content]:
    """Draw what a range of pictures shows."""
    return [content_of_picture(seed, number) for number in numbers_of]


def answers(contents: Sequence[Content]) -> NDArray[np.int64]:
    """Give the right classes of several contents, (n, attributes)."""
    return np.array([questions(content) for content in contents], np.int64).reshape(len(contents), len(CHOICES))


def _draw_small(seed: int, number: int) -> Bytes:
    """Draw one picture at the judge's size."""
    return shrink(draw_picture(seed, number))


def draw_small(seed: int, which: range, processes: int = 1) -> Bytes:
    """Draw a range of pictures at the judge's size."""
    drawer = partial(_draw_small, seed)
    if processes <= 1:
        return np.stack([drawer(number) for number in tqdm(which, desc="judge's pictures", mininterval=5)])
    with ProcessPoolExecutor(processes) as pool:
        found = pool.map(drawer, which, chunksize=32)
        return np.stack(list(tqdm(found, total=len(which), desc="judge's pictures", mininterval=5)))


def _pictures(work: Path, plan: JudgePlan, processes: int) -> Bytes:
    """Give the training pictures, drawn once and kept."""
    path = work / f"judge-pictures-{plan.seed}-{plan.pictures}.npy"
    if not path.exists():
        partial_path = path.with_suffix(".partial.npy")
        np.save(partial_path, draw_small(plan.seed, range(FIRST, FIRST + plan.pictures), processes))
        partial_path.replace(path)
    return np.asarray(np.load(path))


def to_input(pictures: Bytes) -> torch.Tensor:
    """Turn bytes (n, h, w, 3) into the network's numbers (n, 3, h, w) in -1 .. 1."""
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float().div(127.5).sub(1.0)


def soften(batch: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Spoil a batch as a model may: a quarter stays sharp, the rest is made smaller and larger again; shifted,
    mirrored, grained, and a little lighter or darker."""
    parts = list(batch.chunk(4))
    for k, part in enumerate(parts[1:], 1):
        side = int(rng.integers(SIDE // 3, SIDE))
        small = interpolate(part, size=(side, side), mode="bilinear", align_corners=False, antialias=True)
        parts[k] = interpolate(small, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    spoilt = torch.cat(parts)
    down, right = (int(v) for v in rng.integers(-4, 5, 2))
    spoilt = torch.roll(spoilt, (down, right), (2, 3))
    if rng.random() < 0.5:
        spoilt = spoilt.flip(3)
    n = len(spoilt)
    tone = torch.from_numpy(rng.uniform((0.92, -0.06, 0.0), (1.08, 0.06, 0.08), (n, 3)).astype(np.float32))
    gain, lift, grain = (tone[:, k].view(n, 1, 1, 1) for k in range(3))
    return spoilt * gain + lift + grain * gaussians(tuple(spoilt.shape), rng)


def judge_loss(scores: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Sum the cross entropies of all attributes over those pictures of which they are asked."""
    total, start = scores.new_zeros(()), 0
    for k, values in enumerate(CHOICES.values()):
        part = scores[:, start : start + len(values)]
        start += len(values)
        if bool((wanted[:, k] != NOT_ASKED).any()):
            total = total + cross_entropy(part, wanted[:, k], ignore_index=NOT_ASKED)
    return total


def make_judge(seed: int, width: int) -> Judge:
    """Build an untrained judge."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Judge(width)


def train_judge(work: Path, plan: JudgePlan, device: torch.device, processes: int = 1) -> Judge:
    """Train a judge, from its last checkpoint if there is one; write `judge.safetensors` and give it."""
    began, work_log = time.monotonic(), Log(work / "judge.jsonl")
    judge = make_judge(plan.seed, plan.width).to(device)
    optimizer, average, first = Pair(judge, plan.lr, least=16), Average(judge, 0.995), 0
    if (state := load_state(work / "judge.pt")) is not None:
        judge.load_state_dict(state["judge"])
        optimizer.load_state_dict(state["optimizer"])
        average.weights = {k: v.to(device) for k, v in state["average"].items()}
        first = state["step"]
    pictures = _pictures(work, plan, processes)
    wanted = answers(contents_of(plan.seed, range(FIRST, FIRST + plan.pictures)))
    held = range(UNSEEN, UNSEEN + plan.held)
    held_pictures, held_wanted = draw_small(plan.seed, held, processes), answers(contents_of(plan.seed, held))
    bar = tqdm(range(first, plan.steps), desc="judge", initial=first, total=plan.steps, mininterval=10)
    for step in bar:
        rng = numbers(plan.seed, "judge", step)
        picks = rng.integers(0, plan.pictures, plan.batch)
        batch = soften(to_input(pictures[picks]), rng).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=half_precision(device)):
            _, scores = judge(batch)
        loss = judge_loss(scores, torch.from_numpy(wanted[picks]).to(device))
        torch.autograd.backward(loss)
        optimizer.step(min(1.0, (step + 1) / 30))
        average.follow(judge, step)
        late = time.monotonic() - began > 60 * plan.minutes
        if (step + 1) % plan.every == 0 or step + 1 == plan.steps or late:
            _keep(work, judge, optimizer, average, step + 1)
            found = score(look(_averaged(average, plan.width, device), held_pictures), held_wanted)
            shares = {name: round(s.accuracy, 4) for name, s in found.items()}
            work_log.write(step=step + 1, loss=round(loss.item(), 4), **shares)
            bar.set_postfix(loss=f"{loss.item():.3f}", thing=shares["thing"], ducks=shares["ducks"])
        if late:
            break
    if not (work / "judge.safetensors").exists():
        _keep(work, judge, optimizer, average, first)
    return _averaged(average, plan.width, device)


def _keep(work: Path, judge: Judge, optimizer: Pair, average: Average, step: int) -> None:
    """Write the checkpoint to go on from, and the averaged weights to judge with."""
    state = {
        "judge": judge.state_dict(),
        "optimizer": optimizer.state_dict(),
        "average": average.weights,
        "step": step,
    }
    save_state(state, work / "judge.pt")
    weights = {name: value.cpu().contiguous() for name, value in average.weights.items()}
    fresh = work / "judge.partial.safetensors"
    save_file(weights, fresh, metadata={"step": str(step)})
    fresh.replace(work / "judge.safetensors")


def _averaged(average: Average, width: int, device: torch.device) -> Judge:
    """Give a judge with the averaged weights."""
    judge = make_judge(0, width)
    judge.load_state_dict(average.weights)
    return judge.to(device).eval()


def load_judge(work: Path, device: torch.device) -> Judge:
    """Load the judge of a work folder; raise FileNotFoundError when none was trained."""
    path = work / "judge.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: run `python -m webui.demo.evaluate judge --work {work}` first.")
    weights = load_file(path)
    judge = make_judge(0, int(weights["stem.weight"].shape[0]))
    judge.load_state_dict(weights)
    return judge.to(device).eval()


@torch.no_grad()
def look(judge: Judge, pictures: Sequence[Bytes] | Bytes) -> Verdicts:
    """Let a judge look at pictures of any sizes."""
    device = judge.heads.weight.device
    small = np.stack([picture if picture.shape[:2] == (SIDE, SIDE) else shrink(picture) for picture in pictures])
    found = [judge(to_input(small[k : k + 64]).to(device)) for k in range(0, len(small), 64)]
    features, scores = (torch.cat([pair[k].double().cpu() for pair in found]) for k in range(2))
    parts = torch.split(scores, [len(values) for values in CHOICES.values()], 1)
    named = {name: part.softmax(1).numpy() for name, part in zip(CHOICES, parts, strict=True)}
    return Verdicts(named, features.numpy())


def score(verdicts: Verdicts, wanted: NDArray[np.int64]) -> dict[str, Score]:
    """Compare verdicts with the right classes, attribute by attribute."""
    found = {}
    for name, said, right in zip(CHOICES, verdicts.classes().T, wanted.T, strict=True):
        asked = right != NOT_ASKED
        hits, classes = (said == right)[asked], right[asked]
        if not len(classes):
            found[name] = Score(math.nan, math.nan, math.nan, 0)
            continue
        shares = [float(hits[classes == c].mean()) for c in np.unique(classes)]
        majority = float(np.bincount(classes).max() / len(classes))
        found[name] = Score(float(hits.mean()), float(np.mean(shares)), majority, len(classes))
    return found


def frechet(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Give the Fréchet distance of two sets of features (n, d), each taken for a Gaussian.

    The squared distance |m - n|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2) of Dowson & Landau 1982, as Heusel et al. 2017
    (arXiv:1706.08500, eq. 6) use it; in the features' own units, so only comparable for one and the same judge.
    """
    a, b = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    power, axes = np.linalg.eigh(a)
    root = (axes * np.sqrt(np.maximum(power, 0.0))) @ axes.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ b @ root), 0.0)).sum()
    apart = ((first.mean(0) - second.mean(0)) ** 2).sum()
    return float(max(0.0, apart + np.trace(a) + np.trace(b) - 2.0 * cross))
