"""The one address of randomness: every random number of a picture comes out of a ``PictureNoise``.

The promise: a picture's noise is a function of its recipe. It is made from the recipe's own seeds; nothing else draws,
and neither torch's global generator nor a neighbour in the batch has any influence. Noise is always made on the CPU
and then moved, since generators on graphics cards give other numbers on other cards.

Two sources:

- ``NV``: Philox 4x32-10 (``webui.engine.philox``). All 64 bits of the seed count; equal to what NVIDIA cards draw.
- ``CPU``: torch's Mersenne Twister. **Only the low 32 bits of the seed count**: 0 and 2^32 give the same picture.

Two layouts: ``plain``, row by row as everywhere, and ``centred``, where a cell's number depends on its distance from
the middle and not on the size, so that pictures of one seed in different sizes share their centre
(docs/decisions/0007). Variation, seed resize and ENSD are A1111's.
"""

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from webui.engine import philox
from webui.params import variations
from webui.recipe import Recipe

if TYPE_CHECKING:
    import torch

Shape: TypeAlias = tuple[int, ...]
PARALLEL = 1e-4
"""Columns whose angle has a smaller sine than this are mixed straight: there a slerp divides by next to nothing."""
_ALL_SEEDS = 2**64


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


class PictureNoise:
    """All the noise of one picture: ``start`` once, then ``step`` for each sampler that asks.

    ``shape``: the latent's, (1, C, H, W). ``cell``: pixels along one side of a latent cell, for seed resize.
    """

    def __init__(self, recipe: Recipe, shape: Shape, cell: int) -> None:
        self.recipe, self.shape, self.cell = recipe, shape, cell
        self._base = self._stream(recipe.seed)
        self._mixed: list[tuple[Stream, float]] = []
        if recipe.variation_noise == "every step":
            self._mixed = [(self._stream(seed), strength) for seed, strength in self.mixed()]

    def mixed(self) -> list[tuple[int, float]]:
        """List the seeds that are mixed in, each with its strength, without those of strength 0."""
        recipe = self.recipe
        first = [(recipe.variation_seed, recipe.variation_strength)]
        return [(seed, strength) for seed, strength in first + variations(recipe.variations) if strength > 0]

    def start(self) -> "torch.Tensor":
        """Draw the starting noise: the seed's, with the variations mixed in, pasted into the centre if resized.

        Order and arithmetic of A1111: the variation is applied to the noise of the size that is resized from, and the
        border around it is the seed's own first draw at the new size.
        """
        recipe, resized = self.recipe, self._resized()
        noise = self._base.normal()
        for stream, _ in self._mixed:
            stream.normal()  # the first draw is used up here, as the base's is
        source = self._stream(recipe.seed, resized).normal() if resized else noise
        for seed, strength in self.mixed():
            source = slerp(source, self._stream(seed, resized or self.shape).normal(), strength)
        if recipe.ensd:
            self._base = self._stream(recipe.seed + recipe.ensd)
            self._mixed = [(self._stream(stream.seed + recipe.ensd), strength) for stream, strength in self._mixed]
        return paste(source, noise) if resized else source

    def step(self) -> "torch.Tensor":
        """Draw the noise that a sampler adds after a step."""
        noise = self._base.normal()
        for stream, strength in self._mixed:
            noise = slerp(noise, stream.normal(), strength)
        return noise

    def _resized(self) -> Shape | None:
        """Return the shape that the noise is resized from, or None."""
        recipe = self.recipe
        if not (recipe.resize_width and recipe.resize_height):
            return None
        shape = (*self.shape[:2], recipe.resize_height // self.cell, recipe.resize_width // self.cell)
        return None if shape == self.shape else shape

    def _stream(self, seed: int, shape: Shape | None = None) -> Stream:
        return Stream(seed % _ALL_SEEDS, self.recipe.rng, shape or self.shape, self.recipe.noise_layout)


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


def slerp(low: "torch.Tensor", high: "torch.Tensor", strength: float) -> "torch.Tensor":
    """Interpolate on the sphere as A1111 does: each column of each channel by its own angle.

    ``low``, ``high``: (1, C, H, W); ``strength``: 0 gives ``low``, 1 gives ``high`` exactly. Shoemake 1985, "Animating
    rotation with quaternion curves", equation 3.3, with norms and dot products along H. Columns that are parallel (or
    a single cell high) have no angle; they are mixed straight and brought back to unit variance, where A1111 gives NaN.
    """
    import torch

    if strength in (0.0, 1.0):
        return (low, high)[int(strength)]
    dot = (_unit(low) * _unit(high)).sum(2, keepdim=True).clamp(-1.0, 1.0)
    omega = torch.acos(dot)
    sine = torch.sin(omega)
    safe = torch.where(sine > PARALLEL, sine, torch.ones_like(sine))
    round_ = torch.sin((1.0 - strength) * omega) / safe * low + torch.sin(strength * omega) / safe * high
    straight = ((1.0 - strength) * low + strength * high) / ((1.0 - strength) ** 2 + strength**2) ** 0.5
    if low.shape[2] > 1 and dot.mean() > 0.9995:  # the same noise twice
        return (1.0 - strength) * low + strength * high
    return torch.where(sine > PARALLEL, round_, straight)


def _unit(noise: "torch.Tensor") -> "torch.Tensor":
    import torch

    length: torch.Tensor = torch.linalg.vector_norm(noise, dim=2, keepdim=True)
    return noise / length


def paste(source: "torch.Tensor", ground: "torch.Tensor") -> "torch.Tensor":
    """Paste noise into the centre of other noise, or its own centre where it is larger: (1, C, h, w) on (1, C, H, W).

    Offsets are rounded down, as in A1111; where the source is larger by an odd number, a cell is lost on either side
    and the ground shows.
    """
    result = ground.clone()
    (height, width), (h, w) = ground.shape[2:], source.shape[2:]
    down, right = (height - h) // 2, (width - w) // 2
    from_y, from_x = max(-down, 0), max(-right, 0)
    cut = source[:, :, from_y : h - from_y, from_x : w - from_x]
    to_y, to_x = max(down, 0), max(right, 0)
    result[:, :, to_y : to_y + cut.shape[2], to_x : to_x + cut.shape[3]] = cut
    return result
