"""Presets: a named part of a recipe and a prompt template, one readable JSON file each.

::

    {"name": "Pastel", "prompt": "{prompt}, pastel", "negative_prompt": "{prompt}, dark", "values": {"steps": 30}}

``{prompt}`` stands for what the person wrote; a template without it is added behind a comma. A preset is settled at
the door: the recipe holds the words and numbers that came of it, never its name.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from webui.errors import BadRecipe, BadValue, StorageError
from webui.recipe import PARAMS

PLACE: Final = "{prompt}"
_TEXTS: Final = ("prompt", "negative_prompt")


@dataclass(frozen=True)
class Preset:
    """A named partial recipe with templates for prompt and negative prompt (empty: leave them alone)."""

    name: str
    prompt: str = ""
    negative_prompt: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    about: str = ""

    def apply(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the form's values with this preset applied.

        >>> Preset("Pastel", prompt="{prompt}, pastel", values={"steps": 30}).apply({"prompt": "a lake", "steps": 20})
        {'prompt': 'a lake, pastel', 'steps': 30}
        """
        changed = {**values, **self.values}
        for name in _TEXTS:
            template = getattr(self, name)
            if template:
                changed[name] = fill(template, str(values.get(name, "")))
        return changed


def fill(template: str, text: str) -> str:
    """Put the person's words into a template.

    >>> fill("a painting of {prompt}", "a lake"), fill("pastel", "a lake"), fill("pastel", "")
    ('a painting of a lake', 'a lake, pastel', 'pastel')
    """
    if PLACE in template:
        return template.replace(PLACE, text)
    return ", ".join(part for part in (text.strip(), template) if part)


def parse(text: str, source: str) -> Preset:
    """Read a preset from JSON; raise StorageError that names ``source`` and what is wrong with it."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise StorageError(f"The preset {source} is not JSON: {error}.") from None
    known = {"name": str, "prompt": str, "negative_prompt": str, "values": dict, "about": str}
    if not isinstance(data, dict) or not isinstance(data.get("name"), str) or not data["name"].strip():
        raise StorageError(f"The preset {source} must be a JSON object with a name.")
    for key, value in data.items():
        if key not in known or not isinstance(value, known[key]):
            raise StorageError(f"The preset {source} must hold only {', '.join(known)}; got {key}: {value!r}.")
    try:
        values = {name: _value(name, value) for name, value in data.get("values", {}).items()}
    except BadValue as error:
        raise StorageError(f"The preset {source} has a value that is not allowed: {error}") from None
    return Preset(**{**data, "values": values})


def _value(name: str, value: object) -> Any:
    if name not in PARAMS or name in (*_TEXTS, "seed"):
        allowed = ", ".join(one for one in PARAMS if one not in (*_TEXTS, "seed"))
        raise BadValue(name, "A preset's parameter", name, f"one of {allowed}")
    return PARAMS[name].check(value)


def find(name: str, presets: Mapping[str, Preset]) -> Preset:
    """Find a preset by name, without regard to case; raise BadRecipe that lists what there is."""
    for preset in presets.values():
        if preset.name.lower() == name.strip().lower():
            return preset
    raise BadRecipe([BadValue("preset", "Preset", name, f"one of {', '.join(presets) or '(none are there)'}")])
