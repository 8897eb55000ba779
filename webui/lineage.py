"""Lineage: where a picture came from. Kept beside its recipe, in the file; it changes no pixel and is in no digest.

``parent`` is the picture whose recipe or seed was last brought into the form before this one was asked for: by ♻️, by
a seed's chip, by *Load everything*, *prompt*, *seed* or *template*, by *Same seed*, or by dropping a picture of ours. A
seed holds its parent while it is the seed in the form: when another is typed, or 🎲 draws one, the picture has no
parent. Words hold theirs until something else is brought: whoever loads a recipe and draws other seeds still edits that
picture. A picture of another program has no id, so what comes of it has no parent.

The owner is whose picture it is, where a server tells people apart: see ``webui.owners``. Elsewhere it is empty.

The templates are what was typed, before styles were put around it and wildcards drawn; they are kept where that says
more than the prompt itself. The recipe has the words that were used.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from webui import styles
from webui.errors import BadValue
from webui.params import Text
from webui.recipe import PARAMS

TEMPLATE: Final = "Template"
NEGATIVE_TEMPLATE: Final = "Negative Template"
"""Keys of an infotext, as Dynamic Prompts, the extension of A1111 for wildcards, names them."""

MOST_STYLES: Final = 32
_STYLE: Final = Text("Style", "A name among the styles.", limit=styles.NAME_LIMIT)
PARENT: Final = re.compile(r"[0-9a-f]{32}(?::[0-9]{1,5})?\Z")
OWNER: Final = re.compile(r"[0-9a-f]{32}\Z")


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a picture came from; the empty one says nothing.

    ``parent`` is a picture's id, 32 hexadecimal digits; a job that waits may name one that is still being made by its
    origin, ``JOB:INDEX``. ``styles`` are names, in the order in which they were put around the templates. When there
    are ``styles``, a template may be empty because nothing was typed. ``owner`` is 32 hexadecimal digits that tell no
    name. Raises BadValue for what no file can hold.
    """

    parent: str = ""
    template: str = ""
    negative_template: str = ""
    styles: tuple[str, ...] = ()
    owner: str = ""

    def __post_init__(self) -> None:
        """Check the values."""
        if self.parent and not (isinstance(self.parent, str) and PARENT.match(self.parent)):
            raise BadValue("parent", "Parent", self.parent, "the id of a picture, 32 hexadecimal digits, or empty")
        if self.owner and not (isinstance(self.owner, str) and OWNER.match(self.owner)):
            raise BadValue("owner", "Owner", self.owner, "32 hexadecimal digits, or empty")
        PARAMS["prompt"].check(self.template, "template")
        PARAMS["negative_prompt"].check(self.negative_template, "negative_template")
        if len(self.styles) > MOST_STYLES or any(_STYLE.accept(style) is None for style in self.styles):
            raise BadValue("styles", "Styles", self.styles, f"at most {MOST_STYLES} names, each {_STYLE.rule}")

    @property
    def is_typed(self) -> bool:
        """Say whether what was typed is known and can be brought back."""
        return bool(self.template or self.negative_template or self.styles)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: what is there."""
        values = {name: getattr(self, name) for name in type(self).__dataclass_fields__}
        return {name: [*value] if name == "styles" else value for name, value in values.items() if value}

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """Read the JSON form; members that are not known are left out. Raises BadValue like the class."""
        if not isinstance(data, Mapping):
            raise BadValue("lineage", "Lineage", data, "a JSON object")
        values = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        if not isinstance(names := values.get("styles", []), list):
            raise BadValue("styles", "Styles", names, "a list of names")
        return cls(**{**values, "styles": tuple(names)})

    def to_json(self) -> str:
        """Write JSON on one line, nothing for the empty lineage."""
        return json.dumps(self.to_dict(), ensure_ascii=False) if self != UNKNOWN else ""

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what ``to_json`` wrote; raise BadValue for anything else."""
        try:
            return cls.from_dict(json.loads(text or "{}"))
        except (ValueError, RecursionError) as error:
            raise error if isinstance(error, BadValue) else BadValue("lineage", "Lineage", text, "JSON") from None

    def to_infotext(self) -> dict[str, str]:
        """Return the templates by their keys in an infotext."""
        pairs = {TEMPLATE: self.template, NEGATIVE_TEMPLATE: self.negative_template}
        return {key: text for key, text in pairs.items() if text}

    @classmethod
    def from_infotext(cls, rest: Mapping[str, str]) -> Self:
        """Read the templates among the keys of an infotext that are no parameters; raise BadValue for too long ones."""
        return cls("", rest.get(TEMPLATE, ""), rest.get(NEGATIVE_TEMPLATE, ""))


UNKNOWN: Final = Lineage()
"""The empty lineage: nothing is known, as of every picture made before there was any."""
