"""Preset files: own ones are kept, renamed and deleted; shipped ones never touched; bad ones named."""

from pathlib import Path

import pytest

from webui.errors import BadValue, StorageError
from webui.preset_files import PresetFiles
from webui.presets import Preset
from webui.settings import Settings, default_data_dir, shipped_presets


@pytest.fixture
def files(tmp_path: Path) -> PresetFiles:
    """Give presets over two folders, with one shipped."""
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "ink.json").write_text(Preset("Ink", prompt="ink").to_json())
    return PresetFiles(tmp_path / "shipped", tmp_path / "own")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_own_preset_is_a_readable_file(files: PresetFiles, tmp_path: Path) -> None:
    kept = files.save(Preset("Sea & sky", prompt="{prompt}, waves"))
    assert kept.id == "sea_sky"
    text = (tmp_path / "own" / "sea_sky.json").read_text(encoding="utf-8")
    assert text == '{\n  "name": "Sea & sky",\n  "prompt": "{prompt}, waves"\n}\n'
    assert list(files.read()[0]) == ["Ink", "Sea & sky"]
    assert PresetFiles(tmp_path / "shipped", tmp_path / "own").own().presets == (kept,)


def test_names_that_make_one_file_name_have_two_files(files: PresetFiles, tmp_path: Path) -> None:
    files.save(Preset("a b", prompt="1"))
    files.save(Preset("a-b", prompt="2"))
    assert names(tmp_path / "own") == ["a_b.json", "a_b_2.json"]
    assert {preset.name: preset.prompt for preset in files.own().presets} == {"a b": "1", "a-b": "2"}


def test_saving_what_is_edited_replaces_and_renames_it(files: PresetFiles, tmp_path: Path) -> None:
    files.save(Preset("Oil", prompt="oil"))
    files.save(Preset("Oil", prompt="oil paint"), "Oil")
    assert [preset.prompt for preset in files.own().presets] == ["oil paint"]
    files.save(Preset("Old masters", prompt="oil paint"), "Oil")
    assert names(tmp_path / "own") == ["old_masters.json"]
    files.save(Preset("OLD masters", prompt="oil"), "Old masters")
    assert [preset.name for preset in files.own().presets] == ["OLD masters"]


def test_a_name_that_is_taken_is_refused_and_nothing_is_lost(files: PresetFiles) -> None:
    files.save(Preset("Oil", prompt="oil"))
    files.save(Preset("Calm", prompt="calm"))
    for editing in ("", "Calm"):
        with pytest.raises(
            BadValue, match=r"Name of the preset must be one that no other preset of yours has; got 'oil'"
        ):
            files.save(Preset("oil", prompt="other"), editing)
    assert {preset.prompt for preset in files.own().presets} == {"oil", "calm"}


def test_an_own_one_hides_a_shipped_one_until_it_is_deleted(files: PresetFiles, tmp_path: Path) -> None:
    files.save(Preset("ink", prompt="mine"))
    assert {name: preset.prompt for name, preset in files.read()[0].items()} == {"ink": "mine"}
    files.delete("ink")
    assert {name: preset.prompt for name, preset in files.read()[0].items()} == {"Ink": "ink"}
    with pytest.raises(BadValue, match=r"Preset must be one of your own; .* stay as they are; got 'Ink'"):
        files.delete("Ink")
    assert names(tmp_path / "shipped") == ["ink.json"]


def test_a_file_that_cannot_be_read_is_a_sentence_and_the_others_count(files: PresetFiles, tmp_path: Path) -> None:
    files.save(Preset("Oil", prompt="oil"))
    (tmp_path / "own" / "bad.json").write_text("{")
    (tmp_path / "own" / "worse.json").write_bytes(b"\xff")
    (tmp_path / "own" / "folder.json").mkdir()
    found, problems = files.read()
    assert list(found) == ["Ink", "Oil"]
    assert [problem.split()[2] for problem in problems] == ["bad.json", "folder.json", "worse.json"]
    (tmp_path / "own" / "bad.json").write_text(Preset("Mended", prompt="x").to_json())
    assert "Mended" in files.read()[0]


def test_a_folder_that_may_not_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("a file")
    with pytest.raises(StorageError, match="The preset Oil was not saved"):
        PresetFiles(tmp_path, tmp_path / "own").save(Preset("Oil", prompt="oil"))


def test_in_a_checkout_own_presets_are_apart_from_shipped_ones(tmp_path: Path) -> None:
    assert Settings(data_dir=default_data_dir()).presets == shipped_presets() / "own"
    assert Settings(data_dir=tmp_path).presets == tmp_path / "presets"


def test_a_renamed_preset_whose_old_file_cannot_go_is_a_sentence(
    files: PresetFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.save(Preset("Sea", prompt="sea"))

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".json":
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StorageError, match="The preset Sea was not deleted: Permission denied"):
        files.save(Preset("Lake", prompt="lake"), instead_of="Sea")
    assert names(tmp_path / "own") == ["lake.json", "sea.json"]
