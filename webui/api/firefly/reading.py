"""The body of a request in Firefly's manner: what each member means here.

The promise: of a member that changes a picture nothing is guessed, of one that changes none (``contentClass``,
``photoSettings``) the answer says so; one that asks for what cannot be done here is refused with a sentence.

Firefly's members: https://developer.adobe.com/firefly-services/docs/firefly-api/api
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

from webui.api import schemas
from webui.api.asked import Asked, checked, inside
from webui.errors import BadValue, near, one_of
from webui.lineage import MOST_STYLES
from webui.params import Choice, Number, Whole
from webui.recipe import PARAMS
from webui.studio import COUNT
from webui.styles import Style, find

CONTENT: Final = Choice("Content class", "What a picture is meant to be.", choices=("photo", "art"))
INTENSITY: Final = Whole("Visual intensity", "How rich a picture is.", minimum=2, maximum=10)
STRENGTH: Final = Whole("Style strength", "How strongly a style shows.", minimum=1, maximum=100)
PHOTO: Final = {
    "aperture": Number("Aperture", "", minimum=1.2, maximum=16),
    "shutterSpeed": Number("Shutter speed", "", minimum=0.0005, maximum=10),
    "fieldOfView": Number("Field of view", "", minimum=14, maximum=300),
}
_LOCALE: Final = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}\Z")
_DRAWN: Final = "random"
"""Without seeds, each picture draws its own, as Firefly's do."""

Reader = Callable[[Asked, dict[str, Any], str, Any], None]


def read(body: Mapping[str, Any], styles: Mapping[str, Style]) -> tuple[Asked, dict[str, Any]]:
    """Read a body; return what is asked of the studio, and what the answer gives back as it came."""
    asked, echo = Asked(paths={"count": "numVariations", "styles": "style.presets"}), dict[str, Any]()
    readers: dict[str, Reader] = {**_READERS, "style": partial(_style, styles)}
    for name, value in asked.members(dict(body), tuple(readers)).items():
        readers[name](asked, echo, name, value)
    if "prompt" not in asked.paths:
        rule = f"given: {PARAMS['prompt'].rule}"
        asked.problems.append(BadValue("prompt", PARAMS["prompt"].label, None, rule))
    if "seed" not in asked.paths and "numbering" not in asked.paths:
        asked.numbering = _DRAWN
    if "seeds" in body:
        _agree(asked, body)
    for name, path in {"seed": "seeds", "width": "size.width", "height": "size.height"}.items():
        asked.paths.setdefault(name, path)
    return asked, echo


def _value(field: str, asked: Asked, echo: dict[str, Any], name: str, value: Any) -> None:
    asked.put(field, name, value)


def _seeds(asked: Asked, echo: dict[str, Any], name: str, value: Any) -> None:
    if not asked.took("seed", name, value):
        return
    if not isinstance(value, list) or not 1 <= len(value) <= COUNT.maximum:
        rule = f"a list of 1 to {COUNT.maximum} seeds, or left out for random ones"
        asked.problems.append(BadValue(name, "Seeds", value, rule))
        return
    found = [asked.seed(f"{name}[{number}]", one) for number, one in enumerate(value)]
    for number, one in enumerate(found):
        if one not in ("", "-1") and one in found[:number]:
            rule = "another one than those before it: seeds differ"
            asked.problems.append(BadValue(f"{name}[{number}]", "Seed", value[number], rule))
    asked.seed_text = ", ".join(filter(None, found))


def _variations(asked: Asked, echo: dict[str, Any], name: str, value: Any) -> None:
    asked.count = value


def _agree(asked: Asked, body: Mapping[str, Any]) -> None:
    """Let the seeds say how many pictures there are; ``numVariations`` may only say the same."""
    given = len(body["seeds"]) if isinstance(body["seeds"], list) else 0
    if "numVariations" in body and given:
        count = checked(asked, partial(COUNT.check, name="numVariations"), body["numVariations"])
        if count is not None and count != given:
            rule = f"{given}, as many as there are seeds, or left out"
            asked.problems.append(BadValue("numVariations", COUNT.label, count, rule))
    asked.count = 1


def _size(asked: Asked, echo: dict[str, Any], name: str, value: Any) -> None:
    sides = asked.members(value, ("width", "height"), name)
    for side in ("width", "height"):
        if side in sides:
            asked.put(side, inside(name, side), sides[side])
        elif isinstance(value, dict):
            rule = f"given with the other side: {PARAMS[side].rule}"
            asked.problems.append(BadValue(inside(name, side), PARAMS[side].label, None, rule))


def _style(styles: Mapping[str, Style], asked: Asked, echo: dict[str, Any], name: str, value: Any) -> None:
    found = asked.members(value, ("presets", "strength", "imageReference"), name)
    if "imageReference" in found:
        rule = "left out: pictures are made of words and seeds here, not of other pictures' styles"
        asked.problems.append(BadValue(f"{name}.imageReference", "Image reference", found["imageReference"], rule))
    if "strength" in found:
        strength = checked(asked, partial(STRENGTH.check, name=f"{name}.strength"), found["strength"])
        echo["style"] = {"strength": strength}
    presets = found.get("presets", [])
    if not isinstance(presets, list) or len(presets) > MOST_STYLES:
        rule = f"a list of at most {MOST_STYLES} ids"
        asked.problems.append(BadValue(f"{name}.presets", "Style presets", presets, rule))
        return
    named = [_preset(asked, f"{name}.presets[{number}]", one, styles) for number, one in enumerate(presets)]
    asked.styles = tuple(filter(None, named))


def _preset(asked: Asked, path: str, value: object, styles: Mapping[str, Style]) -> str:
    """Return the name of the style with an id; a problem when there is none."""
    if isinstance(value, str):
        with suppress(BadValue):
            return find([value], styles)[0].name
    ids = [style.id or style.name for style in styles.values()]
    asked.problems.append(BadValue(path, "Style preset", value, one_of(ids), near(str(value)[:100], ids)))
    return ""


def _echo(rule: Callable[..., Any], asked: Asked, echo: dict[str, Any], name: str, value: Any) -> None:
    echo[name] = checked(asked, partial(rule, name=name), value)


def _photo(asked: Asked, echo: dict[str, Any], name: str, value: Any) -> None:
    echo[name] = {
        key: checked(asked, partial(PHOTO[key].check, name=inside(name, key)), one)
        for key, one in asked.members(value, tuple(PHOTO), name).items()
    }


def _locale(value: object, name: str) -> str:
    if not isinstance(value, str) or not _LOCALE.match(value):
        raise BadValue(name, "Locale", value, "a language tag such as en-US")
    return value


def _own(asked: Asked, echo: dict[str, Any], name: str, value: Any) -> None:
    asked.own(value, name)


_READERS: Final[dict[str, Reader]] = {
    "prompt": partial(_value, "prompt"),
    "negativePrompt": partial(_value, "negative_prompt"),
    "seeds": _seeds,
    "numVariations": _variations,
    "size": _size,
    "style": partial(_style, {}),
    "contentClass": partial(_echo, CONTENT.check),
    "photoSettings": _photo,
    "visualIntensity": partial(_echo, INTENSITY.check),
    "locale": partial(_echo, _locale),
    "promptBiasingLocaleCode": partial(_echo, _locale),
    "customModelId": partial(_value, "model"),
    "model": partial(_value, "model"),
    "reseed": _own,
}


def schema() -> dict[str, Any]:
    """Describe the body."""
    tag = {"type": "string", "pattern": _LOCALE.pattern.replace("\\Z", "$")}
    presets = schemas.listed(schemas.TEXT, most=MOST_STYLES)
    described = {
        **schemas.named({"prompt": "prompt", "negativePrompt": "negative_prompt"}),
        **schemas.named({"customModelId": "model", "model": "model"}),
        "seeds": schemas.listed(schemas.SEED, 1, int(COUNT.maximum)),
        "numVariations": COUNT.schema(),
        "size": schemas.record(schemas.named({"width": "width", "height": "height"}), "width", "height"),
        "style": schemas.record({"presets": presets, "strength": STRENGTH.schema()}),
        "contentClass": CONTENT.schema(),
        "photoSettings": schemas.record({name: param.schema() for name, param in PHOTO.items()}),
        "visualIntensity": INTENSITY.schema(),
        "locale": tag,
        "promptBiasingLocaleCode": tag,
        "reseed": schemas.own(),
    }
    return schemas.record({name: described[name] for name in _READERS}, "prompt")
