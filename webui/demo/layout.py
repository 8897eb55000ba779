"""Where things stand: a layout is a function of 64 Gaussian numbers, and of nothing else.

The promise: no word of a prompt reaches this module. The 64 numbers are arranged as 4 channels of 4 x 4 cells, the
shape in which `webui.demo.coupling` finds them in the starting noise of a picture: a peak is ruled by the cell above
which it stands, so that a convolutional network finds the number where it needs it. Every step from number to place is
continuous (but for the way a thing faces and the side on which others of it stand), so neighbouring noises give
neighbouring layouts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CHANNELS, ROWS, COLUMNS = 4, 4, 4
CODE_SIZE = CHANNELS * ROWS * COLUMNS
WIDTH = 257
"""Points at which the ground lines are kept: one for each 1/256 of the width, both edges included."""

X = np.linspace(0.0, 1.0, WIDTH)
_erf = np.vectorize(math.erf, otypes=[np.float64])


@dataclass(frozen=True)
class Spot:
    """A place for something: position (0..1, y downwards), size as a part of the picture's side, and which way it
    faces."""

    x: float
    y: float
    size: float
    flip: bool = False


@dataclass(frozen=True)
class Layout:
    """The composition of a picture; all lengths are parts of its side, y points down, heights point up."""

    horizon: float
    jagged: Array
    smooth: Array
    middle: Array
    near: Array
    sun: Spot
    clouds: tuple[Spot, ...]
    birds: Spot
    thing: Spot
    others: tuple[Spot, Spot]
    """Where a second and a third of the main thing stand: smaller, to the sides of the first."""
    trees: tuple[Spot, ...]
    ducks: Spot
    grain: tuple[float, float]
    """Shift of small repeated things (stars, flakes, flowers, pines): one pattern, moved by two numbers."""


def code_of_seed(seed: int) -> Array:
    """Draw the 64 numbers of a layout seed."""
    return np.random.default_rng(seed).standard_normal(CODE_SIZE)


def even(code: Array) -> Array:
    """Carry Gaussian numbers to even ones in 0..1 by their distribution function."""
    return np.asarray(0.5 * (1.0 + _erf(code / math.sqrt(2.0))))


def curve(heights: Array) -> Array:
    """Join the heights of four columns by a smooth line across the whole width (cosine-weighted neighbours)."""
    centres = (np.arange(-1, COLUMNS + 1) + 0.5) / COLUMNS
    padded = np.concatenate([heights[:1], heights, heights[-1:]])
    weight = np.cos(np.clip(np.abs(X[:, None] - centres[None]) * COLUMNS, 0, 1) * math.pi) * 0.5 + 0.5
    return np.asarray(weight @ padded)


def peaks(rise: Array, shift: Array, spread: Array) -> tuple[Array, Array]:
    """Build the far ridge from one peak per column: a jagged line for mountains, a smooth one for hills."""
    centres = (np.arange(COLUMNS) + 0.15 + 0.7 * shift) / COLUMNS
    heights = 0.34 * np.clip(rise - 0.22, 0.0, None)
    widths = 0.13 + 0.16 * spread
    distance = np.abs(X[:, None] - centres[None])
    jagged = np.max(heights * np.clip(1.0 - distance / widths, 0.0, 1.0), axis=1)
    smooth = np.max(heights * np.exp(-((distance / widths / 0.75) ** 2)), axis=1)
    return jagged, smooth


def make_layout(code: Array) -> Layout:
    """Turn 64 Gaussian numbers into a composition.

    >>> make_layout(code_of_seed(1)) .horizon == make_layout(code_of_seed(1)).horizon
    True
    """
    if code.shape != (CODE_SIZE,):
        raise ValueError(f"A layout is made of {CODE_SIZE} numbers, not of an array of shape {code.shape}.")
    cells = even(code).reshape(CHANNELS, ROWS, COLUMNS)
    horizon = 0.44 + 0.16 * float(cells[3, 1, 0])
    jagged, smooth = peaks(cells[0, 1], cells[1, 1], cells[2, 1])
    slope = 0.10 * float(cells[3, 1, 1] - 0.5) * (X - 0.5)
    middle = horizon + 0.035 - 0.11 * (curve(cells[0, 2]) - 0.3) + slope
    near = horizon + 0.15 + 0.10 * float(cells[3, 3, 3]) - 0.12 * (curve(cells[0, 3]) - 0.5) - slope
    sun = Spot(
        0.1 + 0.8 * float(cells[3, 0, 0]), 0.10 + 0.20 * float(cells[3, 0, 1]), 0.05 + 0.05 * float(cells[3, 0, 2])
    )
    return Layout(
        horizon=horizon,
        jagged=jagged,
        smooth=smooth,
        middle=middle,
        near=near,
        sun=sun,
        clouds=_clouds(cells),
        birds=Spot(0.2 + 0.6 * float(cells[3, 1, 2]), 0.12 + 0.2 * float(cells[3, 1, 3]), 0.042),
        thing=_thing(cells, near),
        others=_others(cells, near),
        trees=_trees(cells, near),
        ducks=Spot(
            0.26 + 0.48 * float(cells[3, 3, 0]), 0.89 + 0.05 * float(cells[3, 3, 1]), 0.052, cells[3, 3, 2] > 0.5
        ),
        grain=(float(cells[3, 0, 3]), float(cells[2, 3, 0])),
    )


def at(line: Array, x: float) -> float:
    """Read a ground line at a place across the width."""
    return float(np.interp(x, X, line))


def _clouds(cells: Array) -> tuple[Spot, ...]:
    """Place one cloud above each column, the large ones first."""
    spots = [
        Spot(
            (k + 0.1 + 0.8 * float(cells[2, 0, k])) / COLUMNS,
            0.07 + 0.26 * float(cells[1, 0, k]),
            0.05 + 0.13 * float(cells[0, 0, k]),
        )
        for k in range(COLUMNS)
    ]
    return tuple(sorted(spots, key=lambda spot: -spot.size))


def _thing(cells: Array, near: Array) -> Spot:
    """Place the main thing on the near ground's edge, well inside the picture."""
    x = 0.26 + 0.48 * float(cells[3, 2, 0])
    return Spot(x, at(near, x) + 0.045, 0.27 + 0.11 * float(cells[3, 2, 1]), cells[3, 2, 2] > 0.5)


def _others(cells: Array, near: Array) -> tuple[Spot, Spot]:
    """Place a second thing on the side where there is more room, and a third on the other side where it fits there."""
    first = _thing(cells, near)
    side, room = (1.0, 1.0 - first.x) if first.x < 0.5 else (-1.0, first.x)
    second, third = (0.68 * room, -0.66 * (1.0 - room)) if room < 0.6 else (0.48 * room, 0.84 * room)

    def smaller(offset: float, scale: float) -> Spot:
        x = first.x + side * offset
        return Spot(x, at(near, x) + 0.035, scale * first.size, first.flip)

    return smaller(second, 0.60), smaller(third, 0.50)


def _trees(cells: Array, near: Array) -> tuple[Spot, ...]:
    """Place one tree in each column on the near ground, the far ones first; small numbers give no tree."""
    spots = []
    for k in range(COLUMNS):
        x = (k + 0.15 + 0.7 * float(cells[1, 2, k])) / COLUMNS
        depth = float(cells[1, 3, k])
        size = (0.13 + 0.14 * float(cells[2, 2, k])) * (0.8 + 0.4 * depth)
        if cells[2, 2, k] > 0.2:
            spots.append(Spot(x, at(near, x) + 0.02 + 0.10 * depth, size))
    return tuple(sorted(spots, key=lambda spot: spot.y))
