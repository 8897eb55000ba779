"""A1111's txt2img request, read into what the studio takes.

The promise: each field is read, refused with a sentence, or one that A1111's own txt2img passes over, too; what asks
for something that is not here is never made without it. Defaults are A1111's, whatever the model suggests.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from webui import dialects, infotext, samplers, seeds, wildcards, words
from webui.api import schemas
from webui.api.sdapi import options, xyz
from webui.api.sdapi.options import Find
from webui.api.sdapi.xyz import Plot
from webui.api.wire import Refused
from webui.errors import BadRecipe, BadValue
from webui.params import Number, Param, Whole
from webui.recipe import PARAMS
from webui.studio import COUNT

DEFAULTS: Final[dict[str, Any]] = {
    "prompt": "", "negative_prompt": "", "styles": None, "seed": -1, "subseed": -1, "subseed_strength": 0,
    "seed_resize_from_h": -1, "seed_resize_from_w": -1, "sampler_name": None, "scheduler": None, "batch_size": 1,
    "n_iter": 1, "steps": 50, "cfg_scale": 7.0, "width": 512, "height": 512, "restore_faces": None, "tiling": None,
    "do_not_save_samples": False, "do_not_save_grid": False, "eta": None, "denoising_strength": 0.75,
    "s_min_uncond": None, "s_churn": None, "s_tmax": None, "s_tmin": None, "s_noise": None, "override_settings": None,
    "override_settings_restore_afterwards": True, "refiner_checkpoint": None, "refiner_switch_at": None,
    "disable_extra_networks": False, "enable_hr": False, "firstphase_width": 0, "firstphase_height": 0,
    "hr_scale": 2.0, "hr_upscaler": None, "hr_second_pass_steps": 0, "hr_resize_x": 0, "hr_resize_y": 0,
    "hr_checkpoint_name": None, "hr_sampler_name": None, "hr_scheduler": None, "hr_prompt": "",
    "hr_negative_prompt": "", "force_task_id": None, "sampler_index": "Euler", "script_name": None, "script_args": [],
    "send_images": True, "save_images": False, "alwayson_scripts": {}, "infotext": None,
}  # fmt: skip
"""What A1111 takes where a field is left out or null; the answer's ``parameters`` have them."""
PLAIN: Final = {
    "prompt": "prompt", "negative_prompt": "negative_prompt", "steps": "steps", "cfg_scale": "cfg_scale",
    "width": "width", "height": "height", "subseed_strength": "variation_strength", "s_min_uncond": "ngms",
    "s_churn": "s_churn", "s_tmin": "s_tmin", "s_tmax": "s_tmax", "s_noise": "s_noise",
}  # fmt: skip
"""Fields that are a field of the recipe under another name or the same."""
RESIZE: Final = {"seed_resize_from_w": "resize_width", "seed_resize_from_h": "resize_height"}
NAMES: Final = {
    **{field: name for name, field in (*PLAIN.items(), *RESIZE.items())}, "variation_seed": "subseed",
    "sampler": "sampler_name", "schedule": "scheduler", "model": options.MODEL, "count": "n_iter",
}  # fmt: skip
"""What a client calls a field of the recipe."""
_NOT_HERE: Final = {
    "enable_hr": "a second, larger pass (Hires fix) is not here",
    "restore_faces": "restoring faces is not here",
    "tiling": "tiling is not here",
    "disable_extra_networks": "leave the LoRAs out of the prompt instead",
}
"""Fields that must be false, each with the reason."""
_ASKS: Final = {
    "Hires upscale": "enable_hr", "Hires resize": "enable_hr", "Face restoration": "restore_faces",
    "Tiling": "tiling", "Refiner": "refiner_checkpoint",
}  # fmt: skip
"""Keys of an infotext that ask for what is not here, and the field that says against them that it is not wanted."""
_FLAGS: Final = ("do_not_save_samples", "do_not_save_grid", "save_images")
"""True or false, without effect: a picture is always kept, and batches have no grid."""
_DISTILLED: Final = 3.5
"""What Forge's clients send in ``distilled_cfg_scale`` for models that do not read it."""
_FIRST: Final = {
    **{name: param.default for name, param in PARAMS.items() if not param.required},
    **{name: DEFAULTS[name] for name in ("steps", "cfg_scale", "width", "height")},
    "sampler": DEFAULTS["sampler_index"],
}
_COUNTS: Final = tuple(Whole(name, "", minimum=1, maximum=COUNT.maximum) for name in ("batch_size", "n_iter"))
_STRENGTH: Final = Number("denoising_strength", "", minimum=0, maximum=1)
"""Read only with Hires fix, so it has no effect."""
T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """What a request asks for: recipe values with templates for prompts, a seed field, how many pictures, styles.

    ``plot`` is a sweep instead of a batch; ``keep`` are values that the door is to remember for later requests.
    """

    body: Mapping[str, Any]
    values: dict[str, Any]
    seed: str = "-1"
    count: int = 1
    batch: int = 1
    styles: tuple[str, ...] = ()
    images: bool = True
    plot: Plot | None = None
    keep: Mapping[str, Any] | None = None


def read(body: Mapping[str, Any], kept: Mapping[str, Any], find: Find) -> Asked:
    """Read a request; ``kept`` are values of earlier ones or of the options, ``find`` finds models.

    Raises Refused for what is not here and BadRecipe that names everything that is not allowed.
    """
    _refuse_absent(body)
    reader = _Reader(body)
    told = reader.infotext(find)
    given = reader.values()
    settings = reader.settings(find)
    values = {**_FIRST, **kept, **told, **given, **settings}
    if "model" in settings:
        values["model_hash"] = ""  # that of an infotext's model
    subseed = reader.seed("subseed", "variation_seed")
    if values["variation_strength"]:  # without it no variation seed is used, and none is kept
        values["variation_seed"] = subseed or told.get("variation_seed", "-1")
    if (eta := reader.number("eta", "eta")) is not None:  # the one field is DDIM's own eta, too
        values["eta_ddim" if values["sampler"] == "DDIM" else "eta"] = eta
    per, batches = (reader.field(count.label, count) or 1 for count in _COUNTS)
    if per * batches > COUNT.maximum:
        reader.problems.append(
            BadValue("n_iter", "batch_size × n_iter", per * batches, f"at most {COUNT.maximum} pictures")
        )
    plot = reader.attempt(lambda: _plot(body, per * batches))
    first = values.pop("seed", -1)
    asked = Asked(
        body,
        values,
        seed=reader.seed("seed", "seed") or str(first),
        count=per * batches,
        batch=per,
        styles=reader.styles(),
        images=reader.flag("send_images"),
        plot=plot,
        keep=settings if not reader.flag("override_settings_restore_afterwards") else None,
    )
    if reader.problems:
        raise BadRecipe(reader.problems)
    return asked


def _refuse_absent(body: Mapping[str, Any]) -> None:
    """Raise Refused for what this program does not have; what switches it off passes."""
    for name, what in _NOT_HERE.items():
        if body.get(name) is True:
            raise Refused(501, "not_here", f"{name} must be false: {what}.")
    refiner = body.get("refiner_checkpoint")
    if refiner not in (None, "", "None"):
        raise Refused(
            501, "not_here", "refiner_checkpoint must be empty: a second model for the last steps is not here."
        )
    if body.get("distilled_cfg_scale") not in (None, _DISTILLED):
        raise Refused(501, "not_here", "distilled_cfg_scale is not here: models such as Flux read cfg_scale.")
    always = body.get("alwayson_scripts")
    for name, one in always.items() if isinstance(always, dict) else ():
        if _is_on(one):
            raise Refused(422, "script_not_found", f"There is no always-on script {name[:80]!r} here.")
    script = body.get("script_name")
    if isinstance(script, str) and script.strip().lower() not in ("", "none", xyz.NAME):
        raise Refused(422, "script_not_found", f"There is no script {script[:80]!r} here: only {xyz.NAME}.")


def _is_on(script: object) -> bool:
    """Say whether an always-on script is asked to do something; without arguments, or with false alone, it is not."""
    args = script.get("args") if isinstance(script, dict) else script
    return bool(args) and not (isinstance(args, list) and all(one is False or one is None for one in args))


def _plot(body: Mapping[str, Any], count: int) -> Plot | None:
    """Read the script that is asked for, or None."""
    script = body.get("script_name")
    if script is not None and not isinstance(script, str):
        raise BadValue("script_name", "script_name", script, f"text: {xyz.NAME}, or nothing")
    if not script or script.strip().lower() in ("", "none"):
        return None
    if count > 1:
        raise BadValue("n_iter", "batch_size × n_iter", count, "1 with a script", "Take the axis Seed for more.")
    return xyz.read(body.get("script_args"))


class _Reader:
    """Reads the fields of a request and notes what is not allowed, so that everything can be named at once."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body = body
        self.problems: list[BadValue] = []

    def attempt(self, work: Callable[[], T]) -> T | None:
        """Do some work; note what is not allowed and return None."""
        try:
            return work()
        except BadRecipe as error:
            self.problems += error.errors
        except BadValue as problem:
            self.problems.append(problem)
        return None

    def field(self, name: str, param: Param) -> Any:
        """Read a field that is there and not null; None otherwise, and where it is not allowed."""
        value = self.body.get(name)
        return None if value is None else self.attempt(lambda: param.check(value, name))

    def number(self, name: str, field: str) -> Any:
        """Read a field by the rule of a field of the recipe."""
        return self.field(name, PARAMS[field])

    def flag(self, name: str) -> bool:
        """Read true or false."""
        value = self.body.get(name)
        if value is None:
            return bool(DEFAULTS[name])
        if not isinstance(value, bool):
            self.problems.append(BadValue(name, name, value, "true or false"))
        return value is True

    def text(self, name: str) -> str:
        """Read a text; empty where there is none."""
        value = self.body.get(name)
        if value is None or isinstance(value, str):
            return value or ""
        self.problems.append(BadValue(name, name, value, "text"))
        return ""

    def seed(self, name: str, field: str) -> str:
        """Read a seed as a seed field has it: −1 for a random one; empty where the request has none."""
        value = self.body.get(name)
        if value is None:
            return ""
        random = seeds.is_random(value) if isinstance(value, str) else type(value) is int and value == -1
        if random:
            return "-1"
        try:
            return str(PARAMS[field].check(value, name))
        except BadValue as problem:
            self.problems.append(BadValue(name, problem.label, value, seeds.RULE))
            return ""

    def styles(self) -> tuple[str, ...]:
        """Read names of styles; whether there are such, the studio says."""
        value = self.body.get("styles")
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            self.problems.append(BadValue("styles", "Styles", value, "a list of names"))
            return ()
        return tuple(value)

    def settings(self, find: Find) -> dict[str, Any]:
        """Read the options that hold for this request."""
        value = self.body.get("override_settings")
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.problems.append(BadValue("override_settings", "override_settings", value, "an object of options"))
            return {}
        return self.attempt(lambda: options.read(value, find)) or {}

    def infotext(self, find: Find) -> dict[str, Any]:
        """Read the fields that an infotext gives; a field of the request wins, also over one that is not allowed."""
        text = self.text("infotext")
        if not text:
            return {}
        reading = infotext.parse(text)
        for key, name in _ASKS.items():
            if reading.rest.get(key, "False") != "False" and self.body.get(name) is None:
                rest = f"which is not here. Take it out, or send {name} as it is when it is off."
                raise Refused(501, "not_here", f"The infotext asks for {key}, {rest}")
        found = dict(reading.values)
        mine = {field for field, name in NAMES.items() if self.body.get(name) is not None}
        mine |= {"seed"} if self.body.get("seed") is not None else set()
        self.problems += [one for one in reading.problems if one.field not in mine]
        found |= {name: wildcards.escape(found[name]) for name in words.PROMPTS if name in found}
        if "model" in found:
            found["model"] = self.attempt(lambda: find(found["model"]))
        return found

    def values(self) -> dict[str, Any]:
        """Read every field that is a field of the recipe."""
        found = {field: self.number(name, field) for name, field in PLAIN.items()}
        for name, field in RESIZE.items():
            off = type(self.body.get(name)) is int and self.body[name] == -1
            found[field] = 0 if off else self.number(name, field)
        found |= self._sampler()
        self.field("denoising_strength", _STRENGTH)
        for name in (*_NOT_HERE, *_FLAGS):
            if self.body.get(name) is not None and not isinstance(self.body[name], bool):
                self.problems.append(BadValue(name, name, self.body[name], "true or false"))
        always = self.body.get("alwayson_scripts")
        if always is not None and not isinstance(always, dict):
            self.problems.append(BadValue("alwayson_scripts", "alwayson_scripts", always, "an object of scripts"))
        return {field: value for field, value in found.items() if value is not None}

    def _sampler(self) -> dict[str, Any]:
        """Read sampler and schedule; a schedule at the end of a sampler's name counts, as in A1111."""
        field = "sampler_index" if self.body.get("sampler_name") in (None, "") else "sampler_name"
        name, wanted = self.text(field), self.text("scheduler")
        found: dict[str, Any] = {}
        named = None
        if name:
            sampler, named = dialects.sampler(name)
            found["sampler"] = self.attempt(lambda: PARAMS["sampler"].check(sampler, field))
        if wanted:
            schedule = dialects.schedule(wanted)
            found["schedule"] = self.attempt(lambda: PARAMS["schedule"].check(schedule, "scheduler"))
        if named is not None:
            if found.get("schedule", named) not in (named, samplers.AUTOMATIC):
                rule = f"{named} or Automatic beside the sampler {name}"
                self.problems.append(BadValue("scheduler", PARAMS["schedule"].label, wanted, rule))
            found["schedule"] = named
        return found


def schema() -> dict[str, Any]:
    """Describe the request; other members are passed over."""
    kinds = {bool: schemas.SWITCH, str: schemas.TEXT, int: {"type": "integer"}, float: {"type": "number"}}
    described = {name: kinds.get(type(value), {}) for name, value in DEFAULTS.items()}
    counts = {count.label: count.schema() for count in _COUNTS}
    seeds_of = dict.fromkeys(("seed", "subseed"), schemas.SEED)
    lists = {"styles": schemas.listed(schemas.TEXT), "script_args": {"type": "array"}}
    told = {**described, **schemas.named(PLAIN), **counts, **seeds_of, **lists}
    nullable = {name: {"anyOf": [told[name], {"type": "null"}], "default": DEFAULTS[name]} for name in DEFAULTS}
    return schemas.record(nullable, open=True)
