"""Sweep axes as a person writes them: a parameter's label and a list of values, in A1111's syntax without its traps.

Values are divided by commas; quotes hold a comma inside one. Numbers have ranges: ``1-10``, ``1-10 (+3)`` by steps,
``0-1 [5]`` by count, downwards too. Prompt S/R replaces its first value by each; Prompt order sets words in every
order.

The promise: what is written is what is swept. A range reaches its end and never passes it, counts in decimal, so that
0.1 three times is 0.3, and keeps every digit of a seed; a random seed is drawn once and is the same in all cells; what
cannot be read is a sentence that names the axis, and no axis is ever empty.
"""

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from io import StringIO
from itertools import permutations
from math import factorial
from typing import Any, Final

from webui import samplers, seeds
from webui.errors import BadValue, near, one_of
from webui.grid import MOST_CELLS, Axis
from webui.params import Number, Param, Seed, Whole
from webui.presets import Preset
from webui.recipe import PARAMS, Recipe

SEARCH: Final = "Prompt S/R"
ORDER: Final = "Prompt order"
SIZE: Final = "Size"
PRESET: Final = "Preset"
LONGEST: Final = 20_000
"""Characters of one axis."""

_ALIASES: Final = {
    "var. seed": "variation_seed", "var. strength": "variation_strength", "checkpoint name": "model",
    "checkpoint": "model", "rng source": "rng", "schedule": "schedule", "styles": PRESET, "style": PRESET,
}  # fmt: skip
"""A1111's names of axes that are named otherwise here."""
_NUMBER: Final = r"([+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20}))"
_RANGE: Final = re.compile(rf"{_NUMBER}\s*(?:-|–|\.\.)\s*{_NUMBER}\s*(?:\(\s*{_NUMBER}\s*\)|\[\s*([0-9]{{1,6}})\s*\])?")
_SIZE: Final = re.compile(r"([0-9]{1,6})\s*[x×*]\s*([0-9]{1,6})", re.IGNORECASE)
_PROMPTS: Final = ("prompt", "negative_prompt")


@dataclass(frozen=True)
class SearchAxis(Axis):
    """Replaces a text by others, in prompt and negative prompt alike."""

    search: str = ""

    @property
    def label(self) -> str:
        return f"{SEARCH} {self.search}"

    def caption(self, value: Any) -> str:
        return str(value) or "(nothing)"

    def change(self, values: Mapping[str, Any], value: Any) -> dict[str, Any]:
        if not any(self.search in values[name] for name in _PROMPTS):
            rule = "a text that is in the prompt or the negative prompt"
            raise BadValue("prompt", SEARCH, self.search, rule, "Case and spaces count.")
        return {**values, **{name: values[name].replace(self.search, value) for name in _PROMPTS}}


@dataclass(frozen=True)
class OrderAxis(Axis):
    """Sets words of the prompt in other orders; ``words`` are in the prompt's own, each value is an order of them."""

    words: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return ORDER

    def caption(self, value: Any) -> str:
        return ", ".join(value)

    def change(self, values: Mapping[str, Any], value: Any) -> dict[str, Any]:
        prompt, rest = "", values["prompt"]
        for word, instead in zip(self.words, value, strict=True):
            before, found, rest = rest.partition(word)
            if not found:
                raise BadValue("prompt", ORDER, word, "words of the prompt, none inside another")
            prompt += before + instead
        return {**values, "prompt": prompt + rest}


@dataclass(frozen=True)
class SizeAxis(Axis):
    """Sets width and height; values are pairs."""

    @property
    def label(self) -> str:
        return SIZE

    def caption(self, value: Any) -> str:
        return f"{value[0]}×{value[1]}"

    def change(self, values: Mapping[str, Any], value: Any) -> dict[str, Any]:
        return {**values, "width": value[0], "height": value[1]}


@dataclass(frozen=True)
class PresetAxis(Axis):
    """Applies presets; the one named None changes nothing."""

    @property
    def label(self) -> str:
        return PRESET

    def caption(self, value: Any) -> str:
        return str(value.name)

    def change(self, values: Mapping[str, Any], value: Any) -> dict[str, Any]:
        return dict(value.apply(values))


@dataclass(frozen=True)
class ModelAxis(Axis):
    """Sets the model by name, and takes away the hash that another model was asked for by."""

    def caption(self, value: Any) -> str:
        return str(value)

    def change(self, values: Mapping[str, Any], value: Any) -> dict[str, Any]:
        return {**values, "model": value, "model_hash": ""}


@dataclass(frozen=True)
class Sweep:
    """A sweep for one click: labels and texts of its axes, and what else it sets."""

    name: str
    about: str
    axes: tuple[tuple[str, str], ...]
    changes: Mapping[str, Any] = field(default_factory=dict)


def labels() -> tuple[str, ...]:
    """List the axes there are."""
    return (SEARCH, ORDER, SIZE, PRESET, *(param.label for param in PARAMS.values()))


def parse_axis(
    label: str, text: str, recipe: Recipe, models: Sequence[str] = (), presets: Mapping[str, Preset] | None = None
) -> Axis:
    """Read an axis of a sweep of ``recipe``; ``models`` and ``presets`` are those there are.

    ``label`` is a parameter's label or name, one of Prompt S/R, Prompt order, Size and Preset, or A1111's word for it.

    >>> recipe = Recipe.of(prompt="a house by a lake", seed=7)
    >>> parse_axis("CFG scale", "3-7 (+2), 12", recipe).values
    (3.0, 5.0, 7.0, 12.0)
    >>> parse_axis("Prompt S/R", 'house, castle, "tent, ducks"', recipe).values
    ('house', 'castle', 'tent, ducks')

    Raises BadValue that names the axis.
    """
    name = _name(label)
    entries = _entries(name if name not in PARAMS else PARAMS[name].label, text, name == SEARCH)
    if name == SEARCH:
        return _search(entries, recipe)
    if name == ORDER:
        return _order(entries, recipe)
    if name == SIZE:
        return SizeAxis("size", tuple(map(_size, entries)))
    if name == PRESET:
        known = {**{one.name: one for one in (presets or {}).values()}, "None": Preset("None")}
        return PresetAxis("preset", tuple(known[_known(PRESET, entry, known)] for entry in entries))
    if name == "model":
        return ModelAxis("model", tuple(_known(PARAMS["model"].label, entry, models) for entry in entries))
    values: list[Any] = []
    for entry in entries:
        values += _values(PARAMS[name], entry, MOST_CELLS - len(values))
    return Axis(name, tuple(values))


def sweeps(recipe: Recipe) -> tuple[Sweep, ...]:
    """List the sweeps for one click from a picture's recipe.

    >>> [one.name for one in sweeps(Recipe.of(seed=7))]
    ['10 seeds', 'CFG 3–12', 'All samplers', 'Variation ladder', 'Render speeds']
    >>> sweeps(Recipe.of(seed=7))[0].axes
    (('Seed', '7-16'),)
    """
    first = min(recipe.seed, seeds.MAXIMUM - 9)
    other = recipe.variation_seed if recipe.variation_seed != recipe.seed else (recipe.seed + 1) % (seeds.MAXIMUM + 1)
    speeds = ", ".join(str(steps) for steps in sorted({8, recipe.steps, 40}))
    return (
        Sweep("10 seeds", "Ten compositions for the same words.", ((PARAMS["seed"].label, f"{first}-{first + 9}"),)),
        Sweep("CFG 3–12", "One composition, from free to literal.", ((PARAMS["cfg_scale"].label, "3-12"),)),
        Sweep(
            "All samplers",
            "The same noise through every sampler.",
            ((PARAMS["sampler"].label, ", ".join(samplers.sampler_names())),),
        ),
        Sweep(
            "Variation ladder",
            "From this composition to that of the variation seed, in ten steps.",
            ((PARAMS["variation_strength"].label, "0-1 [11]"),),
            {"variation_seed": other},
        ),
        Sweep("Render speeds", "Fewer steps and more, of the same picture.", ((PARAMS["steps"].label, speeds),)),
    )


def _name(label: str) -> str:
    """Find the axis that is meant: a parameter's name, or one of the others' labels."""
    wanted = " ".join(label.lower().split())
    known = {one.lower(): one for one in (SEARCH, ORDER, SIZE, PRESET)}
    known |= {param.label.lower(): name for name, param in PARAMS.items()} | {name: name for name in PARAMS} | _ALIASES
    if wanted not in known:
        raise BadValue("axes", "Axis", label, f"one of {', '.join(labels())}", near(label, labels()))
    return known[wanted]


def _entries(label: str, text: str, empty: bool) -> list[str]:
    """Divide a list at its commas; ``empty`` says that entries may be empty, but for the first."""
    if len(text) > LONGEST:
        raise BadValue("axes", label, text, f"a list of at most {LONGEST} characters", f"It has {len(text)}.")
    try:
        rows = list(csv.reader(StringIO(text.strip(), newline=""), skipinitialspace=True, strict=True))
    except csv.Error:
        hint = "Put quotes around a whole value, and write two for one inside it."
        raise BadValue("axes", label, text, "a list of values divided by commas", hint) from None
    entries = [entry.strip() for row in rows for entry in row]
    if not entries or not entries[0]:
        raise BadValue("axes", label, text, "a list of at least one value, divided by commas")
    if not empty and "" in entries:
        rule = "a list of values divided by commas"
        raise BadValue("axes", label, text, rule, "There is an empty entry between two commas.")
    if len(entries) > MOST_CELLS:
        raise BadValue("axes", label, text, f"a list of at most {MOST_CELLS} values")
    return entries


def _values(param: Param, entry: str, most: int) -> list[Any]:
    """Read one entry: a value, or a range of numbers."""
    if isinstance(param, Seed) and seeds.is_random(entry):
        return [seeds.draw(entry)]
    if not isinstance(param, Seed | Whole | Number):
        return [param.parse(entry)]
    plain = entry.replace("−", "-")
    match = _RANGE.fullmatch(plain)
    if match is None:
        return [param.parse(plain)]
    whole = not isinstance(param, Number)
    found = _range(match, whole, most, lambda rule, hint: BadValue(param.name, param.label, entry, rule, hint))
    return [param.check(int(value) if value.denominator == 1 else float(value)) for value in found]


def _range(match: re.Match[str], whole: bool, most: int, refused: Callable[[str, str], BadValue]) -> list[Fraction]:
    """List the numbers of a range, exactly; ``whole`` cuts those of a count down to whole ones, as A1111 does."""
    first, last = Fraction(match[1]), Fraction(match[2])
    rule = "a range such as 1-10, 1-10 (+2), 10-1 (-2) or 0-1 [5]"
    if match[4]:
        count = int(match[4])
        if not 2 <= count <= most:
            raise refused(rule, f"The count must be from 2 to {most}.")
        found = [first + (last - first) * k / (count - 1) for k in range(count)]
        found = [Fraction(int(value)) for value in found] if whole else found
        if len(set(found)) < count:
            raise refused(rule, f"There are not {count} different values in it.")
        return found
    step = Fraction(match[3]) if match[3] else Fraction(1)
    if last < first and (match[3] or "0")[0] not in "+-":
        step = -step
    if step == 0 or (last - first) * step < 0:
        raise refused(rule, f"By steps of {match[3]} it does not lead from {match[1]} to {match[2]}.")
    count = int((last - first) / step) + 1
    if count > most:
        raise refused(f"a list of at most {MOST_CELLS} values", f"The range alone has {count}.")
    return [first + step * k for k in range(count)]


def _size(entry: str) -> tuple[int, int]:
    match = _SIZE.fullmatch(entry)
    if match is None:
        raise BadValue("axes", SIZE, entry, "a list of sizes such as 512x768, 768x512")
    return PARAMS["width"].check(int(match[1])), PARAMS["height"].check(int(match[2]))


def _search(entries: list[str], recipe: Recipe) -> Axis:
    axis = SearchAxis("prompt", tuple(entries), entries[0])
    axis.change(recipe.values(), entries[0])
    return axis


def _order(entries: list[str], recipe: Recipe) -> Axis:
    if len(set(entries)) < max(2, len(entries)) or factorial(min(len(entries), 20)) > MOST_CELLS:
        raise BadValue("axes", ORDER, ", ".join(entries), "a list of two to six different words of the prompt")
    for entry in entries:
        if entry not in recipe.prompt:
            raise BadValue("axes", ORDER, entry, "words of the prompt", "Case and spaces count.")
    words = tuple(sorted(entries, key=recipe.prompt.index))
    axis = OrderAxis("prompt", tuple(permutations(words)), words)
    axis.change(recipe.values(), words)
    return axis


def _known(label: str, entry: str, names: Mapping[str, Any] | Sequence[str]) -> str:
    """Find a name without regard to case."""
    for name in names:
        if name.lower() == entry.lower():
            return name
    raise BadValue("axes", label, entry, one_of([*names], listed=40), near(entry, names))
