"""What is measured of a model: how seeds rule composition, how words are obeyed, how far it is from the drawn scenes.

The promise: every picture is made by the program's own engine from a recipe, with the model's suggested settings; its
prompt is worded for scenes numbered from `judge.UNSEEN` on, which neither the model nor the judge was trained on, and
the same command on the same machine gives the same figures.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from diffusers import AutoencoderTiny
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from webui.demo import figures
from webui.demo.captions import caption
from webui.demo.coupling import GRID, read_code
from webui.demo.data import content_of_picture, draw_picture
from webui.demo.judge import UNSEEN, Judge, Verdicts, answers, draw_small, frechet, load_judge, look, score
from webui.demo.layout import CHANNELS, code_of_seed, make_layout
from webui.demo.runs import Log, pick_device, words
from webui.demo.scenes import draw_scene
from webui.demo.words import CHOICES, Content, settle
from webui.drift import correlation, structure
from webui.engine.checkpoints import BUNDLED_NAME, Catalog
from webui.engine.diffusion import DiffusionEngine
from webui.engine.noise import Stream
from webui.recipe import Recipe

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]

SMALL_CHANGES = tuple(name for name in CHOICES if name != "place")
"""What one small change of a prompt may touch; another place is another landscape."""

FIRST_SEED = 1_000_000
PAIRS_FROM = UNSEEN + 1_000_000
REFERENCE_FROM = UNSEEN + 2_000_000


class Painter:
    """A model folder behind the program's engine."""

    def __init__(self, model: Path, device: str = "auto", dtype: str = "auto", steps: int = 0) -> None:
        self.model = model
        catalog = Catalog(bundled=model.resolve())
        self.checkpoint = catalog.find(BUNDLED_NAME)
        self.digest = catalog.hash(self.checkpoint)
        self.engine = DiffusionEngine(catalog, device, dtype)
        self.settings = {**self.checkpoint.defaults, **({"steps": steps} if steps else {})}

    def recipe(self, prompt: str, seed: int, **changes: object) -> Recipe:
        """Give the recipe of a picture: the model's own size and settings, unless changed."""
        size = {"width": self.checkpoint.width, "height": self.checkpoint.height}
        return Recipe.of(**{**size, **self.settings, "prompt": prompt, "seed": seed, **changes})

    def paint(self, prompt: str, seed: int, **changes: object) -> Bytes:
        """Make a picture, (height, width, 3)."""
        *_, last = self.engine.generate(self.recipe(prompt, seed, **changes))
        assert last.image is not None
        return np.asarray(last.image)

    @cached_property
    def noise_shape(self) -> tuple[int, int, int, int]:
        """The shape of the starting noise at the model's own size."""
        config = json.loads((self.model / "unet" / "config.json").read_text("utf-8"))
        return 1, int(config["in_channels"]), int(config["sample_size"]), int(config["sample_size"])

    def code(self, seed: int) -> Floats | None:
        """Read the layout code from a seed's starting noise; None where the latent is not of the taught shape."""
        _, channels, side, _ = self.noise_shape
        if side != GRID or channels < CHANNELS:
            return None
        return np.asarray(read_code(Stream(seed, "NV", self.noise_shape).normal())[0].double().numpy())


class Plan(NamedTuple):
    """How much is measured."""

    work: Path
    out: Path
    seed: int = 1
    pairs: int = 200
    pictures: int = 256
    reference: int = 1024
    seeds: int = 8
    processes: int = 1
    samples: int = 0
    sizes: tuple[tuple[int, int], ...] = ((256, 256), (384, 256), (512, 512))


class Evaluation:
    """One model, one judge and one plan; what several parts need is made once."""

    def __init__(self, painter: Painter, plan: Plan, device: str = "auto") -> None:
        self.painter, self.plan = painter, plan
        self.device = pick_device(device)
        plan.out.mkdir(parents=True, exist_ok=True)

    @cached_property
    def judge(self) -> Judge:
        """The judge that was trained in the work folder."""
        return load_judge(self.plan.work, self.device)

    @cached_property
    def contents(self) -> list[Content]:
        """What the measured pictures are to show."""
        return [content_of_picture(self.plan.seed, UNSEEN + k) for k in range(self.plan.pictures)]

    @cached_property
    def drawn(self) -> list[Bytes]:
        """The scenes as the drawing program draws them, at the model's size."""
        return [self.fit(draw_picture(self.plan.seed, UNSEEN + k)) for k in range(self.plan.pictures)]

    @cached_property
    def painted(self) -> Verdicts:
        """What the judge says of the model's pictures of the contents."""
        prompts = [caption(content, words(self.plan.seed, "prompt", k)) for k, content in enumerate(self.contents)]
        paint = self.painter.paint
        found = [paint(text, FIRST_SEED + k) for k, text in enumerate(tqdm(prompts, desc="pictures", mininterval=5))]
        columns = 8
        tiles = [found[k : k + columns] for k in range(0, min(len(found), 64) // columns * columns, columns)]
        if tiles:
            heads, sides = [""] * columns, [str(FIRST_SEED + k * columns) for k in range(len(tiles))]
            figures.sheet(tiles, heads, sides).save(self.plan.out / "pictures.png")
        return look(self.judge, found)

    @cached_property
    def reconstructed(self) -> list[Bytes]:
        """The drawn scenes after the model's autoencoder."""
        return reconstruct(self.painter.model, self.drawn, self.device)

    @cached_property
    def decoded(self) -> Verdicts:
        """What the judge says of the drawn scenes after the model's autoencoder."""
        return look(self.judge, self.reconstructed)

    @cached_property
    def truth(self) -> Verdicts:
        """What the judge says of the drawn scenes."""
        return look(self.judge, self.drawn)

    @cached_property
    def reference(self) -> Verdicts:
        """What the judge says of many other drawn scenes; they are drawn once for a work folder."""
        path = self.plan.work / f"reference-{self.plan.seed}-{self.plan.reference}.npy"
        if not path.exists():
            which = range(REFERENCE_FROM, REFERENCE_FROM + self.plan.reference)
            unfinished = path.with_suffix(".partial.npy")
            np.save(unfinished, draw_small(self.plan.seed, which, self.plan.processes))
            unfinished.replace(path)
        return look(self.judge, np.load(path))

    def fit(self, picture: Bytes) -> Bytes:
        """Bring a drawn scene to the model's size."""
        size = (self.painter.checkpoint.width, self.painter.checkpoint.height)
        return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


class Pair(NamedTuple):
    """A content, the same with one small change, which one, and both prompts worded alike."""

    content: Content
    changed: Content
    change: str
    prompt: str
    other: str


def small_change(content: Content, rng: random.Random) -> tuple[str, Content]:
    """Change one field of a content so that it still stands in its place."""
    while True:
        name = rng.choice(SMALL_CHANGES)
        value = rng.choice([value for value in CHOICES[name] if value != getattr(content, name)])
        changed = settle(replace(content, **{name: value}))  # type: ignore[arg-type]
        if changed != content and changed.place == content.place:
            return name, changed


def make_pair(seed: int, index: int) -> Pair:
    """Draw a pair of prompts that differ by a little, both worded by one generator."""
    content, rng = content_of_picture(seed, PAIRS_FROM + index), words(seed, "pair", index)
    while True:
        change, changed = small_change(content, rng)
        wording = rng.getrandbits(32)
        prompt, other = (caption(item, random.Random(wording)) for item in (content, changed))
        if prompt != other:
            return Pair(content, changed, change, prompt, other)


def drawn_likeness(pair: Pair, first: int, second: int) -> tuple[float, float]:
    """Measure what a model's pair is measured by on the drawing program: one layout, and two."""
    a, b = (make_layout(code_of_seed(seed)) for seed in (first, second))
    base = structure(draw_scene(a, pair.content))
    same, other = structure(draw_scene(a, pair.changed)), structure(draw_scene(b, pair.content))
    return correlation(base, same), correlation(base, other)


def measure_drawn(plan: Plan) -> dict[str, Any]:
    """Calibrate the measure of structure on drawn scenes alone."""
    same, other, kinds = [], [], []
    for index in tqdm(range(plan.pairs), desc="drawn pairs", mininterval=5):
        pair = make_pair(plan.seed, index)
        found = drawn_likeness(pair, FIRST_SEED + 2 * index, FIRST_SEED + 2 * index + 1)
        same.append(found[0])
        other.append(found[1])
        kinds.append(pair.change)
    return {"pairs": plan.pairs, **_compared(same, other), "by_change": _by_kind(kinds, same)}


def measure_composition(evaluation: Evaluation) -> dict[str, Any]:
    """Row 2: tell the same seed under another small prompt from another seed under the same prompt.

    A model that paints blotches passes too, since they come from the same noise. `taught` is the stricter figure: does
    a picture have its things where the layout in its noise puts them? Only models trained with `webui.demo.coupling`
    can; others stay near 0.5.
    """
    plan, painter = evaluation.plan, evaluation.painter
    lists: dict[str, list[float]] = {name: [] for name in ("same", "other", "same_drawn", "other_drawn")}
    taught: dict[str, list[float]] = {"same": [], "other": []}
    kinds = []
    for index in tqdm(range(plan.pairs), desc="pairs", mininterval=5):
        pair, seeds = make_pair(plan.seed, index), (FIRST_SEED + 2 * index, FIRST_SEED + 2 * index + 1)
        base = structure(painter.paint(pair.prompt, seeds[0]))
        lists["same"].append(correlation(base, structure(painter.paint(pair.other, seeds[0]))))
        lists["other"].append(correlation(base, structure(painter.paint(pair.prompt, seeds[1]))))
        for name, value in zip(("same_drawn", "other_drawn"), drawn_likeness(pair, *seeds), strict=True):
            lists[name].append(value)
        for name, seed in zip(("same", "other"), seeds, strict=True):
            if (code := painter.code(seed)) is not None:
                meant = structure(draw_scene(make_layout(code), pair.content))
                taught[name].append(correlation(base, meant))
        kinds.append(pair.change)
    drawn = _compared(lists["same_drawn"], lists["other_drawn"])
    found = {"pairs": plan.pairs, **_compared(lists["same"], lists["other"])}
    found |= {f"{name}_drawn": drawn[name] for name in ("auc", "mean_same", "mean_other")}
    found |= {"by_change": _by_kind(kinds, lists["same"]), "likeness": lists}
    if taught["same"]:
        found["taught"] = _compared(taught["same"], taught["other"])
    groups = {"same seed, other small prompt": lists["same"], "other seed, same prompt": lists["other"]}
    (plan.out / "composition.txt").write_text(figures.histogram_text(groups), "utf-8")
    figures.histogram_picture(groups).save(plan.out / "composition.png")
    return found


def auc(same: Sequence[float], other: Sequence[float]) -> float:
    """Give the probability that a number of `same` is above one of `other`, ties counted half (Mann & Whitney 1947).

    >>> auc([3, 2], [1, 2])
    0.875
    """
    if not same or not other:
        raise ValueError("An AUC needs at least one number on either side.")
    high, low = np.asarray(same, np.float64), np.sort(np.asarray(other, np.float64))
    below, upto = np.searchsorted(low, high, "left"), np.searchsorted(low, high, "right")
    return float((below + upto).sum() / (2 * len(high) * len(low)))


def _compared(same: list[float], other: list[float]) -> dict[str, Any]:
    return {"auc": auc(same, other), "mean_same": float(np.mean(same)), "mean_other": float(np.mean(other))}


def _by_kind(kinds: list[str], values: list[float]) -> dict[str, float]:
    """Average a figure over each kind of change or of style."""
    return {
        kind: float(np.mean([value for k, value in zip(kinds, values, strict=True) if k == kind]))
        for kind in sorted(set(kinds))
    }


def measure_adherence(evaluation: Evaluation) -> dict[str, Any]:
    """Row 3: let the judge name what the model painted, and the same scenes drawn, and drawn and decoded."""
    wanted = answers(evaluation.contents)
    model, drawn, decoded = (
        score(verdicts, wanted) for verdicts in (evaluation.painted, evaluation.truth, evaluation.decoded)
    )
    attributes = {
        name: {
            "model": found.accuracy,
            "balanced": found.balanced,
            "decoded": decoded[name].accuracy,
            "drawn": drawn[name].accuracy,
            "majority": found.majority,
            "asked": found.asked,
        }
        for name, found in model.items()
    }
    return {"pictures": evaluation.plan.pictures, "attributes": attributes}


def measure_distance(evaluation: Evaluation) -> dict[str, Any]:
    """Row 4: give the distance of the model's pictures from drawn ones, and append it to `curve.jsonl`.

    Features are counted in their spread over the reference.
    """
    plan, reference = evaluation.plan, evaluation.reference.features
    sets = {"distance": evaluation.painted, "floor": evaluation.truth, "autoencoder": evaluation.decoded}
    spread = reference.std(0) + 1e-9
    found: dict[str, Any] = {
        name: frechet(verdicts.features / spread, reference / spread) for name, verdicts in sets.items()
    }
    found |= {
        "pictures": plan.pictures,
        "reference": plan.reference,
        "samples": plan.samples or samples_seen(plan.work),
    }
    Log(plan.work / "curve.jsonl").write(model_hash=evaluation.painter.digest[:10], **found)
    return found


def samples_seen(work: Path) -> int:
    """Read how many samples the denoiser of a work folder was trained on; 0 where nothing says so."""
    path = work / "denoiser.jsonl"
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return int(json.loads(lines[-1]).get("samples", 0)) if lines else 0


@torch.no_grad()
def reconstruct(model: Path, pictures: list[Bytes], device: torch.device) -> list[Bytes]:
    """Encode and decode pictures by a model's autoencoder."""
    network = AutoencoderTiny.from_pretrained(model / "vae", torch_dtype=torch.float32).to(device).eval()
    found = []
    for picture in tqdm(pictures, desc="autoencoder", mininterval=5):
        given = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float().div(127.5).sub(1.0).to(device)
        back = network.decode(network.encode(given).latents).sample[0].clamp(-1.0, 1.0)
        found.append(np.asarray(back.add(1.0).mul(127.5).round().byte().permute(1, 2, 0).cpu().numpy()))
    return found


def measure_autoencoder(evaluation: Evaluation) -> dict[str, Any]:
    """Row 5: give the PSNR of the autoencoder on unseen scenes.

    `psnr` is that of the mean squared error over all pictures, as training logs it: the hardest few rule it. `middle`
    is the median picture's, and `by_style` says where the hard ones are.
    """
    errors = [
        float(((a.astype(np.float64) - b) ** 2).mean()) / 255.0**2
        for a, b in zip(evaluation.drawn, evaluation.reconstructed, strict=True)
    ]
    styles = [content.style for content in evaluation.contents]
    return {
        "pictures": len(errors),
        "psnr": _decibels(float(np.mean(errors))),
        "middle": _decibels(float(np.median(errors))),
        "worst": _decibels(max(errors)),
        "by_style": {style: _decibels(error) for style, error in _by_kind(styles, errors).items()},
    }


def _decibels(error: float) -> float:
    return -10.0 * math.log10(max(error, 1e-10))


Measure = Callable[[Evaluation], dict[str, Any]]


def settings_of(painter: Painter) -> dict[str, Any]:
    """Say which model was measured at which settings."""
    recipe = painter.recipe("", 0).values()
    named = {name: recipe[name] for name in ("width", "height", "steps", "cfg_scale", "sampler", "schedule")}
    return {"model_hash": painter.digest, **named}


def plan_of(plan: Plan) -> dict[str, Any]:
    """Say how much was measured."""
    return {name: value for name, value in plan._asdict().items() if name not in ("work", "out")}
