"""Kinds of parameters: how a field of the recipe is named, bounded, explained, read from text and written as text.

The promise: a value is allowed or it is not; nothing is clamped, rounded or guessed, and what is not allowed gets one
sentence that names the parameter, the value and the rule.
"""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from webui import networks, samplers, seeds
from webui.errors import BadValue, near

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

    def schema(self) -> dict[str, Any]:
        """Describe the values as JSON Schema, with the label, the help and the default."""
        told = {"title": self.label, "description": self.help, **self._values()}
        return told if self.required or self.default is None else {**told, "default": self.default}

    def _values(self) -> dict[str, Any]:
        return {"type": "string"}

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

    def _values(self) -> dict[str, Any]:
        return {"type": "string", "maxLength": self.limit}


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

    def _values(self) -> dict[str, Any]:
        multiple = {"multipleOf": self.step} if self.step > 1 else {}
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum, **multiple}

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
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        return (
            float(value) + 0.0 if self.minimum <= value <= self.maximum else None
        )  # NaN is not; + 0.0 makes −0.0 plain

    def _values(self) -> dict[str, Any]:
        return {"type": "number", "minimum": self.minimum, "maximum": self.maximum}

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

    def _values(self) -> dict[str, Any]:
        return {"type": "string", "enum": [*self.choices]}


@dataclass(frozen=True)
class Switch(Choice):
    """Off or On, which other programs write as False and True; Automatic, where it is a choice, is never written."""

    choices: tuple[str, ...] = ("Off", "On")

    def accept(self, value: object) -> str | None:
        text = str(value).strip().lower() if isinstance(value, str | bool) else ""
        return super().accept({"true": "On", "false": "Off"}.get(text, text))

    def format(self, value: Any) -> str:
        return {"On": "True", "Off": "False"}.get(value, str(value))


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

    def _values(self) -> dict[str, Any]:
        number = {"type": "integer", "format": "uint64", "minimum": 0}  # the format is the bound: no float holds it
        return {"anyOf": [number, {"type": "string", "pattern": "^[0-9]{1,20}$"}]}


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


@dataclass(frozen=True)
class HashList(Text):
    """A list of hashes by name, such as ``ink: 0a1b2c3d4e5f``; stored in one spelling."""

    @property
    def rule(self) -> str:
        return f"a list such as ink: 0a1b2c3d4e5f: names, each with digits of its SHA-256, {self.limit} characters long"

    def accept(self, value: object) -> str | None:
        if not isinstance(value, str) or len(value) > self.limit or _UNSTORABLE.search(value):
            return None
        try:
            return networks.write_hashes(networks.read_hashes(value))
        except ValueError:
            return None


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
