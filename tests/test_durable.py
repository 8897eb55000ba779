"""Durable files: whole or not there, never over another, whatever the disk does in between."""

import errno
import os
from pathlib import Path

import pytest

from webui import durable
from webui.errors import StorageError


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def fail(error: int) -> object:
    """Return a function that fails as the system would."""

    def failing(*_: object, **__: object) -> None:
        raise OSError(error, os.strerror(error))

    return failing


def test_a_new_file_of_a_given_name_is_written_once(tmp_path: Path) -> None:
    durable.write_as(tmp_path / "grid.png", b"first", "The grid")
    with pytest.raises(StorageError, match=r"The grid was not saved: there is a file .*grid\.png already"):
        durable.write_as(tmp_path / "grid.png", b"second", "The grid")
    assert content(tmp_path) == {"grid.png": b"first"}


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_full_disk_leaves_no_half_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    monkeypatch.setattr(os, call, fail(errno.ENOSPC))
    with pytest.raises(StorageError, match=r"The grid was not saved: the disk of .* is full"):
        durable.write_as(tmp_path / "grid.png", b"first", "The grid")
    assert content(tmp_path) == {}


def test_a_full_disk_leaves_the_old_file_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    durable.overwrite(tmp_path / "sea.json", b"old", "The preset Sea")
    monkeypatch.setattr(os, "fsync", fail(errno.ENOSPC))
    with pytest.raises(StorageError, match=r"The preset Sea was not saved: the disk of .* is full"):
        durable.overwrite(tmp_path / "sea.json", b"new", "The preset Sea")
    assert content(tmp_path) == {"sea.json": b"old"}


@pytest.mark.parametrize("error", [errno.EPERM, errno.ENOTSUP, errno.EMLINK])
def test_without_links_a_file_is_still_whole_and_never_over_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    monkeypatch.setattr(Path, "hardlink_to", fail(error))
    durable.write_as(tmp_path / "grid.png", b"first", "The grid")
    with pytest.raises(StorageError, match="already"):
        durable.write_as(tmp_path / "grid.png", b"second", "The grid")
    assert durable.write_new(tmp_path, b"third", 7).name == "00001-7.png"
    assert content(tmp_path) == {"grid.png": b"first", "00001-7.png": b"third"}


def test_a_moved_file_takes_a_free_name(tmp_path: Path) -> None:
    trash, folder = tmp_path / "trash", tmp_path / "folder"
    for place in (trash, folder):
        place.mkdir()
    for text in (b"one", b"two", b"three"):
        (folder / "a.png").write_bytes(text)
        durable.move_new(folder / "a.png", trash)
    assert content(trash) == {"a.png": b"one", "a (2).png": b"two", "a (3).png": b"three"}
    assert content(folder) == {}


def test_what_can_be_made_again_is_replaced_and_leaves_nothing_when_it_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    durable.replace(tmp_path / "deep" / "thumb.webp", b"old", "The thumbnail")
    durable.replace(tmp_path / "deep" / "thumb.webp", b"new", "The thumbnail")
    monkeypatch.setattr(Path, "replace", fail(errno.EACCES))
    with pytest.raises(StorageError, match="may not be written to"):
        durable.replace(tmp_path / "deep" / "other.webp", b"other", "The thumbnail")
    assert content(tmp_path / "deep") == {"thumb.webp": b"new"}


def test_what_is_being_written_has_a_name_that_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.extend(content(tmp_path)))
    durable.write_as(tmp_path / "grid.png", b"first", "The grid")
    assert durable.TEMPORARY.match(seen[0])
    assert {name for name in seen if not durable.TEMPORARY.match(name)} == {"grid.png"}


def test_a_known_number_saves_looking_and_never_overwrites(tmp_path: Path) -> None:
    assert durable.write_new(tmp_path, b"first", 7, 41).name == "00042-7.png"
    assert durable.write_new(tmp_path, b"second", 7).name == "00043-7.png"
    assert durable.write_new(tmp_path, b"third", 7, 41).name == "00044-7.png"  # what was known was wrong
    assert content(tmp_path) == {"00042-7.png": b"first", "00043-7.png": b"second", "00044-7.png": b"third"}
