"""The recipe: everything that makes a picture, and nothing else.

The promise: a picture is a function of its recipe. A ``Recipe`` is frozen and complete; what is not in it may not
change a pixel. Each parameter is declared once, as a field with a ``Param`` that carries its label (which is also
its infotext key), its help, its rule and how it is read from text; form, API, command line, infotext, sweeps and the
documentation read these declarations.

Recipes travel as JSON with a version; seeds travel as decimal text, since JSON readers round above 2^53.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

from webui import samplers, seeds
from webui.errors import BadRecipe, BadValue, PictureError, near

VERSION: Final = 1
"""Version of the JSON form. A reader refuses a newer one instead of guessing."""

PROMPT_LIMIT: Final = 10_000

_WHOLE = re.compile(r"-?[0-9]{1,20}\Z")
_NUMBER = re.compile(r"[-+]?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][-+]?[0-9]{1,3})?\Z")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True)
class Param:
    """How a field of the recipe is named, bounded and explained.

    ``label`` is what a person sees and the infotext key. ``name`` and ``default`` are filled in from the field;
    ``required`` says that there is no default.
    """

    label: str
    help: str
    name: str = ""
    default: Any = None
    required: bool = False

    @property
    def rule(self) -> str:
        """The phrase that completes "must be …"."""
        raise NotImplementedError

    def accept(self, value: object) -> Any:
        """Return the value in its stored form, or None when it is not allowed."""
        raise NotImplementedError

    def hint(self, value: object) -> str:
        """Say what to do about a value that is not allowed, or nothing."""
        return ""

    def check(self, value: object, name: str | None = None) -> Any:
        """Return the value in its stored form; raise BadValue when it is not allowed."""
        accepted = self.accept(value)
        if accepted is None:
            raise BadValue(name or self.name, self.label, value, self.rule, self.hint(value))
        return accepted

    def parse(self, text: str) -> Any:
        """Read the value from text, as a command line or an infotext gives it; raise BadValue."""
        return self.check(text)

    def format(self, value: Any) -> str:
        """Write the value as text that ``parse`` reads back."""
        return str(value)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(lambda value, info: self.check(value, info.field_name))


@dataclass(frozen=True)
class Text(Param):
    """A text of at most ``limit`` characters that every file format can store."""

    limit: int = 255
    lines: int = 1

    @property
    def rule(self) -> str:
        return f"text of at most {self.limit} characters without NUL or unpaired surrogate characters"

    def accept(self, value: object) -> str | None:
        if not isinstance(value, str) or len(value) > self.limit or _UNSTORABLE.search(value):
            return None
        return value.replace("\r\n", "\n").replace("\r", "\n")

    def hint(self, value: object) -> str:
        return f"It has {len(value)} characters." if isinstance(value, str) and len(value) > self.limit else ""


@dataclass(frozen=True)
class Whole(Param):
    """A whole number from ``minimum`` to ``maximum``, a multiple of ``step`` counted from 0."""

    minimum: int = 0
    maximum: int = 0
    step: int = 1

    @property
    def rule(self) -> str:
        multiple = f" and a multiple of {self.step}" if self.step > 1 else ""
        return f"a whole number from {self.minimum} to {self.maximum}{multiple}"

    def accept(self, value: object) -> int | None:
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # a slider in a browser has no integers
        if not isinstance(value, int) or isinstance(value, bool):
            return None
        return value if self.minimum <= value <= self.maximum and value % self.step == 0 else None

    def hint(self, value: object) -> str:
        if self.step == 1 or not isinstance(value, int) or not self.minimum <= value <= self.maximum:
            return ""
        below = value - value % self.step
        return f"Nearest: {below} or {below + self.step}."

    def parse(self, text: str) -> int:
        stripped = text.strip()
        return self.check(int(stripped) if _WHOLE.match(stripped) else text)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Number(Param):
    """A finite number from ``minimum`` to ``maximum``; ``step`` is the form's, any value between is allowed."""

    minimum: float = 0.0
    maximum: float = 0.0
    step: float = 0.1

    @property
    def rule(self) -> str:
        return f"a number from {self.minimum:g} to {self.maximum:g}"

    def accept(self, value: object) -> float | None:
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            return None
        return float(value) + 0.0 if self.minimum <= value <= self.maximum else None  # + 0.0 makes −0.0 plain 0.0

    def parse(self, text: str) -> float:
        stripped = text.strip()
        return self.check(float(stripped) if _NUMBER.match(stripped) else text)  # type: ignore[no-any-return]

    def format(self, value: Any) -> str:
        short = f"{value:g}"
        return short if float(short) == value else repr(float(value))


@dataclass(frozen=True)
class Choice(Param):
    """One of a few names; ``choices`` in the order of the form."""

    choices: tuple[str, ...] = ()

    @property
    def rule(self) -> str:
        return f"one of {', '.join(self.choices)}"

    def accept(self, value: object) -> str | None:
        if not isinstance(value, str):
            return None
        return next((choice for choice in self.choices if choice.lower() == value.strip().lower()), None)

    def hint(self, value: object) -> str:
        return near(value, self.choices) if isinstance(value, str) else ""


@dataclass(frozen=True)
class SamplerName(Choice):
    """A sampler's name or alias."""

    choices: tuple[str, ...] = samplers.sampler_names()

    def accept(self, value: object) -> str | None:
        if not isinstance(value, str):
            return None
        try:
            return samplers.sampler(value).name
        except BadValue:
            return None


@dataclass(frozen=True)
class ScheduleName(Choice):
    """A schedule's name or alias."""

    choices: tuple[str, ...] = samplers.schedule_names()

    def accept(self, value: object) -> str | None:
        if not isinstance(value, str):
            return None
        try:
            return samplers.schedule(value)
        except BadValue:
            return None


@dataclass(frozen=True)
class Seed(Param):
    """A settled seed: an integer from 0 to 2^64−1, or its decimal text. Never −1."""

    @property
    def rule(self) -> str:
        return f"a whole number from 0 to {seeds.MAXIMUM}"

    def accept(self, value: object) -> int | None:
        if isinstance(value, str):
            try:
                return seeds.parse(value)
            except BadValue:
                return None
        if not isinstance(value, int) or isinstance(value, bool):
            return None
        return value if 0 <= value <= seeds.MAXIMUM else None


@dataclass(frozen=True)
class Variations(Text):
    """A list of seeds with strengths, such as ``12:0.1, 99:0.05``; stored in one spelling."""

    @property
    def rule(self) -> str:
        return "a list such as 12:0.1, 99:0.05: seeds, each with a strength from 0 to 1"

    def accept(self, value: object) -> str | None:
        if not isinstance(value, str) or len(value) > self.limit:
            return None
        try:
            return ", ".join(f"{seed}:{strength:.10g}" for seed, strength in variations(value))
        except ValueError:
            return None

    def hint(self, value: object) -> str:
        return ""


def variations(text: str) -> list[tuple[int, float]]:
    """Read a list of seeds with strengths; raise ValueError when it is none.

    >>> variations("12:0.1, 99:0.05")
    [(12, 0.1), (99, 0.05)]
    """
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        seed, _, strength = part.partition(":")
        if not _NUMBER.match(strength.strip()) or not 0 <= float(strength) <= 1:
            raise ValueError(part)
        found.append((seeds.parse(seed), float(strength)))
    return found


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
            "More seeds that are mixed in after the variation seed, each with its strength: 12:0.1, 99:0.05",
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
