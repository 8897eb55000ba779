"""Trials of a model: its speed and memory, contact sheets, odd prompts, and sizes it was not trained at.

The promise: every picture comes from the program's engine; speed and memory are those of a process of their own, so
that nothing else that was measured counts in them.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from webui.demo import figures
from webui.demo.captions import ORNAMENT
from webui.demo.judge import Verdicts, answers, look, score
from webui.demo.measures import FIRST_SEED, Evaluation, Painter
from webui.demo.sheets import CONTENTS, PROMPTS
from webui.demo.words import CHOICES
from webui.drift import likeness

SHEET_PROMPTS = (
    "a house by a lake",
    "a house by a lake, ducks",
    "a house by a lake at sunset",
    "a house by a lake at night",
    "a house by a lake in autumn, fog",
    "a castle in the mountains, snowing",
    "three sailboats on the sea, watercolour",
    "a red lighthouse by the sea, ink drawing",
)
"""One seed's row begins with the example that seed reuse is explained by: the same house, then with ducks."""

UNKNOWN = "qwxz flurbo zzyx"
FIVE_HUNDRED = ", ".join(["a house by a lake at night", *(ORNAMENT[k % len(ORNAMENT)] for k in range(493))])
"""At least 500 words, of which the first seven mean something."""

Watched = Mapping[str, tuple[str | bool | int, ...]]

SNOW: Watched = {"place": ("snow",), "weather": ("snowfall",), "season": ("winter",)}
AUTUMN: Watched = {"season": ("autumn",)}
HOUSE: Watched = {"thing": ("house",)}
NIGHT: Watched = {"time": ("night",)}
TREES: Watched = {"trees": (True,)}
DUCKS: Watched = {"ducks": (1, 2, 3)}


class Case(NamedTuple):
    """A prompt to try, the one to compare it with, and what to watch for."""

    name: str
    base: str
    prompt: str
    watched: Watched
    negative: str = ""


CASES = (
    Case("a known prompt", "a house by a lake", "a house by a lake", HOUSE),
    Case("unknown words beside known ones", "a house by a lake", f"a house by a lake, {UNKNOWN}", HOUSE),
    Case("unknown words alone", "", UNKNOWN, HOUSE),
    Case("empty prompt", "", "", HOUSE),
    Case("500 words, the first seven mean something", "a house by a lake at night", FIVE_HUNDRED, NIGHT),
    Case("(snow:0.5)", "a house in the hills", "a house in the hills, (snow:0.5)", SNOW),
    Case("snow", "a house in the hills", "a house in the hills, snow", SNOW),
    Case("(snow:1.5)", "a house in the hills", "a house in the hills, (snow:1.5)", SNOW),
    Case("without the word snow", "a house in the hills", "a house in the hills", SNOW),
    Case("(autumn:0.5)", "rolling hills", "rolling hills, (autumn:0.5)", AUTUMN),
    Case("autumn", "rolling hills", "rolling hills, autumn", AUTUMN),
    Case("(autumn:1.5)", "rolling hills", "rolling hills, (autumn:1.5)", AUTUMN),
    Case("without the word autumn", "rolling hills", "rolling hills", AUTUMN),
    Case("negative prompt trees", "rolling hills, trees", "rolling hills, trees", TREES, "trees"),
    Case("no negative prompt", "rolling hills, trees", "rolling hills, trees", TREES),
    Case("negative prompt ducks", "a lake, ducks", "a lake, ducks", DUCKS, "ducks"),
    Case("without that negative prompt", "a lake, ducks", "a lake, ducks", DUCKS),
    Case("negative prompt night", "a lake", "a lake", NIGHT, "night"),
    Case("negative prompt day, daylight", "a lake", "a lake", NIGHT, "day, daylight"),
)
WEIGHED = tuple(
    name for word in ("snow", "autumn") for name in (f"without the word {word}", f"({word}:0.5)", word, f"({word}:1.5)")
)
"""Cases in which one word's weight rises; captions use `snow` in phrases only, `autumn` by itself too."""


def probability(verdicts: Verdicts, watched: Watched) -> float:
    """Give the judge's mean probability that any of the watched values shows."""
    missing = np.ones(len(verdicts.features))
    for name, values in watched.items():
        places = [CHOICES[name].index(value) for value in values]
        missing *= 1.0 - verdicts.probabilities[name][:, places].sum(1)
    return float(1.0 - missing.mean())


def measure_words(evaluation: Evaluation) -> dict[str, Any]:
    """Row 7: try unknown words, no words, too many words, weights and negative prompts, each with several seeds."""
    seeds = [FIRST_SEED + k for k in range(evaluation.plan.seeds)]
    made: dict[tuple[str, str], list[NDArray[np.uint8]]] = {}

    def pictures(prompt: str, negative: str) -> list[NDArray[np.uint8]]:
        if (prompt, negative) not in made:
            paint = evaluation.painter.paint
            made[prompt, negative] = [paint(prompt, seed, negative_prompt=negative) for seed in seeds]
        return made[prompt, negative]

    cases = []
    for case in CASES:
        found, base = pictures(case.prompt, case.negative), pictures(case.base, "")
        pairs = list(zip(found, base, strict=True))
        cases.append(
            {
                "name": case.name,
                "watched": " or ".join(f"{name}={value}" for name, values in case.watched.items() for value in values),
                "probability": probability(look(evaluation.judge, found), case.watched),
                "brightness": float(np.mean([a.mean() for a in found])) / 255.0,
                "contrast": float(np.mean([a.std() for a in found])) / 255.0,
                "changed": float(np.mean([np.abs(a.astype(float) - b).mean() for a, b in pairs])) / 255.0,
                "likeness": float(np.mean([likeness(a, b) for a, b in pairs])),
            }
        )
    rows = [list(row) for row in zip(*(pictures(case.prompt, case.negative) for case in CASES), strict=True)]
    sheet = figures.sheet(rows, [case.name for case in CASES], [str(seed) for seed in seeds])
    sheet.save(evaluation.plan.out / "words.png")
    by_name = {case["name"]: case["probability"] for case in cases}
    return {"cases": cases, "weights": {name: by_name[name] for name in WEIGHED}, "file": "words.png"}


def measure_contact(evaluation: Evaluation) -> dict[str, Any]:
    """Row 6: paint a contact sheet, a row for each seed, a column for each prompt."""
    seeds = list(range(1, evaluation.plan.seeds + 1))
    rows = [[evaluation.painter.paint(prompt, seed) for prompt in SHEET_PROMPTS] for seed in seeds]
    figures.sheet(rows, SHEET_PROMPTS, [str(seed) for seed in seeds]).save(evaluation.plan.out / "contact.png")
    return {"seeds": len(seeds), "prompts": len(SHEET_PROMPTS), "file": "contact.png"}


def measure_sizes(evaluation: Evaluation) -> dict[str, Any]:
    """Row 8: paint sheets at several sizes and let the judge name what shows."""
    plan, wanted, found = evaluation.plan, answers(CONTENTS), []
    seeds = list(range(1, max(1, plan.seeds // 2) + 1))
    for width, height in plan.sizes:
        began = time.monotonic()
        rows = [
            [evaluation.painter.paint(prompt, seed, width=width, height=height) for prompt in PROMPTS] for seed in seeds
        ]
        seconds = (time.monotonic() - began) / (len(seeds) * len(PROMPTS))
        name = f"size-{width}x{height}.png"
        figures.sheet(rows, PROMPTS, [str(seed) for seed in seeds]).save(plan.out / name)
        verdicts = look(evaluation.judge, [cell for row in rows for cell in row])
        scores = score(verdicts, np.tile(wanted, (len(seeds), 1)))
        shares = {key: scores[key].accuracy for key in ("place", "time", "thing")}
        found.append({"size": f"{width}x{height}", "seconds": seconds, "file": name, **shares})
    return {"sizes": found}


def clock(painter: Painter, threads: int, repeats: int = 3) -> dict[str, Any]:
    """Time pictures of 20 steps at CFG 5 and of 8 steps in this process: the median of some, after a first one.

    Peak memory is that of the whole process, Python and torch and all; on a GPU that of the tensors there.
    """
    torch.set_num_threads(threads)
    found: dict[str, Any] = {}
    for steps in (20, 8):
        times = []
        for k in range(repeats + 1):
            began = time.perf_counter()
            painter.paint("a house by a lake at sunset", k, steps=steps, cfg_scale=5.0)
            times.append(time.perf_counter() - began)
        found[f"seconds_{steps}"] = float(np.median(times[1:] or times))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    if torch.cuda.is_available() and painter.engine.device != "cpu":
        found["gpu_peak_mb"] = torch.cuda.max_memory_allocated() / 2**20
    size = {"width": painter.checkpoint.width, "height": painter.checkpoint.height}
    return {**found, **size, "peak_mb": peak, "threads": threads, "load": os.getloadavg()[0]}


def measure_speed(model: Path, device: str, threads: int, dtypes: Sequence[str], repeats: int = 3) -> dict[str, Any]:
    """Row 1: time each number type in a fresh process."""
    runs = []
    for dtype in dtypes:
        command = [sys.executable, "-m", "webui.demo.evaluate", "clock", "--model", str(model)]
        command += ["--device", device, "--dtype", dtype, "--threads", str(threads), "--repeats", str(repeats)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"Timing {dtype} failed: {done.stderr.strip()[-500:]}")
        runs.append({**json.loads(done.stdout.splitlines()[-1]), "dtype": dtype, "device": device})
    return {"runs": runs}
