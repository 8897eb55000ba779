"""What a scene can hold: places, times, weathers, styles, seasons, things, colours and small company.

The promise: a `Content` is complete and frozen, and it says nothing about where anything stands; that is the business
of `webui.demo.layout`. Every combination that `settle` lets through can be drawn and can be named in a caption.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, fields

PLACES = ("hills", "lake", "sea", "mountains", "forest", "desert", "snow")
TIMES = ("day", "dawn", "sunset", "night")
WEATHERS = ("clear", "cloudy", "rain", "snowfall", "fog")
STYLES = ("flat", "pastel", "ink", "neon", "vintage", "watercolour")
SEASONS = ("summer", "autumn", "spring", "winter")
THINGS = ("nothing", "house", "castle", "lighthouse", "windmill", "boat", "tent")
COLOURS = ("red", "blue", "yellow", "white", "green", "purple", "orange")
NUMBERS = (1, 2, 3)
"""How many of the main thing there are."""
COMPANY = ("ducks", "birds", "trees", "flowers")
DUCKS = (0, 1, 2, 3)

WATER_PLACES = ("lake", "sea")
EVERGREEN_PLACES = ("desert", "snow", "sea")
"""Places that look alike in every season, so that a season would be a word without a picture."""

DEFAULT_COLOUR = {
    "house": "red",
    "castle": "blue",
    "lighthouse": "red",
    "windmill": "orange",
    "boat": "white",
    "tent": "orange",
}
DEFAULT_PLACE = {"boat": "sea"}
"""Where a thing stands when the words do not say: `hills`, but for these."""


@dataclass(frozen=True)
class Content:
    """What the words of a prompt ask for. The default is a summer day in the hills."""

    place: str = "hills"
    time: str = "day"
    weather: str = "clear"
    style: str = "flat"
    season: str = "summer"
    thing: str = "nothing"
    colour: str = "red"
    number: int = 1
    ducks: int = 0
    birds: bool = False
    trees: bool = False
    flowers: bool = False


CHOICES: dict[str, tuple[object, ...]] = {
    "place": PLACES,
    "time": TIMES,
    "weather": WEATHERS,
    "style": STYLES,
    "season": SEASONS,
    "thing": THINGS,
    "colour": COLOURS,
    "number": NUMBERS,
    **dict.fromkeys(COMPANY, (False, True)),
    "ducks": DUCKS,
}
"""Every field of `Content` with its values in order: the classes a text encoder learns to name."""

WEIGHTS: dict[str, tuple[float, ...]] = {
    "place": (1.2, 1.3, 1.0, 1.1, 0.9, 0.8, 0.8),
    "time": (0.40, 0.17, 0.22, 0.21),
    "weather": (0.58, 0.14, 0.08, 0.08, 0.12),
    "style": (0.60, 0.08, 0.08, 0.08, 0.08, 0.08),
    "season": (0.60, 0.15, 0.12, 0.13),
    "thing": (0.16, 0.22, 0.17, 0.12, 0.11, 0.12, 0.10),
    "colour": (1.3, 1.1, 1.0, 0.9, 0.9, 0.9, 1.0),
    "number": (0.64, 0.20, 0.16),
    "ducks": (0.70, 0.09, 0.10, 0.11),
    "birds": (0.80, 0.20),
    "trees": (0.72, 0.28),
    "flowers": (0.85, 0.15),
}


def settle(content: Content) -> Content:
    """Change what cannot be drawn: a boat needs water, some places have no seasons, sand grows no
    flowers, and pen strokes would drown in rain drawn by pen strokes.

    >>> settle(Content(place="desert", season="winter", thing="boat")).place
    'sea'
    """
    values = {f.name: getattr(content, f.name) for f in fields(Content)}
    if values["thing"] == "boat" and values["place"] not in WATER_PLACES:
        values["place"] = "sea"
    if values["place"] in EVERGREEN_PLACES:
        values["season"] = "summer"
    if values["place"] in EVERGREEN_PLACES or values["season"] == "winter":
        values["flowers"] = False
    if values["place"] == "sea":
        values["trees"] = False
    if values["style"] == "ink" and values["weather"] in ("rain", "snowfall"):
        values["weather"] = "cloudy"
    if values["thing"] == "nothing":
        values["colour"], values["number"] = Content.colour, Content.number
    return Content(**values)


def draw_content(rng: random.Random) -> Content:
    """Draw the content of one training picture; small company is kept small so that large things stay in sight."""
    values = {name: rng.choices(CHOICES[name], WEIGHTS[name])[0] for name in CHOICES}
    return settle(Content(**values))  # type: ignore[arg-type]


def labels(content: Content) -> tuple[int, ...]:
    """Give the class index of every field, in the order of `CHOICES`."""
    return tuple(CHOICES[name].index(getattr(content, name)) for name in CHOICES)


def content_of(indices: tuple[int, ...]) -> Content:
    """Rebuild a content from its class indices.

    >>> content_of(labels(Content(thing="castle"))).thing
    'castle'
    """
    values = {name: CHOICES[name][i] for name, i in zip(CHOICES, indices, strict=True)}
    return Content(**values)  # type: ignore[arg-type]
