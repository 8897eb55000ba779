"""How each thing of a demo scene is drawn: buildings, boats, tents, trees, ducks, birds and clouds.

The promise: a thing keeps inside the width and height that its spot gives it, whatever the words are; only colours
change with the hour and the season.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from webui.demo.canvas import Canvas
from webui.demo.layout import Spot
from webui.demo.palette import PAINT, WINDOW_LIT, Colour, leaves, lit, mix, painted
from webui.demo.words import Content


@dataclass(frozen=True)
class Pen:
    """Draws at a spot, in the spot's own units: (0, 0) is its foot, 1 its size, x mirrored if it faces the other
    way."""

    canvas: Canvas
    spot: Spot
    content: Content

    def x(self, x: float) -> float:
        """Place an x of the thing in the picture."""
        return self.spot.x + (-x if self.spot.flip else x) * self.spot.size

    def y(self, y: float) -> float:
        """Place a y of the thing in the picture."""
        return self.spot.y + y * self.spot.size

    def shape(self, points: list[tuple[float, float]], colour: Colour) -> None:
        """Fill a polygon."""
        self.canvas.polygon([(self.x(x), self.y(y)) for x, y in points], colour)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        """Fill a box."""
        self.canvas.box(self.x(x0), self.y(y0), self.x(x1), self.y(y1), colour)

    def oval(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """Fill an ellipse."""
        self.canvas.ellipse(self.x(x), self.y(y), rx * self.spot.size, ry * self.spot.size, colour)

    def paint(self, colour: Colour) -> Colour:
        """Show a colour in the light of the scene."""
        return painted(colour, self.content.time)

    @property
    def main(self) -> Colour:
        """The colour that the words give the thing."""
        return self.paint(PAINT[self.content.colour])

    @property
    def window(self) -> Colour:
        """Lit after sunset, dark by day."""
        return WINDOW_LIT if self.content.time in ("night", "sunset") else self.paint((86, 106, 140))


def draw_house(pen: Pen) -> None:
    """A gabled house with a coloured roof, a door and two windows."""
    wall, trim = pen.paint((240, 228, 206)), pen.paint((120, 78, 56))
    pen.box(0.20, -1.02, 0.34, -0.60, trim)
    pen.box(-0.46, -0.50, 0.46, 0.06, wall)
    pen.shape([(-0.60, -0.46), (0.60, -0.46), (0.34, -0.94), (-0.34, -0.94)], pen.main)
    pen.box(-0.09, -0.30, 0.11, 0.06, trim)
    pen.box(-0.37, -0.36, -0.18, -0.16, pen.window)
    pen.box(0.20, -0.36, 0.39, -0.16, pen.window)


def draw_castle(pen: Pen) -> None:
    """A wall with battlements, three towers and coloured, pointed roofs."""
    stone, shade = pen.paint((182, 180, 190)), pen.paint((150, 148, 162))
    pen.box(-0.50, -0.52, 0.50, 0.06, stone)
    for k in range(5):
        pen.box(-0.46 + 0.20 * k, -0.60, -0.36 + 0.20 * k, -0.51, stone)
    for x, top, half in ((-0.50, -0.84, 0.16), (0.50, -0.84, 0.16), (0.0, -1.02, 0.19)):
        pen.box(x - half, top, x + half, 0.06, shade)
        pen.shape([(x - half * 1.35, top), (x + half * 1.35, top), (x, top - 0.40)], pen.main)
        pen.box(x - 0.055, top + 0.12, x + 0.055, top + 0.30, pen.window)
    pen.box(-0.11, -0.30, 0.11, 0.06, pen.paint((86, 60, 44)))


def draw_lighthouse(pen: Pen) -> None:
    """A white tower with coloured rings, a lamp that always shines, and a cap."""
    pen.shape([(-0.24, 0.06), (0.24, 0.06), (0.15, -1.04), (-0.15, -1.04)], pen.paint((244, 242, 236)))
    for low, high in ((-0.10, -0.32), (-0.54, -0.76)):
        near, far = 0.2345 + 0.0818 * low, 0.2345 + 0.0818 * high
        pen.shape([(-near, low), (near, low), (far, high), (-far, high)], pen.main)
    pen.box(-0.20, -1.09, 0.20, -1.02, pen.paint((70, 70, 80)))
    pen.box(-0.12, -1.27, 0.12, -1.09, (255, 232, 150))
    pen.shape([(-0.19, -1.26), (0.19, -1.26), (0.0, -1.46)], pen.main)


def draw_windmill(pen: Pen) -> None:
    """A round mill with a coloured cap and four broad sails."""
    pen.shape([(-0.28, 0.06), (0.28, 0.06), (0.18, -0.70), (-0.18, -0.70)], pen.paint((238, 228, 212)))
    pen.shape([(-0.24, -0.69), (0.24, -0.69), (0.0, -1.0)], pen.main)
    pen.box(-0.08, -0.24, 0.08, 0.06, pen.paint((110, 72, 50)))
    blade = pen.paint((124, 98, 78))
    for k in range(4):
        c, s = math.cos(0.55 + math.pi / 2 * k), math.sin(0.55 + math.pi / 2 * k)
        corners = ((0.0, 0.03), (0.0, -0.03), (0.14, -0.03), (0.66, -0.16), (0.66, 0.03))
        pen.shape([(c * u - s * v, -0.74 + s * u + c * v) for u, v in corners], blade)


def draw_boat(pen: Pen) -> None:
    """A sailing boat: a brown hull, a white fore sail and a coloured main sail."""
    pen.box(-0.025, -1.05, 0.025, -0.10, pen.paint((90, 60, 44)))
    pen.shape([(0.05, -1.02), (0.05, -0.18), (0.56, -0.18)], pen.main)
    pen.shape([(-0.05, -0.90), (-0.05, -0.18), (-0.42, -0.18)], pen.paint((250, 246, 236)))
    pen.shape([(-0.62, -0.13), (0.62, -0.13), (0.42, 0.10), (-0.44, 0.10)], pen.paint((118, 72, 46)))


def draw_tent(pen: Pen) -> None:
    """A coloured tent with an open front, lit from inside at night."""
    inside = (255, 206, 110) if pen.content.time == "night" else pen.paint((70, 50, 46))
    pen.shape([(-0.66, 0.06), (0.66, 0.06), (0.0, -0.72)], pen.main)
    pen.shape([(0.20, 0.06), (0.66, 0.06), (0.0, -0.72)], mix(pen.main, (0, 0, 0), 0.22))
    pen.shape([(-0.22, 0.06), (0.20, 0.06), (0.0, -0.50)], inside)


THING_DRAWERS: dict[str, Callable[[Pen], None]] = {
    "house": draw_house,
    "castle": draw_castle,
    "lighthouse": draw_lighthouse,
    "windmill": draw_windmill,
    "boat": draw_boat,
    "tent": draw_tent,
}


def draw_thing(canvas: Canvas, spot: Spot, content: Content) -> None:
    """Draw the main thing, if the words name one."""
    if content.thing in THING_DRAWERS:
        THING_DRAWERS[content.thing](Pen(canvas, spot, content))


def draw_tree(canvas: Canvas, spot: Spot, content: Content) -> None:
    """Draw the tree that grows in such a place: a pine, a cactus or a round crown."""
    pen = Pen(canvas, spot, content)
    leaf, trunk = leaves(content), lit((96, 66, 46), content.time)
    if content.place == "desert":
        pen.box(-0.09, -0.90, 0.09, 0.02, leaf)
        pen.box(-0.34, -0.44, -0.09, -0.30, leaf)
        pen.box(-0.34, -0.68, -0.21, -0.30, leaf)
        pen.box(0.09, -0.58, 0.34, -0.44, leaf)
        pen.box(0.21, -0.82, 0.34, -0.44, leaf)
        return
    if content.place in ("mountains", "snow", "forest") and content.season in ("summer", "winter"):
        draw_pine(canvas, spot, leaf, trunk)
        return
    pen.box(-0.06, -0.40, 0.06, 0.03, trunk)
    pen.oval(-0.18, -0.58, 0.26, 0.24, leaf)
    pen.oval(0.18, -0.60, 0.26, 0.24, leaf)
    pen.oval(0.0, -0.76, 0.28, 0.26, leaf)


def draw_pine(canvas: Canvas, spot: Spot, leaf: Colour, trunk: Colour) -> None:
    """Draw a fir of three skirts."""
    x, y, s = spot.x, spot.y, spot.size
    canvas.box(x - 0.05 * s, y - 0.2 * s, x + 0.05 * s, y + 0.03 * s, trunk)
    for low, high, half in ((-0.12, -0.56, 0.34), (-0.40, -0.80, 0.27), (-0.64, -1.04, 0.19)):
        canvas.polygon([(x - half * s, y + low * s), (x + half * s, y + low * s), (x, y + high * s)], leaf)


def draw_ducks(canvas: Canvas, spot: Spot, content: Content) -> None:
    """Draw as many yellow ducks as the words name, in a row: the middle one first, then before and behind it."""
    body, wing = painted((250, 222, 84), content.time), painted((222, 178, 56), content.time)
    beak = painted((240, 126, 40), content.time)
    for k in sorted((0, 1, -1)[: content.ducks]):
        x = spot.x + k * 3.1 * spot.size
        pen = Pen(canvas, Spot(x, spot.y + 0.012 * k, spot.size, spot.flip), content)
        pen.oval(0.0, -0.10, 1.05, 0.50, body)
        pen.shape([(-0.85, -0.30), (-1.30, -0.62), (-0.55, -0.50)], body)
        pen.shape([(1.00, -0.98), (1.00, -0.66), (1.55, -0.76)], beak)
        pen.oval(0.72, -0.80, 0.44, 0.44, body)
        pen.oval(-0.15, -0.08, 0.58, 0.28, wing)
        pen.oval(0.84, -0.90, 0.11, 0.11, (24, 24, 28))


def draw_birds(canvas: Canvas, spot: Spot, content: Content) -> None:
    """Draw three birds in the sky, as two strokes of the pen each."""
    colour = (206, 214, 232) if content.time == "night" else (40, 44, 58)
    for dx, dy, size in ((0.0, 0.0, 1.0), (0.115, 0.045, 0.8), (-0.10, 0.06, 0.7)):
        x, y, s = spot.x + dx, spot.y + dy, spot.size * size
        canvas.line(
            [
                (x - s, y - 0.45 * s),
                (x - 0.4 * s, y - 0.5 * s),
                (x, y),
                (x + 0.4 * s, y - 0.5 * s),
                (x + s, y - 0.45 * s),
            ],
            colour,
            0.009,
        )


def draw_cloud(canvas: Canvas, spot: Spot, colour: Colour) -> None:
    """Draw a cloud of four bows on a flat foot."""
    x, y, s = spot.x, spot.y, spot.size
    for dx, r in ((-0.55, 0.30), (-0.12, 0.44), (0.36, 0.36), (0.70, 0.22)):
        canvas.ellipse(x + dx * s, y - 0.16 * s, r * s, r * s, colour)
    canvas.pill(x - 0.95 * s, y - 0.12 * s, x + 1.0 * s, y + 0.20 * s, colour)
