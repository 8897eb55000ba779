"""A mark that was made is there after any restart, and a file that cannot be read is never written over."""

import json
import os
import threading
from pathlib import Path

import pytest

from webui.errors import StorageError
from webui.favourites import Favourites


def test_marks_are_kept_and_taken_away(tmp_path: Path) -> None:
    marks = Favourites(tmp_path / "favourites.json")
    assert marks.ids() == frozenset()
    for id in ("a", "b", "a"):
        marks.mark(id, True)
    marks.mark("unknown", False)
    assert marks.ids() == Favourites(marks.path).ids() == {"a", "b"}
    marks.mark("a", False)
    assert marks.ids() == Favourites(marks.path).ids() == {"b"}
    assert [path.name for path in tmp_path.iterdir()] == ["favourites.json"]


def test_marks_of_another_process_are_seen_and_kept(tmp_path: Path) -> None:
    one, other = Favourites(tmp_path / "f.json"), Favourites(tmp_path / "f.json")
    one.mark("a", True)
    assert other.ids() == {"a"}
    other.mark("b", True)
    one.mark("c", True)
    assert one.ids() == other.ids() == {"a", "b", "c"}


def test_threads_mark_at_once(tmp_path: Path) -> None:
    marks = Favourites(tmp_path / "f.json")
    threads = [threading.Thread(target=marks.mark, args=(str(number), True)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert marks.ids() == {str(number) for number in range(16)}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '{"version": 2, "favourites": {}}', '{"version": 1, "favourites": 3}']
)
def test_a_file_that_cannot_be_read_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    marks = Favourites(tmp_path / "f.json")
    marks.path.write_text(text)
    assert marks.ids() == frozenset()
    with pytest.raises(StorageError, match=r"f\.json cannot be read"):
        marks.mark("a", True)
    assert marks.path.read_text() == text


def test_a_write_that_fails_leaves_the_marks_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marks = Favourites(tmp_path / "f.json")
    marks.mark("a", True)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(StorageError, match=r"The mark was not saved: the disk of .* is full"):
            marks.mark("b", True)
    assert marks.ids() == set(json.loads(marks.path.read_text())["favourites"]) == {"a"}
    assert len([*tmp_path.iterdir()]) == 1
