"""A1111's png-info: what a picture says of itself, by A1111's names, whichever program made it.

The promise: a file from a stranger is read within the bounds of ``webui.png``, its pixels are never decoded, and
nothing is ever fetched: an address is refused.
"""

import base64
import binascii
import re
from typing import Any, Final

from webui import infotext, png
from webui.api import schemas
from webui.api.wire import Refused
from webui.errors import PictureError
from webui.infotext import Reading
from webui.png import NoRecipe
from webui.recipe import PARAMS

BODY: Final = 48 << 20
"""Bytes of a request: a picture of some 35 MB."""
_IMAGE: Final = {"type": "string", "description": "A picture's file in base64."}
SCHEMA: Final = schemas.record({"image": _IMAGE}, "image", open=True)
_DATA: Final = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"\s*[a-zA-Z][a-zA-Z0-9+.-]{1,20}:")
_PAIRS: Final = {
    "width": "Size-1", "height": "Size-2", "resize_width": "Seed resize from-1", "resize_height": "Seed resize from-2",
    "prompt": "Prompt", "negative_prompt": "Negative prompt",
}  # fmt: skip


def info(body: dict[str, Any]) -> dict[str, Any]:
    """Answer png-info; raises Refused for what is no base64, PictureError for a damaged picture."""
    data = _bytes(body.get("image"))
    try:
        found = png.read(data, whole=True)
    except NoRecipe:
        return {"info": "", "items": _texts(data), "parameters": {}}
    text = found.infotext or ""
    reading = found.reading or infotext.parse(text)
    return {"info": text, "items": _texts(data), "parameters": parameters(reading)}


def _bytes(image: object) -> bytes:
    if not isinstance(image, str) or not image.strip():
        raise Refused(422, "bad_value", "image must be a picture in base64, with or without a data: prefix.")
    start = _DATA.match(image)
    if start is None and _ADDRESS.match(image[:40]):
        raise Refused(422, "bad_value", "image must be the picture itself in base64: no address is ever fetched.")
    text = image[start.end() :] if start else image
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Refused(422, "bad_value", "image must be base64; it holds other characters or was cut off.") from None


def _texts(data: bytes) -> dict[str, str]:
    """Return the other texts of a PNG by their keys; of other formats none."""
    try:
        found = png.read_texts(data)
    except PictureError:
        return {}
    return {key: text for key, text in found.items() if key != "parameters"}


def parameters(reading: Reading) -> dict[str, str]:
    """Name what was read as A1111 does, all of it text; what a recipe does not allow stands as it was found."""
    told = {_PAIRS.get(name, PARAMS[name].label): PARAMS[name].format(value) for name, value in reading.values.items()}
    told |= {_PAIRS.get(one.field, one.label): str(one.value) for one in reading.problems}
    return told | reading.rest
