"""Measure after how many model calls a draft shows what the finished picture will look like, and what a sheet costs.

    python scripts/measure_drafts.py [--seeds 12] [--steps 12] [--sampler "DPM++ 2M"] [--prompts TEXT …] [--sheet PNG]

Prints for each number of calls the likeness of compositions (webui/drift.py) between the drafts' previews and
their own pictures, between them and the pictures of the other seeds with the same prompt, and of how many drafts their
own picture is the likest, prompt by prompt. Then what a sheet of drafts costs beside the finished pictures, seed by
seed in turn, and whether the drafts, finished, have the pictures' pixels. --sheet writes a seed of three prompts:
drafts after one call, after as many as are suggested and after all, and the picture.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from webui import png
from webui.drift import likeness
from webui.engine import Step, draft
from webui.engine.checkpoints import Catalog
from webui.engine.diffusion import DiffusionEngine
from webui.recipe import Recipe

PROMPTS = (
    "a house by a lake, mountains",
    "a red castle in the mountains at night",
    "a sailboat on the sea at dawn",
    "a house by a lake, watercolour",
    "a windmill in the hills in autumn, pastel",
    "a red castle at night, watercolour",
)
SIDE, GAP = 144, 6
"""Pixels of a draft on the sheet and between two."""


def likenesses(made: list[list[Step]]) -> np.ndarray:
    """Compare each seed's drafts with each seed's picture: (calls, seeds, seeds)."""
    pictures = [steps[-1].image for steps in made]
    finals = [np.asarray(picture) for picture in pictures]
    drafts = [[step.preview.resize(pictures[0].size) for step in steps if step.preview is not None] for steps in made]
    return np.array(
        [
            [[likeness(np.asarray(seen), final) for final in finals] for seen in of_call]
            for of_call in zip(*drafts, strict=True)
        ]
    )


def report(tables: np.ndarray) -> None:
    """Print a line for each number of calls; ``tables``: (prompts, calls, seeds, seeds)."""
    seeds = tables.shape[-1]
    print(
        f"calls  share  own    others' (mean of {len(tables)} prompts)  likest is the own, of {seeds} for each prompt"
    )
    for calls, of_call in enumerate(tables.swapaxes(0, 1), 1):
        own, others = np.diagonal(of_call, axis1=1, axis2=2), of_call[:, ~np.eye(seeds, dtype=bool)]
        hits = (of_call.argmax(2) == np.arange(seeds)).sum(1)
        print(f"{calls:5}  {calls / tables.shape[1]:5.2f}  {own.mean():.3f}  {others.mean():.3f}  {hits}  {hits.sum()}")


def last(engine: DiffusionEngine, recipe: Recipe, **options: object) -> tuple[Step, float]:
    """Return the last step of a picture or draft, and the seconds of processor time that it took."""
    start = time.process_time()
    *_, step = engine.generate(recipe, **options)
    return step, time.process_time() - start


def cost(engine: DiffusionEngine, batch: list[Recipe], pictures: list[Image.Image]) -> None:
    """Print what drafts and pictures take, one after the other, and how many finished drafts equal their pictures."""
    calls, seconds, equal = draft.calls(batch[0]), np.zeros(3), 0
    for recipe, picture in zip(tqdm(batch), pictures, strict=True):
        begun, drafting = last(engine, recipe, stop=calls)
        whole, making = last(engine, recipe)
        end, finishing = last(engine, recipe, draft=begun.draft)
        seconds += drafting, making, finishing
        equal += len({png.pixels_sha256(one) for one in (picture, whole.image, end.image)}) == 1
    print(
        f"{len(batch)} drafts of {calls} calls take {seconds[0] / seconds[1]:.2f} of the time of {len(batch)} pictures "
        f"({seconds[0]:.1f} s and {seconds[1]:.1f} s); finishing all would take {seconds[2] / seconds[1]:.2f} more. "
        f"Equal pixels: {equal} of {len(batch)}. A draft has {begun.draft.answers.nbytes} bytes."
    )


def sheet(rows: list[list[Image.Image]]) -> Image.Image:
    """Lay pictures out in rows."""
    step = SIDE + GAP
    ground = Image.new("RGB", (len(rows[0]) * step - GAP, len(rows) * step - GAP), "white")
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            ground.paste(picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC), (column * step, row * step))
    return ground


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--sampler", default="DPM++ 2M")
    parser.add_argument("--prompts", nargs="+", default=PROMPTS)
    parser.add_argument("--sheet", type=Path)
    args = parser.parse_args()
    engine = DiffusionEngine(Catalog(), device="cpu")
    base = Recipe.of(seed=0, steps=args.steps, sampler=args.sampler, cfg_scale=3, width=256, height=256)
    batches = [[base.but(prompt=text, seed=seed) for seed in range(args.seeds)] for text in args.prompts]
    made = [[list(engine.generate(recipe)) for recipe in tqdm(batch)] for batch in batches]
    report(np.array([likenesses(of_prompt) for of_prompt in made]))
    cost(engine, batches[0], [steps[-1].image for steps in made[0]])
    if args.sheet:
        columns = sorted({1, draft.calls(base), len(made[0][0]) - 2})
        firsts = [of_prompt[number] for number, of_prompt in enumerate(made[:3])]
        sheet([[*(steps[at].preview for at in columns), steps[-1].image] for steps in firsts]).save(args.sheet)


if __name__ == "__main__":
    main()
