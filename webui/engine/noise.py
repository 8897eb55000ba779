"""The one address of randomness: every random number of a picture comes out of a ``Stream``.

The promise: a stream is made from one seed, and its next draw depends on that seed alone; neither torch's global
generator nor a neighbour in the batch has any influence. Noise is always made on the CPU and then moved, since
generators on graphics cards give other numbers on other cards. Which streams a picture has, and how they are mixed, is
in ``webui.engine.picture_noise``.

Two sources:

- ``NV``: Philox 4x32-10 (``webui.engine.philox``). All 64 bits of the seed count; equal to what NVIDIA cards draw.
- ``CPU``: torch's Mersenne Twister. **Only the low 32 bits of the seed count**: 0 and 2^32 give the same picture.

Two layouts: ``plain``, row by row as everywhere, and ``centred``, where a cell's number depends on its distance from
the middle and not on the size, so that pictures of one seed in different sizes share their centre
(docs/decisions/0007).
"""

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from webui.engine import philox

if TYPE_CHECKING:
    import torch

Shape: TypeAlias = tuple[int, ...]


class Stream:
    """The noise of one seed: an endless row of draws of one shape.

    ``seed``: 0 to 2^64−1. ``rng``: ``NV`` or ``CPU``. ``shape``: (1, C, H, W), in latent cells. ``layout``: ``plain``
    or ``centred``, which only ``NV`` has.
    """

    def __init__(self, seed: int, rng: str, shape: Shape, layout: str = "plain") -> None:
        import torch

        self.seed, self.rng, self.shape, self.layout = seed, rng, shape, layout
        self.draws = 0
        if rng not in ("NV", "CPU") or layout not in ("plain", "centred") or (rng, layout) == ("CPU", "centred"):
            raise ValueError(f"no such source of noise: {rng!r}, {layout!r}")
        self._generator = torch.Generator("cpu").manual_seed(seed) if rng == "CPU" else None

    def normal(self) -> "torch.Tensor":
        """Draw the next standard normal noise, as a float32 tensor of ``shape`` on the CPU."""
        import torch

        draw, self.draws = self.draws, self.draws + 1
        if self._generator is not None:
            return torch.randn(self.shape, generator=self._generator, dtype=torch.float32)
        if self.layout == "centred":
            return torch.from_numpy(centred(self.seed, draw, self.shape))
        return torch.from_numpy(philox.randn(self.seed, draw, self.shape))


def centred(seed: int, draw: int, shape: Shape) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    """Draw noise whose numbers depend on the distance from the middle: (1, C, H, W).

    Cell (c, y, x) takes the counter (draw, 0, (y − H // 2, x − W // 2), 1 + c): any two sizes agree wherever both have
    a cell, and no counter is one of the plain layout's.
    """
    _, channels, height, width = shape
    down = np.arange(height, dtype=np.int64) - height // 2
    right = np.arange(width, dtype=np.int64) - width // 2
    place = ((down[:, None] & 0xFFFF) << 16 | (right[None, :] & 0xFFFF)).astype(np.uint64)
    plane = np.arange(1, channels + 1, dtype=np.uint64)[:, None, None]
    return philox.normal(seed, draw, np.broadcast_to(place, (channels, height, width)), plane).reshape(shape)
