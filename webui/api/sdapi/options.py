"""A1111's options as far as they mean something here, as ``options`` and ``override_settings`` name them.

The promise: an option is known and acts on the recipe, or is known and cannot be other than it is, or is refused by
name. None is stored without effect, and none outlives the process.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from webui.api import schemas
from webui.errors import BadRecipe, BadValue
from webui.recipe import PARAMS

MODEL: Final = "sd_model_checkpoint"
PLAIN: Final = {
    "CLIP_stop_at_last_layers": "clip_skip", "randn_source": "rng", "eta_noise_seed_delta": "ensd",
    "eta_ancestral": "eta", "eta_ddim": "eta_ddim", "s_churn": "s_churn", "s_tmin": "s_tmin", "s_tmax": "s_tmax",
    "s_noise": "s_noise", "sigma_min": "sigma_min", "sigma_max": "sigma_max", "rho": "rho", "s_min_uncond": "ngms",
    "skip_early_cond": "skip_early_cfg", "sd_noise_schedule": "noise_schedule", "emphasis": "emphasis",
}  # fmt: skip
"""Options that are a field of the recipe."""
SWITCHES: Final = {
    "always_discard_next_to_last_sigma": "discard_penultimate", "sgm_noise_multiplier": "sgm_noise",
    "s_min_uncond_all": "ngms_all",
}  # fmt: skip
"""Options that are true or false, and the field that is On for true and at its default for false."""
FIXED: Final[dict[str, tuple[Any, ...]]] = {
    "samples_format": ("png",),
    "sd_vae": ("Automatic", "None"),
    "enable_pnginfo": (True,),
}
"""Options that are always so, the first the one that is told."""
FIELDS: Final = {MODEL: "model", **PLAIN, **SWITCHES}
KNOWN: Final = (*FIELDS, *FIXED)

Find = Callable[[str], str]
"""Finds a model's name by what a client calls it; raises BadValue."""


def read(given: Mapping[str, Any], find: Find) -> dict[str, Any]:
    """Read options into values of a recipe; raise BadRecipe that names everything unknown or not allowed."""
    values: dict[str, Any] = {}
    problems: list[BadValue] = []
    for name, value in given.items():
        try:
            if name in FIELDS:
                values[FIELDS[name]] = _value(name, value, find)
            elif name not in FIXED:
                raise BadValue(name, f"The option {name}", value, f"one that acts here: {', '.join(KNOWN)}")
            elif not isinstance(value, str | bool) or value not in FIXED[name]:
                raise BadValue(name, name, value, f"{FIXED[name][0]!r}, always")
        except BadValue as problem:
            problems.append(problem)
    if problems:
        raise BadRecipe(problems)
    return values


def _value(name: str, value: object, find: Find) -> Any:
    """Read one option that is a field of the recipe."""
    param = PARAMS[FIELDS[name]]
    if name == MODEL:
        return find(str(param.check(value, name)))
    if name in SWITCHES:
        if not isinstance(value, bool):
            raise BadValue(name, name, value, "true or false")
        return "On" if value else param.default
    if name == "randn_source" and value == "GPU":
        raise BadValue(name, param.label, value, param.rule, "NV gives the numbers of an NVIDIA card.")
    return param.check(value, name)


def told(values: Mapping[str, Any]) -> dict[str, Any]:
    """Say how every option stands; ``values`` are those that were set, and the model, by the recipe's names."""
    stand = {name: values.get(field, PARAMS[field].default) for name, field in FIELDS.items()}
    return {
        **stand,
        **{name: stand[name] == "On" for name in SWITCHES},
        **{name: always[0] for name, always in FIXED.items()},
    }


def schema() -> dict[str, Any]:
    """Describe the options."""
    fixed = {name: {"enum": [*values]} for name, values in FIXED.items()}
    plain = {name: PARAMS[field].schema() for name, field in {MODEL: "model", **PLAIN}.items()}
    return schemas.record({**plain, **dict.fromkeys(SWITCHES, schemas.SWITCH), **fixed})
