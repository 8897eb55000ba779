"""The colours of the demo scenes: skies, grounds and lights by the words of the scene.

The promise: colours depend on the words alone, never on the layout.
"""

from __future__ import annotations

from webui.demo.words import Content

Colour = tuple[int, int, int]

SKY: dict[str, tuple[Colour, Colour, Colour]] = {
    "day": ((64, 142, 222), (160, 208, 242), (226, 240, 246)),
    "dawn": ((110, 126, 190), (232, 168, 178), (254, 222, 178)),
    "sunset": ((70, 48, 112), (226, 92, 76), (255, 190, 86)),
    "night": ((8, 12, 38), (20, 32, 78), (46, 64, 118)),
}
OVERCAST: dict[str, Colour] = {
    "day": (176, 188, 200),
    "dawn": (190, 170, 176),
    "sunset": (150, 110, 112),
    "night": (34, 40, 60),
}
DULLNESS = {"clear": 0.0, "cloudy": 0.3, "rain": 0.75, "snowfall": 0.6, "fog": 0.5}
SUN: dict[str, Colour] = {
    "day": (255, 240, 160),
    "dawn": (255, 226, 170),
    "sunset": (255, 220, 110),
    "night": (240, 240, 220),
}
CLOUD: dict[str, Colour] = {
    "day": (255, 255, 255),
    "dawn": (255, 214, 206),
    "sunset": (246, 150, 120),
    "night": (66, 80, 124),
}

GROUND: dict[str, tuple[Colour, Colour, Colour]] = {
    "mountains": ((112, 126, 158), (100, 154, 98), (62, 116, 66)),
    "hills": ((122, 172, 118), (108, 172, 92), (70, 132, 64)),
    "forest": ((96, 138, 124), (62, 116, 84), (40, 84, 54)),
    "sea": ((120, 138, 160), (40, 118, 172), (230, 208, 158)),
    "lake": ((118, 132, 164), (70, 140, 190), (86, 142, 76)),
    "desert": ((200, 150, 112), (236, 194, 126), (216, 158, 88)),
    "snow": ((150, 168, 200), (214, 226, 242), (244, 248, 252)),
}
"""Far ridge, middle ground (water at the sea and the lake) and near ground by day."""

LEAVES: dict[str, Colour] = {
    "summer": (48, 112, 64),
    "autumn": (224, 110, 34),
    "spring": (246, 168, 192),
    "winter": (214, 226, 236),
}
TINT: dict[str, tuple[Colour, float]] = {
    "summer": ((0, 0, 0), 0.0),
    "autumn": ((212, 128, 44), 0.62),
    "spring": ((172, 222, 108), 0.34),
    "winter": ((240, 245, 250), 0.80),
}
LIGHT: dict[str, tuple[tuple[float, float, float], Colour, float]] = {
    "day": ((1.0, 1.0, 1.0), (0, 0, 0), 0.0),
    "dawn": ((0.92, 0.80, 0.84), (255, 190, 170), 0.14),
    "sunset": ((0.74, 0.54, 0.58), (240, 96, 60), 0.16),
    "night": ((0.24, 0.29, 0.44), (14, 22, 60), 0.18),
}
"""What the hour does to a colour: a factor for each channel, then so much of a veil."""

PAINT: dict[str, Colour] = {
    "red": (205, 52, 44),
    "blue": (48, 98, 200),
    "yellow": (244, 200, 56),
    "white": (244, 242, 236),
    "green": (48, 146, 84),
    "purple": (132, 70, 170),
    "orange": (240, 130, 40),
}
WINDOW_LIT: Colour = (255, 214, 110)


def mix(a: Colour, b: Colour, part: float) -> Colour:
    """Go from one colour towards another.

    >>> mix((0, 0, 0), (100, 200, 50), 0.5)
    (50, 100, 25)
    """
    return (
        round(a[0] + (b[0] - a[0]) * part),
        round(a[1] + (b[1] - a[1]) * part),
        round(a[2] + (b[2] - a[2]) * part),
    )


def lit(colour: Colour, time: str) -> Colour:
    """Show a colour in the light of an hour."""
    factor, veil, part = LIGHT[time]
    return mix((round(colour[0] * factor[0]), round(colour[1] * factor[1]), round(colour[2] * factor[2])), veil, part)


def painted(colour: Colour, time: str) -> Colour:
    """Show a painted thing: it keeps more of its own colour than the land does, so that a red roof is red at night."""
    return mix(lit(colour, time), colour, 0.34 if time == "night" else 0.2)


def sky(content: Content) -> tuple[Colour, Colour, Colour]:
    """Give the sky's colours at the top, in the middle and at the horizon."""
    top, middle, low = SKY[content.time]
    grey, part = OVERCAST[content.time], DULLNESS[content.weather]
    return mix(top, grey, part), mix(middle, grey, part), mix(low, grey, part)


def grounds(content: Content) -> tuple[Colour, Colour, Colour]:
    """Give the far, middle and near colours of the land, lit and in season; water knows no season."""
    far, middle, near = GROUND[content.place]
    tint, part = TINT[content.season]
    if content.place != "lake":
        middle = mix(middle, tint, part)
    near = mix(near, tint, part)
    if content.season == "winter":
        far = mix(far, tint, 0.3)
    return lit(far, content.time), lit(middle, content.time), lit(near, content.time)


def leaves(content: Content) -> Colour:
    """Give the colour of the leaves."""
    colour = LEAVES[content.season]
    if content.place == "snow":
        colour = (116, 150, 148)
    if content.place == "desert":
        colour = (70, 128, 72)
    return lit(colour, content.time)
