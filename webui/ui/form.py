"""The form: one component for each parameter of a recipe, made from its declaration, and the way back to values.

The promise: a parameter that is declared on ``Recipe`` appears here by itself, with its label, its help and its
bounds. The seed is text, never a number: a number in a browser loses digits above 2^53.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from webui.errors import BadValue, PictureError
from webui.hold import SHARE
from webui.lineage import PARENT, Lineage
from webui.params import Choice, Number, Param, Seed, Text, Variations, Whole
from webui.recipe import PARAMS
from webui.studio import COUNT

HIDDEN: Final = ("seed", "model_hash", "lora_hashes", "embedding_hashes")
"""Not drawn from their declaration: the seed field takes more than one seed, hashes follow from the files."""
NAMES: Final = tuple(name for name in PARAMS if name not in HIDDEN)
MAIN: Final = ("prompt", "negative_prompt", "sampler", "schedule", "steps", "cfg_scale", "width", "height", "model")
VARY: Final = (
    "variation_strength",
    "variation_seed",
    "variations",
    "variation_noise",
    "resize_width",
    "resize_height",
    "noise_layout",
)
DETAILS: Final = (
    "eta",
    "eta_ddim",
    "s_noise",
    "s_churn",
    "s_tmin",
    "s_tmax",
    "sigma_min",
    "sigma_max",
    "rho",
    "discard_penultimate",
    "sgm_noise",
    "noise_schedule",
    "ngms",
    "ngms_all",
    "skip_early_cfg",
)
MORE: Final = tuple(name for name in NAMES if name not in (*MAIN, *VARY, *DETAILS))
"""The parameters that have a place of their own, those that vary a seed, those that are told a sampler, and all others,
which are under *More*."""
SLIDES: Final = 10_000
"""A number with more places than this is typed: no slider meets them."""
EXTRA: Final = ("seed", "count", "numbering", "styles", "parent", "share")
NUMBERING_LABELS: Final = (("+1 each", "increment"), ("same", "same"), ("random", "random"))


@dataclass(frozen=True)
class Form:
    """The components of the form by name: the recipe's parameters, then what a recipe comes of.

    That is the seed field, count and numbering of a batch, the styles, what was last brought into the form, and the
    share of the steps that is held to it.
    """

    parts: Mapping[str, Any]

    @property
    def names(self) -> list[str]:
        """The names in the order in which handlers get the values."""
        return [*NAMES, *EXTRA]

    def inputs(self) -> list[Any]:
        """Return the components in the order of ``names``."""
        return [self.parts[name] for name in self.names]

    def __getitem__(self, name: str) -> Any:
        return self.parts[name]


def component(name: str, value: Any, models: Sequence[str] = ()) -> Any:
    """Make the component of a parameter from its declaration."""
    param = PARAMS[name]
    shared = {"label": param.label, "value": value, "elem_id": name, "interactive": True}
    if name == "model":
        return gr.Dropdown([*models], **shared, filterable=True)
    if isinstance(param, Text | Seed):
        return _text(param, {**shared, "value": str(value)})
    if isinstance(param, Whole | Number):
        if (param.maximum - param.minimum) / param.step > SLIDES:
            digits = 0 if isinstance(param, Whole) else None  # no bounds: beyond them our sentence comes, not gradio's
            return gr.Number(**shared, precision=digits, step=param.step)
        return gr.Slider(param.minimum, param.maximum, step=param.step, **shared, buttons=[])
    if isinstance(param, Choice):
        return gr.Dropdown([*param.choices], **shared, filterable=len(param.choices) > 8)
    raise TypeError(f"{name}: the form has no component for {type(param).__name__}")


def _text(param: Param, shared: dict[str, Any]) -> Any:
    """Make a text field; a seed is text, so that every digit arrives, and −1 in it is settled by the studio."""
    if isinstance(param, Seed):
        return gr.Textbox(**shared, lines=1, max_lines=1, placeholder="−1 = random")
    if isinstance(param, Variations):
        return gr.Textbox(**shared, lines=1, max_lines=1, placeholder="12:0.1, 99:0.05")
    lines = param.lines if isinstance(param, Text) else 1
    return gr.Textbox(**shared, lines=lines, max_lines=max(8, lines), placeholder=param.help)


def seed_field() -> Any:
    """Make the seed field: text, so that every digit arrives."""
    return gr.Textbox(
        "",
        label=PARAMS["seed"].label,
        placeholder="−1 = random",
        elem_id="seed",
        lines=1,
        max_lines=1,
        interactive=True,
    )


def batch_fields() -> tuple[Any, Any]:
    """Make the batch count and the choice of how its seeds are numbered."""
    count = gr.Slider(
        COUNT.minimum,
        COUNT.maximum,
        value=COUNT.default,
        step=1,
        label=COUNT.label,
        elem_id="count",
        buttons=[],
        min_width=150,
    )
    numbering = gr.Radio(
        list(NUMBERING_LABELS),
        value="increment",
        label="Seeds of the batch",
        elem_id="numbering",
        min_width=280,
        interactive=True,
    )
    return count, numbering


def styles_field(labels: Sequence[tuple[str, str]], info: str | None) -> Any:
    """Make the choice of styles, each by label and name, hidden while there are none and nothing is to be said."""
    return gr.Dropdown(
        [*labels],
        value=[],
        multiselect=True,
        allow_custom_value=True,  # a style that is gone gets a sentence of ours
        label="Styles",
        info=info,
        elem_id="styles",
        visible=bool(labels or info),
        interactive=True,
    )


def parent_field() -> Any:
    """Make the hidden field that holds what was last brought into the form; see ``brought``."""
    return gr.Textbox("", visible="hidden", elem_id="parent")


def share_field() -> Any:
    """Make the slider of the share of the steps that is held to the parent's words, in percent."""
    return gr.Slider(
        0, 100, value=0, step=5, label=f"{SHARE.label} (% of the steps)", elem_id="share", buttons=[], interactive=True
    )


def brought(id: str, seed: str = "") -> str:
    """Write down what was brought into the form: a picture's words, or only its seed; nothing without an id.

    >>> brought("9f3c"), brought("9f3c", "7"), brought("", "7")
    ('9f3c@', '9f3c@7', '')
    """
    return f"{id}@{seed}" if id else ""


def parent(brought: str, seed: str) -> str:
    """Return the parent of what is made with a seed text: a picture that gave only its seed is it while that is there.

    >>> parent("0" * 32 + "@", "-1") == parent("0" * 32 + "@7", " 7 ") == "0" * 32
    True
    >>> parent("0" * 32 + "@7", "8"), parent("nonsense@", "8")
    ('', '')
    """
    id, _, held = brought.rpartition("@")
    return id if PARENT.match(id) and held in ("", seed.strip()) else ""


def read(arguments: Sequence[Any]) -> tuple[dict[str, Any], str, int, str, Lineage, float]:
    """Read a handler's arguments: the recipe's values, seed text, count, numbering, their lineage, the share held.

    Raises BadValue where no lineage can be made of them; what else is not allowed, the studio says.
    """
    values = dict(zip(NAMES, arguments, strict=False))
    seed, count, numbering, styles, came, percent = arguments[len(NAMES) : len(NAMES) + len(EXTRA)]
    text = "" if seed is None else str(seed)
    if not isinstance(styles, list | None):
        raise BadValue("styles", "Styles", styles, "a list of names")
    lineage = Lineage(parent(str(came or ""), text), styles=tuple(styles or ()))
    share = percent / 100 if isinstance(percent, int | float) and not isinstance(percent, bool) else percent
    return values, text, _whole(count), str(numbering), lineage, share


def put(arguments: Sequence[Any], **values: Any) -> list[Any]:
    """Put other values among a form's arguments, by name."""
    return [values.get(name, value) for name, value in zip([*NAMES, *EXTRA], arguments, strict=True)]


def _whole(value: Any) -> Any:
    """A slider in a browser has no integers: 4.0 is meant as 4."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def updates(values: Mapping[str, Any], models: Sequence[str]) -> tuple[list[Any], list[str]]:
    """Turn values by the form's names into updates of its components, in the order of ``Form.names``.

    Values that the form cannot hold are left as they are on the page; each gets a sentence in the second list.
    """
    sentences: list[str] = []
    result: list[Any] = []
    for name in [*NAMES, *EXTRA]:
        if name == "seed":
            result.append(str(values["seed"]) if "seed" in values else gr.skip())
        elif name == "count":
            result.append(1 if {"seed", "prompt"} <= values.keys() else gr.skip())
        elif name == "share":  # words that are brought are whole: what they were held to is in them
            result.append(0 if "prompt" in values else gr.skip())
        elif name not in values:
            result.append(gr.skip())
        elif name in ("styles", "parent"):
            result.append(values[name])
        elif name == "model" and values[name] not in models:
            sentences.append(
                f"The model {values[name]!r} is not here: the form keeps its own, and the picture will differ."
            )
            result.append(gr.skip())
        else:
            result.append(_accepted(name, values[name], sentences))
    return result, sentences


def _accepted(name: str, value: Any, sentences: list[str]) -> Any:
    try:
        found = PARAMS[name].check(value)
        return str(found) if isinstance(PARAMS[name], Seed) else found
    except BadValue as problem:
        sentences.append(f"{problem} The form keeps its own.")
        return gr.skip()


def known(found: Any) -> tuple[dict[str, Any], list[str]]:
    """Return what a picture's text says in the recipe's names, and a sentence for each value that was not allowed."""
    if found.recipe is not None:
        return dict(found.recipe.values()), []
    if found.reading is None or not found.reading.values:
        raise PictureError("The picture carries no recipe: it was made or saved by a program that writes none.")
    return dict(found.reading.values), [*map(str, found.reading.problems), *found.reading.notes]


def part(values: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Choose what to load of a recipe: ``all``, the ``seed`` or the ``prompt`` with its negative."""
    names = {"seed": ("seed",), "prompt": ("prompt", "negative_prompt")}.get(what)
    return {name: value for name, value in values.items() if names is None or name in names}


def telling(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the details of a sampler that are at their defaults: few pictures were made with others."""
    return {name: value for name, value in values.items() if name not in DETAILS or value != PARAMS[name].default}


def told(lineage: Lineage) -> list[tuple[str, str]]:
    """List what a lineage says, by labels."""
    rows = [("Template", lineage.template), ("Negative template", lineage.negative_template)]
    rows += [("Styles", ", ".join(lineage.styles)), ("Parent", lineage.parent)]
    return [row for row in rows if row[1]]


def shown(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield label and text of each value, as the details panel lists them."""
    for name, value in values.items():
        param: Param = PARAMS[name]
        text = str(value)
        with suppress(TypeError, ValueError):
            text = param.format(value)
        yield param.label, text
