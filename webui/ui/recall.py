"""Recall: what brings a picture's seed, words or whole recipe into the form, and notes where they came from.

The promise: what is brought gives the same picture. A recipe holds words that were drawn, so brackets in them are
escaped before they stand in a form whose text is a template, and no style stays chosen that they already hold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import gradio as gr

from webui import png, seeds, words
from webui.errors import BadValue, PictureError
from webui.lineage import NEGATIVE_TEMPLATE, TEMPLATE, UNKNOWN, Lineage
from webui.png import PictureText
from webui.studio import Studio
from webui.ui import form, views
from webui.ui.desk import owner_of
from webui.ui.events import seed_of, text_of
from webui.ui.handlers import NO_PICTURE
from webui.ui.verifying import Verifying
from webui.verdict import Verdict
from webui.words import PROMPTS

SAID: Final = {
    "all": "The whole recipe is in the form.",
    "link": "The recipe of the link is in the form.",
    "seed": "The seed is in the form.",
    "prompt": "The prompt is in the form.",
    "template": "The template is in the form: wildcards and styles are drawn again.",
}


@dataclass(frozen=True)
class Found:
    """What a picture says: values by the recipe's names, the id of one of ours, and its lineage."""

    values: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""
    lineage: Lineage = UNKNOWN

    @property
    def has_template(self) -> bool:
        """Say whether what was typed is known and says more than the words."""
        return bool(self.lineage.styles) or self._template() != self._words()

    def chosen(self, what: str) -> dict[str, Any]:
        """Return what to put into the form: ``all``, the ``seed``, the ``prompt`` or the ``template``."""
        if what == "template":
            return self._template() | {"styles": [*self.lineage.styles]} if self.has_template else {}
        part = form.part(self.values, what)
        escaped: dict[str, Any] = words.template(part, UNKNOWN)
        return {**part, **escaped, **({"styles": []} if escaped else {})}

    def _words(self) -> dict[str, Any]:
        return dict(words.template(self.values, UNKNOWN))

    def _template(self) -> dict[str, Any]:
        return dict(words.template(self.values, self.lineage))


class Recall:
    """The handlers that bring something into the form, over one studio; ``verifying`` looks at dropped files."""

    def __init__(self, studio: Studio, verifying: Verifying) -> None:
        self.studio = studio
        self.verifying = verifying

    def recycle(self, shown: str, before: str) -> tuple[Any, Any, str]:
        """♻️: put the seed of the picture on screen into the field; never −1."""
        if not shown:
            return gr.skip(), gr.skip(), views.note(NO_PICTURE, "wrong")
        return self._into_field(shown.rpartition("@")[0], seed_of(shown), before)

    def reuse(self, event: gr.EventData, before: str) -> tuple[Any, Any, str]:
        """Put the seed of a chip into the field."""
        return self._into_field(text_of(event, "from"), text_of(event, "seed"), before)

    def _into_field(self, id: str, text: str, before: str) -> tuple[Any, Any, str]:
        try:
            seed = str(seeds.parse(text))
        except BadValue as problem:
            return gr.skip(), gr.skip(), views.note(str(problem), "wrong")
        said = f"Seed {seed} is in the field: change the prompt, keep the composition."
        return seed, _brought(id, seed, before), views.note(said)

    def load(self, event: gr.EventData, request: gr.Request, before: str) -> list[Any]:
        """Load the recipe of the picture on screen: all of it, its seed, its prompt or its template."""
        what = text_of(event, "what")
        record = self.studio.of(owner_of(request)).gallery.get(text_of(event, "id"))
        if record is None:
            return [*nothing(), views.note(NO_PICTURE, "wrong")]
        text = PictureText(record.recipe, record.fingerprint, record.pixels_sha256)
        said = [_recalled(self.studio.recall(text))] if what == "all" else []
        return self.fill(Found(record.recipe.values(), record.id, record.lineage), what, before, said)

    def inspect(self, path: str | None) -> tuple[Any, Any, Any]:
        """Read the recipe of a dropped picture and offer to load it; the copy of the file is deleted at once."""
        if not path:
            return gr.skip(), gr.skip(), gr.skip()
        file = Path(path)
        try:
            text = png.read(file)
            values, sentences = form.known(text)
            recalled, (whole, wrong) = self.studio.recall(text), self.verifying.dropped(file, text)
        except (PictureError, OSError) as error:
            sentence = str(error) if isinstance(error, PictureError) else "The file could not be read."
            return views.refusal(sentence), Found(), None
        finally:
            file.unlink(missing_ok=True)
        found = Found(values, text.id, _lineage(text, sentences))
        sentences = list(dict.fromkeys([*wrong, _recalled(recalled), *sentences, *recalled.reasons]))
        used = (TEMPLATE, NEGATIVE_TEMPLATE) if found.lineage.is_typed else ()
        rest = [] if text.reading is None else [key for key in text.reading.rest if key not in used]
        if rest:
            sentences.append(f"Not used here: {', '.join(rest[:12])}{'…' if len(rest) > 12 else ''}.")
        rows = [*whole, *(row for row in form.shown(form.telling(values)) if row[1]), *form.told(found.lineage)]
        return views.found(file.name, text.source, rows, sentences, found.has_template), found, None

    def take(self, event: gr.EventData, found: Found, before: str) -> list[Any]:
        """Load what was read from a dropped picture, or dismiss it."""
        what = text_of(event, "what")
        if what == "nothing":
            return [*nothing(), gr.skip(), ""]
        foreign = what == "template" and not found.id
        said = ["Another program drew from it: here it draws other words."] if foreign else []
        return [*self.fill(found, what, before, said), ""]

    def fill(self, found: Found, what: str, before: str, said: Sequence[str] = ()) -> list[Any]:
        """Fill the form with what is chosen of a picture, or of a link; the last output is the note."""
        chosen = found.chosen(what)
        if not chosen:
            return [*nothing(), views.note("The picture does not say that.")]
        sentences = self._without_lost_styles(chosen)
        if what != "template" and any(chosen[name] != found.values[name] for name in PROMPTS if name in chosen):
            said = [*said, "A backslash marks what would draw words again; it is not part of the prompt."]
        chosen["parent"] = _brought(found.id, str(chosen["seed"]) if what == "seed" else "", before)
        changed, more = form.updates(chosen, self.studio.models())
        sentences += more
        return [*changed, views.note(" ".join([SAID[what], *sentences, *said]), "wrong" if sentences else "said")]

    def _without_lost_styles(self, chosen: dict[str, Any]) -> list[str]:
        """Leave out styles that are no longer here; return a sentence for each."""
        known = self.studio.styles()[0]
        lost = [name for name in chosen.get("styles", ()) if name not in known]
        if "styles" in chosen:
            chosen["styles"] = [name for name in chosen["styles"] if name in known]
        return [f"The style {name!r} is not here: its words are missing." for name in lost]

    def example(self, event: gr.EventData, before: str) -> tuple[str, str]:
        """Put an example prompt into the form: its words are no picture's."""
        return text_of(event, "text"), "" if before.endswith("@") else before


def _brought(id: str, seed: str, before: str) -> str:
    """Note what was brought; a picture whose words are in the form already keeps holding them."""
    return before if before == form.brought(id) else form.brought(id, seed)


def nothing() -> list[Any]:
    """Leave the whole form as it is."""
    return [gr.skip()] * len([*form.NAMES, *form.EXTRA])


def _lineage(text: PictureText, sentences: list[str]) -> Lineage:
    """Return a picture's lineage, that of another program's from its infotext."""
    if text.reading is None:
        return text.lineage
    try:
        return Lineage.from_infotext(text.reading.rest)
    except BadValue as problem:
        sentences.append(str(problem))
        return UNKNOWN


def _recalled(verdict: Verdict) -> str:
    """Word a verdict in a line; its reasons follow it where the picture will differ."""
    if verdict.kind == "will differ":
        return f"The picture will differ here. {verdict.reasons[0]}"
    return "The same picture is expected from it, bit for bit."
