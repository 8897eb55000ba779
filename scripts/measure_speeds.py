"""Measure what keeps a seed's composition on the bundled model: the render speeds, and what the page warns of.

    python scripts/measure_speeds.py [--seeds 8]

For each choice: the drift from the picture of the same seed that it is changed from (webui.drift: up to 0.45 is kept,
about 1 is a stranger's), the mean and the largest, how many compositions are kept, and the processor's time for a
picture as a multiple of Default's, in the same run. At the end, how far other seeds stand from one another under the
same words. Pictures are made as the page makes them, on one thread; about twelve minutes where one takes a second. The
same command on the same machine prints the same drifts.
"""

import argparse
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from webui import speeds
from webui.demo.measures import Painter
from webui.drift import drift
from webui.engine.checkpoints import BUNDLED

PROMPTS = (
    "a house by a lake", "a red castle in the mountains at sunset", "a sailboat on the sea at dawn",
    "a lighthouse by the sea at night",
)  # fmt: skip
FIRST_SEED = 100
BROWNIAN = {"sampler": "DPM++ 2M SDE"}
STEPWISE = {"sampler": "Euler a"}
CHANGES: tuple[tuple[Mapping[str, Any], Mapping[str, Any]], ...] = (
    *(({}, {"steps": steps}) for steps in (3, 4, 5, 8, 48)),
    *(({}, {"sampler": name}) for name in ("Euler", "Heun", "DDIM", "UniPC", "Euler a", "LCM")),
    *(({}, {"sampler": name}) for name in ("DPM++ 2S a", "DPM++ SDE", "DPM++ 2M SDE", "Restart")),
    ({}, {"sampler": "Restart", "steps": 24}),
    *(({}, {"cfg_scale": scale}) for scale in (1, 6, 9, 12, 20)),
    ({}, {"schedule": "Uniform"}),
    ({}, {"profile": "ComfyUI"}),
    ({}, {"rng": "CPU"}),
    ({}, {"noise_layout": "centred"}),
    *((STEPWISE, {**STEPWISE, "steps": steps}) for steps in (13, 15, 18, 24)),
    *((STEPWISE, {**STEPWISE, **change}) for change in ({"schedule": "Karras"}, {"eta": 0.5}, {"ensd": 31337})),
    *((BROWNIAN, {**BROWNIAN, **change}) for change in ({"steps": 6}, {"steps": 24}, {"schedule": "Karras"})),
    (STEPWISE, BROWNIAN),
    ({"sampler": "DPM++ SDE"}, BROWNIAN),
    ({"sampler": "Euler"}, {"sampler": "Euler", "s_churn": 10}),
)
"""What a picture is made with beside the model's own settings, and what is asked for then."""


class Bench:
    """Makes each picture once."""

    def __init__(self, seeds: int) -> None:
        self.painter = Painter(BUNDLED, device="cpu")
        self.pairs = [(PROMPTS[index % len(PROMPTS)], FIRST_SEED + index) for index in range(seeds)]
        self._made: dict[str, tuple[list[Image.Image], float]] = {}
        self.painter.paint(*self.pairs[0])  # loads the model, which is no picture's time

    def pictures(self, changes: Mapping[str, Any], words: str) -> tuple[list[Image.Image], float]:
        """Return a picture for each prompt and seed, and the time for one."""
        key = repr(sorted(changes.items()))
        if key not in self._made:
            begun = time.process_time()
            made = [
                Image.fromarray(self.painter.paint(*pair, **changes)) for pair in tqdm(self.pairs, words, leave=False)
            ]
            self._made[key] = made, (time.process_time() - begun) / len(made)
        return self._made[key]

    def row(self, before: Mapping[str, Any], after: Mapping[str, Any], words: str = "") -> None:
        """Print the row of one change."""
        changed = {name: value for name, value in after.items() if before.get(name) != value}
        words = words or f"{worded(before) or 'Default'} → {worded(changed)}"
        unit = self.pictures({}, "Default")[1]
        old, (new, taken) = self.pictures(before, words)[0], self.pictures(after, words)
        print(f"| {words} | {compared(old, new)} | {taken / unit:.1f} |", flush=True)


def compared(old: list[Image.Image], new: list[Image.Image]) -> str:
    """Say how far pictures drifted: the mean, the largest, and how many compositions were kept."""
    found = [drift(*pair) for pair in zip(old, new, strict=True)]
    numbers, kept = [one.number for one in found], sum(one.word == "kept" for one in found)
    return f"{np.mean(numbers):.2f} | {max(numbers):.2f} | {kept} of {len(found)}"


def worded(changes: Mapping[str, Any]) -> str:
    """Say changes in a few words."""
    return ", ".join(str(value) if name == "sampler" else f"{name} {value}" for name, value in changes.items())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    torch.set_num_threads(1)
    bench = Bench(parser.parse_args().seeds)
    suggested = bench.painter.settings
    print(
        f"{bench.painter.digest[:10]}, {suggested}\n\n| choice | drift | largest | kept | time |\n|---|---|---|---|---|"
    )
    for speed in speeds.SPEEDS:
        bench.row({}, speeds.settings(speed.name, suggested), speed.name)
    for before, after in CHANGES:
        bench.row(before, after)
    others = [Image.fromarray(bench.painter.paint(words, seed + 1000)) for words, seed in bench.pairs]
    print(f"| another seed | {compared(bench.pictures({}, 'Default')[0], others)} |  |")


if __name__ == "__main__":
    main()
