"""A task in Runware's manner: what each member means here.

The promise: a task is settled whole or refused whole, every bad member by its name; nothing that a task asks for is
left undone in silence: pictures are PNGs, since only these give every pixel and carry their recipe.

Runware's members: https://runware.ai/docs/image-inference/api-reference
"""

import re
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from webui import dialects
from webui.api import schemas
from webui.api.asked import Asked, checked
from webui.errors import BadValue
from webui.params import Choice, Whole
from webui.recipe import PARAMS
from webui.studio import COUNT

DEFAULT_MODEL: Final = "runware:101@1"
"""The model that Runware's guides name everywhere; here it stands for the server's own."""
OUTPUTS: Final = {"URL": "imageURL", "base64Data": "imageBase64Data", "dataURI": "imageDataURI"}
"""How a picture is given, and the member that it is given in."""
TYPE: Final = Choice("outputType", "How a picture is given.", choices=tuple(OUTPUTS))
DELIVERY: Final = Choice("deliveryMethod", "Whether the answer waits for the pictures.", choices=("sync", "async"))
QUALITY: Final = Whole("outputQuality", "Of pictures that lose detail; PNGs lose none.", minimum=20, maximum=99)
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\Z")
_PNG: Final = "PNG: only a PNG gives every pixel and carries its recipe here"
_LABEL: Final = "Task UUID"

TYPES: Final = {
    "positivePrompt": "string", "negativePrompt": "string", "model": "string", "seed": "integer", "steps": "integer",
    "width": "integer", "height": "integer", "CFGScale": "float", "scheduler": "string", "numberResults": "integer",
    "outputType": "string", "outputFormat": "string", "outputQuality": "integer", "deliveryMethod": "string",
    "includeCost": "boolean", "taskUUID": "string", "taskType": "string", "reseed": "object",
}  # fmt: skip
"""What an error says that a member should be."""

Reader = Callable[[Asked, dict[str, Any], str, Any], None]


def read(task: Mapping[str, Any]) -> tuple[Asked, dict[str, Any]]:
    """Read an ``imageInference`` task; return what is asked of the studio, and how the answer is wanted."""
    paths = {"count": "numberResults", "sampler": "scheduler", "schedule": "scheduler"}
    asked, wanted = Asked(), {"outputType": "URL", "deliveryMethod": "sync", "includeCost": False}
    for name, value in asked.members(dict(task), ("taskType", "taskUUID", *_READERS)).items():
        if name in _READERS:
            _READERS[name](asked, wanted, name, value)
    if "prompt" not in asked.paths:
        asked.problems.append(
            BadValue("positivePrompt", PARAMS["prompt"].label, None, f"given: {PARAMS['prompt'].rule}")
        )
    for name, path in paths.items():
        asked.paths.setdefault(name, path)
    return asked, wanted


def task_uuid(task: Mapping[str, Any]) -> str:
    """Return a task's UUID as it was given, or a new one; raise BadValue for what is none."""
    if "taskUUID" not in task:
        return str(uuid.uuid4())
    found = task["taskUUID"]
    if not isinstance(found, str) or not _UUID.match(found):
        raise BadValue("taskUUID", _LABEL, found, "a UUID such as 39d7207a-87ef-4c93-8082-1431f9c1dc97")
    return found


def _value(field: str, asked: Asked, wanted: dict[str, Any], name: str, value: Any) -> None:
    asked.put(field, name, value)


def _model(asked: Asked, wanted: dict[str, Any], name: str, value: Any) -> None:
    if value == DEFAULT_MODEL:
        asked.took("model", name, value)
    else:
        asked.put("model", name, value)


def _seed(asked: Asked, wanted: dict[str, Any], name: str, value: Any) -> None:
    if value is not None and asked.took("seed", name, value):
        asked.seed_text = asked.seed(name, value)


def _scheduler(asked: Asked, wanted: dict[str, Any], name: str, value: Any) -> None:
    """Take a sampler with the schedule that stands in its name; Default is the model's own."""
    if isinstance(value, str) and value.strip().lower() == "default":
        return
    sampler, schedule = dialects.sampler(value) if isinstance(value, str) else (value, None)
    asked.put("sampler", name, sampler)
    if isinstance(sampler, str):
        asked.values.setdefault("schedule", schedule or dialects.unnamed_schedule(sampler))


def _count(asked: Asked, wanted: dict[str, Any], name: str, value: Any) -> None:
    asked.count = value


def _wanted(rule: Callable[..., Any], asked: Asked, wanted: dict[str, Any], name: str, value: Any) -> None:
    wanted[name] = checked(asked, partial(rule, name=name), value)


def _type(value: object, name: str) -> str:
    """Read how pictures are wanted; older clients put the one name into a list."""
    found = value[0] if isinstance(value, list) and len(value) == 1 else value
    return str(TYPE.check(found, name))


def _format(value: object, name: str) -> str:
    if not isinstance(value, str) or value.strip().upper() != "PNG":
        raise BadValue(name, "outputFormat", value, _PNG)
    return "PNG"


def _switch(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise BadValue(name, name, value, "true or false")
    return value


def _own(asked: Asked, wanted: dict[str, Any], name: str, value: Any) -> None:
    asked.own(value, name)


_READERS: Final[dict[str, Reader]] = {
    "positivePrompt": partial(_value, "prompt"),
    "negativePrompt": partial(_value, "negative_prompt"),
    "model": _model,
    "seed": _seed,
    "steps": partial(_value, "steps"),
    "width": partial(_value, "width"),
    "height": partial(_value, "height"),
    "CFGScale": partial(_value, "cfg_scale"),
    "scheduler": _scheduler,
    "numberResults": _count,
    "outputType": partial(_wanted, _type),
    "outputFormat": partial(_wanted, _format),
    "outputQuality": partial(_wanted, QUALITY.check),
    "deliveryMethod": partial(_wanted, DELIVERY.check),
    "includeCost": partial(_wanted, _switch),
    "reseed": _own,
}


def schema() -> dict[str, Any]:
    """Describe an ``imageInference`` task."""
    recipe = {"positivePrompt": "prompt", "negativePrompt": "negative_prompt", "model": "model", "seed": "seed"}
    numbers = {"steps": "steps", "width": "width", "height": "height", "CFGScale": "cfg_scale"}
    described = {
        **schemas.named({**recipe, **numbers}),
        "scheduler": schemas.TEXT,
        "numberResults": COUNT.schema(),
        "outputType": TYPE.schema(),
        "outputFormat": {"const": "PNG"},
        "outputQuality": QUALITY.schema(),
        "deliveryMethod": DELIVERY.schema(),
        "includeCost": schemas.SWITCH,
        "reseed": schemas.own(),
    }
    named = {"taskType": {"const": "imageInference"}, "taskUUID": {"type": "string", "format": "uuid"}}
    return schemas.record({**named, **{name: described[name] for name in _READERS}}, "taskType", "positivePrompt")


def schema_of_list(most: int) -> dict[str, Any]:
    """Describe a body: pictures to make, and the small tasks beside them."""
    one = {"type": "string", "format": "uuid"}
    small = {"getResponse": {"taskUUID": one}, "authentication": {"apiKey": schemas.TEXT}, "ping": {}}
    tasks = [
        schemas.record({"taskType": {"const": kind}, **members}, "taskType", *members, open=kind == "authentication")
        for kind, members in small.items()
    ]
    return schemas.listed({"anyOf": [schema(), *tasks]}, 1, most)
