"""Seed traps: what in the form will not keep the composition of the picture whose seed is in it.

The promise: a warning changes nothing, and nothing is said but what is so. Each kind was measured on the bundled model
with ``scripts/measure_speeds.py`` (docs/speeds.md has the figures) or follows from how noise is drawn (docs/seeds.md);
what keeps the composition there, other steps without noise between them or Forge's arithmetic, has no warning.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from webui import samplers
from webui.recipe import PARAMS, Recipe

FIELDS: Final = (
    "model", "width", "height", "resize_width", "resize_height", "rng", "noise_layout", "sampler", "steps", "cfg_scale",
    "eta", "eta_ddim", "s_noise", "s_churn", "s_tmin", "s_tmax", "ensd",
)  # fmt: skip
"""What of a form the warnings look at."""
FEW_STEPS: Final = 5
"""Fewer are too few where the picture took three times as many: 4 instead of 12 keep one of eight compositions."""
FAR_STEPS: Final = 1.5
"""Times another number of steps with noise between them: of Euler a, 12 and 13 keep all compositions, 12 and 24 few."""
FAR_CFG: Final = 4.0
"""Times another CFG scale: 3 and 12 keep none of eight compositions, 3 and 9 five, 3 and 6 seven."""
LATE: Final = ("Restart",)
"""Samplers that add noise from σ = 2 downwards only, where the composition stands."""
FREE: Final = "DPM adaptive"
"""Chooses its own steps, whatever their number."""
_MAYBE: Final = "the composition may be another."


def warnings(parent: Recipe, values: Mapping[str, Any]) -> list[str]:
    """Say what will not keep the composition of ``parent`` when ``values``, by a form's names, are made with its seed.

    What ``values`` do not hold is taken to be the parent's.

    >>> parent = Recipe.of(seed=7, steps=12, sampler="DPM++ 2M")
    >>> warnings(parent, {"steps": 24, "sampler": "Euler"})
    []
    >>> warnings(parent, {"sampler": "Euler a"})[0][:62]
    'Sampler Euler a adds noise between the steps and DPM++ 2M does'
    """
    before = parent.values()
    now = {**before, **{name: values[name] for name in FIELDS if values.get(name) is not None}}
    return [sentence for trap in (_model, _size, _start, _steps, _cfg) for sentence in trap(before, now)]


def adds_noise(values: Mapping[str, Any]) -> bool:
    """Say whether noise is added between the steps while the composition is still open.

    >>> [adds_noise(Recipe.of(seed=7, sampler=name).values()) for name in ("Euler a", "Euler", "Restart")]
    [True, False, False]
    """
    row, options = samplers.sampler(values["sampler"]), samplers.options(values["sampler"])
    if row.name in LATE or not values["s_noise"]:
        return False
    amounts = [values[name] for name in ("eta", "eta_ddim", "s_churn") if name in options]
    return any(amounts) if amounts else row.stochastic


def _model(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    if now["model"] != before["model"]:
        yield f"Another model than {before['model']}, which made the picture, makes another composition of its noise."


def _size(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    size, old = (now["width"], now["height"]), (before["width"], before["height"])
    centred = now["noise_layout"] == before["noise_layout"] == "centred"
    if size != old and not centred and (now["resize_width"], now["resize_height"]) != old:
        yield (
            f"Size {size[0]}×{size[1]} instead of {old[0]}×{old[1]} puts the noise elsewhere: another composition. "
            f"Seed resize from {old[0]} and {old[1]}, under Vary the seed, keeps the noise of its middle."
        )


def _start(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name, does in (("rng", "draws other noise from the seed"), ("noise_layout", "lays the noise out otherwise")):
        if now[name] != before[name]:
            yield f"{PARAMS[name].label} {now[name]} {does} than {before[name]} did: another composition."


def _steps(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    old, new = adds_noise(before), adds_noise(now)
    name, steps = now["sampler"], PARAMS["steps"].label
    told = (*samplers.options(name), "s_noise", *(() if samplers.sampler(name).brownian else ("ensd",)))
    few, many = sorted(1 if name == FREE else values["steps"] for values in (before, now))
    if new and not old:
        yield (
            f"Sampler {name} adds noise between the steps and {before['sampler']} does not: another composition. One "
            "without, such as DPM++ 2M or Euler, keeps it."
        )
    elif old and not new:
        yield f"The picture was made with noise between the steps ({before['sampler']}); without it, it is another one."
    elif new and name != before["sampler"]:
        yield f"Sampler {name} adds other noise between the steps than {before['sampler']}: {_MAYBE}"
    elif new and (changed := [PARAMS[field].label for field in told if now.get(field) != before.get(field)]):
        yield f"Another {' and '.join(changed)} than the picture's is other noise between the steps: {_MAYBE}"
    elif new and many >= FAR_STEPS * few:
        yield f"{name} adds noise between the steps: with {now['steps']} instead of {before['steps']} {_MAYBE}"
    if not new and name != FREE and now["steps"] < FEW_STEPS and 3 * now["steps"] <= before["steps"]:
        yield f"{steps} {now['steps']} instead of {before['steps']}: so few may not reach the same composition."


def _cfg(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    low, high = sorted(max(1.0, values["cfg_scale"]) for values in (before, now))
    if high >= FAR_CFG * low:
        label = PARAMS["cfg_scale"].label
        yield f"{label} {now['cfg_scale']:g} is far from {before['cfg_scale']:g}: the composition may move."
