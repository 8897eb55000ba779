"""The noise of one picture: its own stream, with variations, seed resize and ENSD as its recipe says.

The promise: a picture's noise is a function of its recipe. The first draw is the starting noise, each ancestral step
takes the next one. Order and arithmetic of variation, resize and ENSD are A1111's.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from webui.engine.brownian import Brownian
from webui.engine.noise import Shape, Stream
from webui.params import variations
from webui.recipe import Recipe

if TYPE_CHECKING:
    import torch

PARALLEL = 1e-4
"""Columns whose angle has a smaller sine than this are mixed straight: there a slerp divides by next to nothing."""
_ALL_SEEDS = 2**64


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
        return self._loud(noise)

    def path(self, sigmas: Sequence[float]) -> "Callable[[float, float], torch.Tensor]":
        """Return the Brownian path of samplers that integrate a stochastic equation: noise from one sigma to the next.

        Its seed is the picture's without ENSD, as in A1111; with *every step* the variations' paths are mixed in.
        """
        recipe = self.recipe
        every = self.mixed() if recipe.variation_noise == "every step" else []
        base, *others = (
            Brownian.along(seed, recipe.rng, self.shape, tuple(sigmas), layout=recipe.noise_layout)
            for seed in (recipe.seed, *(seed for seed, _ in every))
        )

        def noise(sigma: float, following: float) -> "torch.Tensor":
            found = base(sigma, following)
            for other, (_, strength) in zip(others, every, strict=True):
                found = slerp(found, other(sigma, following), strength)
            return self._loud(found)

        return noise

    def _loud(self, noise: "torch.Tensor") -> "torch.Tensor":
        return noise * self.recipe.s_noise if self.recipe.s_noise != 1 else noise

    def _resized(self) -> Shape | None:
        """Return the shape that the noise is resized from, or None."""
        recipe = self.recipe
        if not (recipe.resize_width and recipe.resize_height):
            return None
        shape = (*self.shape[:2], recipe.resize_height // self.cell, recipe.resize_width // self.cell)
        return None if shape == self.shape else shape

    def _stream(self, seed: int, shape: Shape | None = None) -> Stream:
        return Stream(seed % _ALL_SEEDS, self.recipe.rng, shape or self.shape, self.recipe.noise_layout)


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
