"""Presets: readable files, settled at the door, wrong ones named; one list of words that combine."""

import doctest
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui import presets
from webui.engine.checkpoints import FAMILIES, Catalog
from webui.errors import BadRecipe, BadValue, StorageError
from webui.presets import Preset
from webui.recipe import Recipe
from webui.settings import shipped_presets
from webui.studio import BUNDLED
from webui.styles import NAME_LIMIT, Style, apply

FILES = sorted(shipped_presets().glob("*.json"))
SHIPPED = {path.stem: presets.parse(path.read_text(encoding="utf-8"), path.name) for path in FILES}


@pytest.mark.parametrize("preset", SHIPPED.values(), ids=SHIPPED)
def test_shipped_presets_give_recipes(preset: Preset) -> None:
    assert preset.about.endswith(".")
    before = {"prompt": "a lake", "seed": 1}
    after = preset.apply(before)
    assert after != before
    assert "a lake" in Recipe.of(**after).prompt
    assert set(preset.families) <= {BUNDLED, "sd2", *FAMILIES.values()}
    assert set(preset.obeyed_by) <= {BUNDLED} and (preset.style is not None or not preset.obeyed_by)


def test_the_shipped_ones_are_a_list_of_ids_with_names_of_their_own() -> None:
    wanted = {"landscape_photography", "science_fiction", "pastel_color", "isometric", "neon", "watercolor", "night"}
    assert wanted <= set(SHIPPED)
    assert len({preset.name.lower() for preset in SHIPPED.values()}) == len(SHIPPED) > 150
    assert {family for preset in SHIPPED.values() for family in preset.families} == {
        BUNDLED, "sd1", "sd2", "sdxl", "sd3", "flux"
    }  # fmt: skip


def test_values_of_a_family_are_ones_that_its_models_can_make() -> None:
    checkpoint = Catalog().find(BUNDLED)
    own = [preset for preset in SHIPPED.values() if preset.suits(BUNDLED)]
    assert own and not any("sdxl" in preset.families for preset in own)
    for preset in own:
        checkpoint.check(Recipe.of(seed=1, **preset.values))
    for preset in SHIPPED.values():
        assert all(preset.values.get(side, 64) % 64 == 0 for side in ("width", "height"))


@pytest.mark.parametrize(
    "data",
    [
        [], {}, {"name": ""}, {"name": 7}, {"name": "x", "colour": "red"}, {"name": "x", "values": {"steps": 0}},
        {"name": "x", "values": {"seed": 7}}, {"name": "x", "values": {"prompt": "y"}}, {"name": "x", "values": []},
        {"name": "x" * 101}, {"name": "a\nb"}, {"name": "x", "prompt": "\0"}, {"name": "x", "families": "sd1"},
    ],
)  # fmt: skip
def test_a_wrong_preset_is_named(data: object) -> None:
    with pytest.raises(StorageError, match=r"odd\.json"):
        presets.parse(json.dumps(data), "odd.json")
    with pytest.raises(StorageError, match=r"odd\.json is not JSON"):
        presets.parse("{", "odd.json")


def test_find_is_by_name_or_id_without_regard_to_case() -> None:
    known = {"Pastel": Preset("Pastel", id="pastel_color")}
    assert presets.find(" pastel ", known) is presets.find("Pastel_Color", known) is known["Pastel"]
    with pytest.raises(BadRecipe, match=r"Preset must be one of Pastel; got 'paste'\. Did you mean Pastel\?"):
        presets.find("paste", known)


def test_presets_combine() -> None:
    pastel, ink = Preset("a", prompt="{prompt}, pastel"), Preset("b", prompt="ink drawing of {prompt}")
    assert ink.apply(pastel.apply({"prompt": "a lake"}))["prompt"] == "ink drawing of a lake, pastel"


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
NAMES = TEXT.filter(lambda text: 0 < len(text.strip()) <= NAME_LIMIT and text.strip().isprintable()).map(str.strip)


@given(st.builds(Preset, name=NAMES, prompt=TEXT, negative_prompt=TEXT, about=TEXT,
                 values=st.fixed_dictionaries({}, optional={"steps": st.integers(1, 150)}),
                 families=st.lists(TEXT, max_size=2).map(tuple)))  # fmt: skip
def test_what_is_written_is_read(preset: Preset) -> None:
    text = preset.to_json()
    assert presets.parse(text, "x.json") == Preset(**{**vars(preset), "id": "x"})
    assert text.count("\n") >= 2


@given(TEXT, st.lists(TEXT, max_size=3))
def test_a_file_s_name_is_free_and_stays_in_its_folder(name: str, others: list[str]) -> None:
    taken = [presets.file_stem(other) for other in others]
    found = presets.file_stem(name, taken)
    assert found not in taken
    assert Path(f"{found}.json").name == f"{found}.json" and not found.startswith(".")


@given(st.lists(st.builds(Style, name=NAMES, prompt=TEXT), max_size=3))
def test_several_styles_saved_as_one_do_what_they_did(chosen: list[Style]) -> None:
    one = presets.combined("One", chosen).style
    both = [one] if one is not None else []
    assert [part.strip() for part in apply("a lake", "fog", both)] == [
        part.strip() for part in apply("a lake", "fog", chosen)
    ]


def test_rows_of_a_table_become_presets_and_what_does_not_is_said() -> None:
    rows = [Style("Oil", " oil of {prompt} ", "photo"), Style("Empty"), Style("INK", "ink"), Style("oil", "again")]
    taken, left = presets.imported(rows, {"Ink": Preset("Ink", prompt="mine")})
    assert taken == [Preset("Oil", "oil of {prompt}", "photo")]
    assert left[0] == "Empty has no words."
    assert left[1].startswith("INK is a preset of yours already") and left[2].startswith("oil is a preset of yours")


def test_a_preset_that_says_nothing_is_not_kept() -> None:
    with pytest.raises(BadValue, match="Words must be given, or the form's numbers put into it"):
        presets.checked(Preset("x"))
    with pytest.raises(BadValue, match="Negative words must be text"):
        presets.checked(Preset("x", negative_prompt="a\ud800"))
    assert presets.checked(Preset("x", values={"steps": 3})).values == {"steps": 3}


def test_the_page_on_presets_tells_the_truth() -> None:
    page = Path(__file__).parents[1] / "docs" / "presets.md"
    text = page.read_text(encoding="utf-8")
    assert doctest.testfile(str(page), module_relative=False) == doctest.TestResults(failed=0, attempted=5)
    shown = presets.parse(text.partition("```json\n")[2].partition("```")[0], "pastel_color.json")
    assert shown == SHIPPED["pastel_color"]
    assert all(f"`{member}`" in text for member in presets._MEMBERS)
