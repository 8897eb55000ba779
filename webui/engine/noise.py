"""The one address of randomness: every random number of a picture comes out of a ``Stream``.

The promise: a picture has one stream, made from its own seed. The first draw is the starting noise, each ancestral
step takes the next one; nothing else draws, and neither torch's global generator nor a neighbour in the batch has any
influence. Noise is always made on the CPU and then moved, since generators on graphics cards give other numbers on
other cards.

Two sources:

- ``NV``: Philox 4x32-10 (``webui.engine.philox``). All 64 bits of the seed count; equal to what NVIDIA cards draw.
- ``CPU``: torch's Mersenne Twister. **Only the low 32 bits of the seed count**: 0 and 2^32 give the same picture.
"""

from typing import TYPE_CHECKING

from webui.engine import philox

if TYPE_CHECKING:
    import torch


class Stream:
    """The noise of one picture: an endless row of draws of one shape.

    ``seed``: 0 to 2^64−1. ``rng``: ``NV`` or ``CPU``. ``shape``: (1, C, H, W), in latent cells.
    """

    def __init__(self, seed: int, rng: str, shape: tuple[int, ...]) -> None:
        import torch

        self.seed, self.rng, self.shape = seed, rng, shape
        self.draws = 0
        if rng not in ("NV", "CPU"):
            raise ValueError(f"no such source of noise: {rng!r}")
        self._generator = torch.Generator("cpu").manual_seed(seed) if rng == "CPU" else None

    def normal(self) -> "torch.Tensor":
        """Draw the next standard normal noise, as a float32 tensor of ``shape`` on the CPU."""
        import torch

        draw, self.draws = self.draws, self.draws + 1
        if self._generator is not None:
            return torch.randn(self.shape, generator=self._generator, dtype=torch.float32)
        return torch.from_numpy(philox.randn(self.seed, draw, self.shape))
