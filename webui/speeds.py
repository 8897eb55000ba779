"""Render speeds: Turbo, Default and Quality, each a number of steps and a sampler for a model; nothing else.

A speed is a name for what stands in the form, never a field of a recipe. Default is what the model suggests, Turbo
takes half of its steps and Quality twice as many, all with the model's own sampler. As long as that adds no noise
between the steps, and no sampler that a model suggests here does, the three lead from the same noise to the same
composition: docs/speeds.md has the figures, and ``scripts/measure_speeds.py`` measures them again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from webui.recipe import PARAMS


@dataclass(frozen=True)
class Speed:
    """A render speed: its share of a model's own steps, and what it does, as measured on the bundled model."""

    name: str
    share: float
    about: str


SPEEDS: Final = (
    Speed(
        "Turbo", 0.5, "Half the steps, softer detail. Same seed, mostly the same composition: drift 0.31 from Default."
    ),
    Speed("Default", 1.0, "The model's own steps, which the others are measured against."),
    Speed("Quality", 2.0, "Twice the steps, settled detail. Same seed, same composition: drift 0.02 from Default."),
)
CUSTOM: Final = "Custom"
"""The name of what is none of them."""
ABOUT: Final = {**{speed.name: speed.about for speed in SPEEDS}, CUSTOM: "Steps or a sampler of your own."}
NAMES: Final = tuple(ABOUT)


def settings(name: str, suggested: Mapping[str, Any]) -> dict[str, Any]:
    """Return the steps and the sampler of a speed, from what a model suggests; nothing for ``CUSTOM``.

    >>> settings("Turbo", {"steps": 13, "sampler": "DPM++ 2M"})
    {'steps': 7, 'sampler': 'DPM++ 2M'}
    """
    share = next((speed.share for speed in SPEEDS if speed.name == name), None)
    if share is None:
        return {}
    bounds: Any = PARAMS["steps"]
    steps = int(suggested["steps"] * share + 0.5)
    return {"steps": max(bounds.minimum, min(bounds.maximum, steps)), "sampler": suggested["sampler"]}


def name_of(values: Mapping[str, Any], suggested: Mapping[str, Any]) -> str:
    """Name the speed that a form's steps and sampler are for a model; where two are the same, the model's own.

    >>> name_of({"steps": 24, "sampler": "DPM++ 2M"}, {"steps": 12, "sampler": "DPM++ 2M"})
    'Quality'
    >>> name_of({"steps": 24, "sampler": "Euler"}, {"steps": 12, "sampler": "DPM++ 2M"})
    'Custom'
    """
    found = {name: values.get(name) for name in ("steps", "sampler")}
    return next((name for name in ("Default", *NAMES) if settings(name, suggested) == found), CUSTOM)


def labels(suggested: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Pair each speed's label, with its steps for a model, with its name.

    >>> labels({"steps": 12, "sampler": "DPM++ 2M"})[0]
    ('Turbo · 6', 'Turbo')
    """
    numbers = {name: settings(name, suggested).get("steps") for name in NAMES}
    return [(name if steps is None else f"{name} · {steps}", name) for name, steps in numbers.items()]
