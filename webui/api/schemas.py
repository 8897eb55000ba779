"""Schemas: what the bodies of the JSON doors look like, for ``/openapi.json`` and whoever makes a client of it.

The promise: whatever is a parameter is described from its one declaration; a door only says under which names it takes
them. A schema describes; what is allowed is decided where a body is read.
"""

from collections.abc import Mapping
from typing import Any, Final

from webui.api.asked import OWN
from webui.hold import SHARE
from webui.recipe import PARAMS
from webui.seeds import NUMBERINGS

SEED: Final[dict[str, Any]] = {
    "description": "A seed, exact up to 2^64−1 as a number or as text; −1 draws one.",
    "anyOf": [{"const": -1}, *PARAMS["seed"].schema()["anyOf"]],
}
TEXT: Final = {"type": "string"}
SWITCH: Final = {"type": "boolean"}


def record(members: Mapping[str, Any], *required: str, open: bool = False) -> dict[str, Any]:
    """Describe a JSON object; an ``open`` one may have other members."""
    found: dict[str, Any] = {"type": "object", "properties": dict(members), "additionalProperties": open}
    return {**found, "required": [*required]} if required else found


def listed(item: Mapping[str, Any], least: int = 0, most: int | None = None) -> dict[str, Any]:
    """Describe a list."""
    return {"type": "array", "items": dict(item), "minItems": least, **({"maxItems": most} if most else {})}


def named(names: Mapping[str, str]) -> dict[str, Any]:
    """Describe members that are fields of the recipe, by the door's name for each."""
    return {name: SEED if field == "seed" else PARAMS[field].schema() for name, field in names.items()}


def own() -> dict[str, Any]:
    """Describe what a door takes under ``reseed``."""
    rest = {"numbering": {"type": "string", "enum": [*NUMBERINGS]}, "parent": TEXT, "share": SHARE.schema()}
    return record({name: rest[name] if name in rest else named({name: name})[name] for name in OWN})


def body(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a route adds to its description: a body of JSON."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": dict(schema)}}}}
