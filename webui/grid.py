"""One recipe, many pictures: an axis changes the recipe once for each of its values; a batch is the axis ``seed``.

A picture of a batch is the picture its own recipe gives alone, bit for bit: expanding changes recipes, never how a
picture is made. Axes are called X, Y and Z in their order, and X runs fastest, as the pictures of a table are read.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, Final

from webui.errors import BadRecipe, BadValue
from webui.recipe import PARAMS, Recipe

MOST_AXES: Final = 3
MOST_CELLS: Final = 1000
"""Pictures of one sweep: more than this is a slip of the pen, and days of work."""
_BARE: Final = ("sampler", "schedule", "prompt", "negative_prompt")
"""Parameters whose values say by themselves what they are."""


@dataclass(frozen=True)
class Axis:
    """A parameter of the recipe and the values it takes, in order. Other axes than of one parameter derive from it."""

    name: str
    values: tuple[Any, ...]

    @property
    def label(self) -> str:
        """What the person sees."""
        return PARAMS[self.name].label

    def caption(self, value: Any) -> str:
        """Say in a word or two which value a picture has."""
        written = PARAMS[self.name].format(value)
        return written if self.name in _BARE else f"{self.label} {written}"

    def change(self, values: Mapping[str, Any], value: Any) -> dict[str, Any]:
        """Return the recipe's values with one of the axis's; raise BadValue where it cannot be applied."""
        return {**values, self.name: value}


@dataclass(frozen=True)
class Cell:
    """A place in a sweep: what its axes say, in their order, and its recipe, or why there is none."""

    captions: tuple[str, ...]
    recipe: Recipe | None = None
    error: BadRecipe | None = None


def batch(recipe: Recipe, seeds: Iterable[int]) -> list[Recipe]:
    """Expand a recipe into one for each seed.

    >>> [one.seed for one in batch(Recipe.of(seed=7), [7, 8])]
    [7, 8]
    """
    return expand(recipe, [Axis("seed", tuple(seeds))])


def expand(recipe: Recipe, axes: Sequence[Axis]) -> list[Recipe]:
    """Expand a recipe along axes, the first of which runs fastest; raise BadRecipe for a value not allowed.

    >>> axes = [Axis("steps", (8, 20)), Axis("seed", (1, 2))]
    >>> [(one.steps, one.seed) for one in expand(Recipe.of(seed=0), axes)]
    [(8, 1), (20, 1), (8, 2), (20, 2)]
    """
    return [_made(recipe, chosen) for chosen in _combinations(axes)]


def sweep(recipe: Recipe, axes: Sequence[Axis]) -> list[Cell]:
    """Expand a recipe along up to three axes; a cell whose values do not go together holds the error, not the sweep.

    >>> axes = [Axis("noise_layout", ("plain", "centred")), Axis("rng", ("NV", "CPU"))]
    >>> [cell.error is None for cell in sweep(Recipe.of(seed=0), axes)]
    [True, True, True, False]

    Raises BadValue for more than three axes, two of the same, or more than MOST_CELLS cells.
    """
    labels = [axis.label for axis in axes]
    if len(axes) > MOST_AXES or len(set(labels)) < len(labels):
        raise BadValue("axes", "Axes", ", ".join(labels), f"at most {MOST_AXES}, no two of them the same")
    count = prod(len(axis.values) for axis in axes)
    if count > MOST_CELLS:
        sizes = " × ".join(str(len(axis.values)) for axis in axes)
        hint = f"{sizes} is {count} pictures: take fewer values."
        raise BadValue("axes", "Sweep", count, f"of at most {MOST_CELLS} pictures", hint)
    return [_cell(recipe, chosen) for chosen in _combinations(axes)]


def _combinations(axes: Sequence[Axis]) -> Iterator[list[tuple[Axis, Any]]]:
    """Pair the axes with their values in every combination, the first axis fastest."""
    for reverse in product(*(axis.values for axis in reversed(axes))):
        yield list(zip(axes, reversed(reverse), strict=True))


def _made(recipe: Recipe, chosen: Iterable[tuple[Axis, Any]]) -> Recipe:
    values = recipe.values()
    for axis, value in chosen:
        values = axis.change(values, value)
    return Recipe.of(**values)


def _cell(recipe: Recipe, chosen: Sequence[tuple[Axis, Any]]) -> Cell:
    captions = tuple(axis.caption(value) for axis, value in chosen)
    try:
        return Cell(captions, _made(recipe, chosen))
    except BadRecipe as error:
        return Cell(captions, error=error)
    except BadValue as error:
        return Cell(captions, error=BadRecipe([error]))
