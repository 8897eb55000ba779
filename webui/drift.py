"""A measure of composition: how far two pictures have the same things in the same places, whatever their colours.

A picture is brought to a small square, softened, and described by where its edges are and which way they run. An
edge's direction is kept as the doubled angle of its gradient (Bigun & Granlund 1987, "Optimal orientation detection of
linear symmetry"), so that a bright sky over dark land and a dark sky over bright land are the same edge, and its
strength is divided by the strength of the edges around it, so that fog and night count as much as noon. What is left
is correlated along the rows.

Calibrated on drawn scenes (150 triples): the same layout with one word changed is told from another layout with the
same words with an AUC of 0.9998, and the same layout under altogether other words with 0.93, since another place has
another skyline. `python -m webui.demo.evaluate structure` measures it again.

`drift` is 1 − likeness, with a word. Its thresholds were set on an earlier state of the bundled model, of which nine in
ten small edits at one seed drifted by at most 0.46 and nineteen in twenty pictures of other seeds by 0.75 or more. They
stay, so that a word means the same from model to model; `scripts/measure_drift.py` says how they divide the present one
(96 pairs of either kind, AUC 0.995), and docs/drift.md has the figures.

The promise: `likeness` is symmetric, lies in -1 .. 1, is 1 for equal pictures, and neither a change of contrast or
brightness nor a negative moves it by more than rounding. Needs numpy and Pillow only.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]

GRID = 32
"""Cells on a side of the map; a main thing is about ten of them tall."""

MARGIN = 0.08
"""Part of each side that is left out: watercolours fade to paper there, and a frame is no composition."""

SOFTNESS = 0.8
"""Spread of the blur before edges are taken, in cells: finer strokes (rain, flowers, the grain of a soft model) go."""

REACH = 4.0
"""Spread of the neighbourhood that an edge's strength is compared with, in cells."""

TOLERANCE = 0.8
"""Spread of the blur over the finished map, in cells: an edge may move by so much and still count."""

FLAT = 0.25
"""Where edges are weaker than this part of the picture's average edge, they fade instead of being raised."""

EMPTY = 1e-9
"""Sum of squares below which a map holds rounding and no edges."""


KEPT: Final = 0.45
"""Drift up to which a composition is kept: 76 of 96 small edits are, and 1 of 96 other seeds."""

LOST: Final = 0.75
"""Drift from which it is lost: 91 of 96 other seeds are, and none of 96 small edits."""

Word = Literal["kept", "shifted", "lost"]


@dataclass(frozen=True, slots=True)
class Drift:
    """How far one picture's composition is from another's.

    ``number`` is 0 for equal compositions, about 1 for strangers and at most 2; ``word`` says it in a word.
    """

    number: float
    word: Word

    @classmethod
    def of(cls, number: float) -> "Drift":
        """Put a number into a word.

        >>> Drift.of(0.1).word, Drift.of(0.6).word, Drift.of(1.1).word
        ('kept', 'shifted', 'lost')
        """
        return cls(number, "kept" if number <= KEPT else "shifted" if number < LOST else "lost")


def structure(picture: Bytes) -> Floats:
    """Describe a picture's composition: an array (3, GRID, GRID) of edge strength and doubled direction."""
    image = Image.fromarray(picture).convert("RGB")
    x, y = MARGIN * image.width, MARGIN * image.height
    inner = image.resize((GRID * 2, GRID * 2), Image.Resampling.BOX, (x, y, image.width - x, image.height - y))
    channels = np.asarray(inner, np.float64).transpose(2, 0, 1) / 255.0
    soft = _blur(channels, 2 * SOFTNESS)
    down, right = np.gradient(soft, axis=(1, 2))
    # The structure tensor, summed over colours: strength, and direction without its sign.
    strength = np.sqrt((down**2 + right**2).sum(0))
    even = (right**2 - down**2).sum(0)
    skew = (2 * right * down).sum(0)
    around = np.sqrt(_blur(strength[None] ** 2, 2 * REACH)[0])
    scale = around + FLAT * strength.mean() + 1e-9
    level = strength / scale
    direction = np.where(strength > 0, 1.0 / np.maximum(strength * scale, 1e-12), 0.0)
    maps = _blur(np.stack([level, even * direction, skew * direction]), 2 * TOLERANCE)
    return np.asarray(maps.reshape(3, GRID, 2, GRID, 2).mean((2, 4)))


def likeness(first: Bytes, second: Bytes) -> float:
    """Compare two pictures' compositions: 1 for equal ones, about 0 for strangers.

    >>> picture = np.zeros((8, 8, 3), np.uint8)
    >>> picture[:, 4:] = 200
    >>> likeness(picture, 255 - picture)
    1.0
    """
    return correlation(structure(first), structure(second))


def drift(parent: Image.Image, child: Image.Image) -> Drift:
    """Say how far a picture has left the composition of the one that it was made from.

    >>> picture = Image.linear_gradient("L")
    >>> drift(picture, picture)
    Drift(number=0.0, word='kept')
    """
    first, second = (np.asarray(picture.convert("RGB")) for picture in (parent, child))
    return Drift.of(1.0 - likeness(first, second))


def correlation(first: Floats, second: Floats) -> float:
    """Correlate two maps of `structure`, each row about its own mean; two empty ones are equal.

    Taking the rows' means away takes away what all landscapes share: sky above, land below.
    """
    a, b = (maps - maps.mean(axis=2, keepdims=True) for maps in (first, second))
    powers = [float((maps**2).sum()) for maps in (a, b)]
    if min(powers) < EMPTY:
        return float(max(powers) < EMPTY)
    return float(np.clip(round(float((a * b).sum()) / float(np.sqrt(powers[0] * powers[1])), 12), -1.0, 1.0))


def _blur(maps: Floats, spread: float) -> Floats:
    """Blur the last two axes by a Gaussian, with the border repeated outwards."""
    reach = int(np.ceil(3 * spread))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / spread) ** 2)
    kernel /= kernel.sum()
    side = maps.shape[-1]
    places = np.clip(np.arange(side)[:, None] + np.arange(-reach, reach + 1)[None], 0, side - 1)
    matrix = np.zeros((side, side))
    np.add.at(matrix, (np.arange(side)[:, None], places), kernel[None])
    return np.asarray(matrix @ maps @ matrix.T)
