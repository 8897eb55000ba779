"""Presets: readable files, settled at the door, wrong ones named."""

import json
from pathlib import Path

import pytest

from webui import presets
from webui.errors import BadRecipe, StorageError
from webui.presets import Preset
from webui.recipe import Recipe
from webui.settings import shipped_presets

FILES = sorted(shipped_presets().glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shipped_presets_give_recipes(path: Path) -> None:
    preset = presets.parse(path.read_text(encoding="utf-8"), path.name)
    assert preset.about.endswith(".")
    before = {"prompt": "a lake", "seed": 1}
    after = preset.apply(before)
    assert after != before
    assert "a lake" in Recipe.of(**after).prompt


def test_there_are_shipped_presets() -> None:
    assert len(FILES) >= 3


@pytest.mark.parametrize(
    "data",
    [
        [], {}, {"name": ""}, {"name": 7}, {"name": "x", "colour": "red"}, {"name": "x", "values": {"steps": 0}},
        {"name": "x", "values": {"seed": 7}}, {"name": "x", "values": {"prompt": "y"}}, {"name": "x", "values": []},
    ],
)  # fmt: skip
def test_a_wrong_preset_is_named(data: object) -> None:
    with pytest.raises(StorageError, match=r"odd\.json"):
        presets.parse(json.dumps(data), "odd.json")
    with pytest.raises(StorageError, match=r"odd\.json is not JSON"):
        presets.parse("{", "odd.json")


def test_find_is_without_regard_to_case() -> None:
    known = {"Pastel": Preset("Pastel")}
    assert presets.find(" pastel ", known) is known["Pastel"]
    with pytest.raises(BadRecipe, match="one of Pastel"):
        presets.find("ink", known)


def test_presets_combine() -> None:
    pastel, ink = Preset("a", prompt="{prompt}, pastel"), Preset("b", prompt="ink drawing of {prompt}")
    assert ink.apply(pastel.apply({"prompt": "a lake"}))["prompt"] == "ink drawing of a lake, pastel"
