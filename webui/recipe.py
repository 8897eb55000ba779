"""The recipe: everything that makes a picture, and nothing else.

The promise: a picture is a function of its recipe. A ``Recipe`` is frozen and complete; what is not in it may not
change a pixel. Each parameter is declared once, as a field with a ``Param`` that carries its label (which is also
its infotext key), its help, its rule and how it is read from text; form, API, command line, infotext, sweeps and the
documentation read these declarations.

Recipes travel as JSON with a version; seeds travel as decimal text, since JSON readers round above 2^53.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from webui import samplers
from webui.errors import BadRecipe, BadValue, PictureError, near
from webui.params import Choice, Number, Param, SamplerName, ScheduleName, Seed, Text, Variations, Whole

VERSION: Final = 1
"""Version of the JSON form. A reader refuses a newer one instead of guessing."""

PROMPT_LIMIT: Final = 10_000


class Recipe(BaseModel):
    """Everything that makes one picture. Frozen; ``but`` gives a changed copy.

    >>> recipe = Recipe.of(prompt="a house by a lake", seed=7)
    >>> recipe.but(prompt="a house by a lake, ducks").seed
    7
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    prompt: Annotated[str, Text("Prompt", "What the picture shows.", limit=PROMPT_LIMIT, lines=3)] = ""
    negative_prompt: Annotated[
        str, Text("Negative prompt", "What to keep out of the picture.", limit=PROMPT_LIMIT, lines=2)
    ] = ""
    steps: Annotated[int, Whole("Steps", "How many steps lead from noise to the picture.", minimum=1, maximum=150)] = 20
    sampler: Annotated[str, SamplerName("Sampler", "The algorithm that takes the steps.")] = "DPM++ 2M"
    schedule: Annotated[
        str, ScheduleName("Schedule type", "How the steps are spaced; Automatic is the sampler's own choice.")
    ] = samplers.AUTOMATIC
    cfg_scale: Annotated[
        float,
        Number("CFG scale", "How strongly the prompt rules; 1 ignores the negative prompt.", minimum=0, maximum=30),
    ] = 7.0
    seed: Annotated[int, Seed("Seed", "The number that the starting noise grows from: same seed, same picture.")]
    width: Annotated[int, Whole("Width", "Width in pixels.", minimum=64, maximum=2048, step=8)] = 512
    height: Annotated[int, Whole("Height", "Height in pixels.", minimum=64, maximum=2048, step=8)] = 512
    model: Annotated[str, Text("Model", "Name of the model in the models folder, or a hub id.")] = "reseed"
    model_hash: Annotated[
        str,
        Text(
            "Model hash",
            "First ten digits of the model's SHA-256. Empty takes the model by name; else another file is refused.",
            limit=64,
        ),
    ] = ""
    clip_skip: Annotated[
        int, Whole("Clip skip", "Which layer of the text encoder is read, from the end.", minimum=1, maximum=12)
    ] = 1
    rng: Annotated[
        str,
        Choice(
            "RNG",
            "Where the noise comes from. NV: 64-bit seeds, the same on every device, equal to NVIDIA cards. "
            "CPU: torch's generator, which reads only the low 32 bits of a seed.",
            choices=("NV", "CPU"),
        ),
    ] = "NV"
    variation_seed: Annotated[
        int, Seed("Variation seed", "A second seed whose noise is mixed into the first one's; see the strength.")
    ] = 0
    variation_strength: Annotated[
        float,
        Number(
            "Variation seed strength",
            "How much of the variation seed's noise is mixed in: 0 none, 1 nothing but it.",
            minimum=0,
            maximum=1,
            step=0.01,
        ),
    ] = 0.0
    variations: Annotated[
        str,
        Variations(
            "Variations",
            "More seeds that are mixed in after the variation seed, each with its strength, such as 12:0.1, 99:0.05.",
        ),
    ] = ""
    variation_noise: Annotated[
        str,
        Choice(
            "Variation noise",
            "Which noise varies: only the starting noise, as in A1111, or that of every step too, so that strength 1 "
            "is the other seed's picture with every sampler.",
            choices=("start", "every step"),
        ),
    ] = "start"
    resize_width: Annotated[
        int,
        Whole(
            "Seed resize from width",
            "Keeps the composition of a picture of another width: its noise is pasted into the centre. 0 is off.",
            minimum=0,
            maximum=2048,
            step=8,
        ),
    ] = 0
    resize_height: Annotated[
        int,
        Whole("Seed resize from height", "The height that goes with it. 0 is off.", minimum=0, maximum=2048, step=8),
    ] = 0
    noise_layout: Annotated[
        str,
        Choice(
            "Noise layout",
            "Where the numbers of the noise stand: plain, row by row as everywhere, or centred, so that pictures of "
            "any size share their middle. Centred needs RNG NV.",
            choices=("plain", "centred"),
        ),
    ] = "plain"
    ensd: Annotated[
        int,
        Whole(
            "ENSD",
            "A number added to the seed for the noise of the steps; 31337 in pictures of NovelAI.",
            minimum=0,
            maximum=2**32 - 1,
        ),
    ] = 0
    emphasis: Annotated[
        str,
        Choice(
            "Emphasis",
            "How weights such as (word:1.2) act: Original restores the mean afterwards, No norm does not, Ignore reads "
            "them and drops them, None takes the brackets literally.",
            choices=("Original", "No norm", "Ignore", "None"),
        ),
    ] = "Original"
    profile: Annotated[
        str,
        Choice(
            "Compatibility",
            "Whose arithmetic is used where programs differ: A1111 tells the network fractional timesteps; Forge and "
            "ComfyUI the nearest whole one, and ComfyUI has its own Beta schedule.",
            choices=("A1111", "Forge", "ComfyUI"),
        ),
    ] = "A1111"

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.noise_layout == "centred" and self.rng != "NV":
            param = PARAMS["noise_layout"]
            raise BadValue("noise_layout", param.label, self.noise_layout, "plain with RNG CPU", "Or choose RNG NV.")
        if bool(self.resize_width) != bool(self.resize_height):
            name = "resize_height" if self.resize_width else "resize_width"
            raise BadValue(name, PARAMS[name].label, 0, "given together with the other side, or both must be 0")
        return self

    @classmethod
    def of(cls, **values: object) -> Self:
        """Make a recipe; raise BadRecipe that names every value that is not allowed, at once."""
        try:
            return cls(**values)
        except ValidationError as error:
            raise BadRecipe(_as_bad_values(error)) from None

    def but(self, **changes: object) -> Self:
        """Return a copy with some values changed; raise BadRecipe like ``of``."""
        return type(self).of(**{**self.values(), **changes})

    def values(self) -> dict[str, Any]:
        """Return the values by name, in order of declaration."""
        return {name: getattr(self, name) for name in type(self).model_fields}

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: the version, and the seed as decimal text."""
        return {"version": VERSION, **self.values(), "seed": str(self.seed)}

    def to_json(self) -> str:
        """Write the recipe as JSON on one line."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read the JSON form; raise PictureError for an unknown version, BadRecipe for values not allowed."""
        version = data.get("version")
        if not isinstance(version, int) or not 1 <= version <= VERSION:
            raise PictureError(
                f"The recipe has version {version!r}; this program reads versions 1 to {VERSION}. "
                "A newer Reseed made it: update to read it."
            )
        return cls.of(**{name: value for name, value in data.items() if name != "version"})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a recipe from JSON; raise PictureError when the text is not a recipe's JSON."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            raise PictureError("The recipe is not readable: it is not JSON.") from None
        if not isinstance(data, dict):
            raise PictureError("The recipe is not readable: it is not a JSON object.")
        return cls.from_dict(data)

    def digest(self) -> str:
        """Return the SHA-256 of the canonical JSON: equal if and only if the recipes are equal."""
        canonical = json.dumps(self.to_dict(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def _as_bad_values(error: ValidationError) -> list[BadValue]:
    found: list[BadValue] = []
    for item in error.errors(include_url=False):
        name = str(item["loc"][0]) if item["loc"] else "recipe"
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, BadValue):
            found.append(cause)
        elif item["type"] == "missing":
            found.append(BadValue(name, PARAMS[name].label, None, f"given: {PARAMS[name].rule}"))
        else:
            rule = f"a parameter of a recipe ({', '.join(PARAMS)})"
            found.append(BadValue(name, f"{name}:", item.get("input"), rule, near(name, PARAMS)))
    return found


def _declared() -> dict[str, Param]:
    params = {}
    for name, field in Recipe.model_fields.items():
        param = next(item for item in field.metadata if isinstance(item, Param))
        params[name] = replace(
            param, name=name, default=None if field.is_required() else field.default, required=field.is_required()
        )
    return params


PARAMS: Final[dict[str, Param]] = _declared()
"""Every parameter of the recipe by name, in order of declaration, with its name and default filled in."""
