"""Compare our Brownian noise with torchsde's, bit for bit. No program of ours needs torchsde: install it beside.

    pip install torchsde && python scripts/compare_torchsde.py

Prints one line for each source of noise and seed, and exits with 1 when a number differs.
"""

from itertools import pairwise

import torch
import torchsde
from torchsde._brownian import brownian_interval

from webui.engine import schedules
from webui.engine.brownian import Brownian
from webui.engine.noise import Stream

SHAPE = (1, 4, 8, 8)
SD15 = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000}


def equal(rng: str, seed: int) -> bool:
    """Say whether every increment along a schedule is equal."""
    sigmas = schedules.spaced(schedules.from_config(SD15), "Exponential", 20)
    brownian_interval._randn = lambda size, dtype, device, seed: Stream(int(seed), rng, size).normal()
    positive = torch.tensor([sigma for sigma in sigmas if sigma > 0], dtype=torch.float32)
    tree = torchsde.BrownianTree(positive.min(), torch.zeros(SHAPE[1:]), positive.max(), entropy=seed)
    ours = Brownian.along(seed, rng, SHAPE, sigmas)
    return all(
        torch.equal(ours._between(ours._inside(low), ours._inside(high))[0], tree(low, high))
        for high, low in pairwise(positive.tolist())
    )


def main() -> int:
    """Compare and print."""
    found = {(rng, seed): equal(rng, seed) for rng in ("NV", "CPU") for seed in (0, 42, 2**40 + 7, 2**64 - 1)}
    for (rng, seed), same in found.items():
        print(f"{rng} {seed}: {'equal' if same else 'DIFFERS'}")
    return 0 if all(found.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
