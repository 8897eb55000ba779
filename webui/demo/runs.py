"""What every training stage shares: a log of figures, files that are never half written, and random numbers by step.

The promise: a stage that is killed at any moment goes on from its last checkpoint as if nothing had happened. To that
end a step's randomness is a function of the run's seed, the stage and the step, and never the state of a generator.
"""

from __future__ import annotations

import json
import os
import random
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

State = dict[str, Any]


class Log:
    """Appends one JSON line for each figure or set of figures."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, **figures: object) -> None:
        """Append a line; the wall clock and the processor seconds of this process are added."""
        line = {"clock": round(time.time(), 1), "cpu_seconds": round(time.process_time(), 1), **figures}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def save_state(state: State, path: Path) -> None:
    """Write a checkpoint whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    torch.save(state, partial)
    partial.replace(path)


def load_state(path: Path) -> State | None:
    """Read a checkpoint, or give None where there is none yet."""
    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None


def seeds_of(seed: int, stage: str, step: int) -> list[int]:
    """Name the randomness of one step of one stage by whole numbers."""
    return [seed, zlib.crc32(stage.encode()), step]


def numbers(seed: int, stage: str, step: int) -> np.random.Generator:
    """Give the numpy generator of one step."""
    return np.random.default_rng(seeds_of(seed, stage, step))


def words(seed: int, stage: str, step: int) -> random.Random:
    """Give the generator that words the captions of one step."""
    return random.Random(repr(seeds_of(seed, stage, step)))


def gaussians(shape: tuple[int, ...], rng: np.random.Generator) -> torch.Tensor:
    """Draw standard Gaussian numbers; on the CPU, so that they are the same whatever device trains."""
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


def ease(step: int, steps: int, warmup: int, cooldown: float) -> float:
    """Give the factor of the learning rate: up over `warmup` steps, level, then down to zero over the last part.

    >>> [ease(s, 100, 10, 0.5) for s in (0, 9, 40, 75, 100)]
    [0.1, 1.0, 1.0, 0.5, 0.0]
    """
    left = (steps - step) / max(1.0, steps * cooldown)
    return max(0.0, min(1.0, (step + 1) / warmup, left))


def pick_device(name: str = "auto") -> torch.device:
    """Give the GPU where there is one, else the CPU."""
    if name != "auto":
        return torch.device(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def half_precision(device: torch.device) -> bool:
    """Say whether bfloat16 is the faster way here: on GPUs, and on CPUs with instructions for it.

    On a CPU without them it was measured 9 to 90 times slower than float32.
    """
    if device.type == "cuda":
        return True
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(probe and probe())
