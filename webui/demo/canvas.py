"""A small drawing board in unit coordinates: shapes are drawn at twice the size and averaged down, so edges are smooth.

The promise: the same calls give the same bytes on every machine with the same Pillow; there is no randomness here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from webui.demo.palette import Colour

SIZE = 256
SCALE = 2
SIDE = SIZE * SCALE

Points = Sequence[tuple[float, float]]


@cache
def _glow_mask() -> Image.Image:
    """A round light that fades from its middle, 128 x 128."""
    axis = np.linspace(-1.0, 1.0, 128)
    distance = np.hypot(axis[:, None], axis[None, :])
    return Image.fromarray((np.clip(1.0 - distance, 0.0, 1.0) ** 1.7 * 255).astype(np.uint8))


class Canvas:
    """A picture being drawn; coordinates run from 0 to 1, y downwards."""

    def __init__(self) -> None:
        self.image = Image.new("RGB", (SIDE, SIDE))
        self.draw = ImageDraw.Draw(self.image)

    def polygon(self, points: Points, colour: Colour) -> None:
        """Fill a polygon."""
        self.draw.polygon([(x * SIDE, y * SIDE) for x, y in points], fill=colour)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """Fill an ellipse around (x, y)."""
        self.draw.ellipse(((x - rx) * SIDE, (y - ry) * SIDE, (x + rx) * SIDE, (y + ry) * SIDE), fill=colour)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        """Fill a box; the corners may come in any order."""
        corners = (min(x0, x1) * SIDE, min(y0, y1) * SIDE, max(x0, x1) * SIDE, max(y0, y1) * SIDE)
        self.draw.rectangle(corners, fill=colour)

    def pill(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        """Fill a box whose short sides are round."""
        corners = (x0 * SIDE, y0 * SIDE, x1 * SIDE, y1 * SIDE)
        self.draw.rounded_rectangle(corners, radius=(y1 - y0) / 2 * SIDE, fill=colour)

    def line(self, points: Points, colour: Colour, width: float) -> None:
        """Draw a line of a width given as a part of the side."""
        self.draw.line(
            [(x * SIDE, y * SIDE) for x, y in points], fill=colour, width=max(1, round(width * SIDE)), joint="curve"
        )

    def bands(self, stops: Sequence[tuple[float, Colour]]) -> None:
        """Fill the whole picture with colours that run from stop to stop down the picture."""
        rows = (np.arange(SIDE) + 0.5) / SIDE
        heights = [y for y, _ in stops]
        column = np.stack([np.interp(rows, heights, [c[k] for _, c in stops]) for k in range(3)], axis=1)
        strip = Image.fromarray(np.round(column)[:, None, :].astype(np.uint8))
        self.image.paste(strip.resize((SIDE, SIDE), Image.Resampling.NEAREST))

    def land(self, line: NDArray[np.float64], top: Colour, bottom: Colour, span: float = 0.35) -> None:
        """Fill everything below a ground line, from one colour at the line's highest point to another `span` below."""
        xs = np.linspace(0, SIDE, len(line))
        y0 = max(0, int(float(line.min()) * SIDE) - 1)
        if y0 >= SIDE:
            return
        mask = Image.new("L", (SIDE, SIDE - y0))
        outline = [*zip(xs.tolist(), (line * SIDE - y0).tolist(), strict=True), (SIDE, SIDE - y0), (0, SIDE - y0)]
        ImageDraw.Draw(mask).polygon(outline, fill=255)
        part = np.clip(np.arange(SIDE - y0) / (span * SIDE), 0, 1)[:, None]
        column = np.round(np.array(top) * (1 - part) + np.array(bottom) * part).astype(np.uint8)
        strip = Image.fromarray(column[:, None, :]).resize((SIDE, SIDE - y0), Image.Resampling.NEAREST)
        self.image.paste(strip, (0, y0), mask)

    def glow(self, x: float, y: float, radius: float, colour: Colour, strength: float) -> None:
        """Lay a round, fading light over the picture."""
        side = max(2, round(2 * radius * SIDE))
        mask = _glow_mask().resize((side, side), Image.Resampling.BILINEAR).point(lambda value: round(value * strength))
        self.image.paste(colour, (round((x - radius) * SIDE), round((y - radius) * SIDE)), mask)

    def mist(self, y: float, reach: float, colour: Colour, strength: float) -> None:
        """Lay a veil that is thickest at the height `y` and gone `reach` above and below."""
        rows = (np.arange(SIDE) + 0.5) / SIDE
        column = np.clip(1.0 - np.abs(rows - y) / reach, 0.0, 1.0) ** 0.7 * strength * 255
        mask = Image.fromarray(np.round(column)[:, None].astype(np.uint8)).resize(
            (SIDE, SIDE), Image.Resampling.NEAREST
        )
        self.image.paste(colour, (0, 0), mask)

    def finish(self) -> NDArray[np.uint8]:
        """Average down to the final size: an array of 256 x 256 x 3 bytes."""
        return np.asarray(self.image.reduce(SCALE))
