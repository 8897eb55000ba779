"""Presets on the page without a browser: the styles that combine, form presets, and the fold of own ones."""

from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from tests.ui.test_handlers import make
from tests.ui.test_recall import filled
from webui.presets import Preset
from webui.studio import Studio
from webui.ui.handlers import Handlers
from webui.ui.presets import NUMBERS, Presets, forms_field, styles_field

SKIP = gr.skip()
FORM = {"steps": 9, "sampler": "Euler", "schedule": "Karras", "cfg_scale": 4.0, "width": 320, "height": 256}


@pytest.fixture
def page(studio: Studio) -> Presets:
    """Give the handlers of presets over a studio."""
    return Presets(studio)


def save(page: Presets, name: str, words: str = "", negative: str = "", **asked: Any) -> dict[str, Any]:
    """Press Save; return what follows: the own presets, the styles, the form presets and the sentence."""
    values = {"editing": None, "numbers": False, "chosen": [], "model": "reseed", **asked}
    return after(
        page.save(
            values["editing"], name, words, negative, values["numbers"], values["chosen"], values["model"],
            *(FORM[number] for number in NUMBERS),
        )
    )  # fmt: skip


def after(outputs: list[Any]) -> dict[str, Any]:
    return dict(zip(("mine", "styles", "forms", "said"), outputs, strict=False))


def names(update: dict[str, Any]) -> list[str]:
    return [choice if isinstance(choice, str) else choice[1] for choice in update["choices"]]


# ---- choosing ----------------------------------------------------------------------------------------------


def test_one_s_own_come_first_then_what_the_model_obeys_then_the_rest(page: Presets, studio: Studio) -> None:
    studio.settings.styles.write_text("name,prompt\nZinc,zinc\n")
    save(page, "Mine", "mine")
    update = page.offer([], "reseed")
    assert names(update)[:2] == ["Mine", "Zinc"]
    labels = {name: label for label, name in update["choices"]}
    assert (labels["Pastel"], labels["Isometric"]) == ("✓ Pastel", "Isometric")
    marked = [label.startswith("✓") for label, _ in update["choices"][2:]]
    assert marked == sorted(marked, reverse=True) and 20 < sum(marked) < len(marked)
    assert "✓ was seen to work with reseed" in update["info"]
    assert not any(label.startswith("✓") for label, _ in page.offer([], "dreams")["choices"])
    assert styles_field(studio).choices == update["choices"]


def test_words_of_one_s_own_under_a_shipped_name_have_no_mark(page: Presets) -> None:
    save(page, "Pastel", "chalk")
    labels = {name: label for label, name in page.offer([], "reseed")["choices"]}
    assert labels["Pastel"] == "Pastel"


def test_a_style_that_is_gone_is_taken_out_of_the_choice(page: Presets) -> None:
    assert page.offer(["Gone", "Pastel"], "reseed")["value"] == ["Pastel"]
    assert "value" not in page.offer(["Pastel"], "reseed")


def test_form_presets_are_those_for_the_model_s_family(page: Presets, studio: Studio) -> None:
    offered = names(page.forms("reseed"))
    assert {"Quick look", "Fine", "Wide, from the middle"} <= set(offered)
    assert not {"SDXL portrait", "SD 1.x portrait", "Pastel"} & set(offered)
    assert page.forms("gone") == SKIP
    assert [name for _, name in forms_field(studio).choices] == offered


def test_a_form_preset_fills_the_fields_says_so_and_leaves_the_choice_empty(page: Presets, studio: Studio) -> None:
    *changed, note, choice = page.fill("Wide, from the middle", [])
    assert filled(changed) == {"width": 384, "height": 256, "noise_layout": "centred"}
    assert "Wide, from the middle: Width 384, Height 256, Noise layout centred." in note
    assert choice is None
    studio.preset_files.save(Preset("Both", prompt="both", values={"steps": 5}))
    *changed, _, _ = page.fill("Both", ["Ink"])
    assert filled(changed) == {"steps": 5, "styles": ["Ink", "Both"]}
    assert filled(page.fill(None, [])) == {}


# ---- editing -----------------------------------------------------------------------------------------------


def test_the_words_of_the_styles_chosen_become_a_preset_that_does_the_same(page: Presets, studio: Studio) -> None:
    words, negative, _ = page.combine(["Night", "Pastel"])
    assert (words, negative) == ("{prompt}, at night, pastel colors", "")
    said = save(page, "Moonlit", words, negative)
    assert "Moonlit is kept in moonlit.json." in said["said"]
    assert said["mine"]["value"] == "Moonlit" and names(said["mine"]) == ["Moonlit"]
    one, both = (
        make(Handlers(studio), seed="7", styles=styles)[1].records[0] for styles in (["Moonlit"], ["Night", "Pastel"])
    )
    assert one.recipe == both.recipe
    assert one.lineage.styles == ("Moonlit",)
    assert "choose some above" in page.combine([])[2]


def test_an_own_preset_is_opened_renamed_and_deleted(page: Presets, studio: Studio) -> None:
    save(page, "Oil", "oil of {prompt}", "photo")
    assert page.open("Oil")[:4] == ["Oil", "oil of {prompt}", "photo", False]
    renamed = save(page, "Old oil", "oil of {prompt}", editing="Oil", chosen=["Oil", "Ink"])
    assert renamed["styles"]["value"] == ["Old oil", "Ink"]
    assert [preset.name for preset in studio.preset_files.own().presets] == ["Old oil"]
    gone = after(page.delete("Old oil", ["Old oil"], "reseed"))
    assert (names(gone["mine"]), gone["mine"]["value"], gone["styles"]["value"]) == ([], None, [])
    assert page.open("Old oil")[0] == page.open(None)[0] == ""


@pytest.mark.parametrize("name", [None, "Ink", "nothing"])
def test_only_one_s_own_can_be_deleted(page: Presets, studio: Studio, name: str | None) -> None:
    before = studio.styles()
    assert "stay as they are" in after(page.delete(name, [], "reseed"))["said"]
    assert studio.styles() == before


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("", "x", "Name of the preset must be a text on one line of 1 to 100 characters; got &#x27;&#x27;."),
        ("<b>", "", "Words must be given"), ("x" * 101, "x", "of 1 to 100 characters"), ("a\tb", "x", "on one line"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_a_sentence_and_nothing_is_written(
    page: Presets, studio: Studio, name: str, words: str, said: str
) -> None:
    answer = save(page, name, words)["said"]
    assert said in answer and 'class="wrong"' in answer and "<b>" not in answer
    assert studio.preset_files.own().presets == ()


def test_the_form_s_numbers_become_a_form_preset_for_models_like_this_one(page: Presets) -> None:
    offered = save(page, "Mine", numbers=True)["forms"]
    assert "Mine" in names(offered)
    *changed, _, _ = page.fill("Mine", [])
    assert filled(changed) == FORM
    save(page, "Mine", "words", editing="Mine")
    *changed, _, _ = page.fill("Mine", [])
    assert filled(changed) == {**FORM, "styles": ["Mine"]}


def test_a_table_of_a1111_is_imported_with_a_report(page: Presets, studio: Studio, tmp_path: Path) -> None:
    save(page, "Ink", "my ink")
    file = tmp_path / "styles.csv"
    file.write_text(
        'name,prompt,negative_prompt\nOil,"oil of {prompt}",photo\nInk,ink,\n# note,x,\nBad,a,b,c\nNone,,\n'
    )
    *outputs, cleared = page.take(str(file), [], "reseed")
    said = after(outputs)["said"]
    assert "Taken from styles.csv: 1." in said
    assert "Ink is a preset of yours already" in said and "None has no words." in said and "Line 5 has 4" in said
    assert cleared is None and not file.exists()
    assert {preset.name: preset.prompt for preset in studio.preset_files.own().presets} == {
        "Ink": "my ink", "Oil": "oil of {prompt}",
    }  # fmt: skip


@pytest.mark.parametrize(("data", "said"), [(b"\xff\xfe", "it is not UTF-8 text"), (b"a,b\n", "Line 1 must name")])
def test_a_file_that_is_no_table_is_a_sentence(page: Presets, tmp_path: Path, data: bytes, said: str) -> None:
    file = tmp_path / "styles.csv"
    file.write_bytes(data)
    assert said in page.take(str(file), [], "reseed")[3]


def test_many_problems_are_counted(page: Presets, tmp_path: Path) -> None:
    file = tmp_path / "many.csv"
    file.write_text("name,prompt\n" + "".join(f"n{number},\n" for number in range(9)))
    assert "And 4 more of this kind." in page.take(str(file), [], "reseed")[3]
