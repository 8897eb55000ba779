"""Brownian noise of one picture: the path that the SDE samplers follow, whatever their number of steps.

The promise: the noise between two sigmas depends on the seed, the source of numbers, the shape and the interval, and
on nothing else: not on the number of steps, the order of the questions or any global generator.

It is the virtual Brownian tree of Li et al. 2020 (https://arxiv.org/abs/2001.01328, section 4 and algorithm 3), bit for
bit as torchsde 0.2.6 builds it for A1111 (a dyadic tree, tolerance 1e-6, entropy pool of 24 words): the increment over
an interval is halved again and again by Brownian bridges, each with noise of its own, whose seed is a hash of the
picture's seed and the place in the tree. A1111 draws that noise from the source that is chosen, and so does this.
"""

import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from webui.engine.noise import Stream

if TYPE_CHECKING:
    import torch

DIGITS = 6
"""Sigmas are rounded to so many digits: the tolerance 1e-6."""
POOL = 24
KEPT = 64
"""How many halvings are remembered: a step comes back to those of its two ends, at most 24 each."""


@dataclass(frozen=True)
class _Node:
    """An interval of the tree: its ends, its depth and its number among those of its depth."""

    start: float
    end: float
    depth: int = 0
    number: int = 0

    @property
    def middle(self) -> float:
        return round(0.5 * (self.end + self.start), DIGITS)

    def halves(self) -> "tuple[_Node, _Node]":
        deeper, number = self.depth + 1, 2 * self.number
        return _Node(self.start, self.middle, deeper, number), _Node(self.middle, self.end, deeper, number + 1)


class Brownian:
    """The Brownian path of one picture over the sigmas from ``low`` to ``high``.

    ``seed``: 0 to 2^64−1. ``rng``: ``NV`` or ``CPU``. ``shape``: (1, C, H, W). ``layout``: as of ``noise.Stream``.
    """

    def __init__(  # noqa: PLR0913
        self, seed: int, rng: str, shape: tuple[int, ...], low: float, high: float, *, layout: str = "plain"
    ) -> None:
        self.seed, self.rng, self.shape, self.layout = seed, rng, shape, layout
        # float32, in which A1111 computes its schedules
        self.low, self.high = float(np.float32(low)), float(np.float32(high))
        self._top = _Node(round(self.low, DIGITS), round(self.high, DIGITS))
        self._whole: torch.Tensor | None = None
        self._kept: OrderedDict[_Node, tuple[torch.Tensor, torch.Tensor]] = OrderedDict()

    @classmethod
    def along(
        cls, seed: int, rng: str, shape: tuple[int, ...], sigmas: tuple[float, ...], layout: str = "plain"
    ) -> Self:
        """Return the path for a schedule: from its lowest sigma above 0 to its highest, as in A1111."""
        return cls(seed, rng, shape, min(sigma for sigma in sigmas if sigma > 0), max(sigmas), layout=layout)

    def __call__(self, sigma: float, following: float) -> "torch.Tensor":
        """Return the noise between two sigmas, of unit variance: float32, ``shape``, on the CPU.

        Negative where sigma falls, as in k-diffusion. Sigmas beyond the ends of the path count as the ends.
        """
        import torch

        one, other = np.float32(sigma), np.float32(following)
        low, high = (self._inside(float(end)) for end in sorted((one, other)))
        increment = self._between(low, high)
        length = torch.tensor(np.sqrt(abs(other - one)) or 1.0, dtype=torch.float32)  # a tensor: divides, as A1111
        return (increment if one < other else -increment) / length

    def _inside(self, sigma: float) -> float:
        return min(max(round(sigma, DIGITS), self._top.start), self._top.end)

    def _between(self, low: float, high: float) -> "torch.Tensor":
        """Return the increment of the path, summed over the fewest nodes from left to right."""
        if self._whole is None:
            seed = np.random.SeedSequence(self.seed, pool_size=POOL).generate_state(3)[0]  # noqa: TID251  a hash
            self._whole = self._normal(int(seed)) * math.sqrt(self.high - self.low)
        if low == high:
            return self._whole * 0.0
        first, *rest = self._parts(self._top, self._whole, low, high)
        for part in rest:
            first = first + part
        return first

    def _parts(self, node: _Node, increment: "torch.Tensor", low: float, high: float) -> "Iterator[torch.Tensor]":
        """Yield the increments of the largest nodes that make up the interval, which ``node`` meets."""
        if low <= node.start and node.end <= high:
            yield increment
            return
        left, right = node.halves()
        parts = self._halved(node, increment)
        if low < node.middle:
            yield from self._parts(left, parts[0], low, high)
        if high > node.middle:
            yield from self._parts(right, parts[1], low, high)

    def _halved(self, node: _Node, increment: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor]":
        """Split a node's increment at its middle by a Brownian bridge: Li et al. 2020, section 4."""
        if node not in self._kept:
            place = (node.number, node.depth)
            hashed = np.random.SeedSequence(self.seed, spawn_key=place, pool_size=POOL)  # noqa: TID251  a hash
            noise = self._normal(int(hashed.generate_state(4)[0]))
            before, after = node.middle - node.start, node.end - node.middle
            per_length = 1 / (node.end - node.start)
            left = before * increment * per_length + math.sqrt(before * after * per_length) * noise
            self._kept[node] = left, increment - left
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(node)
        return self._kept[node]

    def _normal(self, seed: int) -> "torch.Tensor":
        return Stream(seed, self.rng, self.shape, self.layout).normal()
