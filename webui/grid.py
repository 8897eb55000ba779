"""One recipe, many pictures: an axis names a parameter and its values; a batch is the axis ``seed``.

A picture of a batch is the picture its own recipe gives alone, bit for bit: expanding changes recipes, never how a
picture is made.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from webui.recipe import PARAMS, Recipe


@dataclass(frozen=True)
class Axis:
    """A parameter of the recipe and the values it takes, in order."""

    name: str
    values: tuple[Any, ...]

    @property
    def label(self) -> str:
        """What the person sees."""
        return PARAMS[self.name].label


def batch(recipe: Recipe, seeds: Iterable[int]) -> list[Recipe]:
    """Expand a recipe into one for each seed.

    >>> [one.seed for one in batch(Recipe.of(seed=7), [7, 8])]
    [7, 8]
    """
    return expand(recipe, [Axis("seed", tuple(seeds))])


def expand(recipe: Recipe, axes: Sequence[Axis]) -> list[Recipe]:
    """Expand a recipe along axes, the last of which runs fastest; raise BadRecipe for a value not allowed.

    >>> axes = [Axis("steps", (8, 20)), Axis("seed", (1, 2))]
    >>> [(one.steps, one.seed) for one in expand(Recipe.of(seed=0), axes)]
    [(8, 1), (8, 2), (20, 1), (20, 2)]
    """
    names = [axis.name for axis in axes]
    return [recipe.but(**dict(zip(names, cell, strict=True))) for cell in product(*(axis.values for axis in axes))]
