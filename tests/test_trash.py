"""Deleted pictures are moved, whole, and come back to where they were."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from webui.engine.fake import FakeEngine
from webui.errors import PictureError, StorageError
from webui.gallery import Gallery, Record
from webui.recipe import Recipe
from webui.settings import Settings
from webui.trash import FOLDER, Trash
from webui.verify import verify


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    gallery = Gallery(tmp_path / "outputs", tmp_path / "index.db", tmp_path / "thumbnails")
    yield gallery
    gallery.close()


@pytest.fixture
def trash(gallery: Gallery) -> Trash:
    return Trash(gallery)


def made(gallery: Gallery, seed: int) -> Record:
    recipe = Recipe.of(prompt="a lake", seed=seed, steps=1, width=64, height=64)
    *_, last = FakeEngine().generate(recipe)
    assert last.image is not None
    assert last.fingerprint is not None
    return gallery.save(last.image, recipe, last.fingerprint)


def seeds(gallery: Gallery) -> list[int]:
    return [record.recipe.seed for record in gallery.recent()]


def test_a_picture_goes_and_comes_back_as_it_was(gallery: Gallery, trash: Trash) -> None:
    records = [made(gallery, seed) for seed in (1, 2, 3)]
    before = records[1].path.read_bytes()
    assert trash.put(records[1].id) == records[1]
    assert seeds(gallery) == [3, 1]
    assert (gallery.get(records[1].id), records[1].path.exists()) == (None, False)
    gallery.rebuild()
    assert seeds(gallery) == [3, 1]
    assert trash.ids() == [records[1].id]
    assert trash.put_back(records[1].id) == [records[1].path]
    assert records[1].path.read_bytes() == before
    assert gallery.get(records[1].id) == records[1]
    assert seeds(gallery) == [3, 2, 1], "in its old place"
    assert trash.ids() == []
    assert list(trash.folder.iterdir()) == []


def test_what_was_deleted_last_is_first(gallery: Gallery, trash: Trash) -> None:
    records = [made(gallery, seed) for seed in (1, 2, 3)]
    for age, record in enumerate((records[2], records[0], records[1])):
        trash.put(record.id)
        os.utime(trash.folder / record.id, (age, age))
    assert trash.ids() == [records[1].id, records[0].id, records[2].id]


def test_a_taken_name_is_never_overwritten(gallery: Gallery, trash: Trash) -> None:
    record = made(gallery, 1)
    trash.put(record.id)
    record.path.write_bytes(b"another picture")
    (back,) = trash.put_back(record.id)
    assert (back.name, record.path.read_bytes()) == (f"{record.path.stem} (2).png", b"another picture")
    found = gallery.get(record.id)
    assert found is not None
    assert found.path == back


def test_copies_go_and_come_together(gallery: Gallery, trash: Trash) -> None:
    record = made(gallery, 1)
    copy = gallery.outputs / "chosen" / "mine.png"
    copy.parent.mkdir()
    copy.write_bytes(record.path.read_bytes())
    gallery.refresh()
    trash.put(record.id)
    assert (record.path.exists(), copy.exists(), gallery.count()) == (False, False, 0)
    assert set(trash.put_back(record.id)) == {record.path, copy}


def test_what_is_not_there_is_a_sentence(gallery: Gallery, trash: Trash) -> None:
    for id in ("nothing", "", "../..", "\udcff"):
        with pytest.raises(PictureError, match="no longer in the outputs folder"):
            trash.put(id)
    with pytest.raises(PictureError, match="no longer in the trash"):
        trash.put_back("nothing")
    assert trash.ids() == []


def test_no_text_becomes_a_path_out_of_the_trash(gallery: Gallery, trash: Trash, tmp_path: Path) -> None:
    trash.put(made(gallery, 1).id)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "private.png").write_bytes(b"private")
    for id in ("../../outside", str(outside), "..", ".", ""):
        with pytest.raises(PictureError, match="no longer in the trash"):
            trash.put_back(id)
    assert (outside / "private.png").read_bytes() == b"private"


def test_a_folder_that_cannot_be_written_is_a_sentence(
    gallery: Gallery, trash: Trash, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = made(gallery, 1)

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(StorageError, match="may not be written to"):
        trash.put(record.id)
    assert record.path.is_file()


def test_the_trash_is_no_part_of_what_is_verified(gallery: Gallery, trash: Trash, tmp_path: Path) -> None:
    record = made(gallery, 1)
    trash.put(record.id)
    next(path for path in (trash.folder / record.id).rglob("*.png")).write_bytes(b"damaged")
    assert FOLDER == ".trash"
    assert list(verify(Settings(data_dir=tmp_path)).problems) == []


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), max_size=12))
def test_no_order_of_deleting_and_putting_back_loses_a_picture(
    gallery: Gallery, trash: Trash, acts: list[tuple[bool, int]]
) -> None:
    for record in gallery.recent():
        record.path.unlink()
    records = [made(gallery, seed) for seed in range(5)]
    away: set[str] = set()
    for put, number in acts:
        id = records[number].id
        if put == (id in away):
            continue
        (trash.put if put else trash.put_back)(id)
        away ^= {id}
    assert set(trash.ids()) == away
    assert {record.id for record in gallery.recent()} == {record.id for record in records} - away
    for id in away:
        trash.put_back(id)
    assert {record.path for record in gallery.recent()} == {record.path for record in records}
