"""Calibrate the words of ``webui.drift`` on the bundled model, and measure what holding the composition does.

    python scripts/measure_drift.py [--pairs 48] [--held 40] [--judge DIR] [--model DIR] [--out FILE.json]

First pairs of the same seed under a small edit (one word of hour, weather, style, season, thing, colour or company)
and pairs of another seed under the same prompt: prints the AUC, both histograms, the thresholds that follow from them,
and how the present ones divide them. Then edits that are large, another thing in another place, held for several
shares of the steps: prints the drift at each, and how much of the change of the unheld edit is left, in the mean
difference of pixels from the parent's; and with the work folder of a judge (``python -m webui.demo.evaluate judge``)
adherence: in how many pictures the judge names the new thing and the new place, and the old ones. Pictures are made as
the page makes them, by the model's own settings, on one thread of the processor; about seven minutes where a picture
takes a second. The same command on the same machine prints the same figures.
"""

import argparse
import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from webui.demo.captions import caption
from webui.demo.data import content_of_picture
from webui.demo.figures import histogram_text
from webui.demo.judge import Judge, load_judge, look
from webui.demo.measures import FIRST_SEED, PAIRS_FROM, Painter, auc, make_pair
from webui.demo.runs import words
from webui.demo.words import CHOICES, PLACES, THINGS, Content, settle
from webui.drift import KEPT, LOST, Drift, drift
from webui.engine.checkpoints import BUNDLED
from webui.hold import hold

SHARES = (0.0, 0.3, 0.4, 0.5, 0.6, 0.9)
PLAN_SEED = 1
LARGE_FROM = PAIRS_FROM + 1_000_000


def picture(painter: Painter, prompt: str, seed: int) -> Image.Image:
    """Make one picture."""
    return Image.fromarray(painter.paint(prompt, seed))


def measure_pairs(painter: Painter, count: int) -> dict[str, list[float]]:
    """Return the drift of small edits at one seed, and of one prompt at two seeds."""
    found: dict[str, list[float]] = {"small edit": [], "other seed": []}
    for index in tqdm(range(count), desc="pairs"):
        pair, seed = make_pair(PLAN_SEED, index), FIRST_SEED + 2 * index
        parent = picture(painter, pair.prompt, seed)
        found["small edit"].append(drift(parent, picture(painter, pair.other, seed)).number)
        found["other seed"].append(drift(parent, picture(painter, pair.prompt, seed + 1)).number)
    return found


class Held(NamedTuple):
    """One edit at one share: its drift, the part of the change that is left, and the picture."""

    drift: Drift
    change: float
    picture: Image.Image


class Edit(NamedTuple):
    """Two contents, worded alike."""

    old: Content
    new: Content
    prompt: str
    other: str


def large_edit(index: int) -> Edit:
    """Word a content, and the same with another main thing in another place."""
    content, rng = content_of_picture(PLAN_SEED, LARGE_FROM + index), words(PLAN_SEED, "large", index)
    while True:
        values = {**vars(content), "place": rng.choice(PLACES), "thing": rng.choice(THINGS[1:])}
        other = settle(Content(**values))
        if other.place != content.place and other.thing != content.thing:
            wording = rng.getrandbits(32)
            return Edit(content, other, *(caption(one, random.Random(wording)) for one in (content, other)))


def measure_held(painter: Painter, count: int) -> dict[str, list[Held]]:
    """Make large edits at one seed, by the share held."""
    found: dict[str, list[Held]] = {f"{share:.0%}": [] for share in SHARES}
    for index in tqdm(range(count), desc="held"):
        edit, seed = large_edit(index), FIRST_SEED + 1_000_000 + index
        parent = picture(painter, edit.prompt, seed)
        children = [picture(painter, hold(edit.prompt, edit.other, share), seed) for share in SHARES]
        changed = [float(np.abs(np.subtract(parent, child, dtype=np.float64)).mean()) for child in children]
        for values, child, change in zip(found.values(), children, changed, strict=True):
            values.append(Held(drift(parent, child), change / changed[0], child))
    return found


def named(judge: Judge, pictures: Sequence[Image.Image], contents: Sequence[Content], name: str) -> float:
    """Return in which part of pictures the judge names an attribute of their contents."""
    said = look(judge, [np.asarray(one) for one in pictures]).probabilities[name].argmax(1)
    return float(np.mean([CHOICES[name][k] == getattr(one, name) for k, one in zip(said, contents, strict=True)]))


def said(drifts: Iterable[Drift]) -> str:
    """Count words."""
    counted = Counter(one.word for one in drifts)
    return ", ".join(f"{word} {counted[word]}" for word in ("kept", "shifted", "lost"))


def print_pairs(pairs: dict[str, list[float]]) -> None:
    """Print what small edits and other seeds do."""
    edits, strangers = pairs["small edit"], pairs["other seed"]
    print(f"AUC {auc(strangers, edits):.4f} ({len(edits)} pairs of either kind)")
    groups = {f"likeness (1 − drift), {name}": [1 - one for one in found] for name, found in pairs.items()}
    print(histogram_text(groups))
    kept, lost = float(np.quantile(edits, 0.9)), float(np.quantile(strangers, 0.05))
    print(f"nine in ten small edits drift by at most {kept:.3f}; nineteen in twenty other seeds by {lost:.3f} or more")
    for name, found in pairs.items():
        print(f"{name}, by the present thresholds {KEPT} and {LOST}: {said(map(Drift.of, found))}")


def print_held(held: dict[str, list[Held]], judge: Judge | None) -> None:
    """Print what holding does."""
    for name, found in held.items():
        drifts = [one.drift for one in found]
        numbers = [one.number for one in drifts]
        spread = " … ".join(f"{one:.2f}" for one in np.quantile(numbers, (0.1, 0.5, 0.9)))
        change = float(np.mean([one.change for one in found]))
        print(f"held {name}: drift {np.mean(numbers):.3f} ({spread}), {said(drifts)}; change left {change:.0%}")
        if judge is not None:
            edits, pictures = [large_edit(index) for index in range(len(found))], [one.picture for one in found]
            news, olds = [edit.new for edit in edits], [edit.old for edit in edits]
            shares = [
                f"{attribute} {named(judge, pictures, news, attribute):.0%} new, "
                f"{named(judge, pictures, olds, attribute):.0%} old"
                for attribute in ("thing", "place")
            ]
            print(f"  the judge names: {'; '.join(shares)}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=48)
    parser.add_argument("--held", type=int, default=40)
    parser.add_argument("--judge", type=Path, help="a work folder with a judge: adherence is measured too")
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--out", type=Path, help="a file to write all figures to, as JSON")
    args = parser.parse_args()
    torch.set_num_threads(1)
    painter = Painter(args.model, device="cpu")
    print(f"{painter.digest[:10]}, {painter.settings}")
    pairs = measure_pairs(painter, args.pairs)
    if args.pairs:
        print_pairs(pairs)
    held = measure_held(painter, args.held)
    if args.held:
        print_held(held, load_judge(args.judge, torch.device("cpu")) if args.judge else None)
    if args.out:
        numbers = {name: [(one.drift.number, one.change) for one in found] for name, found in held.items()}
        args.out.write_text(json.dumps({"pairs": pairs, "held": numbers}), "utf-8")


if __name__ == "__main__":
    main()
