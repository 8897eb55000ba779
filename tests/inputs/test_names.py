"""Names, 69 to 81, as names of presets: one is kept as it was typed, and its file stays in its folder."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.inputs.doors import House, ask, opened
from tests.inputs.table import NAMED
from webui.presets import Preset
from webui.styles import NAME_LIMIT

RESERVED = {"con", "prn", "aux", "nul", *(f"{name}{number}" for name in ("com", "lpt") for number in range(1, 10))}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Give a house."""
    with opened(tmp_path_factory.mktemp("names")) as house:
        yield house


def everything(folder: Path) -> dict[str, int]:
    """Return every file below a folder, also behind a link, with its time."""
    return {str(path.relative_to(folder)): path.lstat().st_mtime_ns for path in folder.rglob("*") if not path.is_dir()}


def names() -> list[object]:
    found = [(number, name) for number, values in NAMED.items() for name in values]
    return [pytest.param(name, id=f"no-{number}-preset-{name[:30]!r}-page") for number, name in found]


@pytest.mark.parametrize("name", names())
def test_a_preset_s_name_is_kept_in_a_file_of_its_folder_or_refused(house: House, name: str) -> None:
    before = everything(house.folder)
    answer = ask(house, "page", "preset", json.dumps(name))
    presets = house.studio.settings.presets
    made = everything(house.folder).keys() - before.keys()
    if not name.strip() or len(name) > NAME_LIMIT or not name.isprintable():
        assert not answer.taken
        assert "Name of the preset must be a text on one line of 1 to 100 characters" in answer.sentence
        assert everything(house.folder) == before
        return
    assert answer.taken, answer.sentence
    (file,) = made
    path = house.folder / file
    assert path.parent == presets
    assert path.stem.replace("_", "").isalnum() and len(path.name.encode()) <= 255
    assert path.stem not in RESERVED  # Windows has devices under these names, whatever their ending
    assert house.studio.styles()[0][name.strip()].prompt == "oil"
    house.studio.preset_files.delete(name.strip())
    assert everything(house.folder) == before


def test_no_80_case_twins_are_one_preset(house: House) -> None:
    assert ask(house, "page", "preset", '"Twin"').taken
    before = everything(house.folder)
    answer = ask(house, "page", "preset", '"TWIN"')
    assert not answer.taken and "one that no other preset of yours has" in answer.sentence
    assert everything(house.folder) == before


def test_no_81_a_preset_is_never_written_through_a_link(house: House) -> None:
    outside, presets = house.folder / "private.json", house.studio.settings.presets
    outside.write_text(Preset("Other", prompt="theirs").to_json(), "utf-8")
    presets.mkdir(exist_ok=True)
    (presets / "linked.json").symlink_to(outside)
    (presets / "nowhere.json").symlink_to(house.folder / "made-by-nobody.json")
    theirs = outside.read_text("utf-8")
    assert ask(house, "page", "preset", '"Linked"').taken
    assert ask(house, "page", "preset", '"Nowhere"').taken
    assert outside.read_text("utf-8") == theirs
    assert not (house.folder / "made-by-nobody.json").exists()
    assert {path.name for path in presets.glob("*_2.json")} == {"linked_2.json", "nowhere_2.json"}
