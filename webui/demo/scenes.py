"""Illustrated scenes drawn by program: a layout (where) and a content (what) give a picture of 256 x 256.

The promise: `draw_scene` is a pure function. The layout never looks at the words and the words never move the layout,
so two pictures of one layout share their ridges, horizon, sun and slots whatever they show. Pictures like these are
all the demo model has ever seen.

Needs numpy and Pillow only; torch is not imported here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from webui.demo.canvas import SIZE, Canvas
from webui.demo.layout import WIDTH, Layout, Spot, X, at, code_of_seed, make_layout
from webui.demo.palette import CLOUD, DULLNESS, OVERCAST, SUN, Colour, grounds, leaves, lit, mix, sky
from webui.demo.styles import apply_style
from webui.demo.things import draw_birds, draw_cloud, draw_ducks, draw_pine, draw_thing, draw_tree
from webui.demo.words import WATER_PLACES, Content

__all__ = ["SIZE", "Content", "Layout", "code_of_seed", "draw_scene", "far_ridge", "make_layout"]

JAGGED_PLACES = ("mountains", "snow", "lake")
ROUND_PLACES = ("hills", "forest", "desert")
CLOUDS_SHOWN = {"clear": 2, "cloudy": 4, "rain": 4, "snowfall": 3, "fog": 1}
SUN_SHOWS = ("clear", "cloudy", "fog")


def draw_scene(layout: Layout, content: Content) -> NDArray[np.uint8]:
    """Draw a scene as an array of 256 x 256 x 3 bytes."""
    canvas = Canvas()
    _draw_sky(canvas, layout, content)
    _draw_land(canvas, layout, content)
    _draw_front(canvas, layout, content)
    _draw_weather(canvas, layout, content)
    return apply_style(canvas.finish(), content.style)


def far_ridge(layout: Layout, place: str) -> NDArray[np.float64]:
    """Give the height line of the far ridge (y downwards): jagged peaks, round hills or islands, from the same
    peaks."""
    if place in JAGGED_PLACES:
        return np.asarray(layout.horizon - 0.02 - layout.jagged)
    if place in ROUND_PLACES:
        return np.asarray(layout.horizon - 0.02 - 0.6 * layout.smooth)
    return np.asarray(layout.horizon + 0.03 - 0.55 * layout.jagged)


def middle_line(layout: Layout, place: str) -> NDArray[np.float64]:
    """Give the upper edge of the middle ground: the horizon where there is water, hills elsewhere."""
    return np.full(WIDTH, layout.horizon) if place in WATER_PLACES else layout.middle


def _draw_sky(canvas: Canvas, layout: Layout, content: Content) -> None:
    """Sky, sun or moon, stars, clouds and birds."""
    top, middle, low = sky(content)
    canvas.bands([(0.0, top), (layout.horizon * 0.6, middle), (layout.horizon, low)])
    night = content.time == "night"
    if night and content.weather in ("clear", "cloudy"):
        _draw_stars(canvas, layout)
    if content.weather in SUN_SHOWS:
        _draw_sun(canvas, layout, content)
    colour = CLOUD[content.time]
    if content.weather in ("rain", "snowfall"):
        colour = mix(OVERCAST[content.time], (0, 0, 0), 0.22)
    grown = 1.0 if content.weather == "clear" else 1.35
    for spot in layout.clouds[: CLOUDS_SHOWN[content.weather]]:
        draw_cloud(canvas, Spot(spot.x, spot.y, spot.size * grown), colour)
    if content.birds:
        draw_birds(canvas, layout.birds, content)


def _sun_height(layout: Layout, time: str) -> float:
    """The sun stands low at dawn and at sunset, where the layout put it otherwise."""
    sun = layout.sun
    return layout.horizon - 0.10 - 0.25 * (sun.y - 0.10) if time in ("dawn", "sunset") else sun.y


def _draw_sun(canvas: Canvas, layout: Layout, content: Content) -> None:
    """The sun with its glow, or a crescent moon."""
    x, y, r = layout.sun.x, _sun_height(layout, content.time), layout.sun.size
    veiled = DULLNESS[content.weather]
    colour = SUN[content.time]
    night = content.time == "night"
    canvas.glow(x, y, r * (3.2 if night else 4.6), colour, (0.30 if night else 0.55) * (1 - 0.6 * veiled))
    top, middle, _ = sky(content)
    disc = mix(colour, middle, 0.5 * veiled)
    canvas.ellipse(x, y, r, r, disc)
    if night:
        shadow = mix(mix(top, middle, y / (0.6 * layout.horizon)), colour, 0.20 * (1 - 0.6 * veiled))
        canvas.ellipse(x + 0.45 * r, y - 0.22 * r, 0.86 * r, 0.86 * r, shadow)


def _lattice(layout: Layout, columns: int, rows: int) -> list[tuple[float, float, float]]:
    """Give one uneven pattern of points in the unit square with a size each, shifted by the layout's grain."""
    points = []
    for j in range(rows):
        for i in range(columns):
            wobble = (i * 7919 + j * 104729 + i * j * 31) % 997 / 997.0
            other = (i * 6007 + j * 50021 + i * j * 17) % 991 / 991.0
            x = (i + 0.5 * (j % 2) + 0.6 * wobble) / columns + layout.grain[0] / columns
            y = (j + 0.6 * other) / rows + layout.grain[1] / rows * 0.4
            points.append((x % 1.0, y, wobble))
    return points


def _draw_stars(canvas: Canvas, layout: Layout) -> None:
    """Stars above the horizon."""
    for x, y, size in _lattice(layout, 6, 4):
        r = 0.0035 + 0.0045 * size
        canvas.ellipse(x, y * layout.horizon, r, r, (238, 238, 214))


def _draw_land(canvas: Canvas, layout: Layout, content: Content) -> None:
    """Far ridge with its snow, then the middle ground or the water with its light, then the wood."""
    far, middle, _ = grounds(content)
    low = sky(content)[2]
    water = content.place in WATER_PLACES
    ridge = far_ridge(layout, content.place)
    canvas.land(ridge, mix(far, low, 0.18), mix(far, low, 0.45))
    if content.place in JAGGED_PLACES:
        _draw_snowcaps(canvas, layout, ridge, mix(lit((250, 250, 255), content.time), low, 0.1))
    line = middle_line(layout, content.place)
    canvas.land(
        line, mix(middle, low, 0.30 if water else 0.10), middle if water else mix(middle, (0, 0, 0), 0.14), 0.22
    )
    if water:
        _draw_water(canvas, layout, content, middle)
    if content.place == "forest":
        colour = mix(lit((34, 84, 60), content.time), low, 0.06)
        if content.season in ("autumn", "winter", "spring"):
            colour = mix(colour, leaves(content), 0.6)
        for x, depth, size in _lattice(layout, 9, 2):
            foot = at(layout.middle, x) + 0.02 + 0.05 * depth
            draw_pine(canvas, Spot(x, foot, 0.17 + 0.07 * size), colour, colour)


def _draw_snowcaps(canvas: Canvas, layout: Layout, ridge: NDArray[np.float64], colour: Colour) -> None:
    """White tops: the part of the ridge that reaches well above the horizon, down to a wavy line below its edge."""
    height = layout.horizon - ridge
    depth = np.clip((height - 0.13) * 0.9, 0.0, 0.075) * (1.0 + 0.35 * np.sin(X * 90.0))
    lower = ridge + depth
    tall = depth > 0.004
    starts = np.flatnonzero(tall & ~np.roll(tall, 1) | (tall & (np.arange(WIDTH) == 0)))
    for start in starts:
        stop = start
        while stop + 1 < WIDTH and tall[stop + 1]:
            stop += 1
        part = slice(start, stop + 1)
        if stop - start >= 2:
            upper = list(zip(X[part].tolist(), ridge[part].tolist(), strict=True))
            below = list(zip(X[part].tolist(), lower[part].tolist(), strict=True))
            canvas.polygon(upper + below[::-1], colour)


def _draw_water(canvas: Canvas, layout: Layout, content: Content, middle: Colour) -> None:
    """The light of sun or moon on the water, and a few waves."""
    if content.weather in SUN_SHOWS:
        shine = mix(middle, SUN[content.time], 0.62 * (1 - DULLNESS[content.weather]))
        for k in range(6):
            y = layout.horizon + 0.016 + 0.034 * k
            half = layout.sun.size * (0.75 + 0.10 * k + 0.22 * (k % 2))
            canvas.pill(layout.sun.x - half, y, layout.sun.x + half, y + 0.012, shine)
    wave = mix(middle, (255, 255, 255), 0.16)
    for x, y, size in _lattice(layout, 3, 4):
        half = 0.025 + 0.03 * size
        top = layout.horizon + 0.03 + 0.36 * y
        canvas.pill(x - half, top, x + half, top + 0.008, wave)


def _draw_front(canvas: Canvas, layout: Layout, content: Content) -> None:
    """The near ground with all that stands on it; boats float just before the shore."""
    near = grounds(content)[2]
    things = (*reversed(layout.others[: content.number - 1]), layout.thing)
    if content.thing == "boat":
        for spot in things:
            draw_thing(canvas, Spot(spot.x, spot.y - 0.075, spot.size, spot.flip), content)
    canvas.land(layout.near, mix(near, (255, 255, 255), 0.05), mix(near, (0, 0, 0), 0.22), 0.4)
    if content.trees or content.place == "forest":
        for tree in layout.trees:
            draw_tree(canvas, tree, content)
    if content.thing != "boat":
        for spot in things:
            draw_thing(canvas, spot, content)
    if content.flowers:
        _draw_flowers(canvas, layout, content)
    if content.ducks:
        draw_ducks(canvas, layout.ducks, content)


def _draw_flowers(canvas: Canvas, layout: Layout, content: Content) -> None:
    """Flowers in three colours on the near ground, larger towards the viewer."""
    colours = [lit(c, content.time) for c in ((246, 92, 120), (252, 222, 90), (250, 250, 250))]
    for k, (x, y, _) in enumerate(_lattice(layout, 7, 4)):
        edge = at(layout.near, x) + 0.07
        top = edge + y * (1.0 - edge)
        r = 0.008 + 0.009 * y
        canvas.ellipse(x, top, r, r, colours[k % 3])


def _draw_weather(canvas: Canvas, layout: Layout, content: Content) -> None:
    """Fog, rain or falling snow in front of everything."""
    if content.weather == "fog":
        veil = mix(OVERCAST[content.time], (255, 255, 255), 0.08 if content.time == "night" else 0.35)
        canvas.mist(layout.horizon + 0.06, 0.36, veil, 0.78)
    if content.weather == "rain":
        drop = mix(OVERCAST[content.time], (216, 230, 246), 0.55)
        for x, y, size in _lattice(layout, 6, 5):
            long = 0.08 + 0.04 * size
            canvas.line([(x, y), (x - 0.3 * long, y + long)], drop, 0.008)
    if content.weather == "snowfall":
        for x, y, size in _lattice(layout, 7, 6):
            r = 0.009 + 0.007 * size
            canvas.ellipse(x, y, r, r, mix((250, 252, 255), OVERCAST[content.time], 0.1))
