"""Infotext: the text that A1111 and its relatives write into pictures, read and written.

::

    the prompt, over one or more lines
    Negative prompt: what to keep out
    Steps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7, Seed: 42, Size: 512x512, …

Infotext is for other programs: our own pictures carry the recipe as JSON, which wins. Reading is total and takes
linear time; what is understood becomes values, everything else is kept in ``rest`` and can be shown. A value that a
recipe does not allow is never replaced by a default: it is listed in ``problems`` with its sentence.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from webui import samplers
from webui.errors import BadValue
from webui.recipe import PARAMS, Recipe

NEGATIVE: Final = "Negative prompt:"

_ORDER: Final = ("steps", "sampler", "schedule", "cfg_scale", "seed", "size", "model_hash", "model", "clip_skip", "rng")
_KEY = re.compile(r"\s*([A-Za-z0-9_][\w \-/]{0,60}?)\s*:\s?", re.ASCII)
_SIZE = re.compile(r"([0-9]{1,5})\s*[xX×]\s*([0-9]{1,5})\Z")
_NEEDS_QUOTES = re.compile(r'[,:\n"]')
_OLD_NAMES: Final = {"Schedule": "Schedule type", "Cfg scale": "CFG scale", "CFG Scale": "CFG scale"}


@dataclass(frozen=True)
class Reading:
    """What an infotext says: values by the recipe's field names, the rest by their keys, and what was not allowed."""

    values: dict[str, Any] = field(default_factory=dict)
    rest: dict[str, str] = field(default_factory=dict)
    problems: tuple[BadValue, ...] = ()


def format(recipe: Recipe, extras: Mapping[str, str] | None = None) -> str:
    """Write a recipe as infotext; ``extras`` are further keys, appended in their order.

    >>> print(format(Recipe.of(prompt="a lake", seed=7), {"Version": "reseed 1"}))
    a lake
    Steps: 20, Sampler: DPM++ 2M, Schedule type: Automatic, CFG scale: 7, Seed: 7, Size: 512x512, Model: reseed, \
RNG: NV, Version: reseed 1
    """
    pairs: dict[str, str] = {}
    for name in _ORDER:
        if name == "size":
            pairs["Size"] = f"{recipe.width}x{recipe.height}"
            continue
        param, value = PARAMS[name], getattr(recipe, name)
        # As A1111 does: a clip skip of 1 and an empty hash are not written.
        if (name == "clip_skip" and value == 1) or value == "":
            continue
        pairs[param.label] = param.format(value)
    pairs.update(extras or {})
    lines = [recipe.prompt] if recipe.prompt else []
    if recipe.negative_prompt:
        lines.append(f"{NEGATIVE} {recipe.negative_prompt}")
    lines.append(", ".join(f"{key}: {_quoted(value)}" for key, value in pairs.items()))
    return "\n".join(lines)


def parse(text: str) -> Reading:
    """Read an infotext. Never raises; a text without parameters is a prompt.

    >>> reading = parse("a lake\\nNegative prompt: fog\\nSteps: 8, Sampler: DPM++ 2M Karras, Seed: 7, Size: 64x128")
    >>> reading.values["sampler"], reading.values["schedule"], reading.values["seed"], reading.values["height"]
    ('DPM++ 2M', 'Karras', 7, 128)
    """
    lines = text.replace("\r\n", "\n").strip("\n").split("\n")
    pairs = dict(_pairs(lines[-1]))
    # A last line of prose may hold colons too: it is parameters only when it names steps and a seed or a sampler.
    if "Steps" in pairs and ("Seed" in pairs or "Sampler" in pairs):
        lines.pop()
    else:
        pairs = {}
    start = next((at for at, line in enumerate(lines) if line.startswith(NEGATIVE)), len(lines))
    prompt = "\n".join(lines[:start]).strip()
    negative = "\n".join(
        [line.removeprefix(NEGATIVE) for line in lines[start : start + 1]] + lines[start + 1 :]
    ).strip()
    return _reading(prompt, negative, pairs)


def _reading(prompt: str, negative: str, pairs: dict[str, str]) -> Reading:
    values: dict[str, Any] = {}
    problems: list[BadValue] = []
    rest = {_OLD_NAMES.get(key, key): value for key, value in pairs.items()}

    def take(name: str, text: str) -> None:
        try:
            values[name] = PARAMS[name].parse(text)
        except BadValue as problem:
            problems.append(problem)

    take("prompt", prompt)
    take("negative_prompt", negative)
    if "Sampler" in rest:
        try:
            values["sampler"], schedule = samplers.split(rest.pop("Sampler"))
            if schedule:
                rest.setdefault("Schedule type", schedule)
        except BadValue as problem:
            problems.append(problem)
    if size := _SIZE.match(rest.get("Size", "")):
        del rest["Size"]
        take("width", size[1])
        take("height", size[2])
    for name in ("steps", "schedule", "cfg_scale", "seed", "model_hash", "model", "clip_skip", "rng"):
        if (text := rest.pop(PARAMS[name].label, None)) is not None:
            take(name, text)
    return Reading(values, rest, tuple(problems))


def _pairs(line: str) -> Iterator[tuple[str, str]]:
    """Read ``Key: value`` pairs divided by commas; a value in double quotes is JSON and may hold anything."""
    at = 0
    while match := _KEY.match(line, at):
        at = match.end()
        if line.startswith('"', at) and (quoted := _quoted_end(line, at)):
            raw, at = line[at:quoted], quoted
            value = _unquoted(raw)
            at = line.find(",", at) if line.find(",", at) >= 0 else len(line)
        else:
            end = line.find(",", at)
            end = len(line) if end < 0 else end
            value, at = line[at:end].strip(), end
        yield match[1], value
        at += 1
        while at < len(line) and not _KEY.match(line, at):  # a piece without a key: skip to the next comma
            end = line.find(",", at)
            at = len(line) if end < 0 else end + 1


def _quoted_end(line: str, at: int) -> int:
    """Find the end of the JSON string that begins at ``at``; 0 when it does not end."""
    at += 1
    while at < len(line):
        if line[at] == "\\":
            at += 1
        elif line[at] == '"':
            return at + 1
        at += 1
    return 0


def _unquoted(raw: str) -> str:
    try:
        return str(json.loads(raw))
    except ValueError:
        return raw


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if _NEEDS_QUOTES.search(value) or value != value.strip() else value
