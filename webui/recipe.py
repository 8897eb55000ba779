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

from webui import networks, samplers
from webui.errors import BadRecipe, BadValue, PictureError, near
from webui.fingerprint import Fingerprint
from webui.params import (
    Choice,
    HashList,
    Number,
    Param,
    SamplerName,
    ScheduleName,
    Seed,
    Switch,
    Text,
    Variations,
    Whole,
)

VERSION: Final = 1
"""Version of the JSON form. A reader refuses a newer one instead of guessing."""

PROMPT_LIMIT: Final = 10_000
HASHES_LIMIT: Final = 30_000
"""Enough for every LoRA that fits into a prompt."""


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
            "Whose arithmetic is used where programs differ: A1111 tells the network fractional timesteps, Forge and "
            "ComfyUI the nearest whole one; ComfyUI reads prompts in its own way. All of it: docs/compatibility.md.",
            choices=("A1111", "Forge", "ComfyUI"),
        ),
    ] = "A1111"
    eta: Annotated[
        float,
        Number(
            "Eta", "How much of their noise samplers add between the steps; 0 none.", minimum=0, maximum=1, step=0.01
        ),
    ] = 1.0
    eta_ddim: Annotated[
        float,
        Number("Eta DDIM", "How much noise DDIM adds between the steps: 1 is DDPM.", minimum=0, maximum=1, step=0.01),
    ] = 0.0
    s_noise: Annotated[
        float,
        Number("Sigma noise", "Multiplies the noise that is added between steps.", minimum=0, maximum=2, step=0.001),
    ] = 1.0
    s_churn: Annotated[
        float,
        Number(
            "Sigma churn",
            "How much noise Euler, Heun and DPM2 add before their steps and take away again, over the whole picture.",
            minimum=0,
            maximum=100,
            step=0.01,
        ),
    ] = 0.0
    s_tmin: Annotated[
        float, Number("Sigma tmin", "Churn only from this sigma upwards.", minimum=0, maximum=1000, step=0.01)
    ] = 0.0
    s_tmax: Annotated[
        float, Number("Sigma tmax", "Churn only up to this sigma; 0 is no limit.", minimum=0, maximum=1000, step=0.01)
    ] = 0.0
    sigma_min: Annotated[
        float,
        Number(
            "Schedule min sigma",
            "Where the schedule ends; 0 is the model's own. For Karras, Exponential, Polyexponential, SGM Uniform, "
            "Normal, KL Optimal and Beta.",
            minimum=0,
            maximum=100,
            step=0.001,
        ),
    ] = 0.0
    sigma_max: Annotated[
        float,
        Number(
            "Schedule max sigma",
            "Where the schedule begins; 0 is the model's own. For the same schedules.",
            minimum=0,
            maximum=5000,
            step=0.01,
        ),
    ] = 0.0
    rho: Annotated[
        float,
        Number(
            "Schedule rho", "The exponent of Karras (7) or Polyexponential (1); 0 is its own.", minimum=0, maximum=20
        ),
    ] = 0.0
    discard_penultimate: Annotated[
        str,
        Switch(
            "Discard penultimate sigma",
            "Space one step more and leave out the last sigma but one; Automatic does so for the samplers that the "
            "program under Compatibility does it for.",
            choices=("Automatic", "On", "Off"),
        ),
    ] = "Automatic"
    sgm_noise: Annotated[
        str,
        Switch(
            "SGM noise multiplier",
            "Start with the noise of the formula sqrt(1 + sigma²) instead of sigma; Automatic does so as ComfyUI does, "
            "where Compatibility is ComfyUI.",
            choices=("Automatic", "On", "Off"),
        ),
    ] = "Automatic"
    noise_schedule: Annotated[
        str,
        Choice(
            "Noise Schedule",
            "The noise that the model is taken to be trained on: its own, or rescaled to end in pure noise.",
            choices=("Default", "Zero Terminal SNR"),
        ),
    ] = "Default"
    ngms: Annotated[
        float,
        Number(
            "NGMS",
            "Negative guidance minimum sigma: below it, the negative prompt is left out at every other call.",
            minimum=0,
            maximum=15,
            step=0.01,
        ),
    ] = 0.0
    ngms_all: Annotated[str, Switch("NGMS all steps", "Leave it out at every call below that sigma.")] = "Off"
    skip_early_cfg: Annotated[
        float,
        Number(
            "Skip Early CFG",
            "The share of the steps, from the first, that the negative prompt is left out of.",
            minimum=0,
            maximum=1,
            step=0.01,
        ),
    ] = 0.0

    lora_hashes: Annotated[
        str,
        HashList(
            "Lora hashes",
            "Digits of the SHA-256 of LoRAs. One that is not listed is taken by name; else another file is refused.",
            limit=HASHES_LIMIT,
        ),
    ] = ""
    embedding_hashes: Annotated[
        str,
        HashList(
            "TI hashes", "The same for each embedding (textual inversion) that the prompts name.", limit=HASHES_LIMIT
        ),
    ] = ""

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

    def pinned(self, made: Fingerprint) -> Self:
        """Return a copy that means the very files that a picture was made with, by their hashes."""
        loras, embeddings = networks.of_fingerprint(made).values()
        hashes = {
            "model_hash": made.model_hash[:10],
            "lora_hashes": networks.write_hashes(loras, networks.SHORT),
            "embedding_hashes": networks.write_hashes(embeddings, networks.SHORT),
        }
        return self.but(**{name: digests for name, digests in hashes.items() if digests})

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
        """Return the SHA-256 of the canonical JSON: equal if and only if the recipes are equal.

        What is at its default is left out, so that a recipe keeps its digest when a later version has more fields.
        """
        told = {name: value for name, value in self.to_dict().items() if name not in PARAMS or self._differs(name)}
        canonical = json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def _differs(self, name: str) -> bool:
        return PARAMS[name].required or getattr(self, name) != PARAMS[name].default


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
