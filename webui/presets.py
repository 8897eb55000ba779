"""Presets: words that are put around a prompt, values for the form, or both; one readable JSON file each.

::

    {
      "name": "Pastel",
      "about": "Soft, light colours.",
      "prompt": "{prompt}, pastel colors",
      "negative_prompt": "{prompt}, dark",
      "values": {"steps": 30},
      "families": ["sdxl"],
      "obeyed_by": ["reseed"]
    }

Only the name is needed; the name of the file is a second one. ``{prompt}`` stands for what the person wrote; words
without it come behind a comma. ``families`` are those of the models that the values are for, ``obeyed_by`` the models
that were seen to obey the words.

The promise: a preset is settled at the door. Its words are a style like any other (``webui.styles``) and combine with
others; its values are put into the form, where they can be seen; the recipe holds what came of it.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from webui import styles
from webui.errors import BadRecipe, BadValue, StorageError, near, one_of
from webui.params import Text
from webui.recipe import PARAMS, PROMPT_LIMIT
from webui.styles import NAME_LIMIT, Style

_TEXTS: Final = {
    "prompt": Text("Words", "What is put around the prompt.", limit=PROMPT_LIMIT),
    "negative_prompt": Text("Negative words", "What is put around the negative prompt.", limit=PROMPT_LIMIT),
}
_MEMBERS: Final = {
    "name": str, "about": str, "prompt": str, "negative_prompt": str, "values": dict, "families": list,
    "obeyed_by": list,
}  # fmt: skip

_DEVICE: Final = re.compile(r"con|prn|aux|nul|(?:com|lpt)[0-9¹²³]")
"""No file of Windows can have these names, whatever its ending."""


@dataclass(frozen=True)
class Preset:
    """A named partial recipe with templates for prompt and negative prompt (empty: leave them alone).

    ``id`` is the name of its file without the ending; ``families`` empty means that the values suit every model.
    """

    name: str
    prompt: str = ""
    negative_prompt: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    about: str = ""
    families: tuple[str, ...] = ()
    obeyed_by: tuple[str, ...] = ()
    id: str = ""

    @property
    def style(self) -> Style | None:
        """Return the words as a style, or None where there are none."""
        worded = self.prompt or self.negative_prompt
        return Style(self.name, self.prompt, self.negative_prompt, self.id) if worded else None

    def suits(self, family: str) -> bool:
        """Say whether there are values, and for a family of models."""
        return bool(self.values) and (not self.families or family in self.families)

    def apply(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the form's values with this preset applied.

        >>> Preset("Pastel", prompt="{prompt}, pastel", values={"steps": 30}).apply({"prompt": "a lake", "steps": 20})
        {'prompt': 'a lake, pastel', 'steps': 30}
        """
        changed = {**values, **self.values}
        for name in _TEXTS:
            if template := getattr(self, name):
                changed[name] = styles.around(template, str(values.get(name, "")))
        return changed

    def to_json(self) -> str:
        """Write the file: what is there, a line for each member."""
        told = {name: getattr(self, name) for name in _MEMBERS if getattr(self, name)}
        return json.dumps(told, ensure_ascii=False, indent=2) + "\n"


def parse(text: str, source: str) -> Preset:
    """Read a preset from JSON; raise StorageError that names ``source``, a file, and what is wrong with it."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StorageError(f"The preset {source} is not JSON: {error}.") from None
    if not isinstance(data, dict) or not isinstance(data.get("name"), str):
        raise StorageError(f"The preset {source} must be a JSON object with a name.")
    for key, value in data.items():
        if key not in _MEMBERS or not isinstance(value, _MEMBERS[key]):
            raise StorageError(f"The preset {source} must hold only {', '.join(_MEMBERS)}; got {key}: {value!r}.")
    try:
        name = check_name(data["name"])
        values = {key: _value(key, value) for key, value in data.get("values", {}).items()}
        for key, words in _TEXTS.items():
            words.check(data.get(key, ""), key)
    except BadValue as error:
        raise StorageError(f"The preset {source} has a value that is not allowed: {error}") from None
    lists = {key: tuple(map(str, data.get(key, ()))) for key in ("families", "obeyed_by")}
    return Preset(**{**data, **lists, "name": name, "values": values, "id": source.removesuffix(".json")})


def checked(preset: Preset) -> Preset:
    """Return a preset that can be kept; raise BadValue when it says nothing or its words are none."""
    for name, text in _TEXTS.items():
        text.check(getattr(preset, name), f"preset_{name}")
    if preset.style is None and not preset.values:
        rule = "given, or the form's numbers put into it: a preset must say something"
        raise BadValue("preset_words", _TEXTS["prompt"].label, "", rule)
    return preset


def check_name(name: str) -> str:
    """Return a preset's name without the spaces around it; raise BadValue where it can be none."""
    found = name.strip()
    if not found or len(found) > NAME_LIMIT or not found.isprintable():
        rule = f"a text on one line of 1 to {NAME_LIMIT} characters"
        raise BadValue("preset_name", "Name of the preset", name, rule)
    return found


def _value(name: str, value: object) -> Any:
    if name not in PARAMS or name in (*_TEXTS, "seed"):
        allowed = ", ".join(one for one in PARAMS if one not in (*_TEXTS, "seed"))
        raise BadValue(name, "A preset's parameter", name, f"one of {allowed}")
    return PARAMS[name].check(value)


def file_stem(name: str, taken: Iterable[str] = ()) -> str:
    """Choose the name of a preset's file: letters and digits of its own, and a number where that is taken.

    >>> file_stem("Sea & sky"), file_stem("../..", ["preset"]), file_stem("Öl"), file_stem("CON")
    ('sea_sky', 'preset_2', 'öl', 'preset_con')
    """
    known = {one.lower() for one in taken}
    stem = re.sub(r"\W+", "_", name.lower())[:60].strip("_") or "preset"
    stem = f"preset_{stem}" if _DEVICE.fullmatch(stem) else stem
    number = 1
    while (found := stem if number == 1 else f"{stem}_{number}") in known:
        number += 1
    return found


def merge(*groups: Iterable[Preset]) -> dict[str, Preset]:
    """Put presets into one list by name; later groups win, without regard to case, and take the place of what they win.

    >>> list(merge([Preset("Ink"), Preset("Oil")], [Preset("ink")]))
    ['ink', 'Oil']
    """
    found: dict[str, Preset] = {}
    for group in groups:
        for preset in group:
            found[preset.name.lower()] = preset
    return {preset.name: preset for preset in found.values()}


def find(name: str, presets: Mapping[str, Preset]) -> Preset:
    """Find a preset by name or id, without regard to case; raise BadRecipe that says what there is."""
    wanted = name.strip().lower()
    for known in ("name", "id"):
        for preset in presets.values():
            if getattr(preset, known).lower() == wanted:
                return preset
    raise BadRecipe([BadValue("preset", "Preset", name, one_of(presets), near(name, presets))])


def imported(found: Iterable[Style], known: Mapping[str, Preset]) -> tuple[list[Preset], list[str]]:
    """Turn the rows of a ``styles.csv`` into presets; return those to keep, and a sentence for each that is not.

    ``known`` are the person's own presets: none of them is changed.
    """
    taken: list[Preset] = []
    left: list[str] = []
    names = {name.lower() for name in known}
    for style in found:
        try:
            preset = checked(Preset(check_name(style.name), style.prompt.strip(), style.negative_prompt.strip()))
        except BadValue as problem:
            left.append(
                f"{style.name} was left out. {problem}" if style.prompt.strip() else f"{style.name} has no words."
            )
            continue
        if preset.name.lower() in names:
            left.append(f"{preset.name} is a preset of yours already: rename or delete that one to take this.")
        else:
            taken.append(preset)
            names.add(preset.name.lower())
    return taken, left


def combined(name: str, chosen: Sequence[Style]) -> Preset:
    """Make one preset of several styles, put around a prompt in their order.

    >>> combined("Both", [Style("Oil", "oil of {prompt}"), Style("Calm", "calm")]).prompt
    'oil of {prompt}, calm'
    """
    prompt, negative = styles.apply(styles.PLACE, styles.PLACE, chosen)
    texts = ["" if text == styles.PLACE else text for text in (prompt, negative)]
    return replace(Preset(name), prompt=texts[0], negative_prompt=texts[1])
