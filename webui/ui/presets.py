"""Presets on the page: the list of styles that combine, form presets, and a fold in which one's own are edited.

The promise: everything with words is in one list, wherever it is kept; numbers are put into the form, where they can be
seen; a shipped preset is never changed, and what cannot be kept is said where it was asked for.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import gradio as gr

from webui import presets, words
from webui.errors import ReseedError
from webui.presets import Preset
from webui.studio import Studio
from webui.ui import form, views
from webui.ui.events import on_change
from webui.ui.form import Form

NUMBERS: Final = ("steps", "sampler", "schedule", "cfg_scale", "width", "height")
"""What of the form a preset can take along."""
KNOWN: Final = "✓"
"""Stands before the styles that the model was seen to obey."""
LISTED: Final = 5
"""Sentences of an import that are shown; the rest is counted."""


class Presets:
    """The handlers of presets, over one studio."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    # ---- choosing --------------------------------------------------------------------------------------------------

    def styles(self, model: str) -> tuple[list[tuple[str, str]], str | None]:
        """List the styles by label and name, and what is to be said of them.

        First come a person's own and those of ``styles.csv``, then those that the model obeys, then the others.
        """
        known, problems = self.studio.styles()
        shipped = {
            one.name: one for one in self.studio.preset_files.shipped().presets if known.get(one.name) == one.style
        }
        obeyed = {name for name, one in shipped.items() if model in one.obeyed_by}
        names = sorted(known, key=lambda name: (name in shipped, name not in obeyed, name.lower()))
        legend = [f"{KNOWN} was seen to work with {model}; type to find others."] if obeyed else []
        labels = [(f"{KNOWN} {name}" if name in obeyed else name, name) for name in names]
        return labels, " ".join([*problems, *legend]) or None

    def offer(self, chosen: Any, model: str) -> Any:
        """Offer the styles that there are now, and take out what is none: one that is gone, or half a word typed.

        A choice that is all right is not sent back: the person may have gone on choosing meanwhile.
        """
        labels, info = self.styles(model)
        names = {name for _, name in labels}
        kept = [name for name in chosen or () if name in names]
        mended = {} if kept == list(chosen or ()) else {"value": kept}
        return gr.update(choices=labels, info=info, visible=bool(labels or info), **mended)

    def forms(self, model: str) -> Any:
        """Offer the presets with values that suit a model; none is chosen."""
        try:
            family = self.studio.family(model)
        except ReseedError:
            return gr.skip()
        known = self.studio.preset_files.read()[0]
        return gr.update(choices=[name for name, preset in known.items() if preset.suits(family)], value=None)

    def fill(self, name: str | None, chosen: Any) -> list[Any]:
        """Put a preset's values into the form, its words among the styles; empty the choice again."""
        preset = self.studio.preset_files.read()[0].get(str(name))
        if preset is None:
            return [*[gr.skip()] * len([*form.NAMES, *form.EXTRA]), gr.skip(), None]
        values: dict[str, Any] = dict(preset.values)
        if preset.style is not None:
            values["styles"] = list(dict.fromkeys([*(chosen or ()), preset.name]))
        changed, sentences = form.updates(values, self.studio.models())
        told = ", ".join(f"{label} {text}" for label, text in form.shown(preset.values))
        return [*changed, views.note(" ".join([f"{preset.name}: {told}.", *sentences])), None]

    def arrive(self, chosen: Any, model: str) -> list[Any]:
        """Offer what there is when the page is opened: files come and go while the program runs."""
        return [gr.update(choices=[*self._own()]), self.offer(chosen, model), self.forms(model)]

    # ---- editing ---------------------------------------------------------------------------------------------------

    def open(self, name: str | None) -> list[Any]:
        """Show a preset of one's own in the fields of the fold; nothing to begin a new one."""
        preset = self._own().get(str(name), Preset(""))
        return [preset.name, preset.prompt, preset.negative_prompt, False, views.note("")]

    def combine(self, chosen: Any) -> list[Any]:
        """Put the words of the styles chosen into the fields of the fold."""
        known = self.studio.styles()[0]
        found = presets.combined("", [known[name] for name in chosen or () if name in known])
        said = "" if chosen else "No style is chosen: choose some above, or write words."
        return [found.prompt, found.negative_prompt, views.note(said, "wrong" if said else "said")]

    def save(  # noqa: PLR0913, PLR0917 — the fields of the fold
        self, editing: str | None, name: str, prompt: str, negative: str, numbers: bool, chosen: Any, model: str,
        *values: Any,
    ) -> list[Any]:  # fmt: skip
        """Keep what the fields say as a preset of one's own: the one that is edited, or a new one."""
        old = self._own().get(editing or "", Preset(""))
        try:
            self.studio.must_not_be_demo("Keeping presets is")
            wanted = replace(
                old, name=presets.check_name(name or ""), prompt=prompt or "", negative_prompt=negative or ""
            )
            if numbers:
                taken = dict(zip(NUMBERS, values, strict=True))
                wanted = replace(wanted, values={**old.values, **taken}, families=(self.studio.family(model),))
            kept = self.studio.preset_files.save(presets.checked(wanted), old.name)
        except ReseedError as error:
            return self._after(editing, chosen, model, str(error))
        renamed = [kept.name if one == old.name else one for one in chosen or ()]
        return self._after(kept.name, renamed, model, f"{kept.name} is kept in {kept.id}.json.", wrong=False)

    def delete(self, name: str | None, chosen: Any, model: str) -> list[Any]:
        """Delete the preset of one's own that is edited."""
        try:
            self.studio.must_not_be_demo("Deleting presets is")
            self.studio.preset_files.delete(name or "")
        except ReseedError as error:
            return self._after(name, chosen, model, str(error))
        return self._after(None, chosen, model, f"{name} is deleted.", wrong=False)

    def take(self, path: str | None, chosen: Any, model: str) -> list[Any]:
        """Keep the rows of an A1111 ``styles.csv`` as presets of one's own; say what was taken and what was not."""
        if not path:
            return [gr.skip()] * 5
        file = Path(path)
        try:
            self.studio.must_not_be_demo("Importing presets is")
            rows, problems = words.read_styles(file)
            found, left = presets.imported(rows.values(), self._own())
            self.studio.preset_files.take(found)
        except ReseedError as error:
            return [*self._after(None, chosen, model, str(error)), None]
        finally:
            file.unlink(missing_ok=True)
        problems = [*left, *problems]
        said = [f"Taken from {file.name}: {len(found)}.", *problems[:LISTED]]
        if more := len(problems) - LISTED:
            said += [f"And {more} more of this kind."] if more > 0 else []
        return [*self._after(None, chosen, model, " ".join(said), wrong=bool(problems)), None]

    def _own(self) -> Mapping[str, Preset]:
        return {preset.name: preset for preset in self.studio.preset_files.own().presets}

    def _after(self, editing: str | None, chosen: Any, model: str, said: str, wrong: bool = True) -> list[Any]:
        """Return what follows a change: the own presets, the styles, the form presets and a sentence."""
        return [
            gr.update(choices=[*self._own()], value=editing or None),
            {**self.offer(chosen, model), "value": [name for name in chosen or () if name in self.studio.styles()[0]]},
            self.forms(model),
            views.note(said, "wrong" if wrong else "said"),
        ]


def styles_field(studio: Studio) -> Any:
    """Make the choice of styles, hidden while there are none; what cannot be read is named."""
    labels, info = Presets(studio).styles(studio.model)
    return form.styles_field(labels, info)


def forms_field(studio: Studio) -> Any:
    """Make the choice of a form preset."""
    offered = Presets(studio).forms(studio.model)
    return gr.Dropdown(
        offered["choices"], value=None, label="Form preset", info="Puts its numbers into the form.",
        elem_id="formpreset", interactive=True, min_width=150,
    )  # fmt: skip


def build(studio: Studio) -> dict[str, Any]:
    """Lay out the fold in which presets of one's own are edited."""
    with gr.Accordion("Your presets", open=False, elem_id="presets", visible=not studio.settings.door.demo):
        parts = {
            "mine": gr.Dropdown(
                [preset.name for preset in studio.preset_files.own().presets],
                value=None, label="Edit", info="Empty begins a new one.", elem_id="mine", interactive=True,
            ),
            "preset_name": gr.Textbox(label="Name of the preset", elem_id="preset-name", max_lines=1),
            "preset_words": gr.Textbox(
                label="Words", lines=2, elem_id="preset-words", placeholder="{prompt}, oil painting: {prompt} is yours"
            ),
            "preset_negative": gr.Textbox(label="Negative words", elem_id="preset-negative"),
            "preset_numbers": gr.Checkbox(
                label="Put the form's numbers into it: steps, sampler, schedule, CFG scale, size",
                elem_id="preset-numbers",
            ),
        }  # fmt: skip
        with gr.Row():
            parts["combine"] = gr.Button("Take words of the styles", elem_id="preset-combine", size="sm")
            parts["save"] = gr.Button("Save", elem_id="preset-save", size="sm", min_width=70)
            parts["delete"] = gr.Button("Delete", elem_id="preset-delete", size="sm", min_width=70)
        parts["preset_note"] = gr.HTML(views.note(""), elem_id="presetnote", apply_default_css=False)
        parts["import"] = gr.File(label="Import an A1111 styles.csv", elem_id="import", height=64, type="filepath")
    return parts


def connect(studio: Studio, page: Form, parts: dict[str, Any], restored: Any, shared: dict[str, Any]) -> None:
    """Connect the lists with the form, from when it is ``restored`` on, and the fold with the lists."""
    handlers = Presets(studio)
    styles, model, mine = page["styles"], page["model"], parts["mine"]
    fields = [parts["preset_name"], parts["preset_words"], parts["preset_negative"]]
    lists = [mine, styles, parts["formpreset"], parts["preset_note"]]
    restored.then(handlers.arrive, [styles, model], [mine, styles, parts["formpreset"]], **shared)
    on_change([styles, model], handlers.offer, styles, shared)
    on_change([model], handlers.forms, parts["formpreset"], shared)
    filled = [*page.inputs(), parts["note"], parts["formpreset"]]
    parts["formpreset"].input(handlers.fill, [parts["formpreset"], styles], filled, **shared)
    mine.input(handlers.open, mine, [*fields, parts["preset_numbers"], parts["preset_note"]], **shared)
    parts["combine"].click(handlers.combine, styles, [*fields[1:], parts["preset_note"]], **shared)
    numbers = [page[name] for name in NUMBERS]
    saved = [mine, *fields, parts["preset_numbers"], styles, model, *numbers]
    parts["save"].click(handlers.save, saved, lists, **shared)
    parts["delete"].click(handlers.delete, [mine, styles, model], lists, **shared)
    parts["import"].upload(handlers.take, [parts["import"], styles, model], [*lists, parts["import"]], **shared)
