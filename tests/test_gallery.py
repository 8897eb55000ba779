"""What was reported as saved is there, whole; nothing is overwritten; no file and no index can break the gallery."""

import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import namedtuple
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from webui import gallery, png
from webui.engine.fake import FakeEngine
from webui.errors import PictureError, StorageError
from webui.fingerprint import Fingerprint
from webui.gallery import Gallery, Record
from webui.recipe import Recipe

SEEDS = [0, 2**32 - 1, 2**53 + 1, 2**63, 2**64 - 1]


def opened(folder: Path) -> Gallery:
    return Gallery(folder / "outputs", folder / "cache" / "index.db", folder / "cache" / "thumbnails")


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Gallery]:
    gallery = opened(tmp_path)
    yield gallery
    gallery.close()


def recipe(seed: int = 7, **values: object) -> Recipe:
    return Recipe.of(**{"prompt": "a lake, 湖 🦆", "seed": seed, "steps": 1, "width": 64, "height": 64, **values})


def made(wanted: Recipe) -> tuple[Image.Image, Recipe, Fingerprint]:
    *_, last = FakeEngine().generate(wanted)
    assert last.image is not None
    assert last.fingerprint is not None
    return last.image, wanted, last.fingerprint


def save(kept: Gallery, seed: int = 7, origin: str = "", **values: object) -> Record:
    return kept.save(*made(recipe(seed, **values)), origin)


def files(kept: Gallery) -> list[Path]:
    return sorted(path for path in kept.outputs.rglob("*") if path.is_file())


def sound(path: Path) -> bool:
    """Decode a picture and compare its pixels with the hash that it carries."""
    with Image.open(path) as image:
        return png.read(path, whole=True).pixels_sha256 == png.pixels_sha256(image)


# Saving and finding


@pytest.mark.parametrize("seed", SEEDS)
def test_seeds_are_exact_through_file_index_and_rebuild(kept: Gallery, seed: int, tmp_path: Path) -> None:
    record = save(kept, seed)
    assert record.path.name == f"00001-{seed}.png"
    assert png.read(record.path).recipe == record.recipe
    for _ in range(2):
        found = kept.get(record.id)
        assert found == record
        assert found.recipe.seed == seed
        kept.rebuild()
    kept.close()
    shutil.rmtree(tmp_path / "cache")
    again = opened(tmp_path)
    assert again.refresh().added == 1
    assert again.recent() == [record]
    again.close()


def test_what_a_record_says(kept: Gallery) -> None:
    image, wanted, by = made(recipe())
    record = kept.save(image, wanted, by, "job:0")
    assert record.path == kept.outputs / datetime.now().astimezone().strftime("%Y-%m-%d") / "00001-7.png"
    assert record.recipe == wanted.but(model_hash=by.model_hash[:10])
    assert (record.fingerprint, record.origin) == (by, "job:0")
    assert record.pixels_sha256 == png.pixels_sha256(image)
    assert sound(record.path)
    assert abs(datetime.fromisoformat(record.created) - datetime.now(UTC)).total_seconds() < 60
    assert kept.find_origin("job:0") == kept.by_path(record.path) == record
    assert (kept.find_origin("job:1"), kept.find_origin(""), kept.get("x"), kept.by_path(Path("/x"))) == (None,) * 4
    assert [path.suffix for path in files(kept)] == [".png"]


def test_an_unknown_model_hash_is_not_invented(kept: Gallery) -> None:
    image, wanted, _ = made(recipe(model_hash="abc"))
    assert kept.save(image, wanted, Fingerprint("", "", "", "", "", "", "")).recipe.model_hash == "abc"


def test_newest_first_in_pages(kept: Gallery) -> None:
    records = [save(kept, seed) for seed in range(7)][::-1]
    assert kept.recent() == records
    assert kept.recent(3) == records[:3]
    assert kept.recent(3, before=records[2].id) == records[3:6]
    assert kept.recent(3, before=records[-1].id) == kept.recent(3, before="unknown") == kept.recent(0) == []
    assert kept.count() == 7


def test_the_clock_set_back_changes_neither_order_nor_names(kept: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    first = save(kept, 1)

    class Earlier(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime(2001, 1, 1, tzinfo=tz)

    monkeypatch.setattr(gallery, "datetime", Earlier)
    second = save(kept, 1)
    assert (first.path.name, second.path.name) == ("00001-1.png", "00002-1.png")
    kept.rebuild()
    assert kept.recent() == [second, first]


def test_counters_go_on_and_never_overwrite(kept: Gallery) -> None:
    folder = save(kept).path.parent
    (folder / "00041-9.png").write_bytes(b"someone else's")
    assert save(kept, 9).path.name == "00042-9.png"
    assert (folder / "00041-9.png").read_bytes() == b"someone else's"
    (folder / "99999-1.png").touch()
    assert save(kept, 1).path.name == "100000-1.png"
    kept.rebuild()
    assert kept.recent(1)[0].path.name == "100000-1.png"


def test_numbers_follow_what_another_program_put_there(kept: Gallery) -> None:
    """The folder is looked through again only where something changed in it since this program's last picture."""
    folder = save(kept).path.parent
    assert save(kept).path.name.startswith("00002-")
    os.utime(folder / "00002-7.png")
    (folder / "00041-9.png").write_bytes(b"")
    os.utime(folder, ns=(1, 1))  # the clock of a file system may be too coarse to tell two writes apart
    assert [save(kept).path.name[:5] for _ in range(3)] == ["00042", "00043", "00044"]


def test_threads_save_and_read_at_once(kept: Gallery) -> None:
    threads = [threading.Thread(target=lambda: [save(kept, 7) for _ in range(8)]) for _ in range(3)]
    threads.append(threading.Thread(target=lambda: [(kept.recent(), kept.refresh()) for _ in range(20)]))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept.count() == 24
    assert sorted(int(path.name[:5]) for path in files(kept)) == list(range(1, 25))


SAVER = """
import sys
from pathlib import Path
from tests.test_gallery import opened, save
kept = opened(Path(sys.argv[1]))
for _ in range(60):
    print(save(kept, 7).path, flush=True)
"""


def test_two_processes_save_120_distinct_files(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SAVER, str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    names = [line for process in both for line in process.communicate(timeout=60)[0].splitlines()]
    kept = opened(tmp_path)
    assert len(names) == len(set(names)) == 120
    assert sorted(map(Path, names)) == files(kept)
    assert all(map(sound, files(kept)))
    assert kept.refresh() == gallery.Refreshed(0, 0, ())
    assert kept.count() == 120
    kept.close()


# Faults while saving


CALLS = ["open", "write", "fsync", "close", "link", "unlink", "scandir", "stat", "mkdir"]


class Faults:
    """Let the system call number ``at`` fail, counted over the calls that saving makes below a folder.

    It fails with the error ``code``; code 0 kills the process instead of making the call.
    """

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path, at: int, code: int) -> None:
        self.count = 0
        self.failed: str | None = None
        for name in CALLS:
            patch.setattr(os, name, self.wrapped(name, getattr(os, name), str(folder), at, code))

    def wrapped(self, name: str, real: Callable[..., Any], folder: str, at: int, code: int) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if threading.current_thread() is threading.main_thread() and (
                isinstance(args[0], int) or str(args[0]).startswith(folder)
            ):
                self.count += 1
                if self.count == at:
                    self.failed = name
                    if not code:
                        os.kill(os.getpid(), signal.SIGKILL)
                    if name == "close":
                        real(*args, **options)
                    raise OSError(code, os.strerror(code), str(args[0]))
            return real(*args, **options)

        return call


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EPERM, errno.ENOENT])
def test_a_fault_at_any_system_call_leaves_no_partial_file(tmp_path: Path, code: int) -> None:
    failed = []
    for at in range(1, 100):
        kept = opened(tmp_path / str(at))
        before = save(kept, 1)
        bytes_before = before.path.read_bytes()
        picture = made(recipe(2))
        with pytest.MonkeyPatch.context() as patch:
            faults = Faults(patch, kept.outputs, at, code)
            try:
                record = kept.save(*picture)
            except StorageError as error:
                assert "not saved" in str(error)
                record = None
        pictures = [path for path in files(kept) if path.suffix == ".png"]
        assert before.path.read_bytes() == bytes_before
        assert all(map(sound, pictures))
        if record is not None:
            assert record.path in pictures
        assert not kept.refresh().damaged
        assert kept.count() == len(pictures)
        assert pictures == files(kept), "the refresh removes what is left over"
        assert save(kept, 3).path.is_file()
        kept.close()
        if faults.failed is None:
            break
        failed.append(faults.failed)
    assert {"open", "write", "fsync", "close", "link", "unlink"} <= set(failed)


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
def test_without_links_a_file_is_reserved_and_moved(kept: Gallery, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def unsupported(*args: object, **options: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", unsupported)
    records = [save(kept, 7) for _ in range(3)]
    assert [record.path.name for record in records] == ["00001-7.png", "00002-7.png", "00003-7.png"]
    assert all(sound(record.path) for record in records)
    assert len(files(kept)) == 3


def test_a_full_disk_is_seen_before_writing(kept: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 63 * 2**20))
    with pytest.raises(StorageError, match=r"has 63 MB left and 64 MB are needed"):
        save(kept)
    assert files(kept) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "outputs").write_text("a file where the folder should be")
    kept = opened(tmp_path)
    with pytest.raises(StorageError, match="The picture was not saved"):
        save(kept)
    kept.close()


def test_the_folder_may_vanish_while_running(kept: Gallery) -> None:
    gone = save(kept)
    shutil.rmtree(kept.outputs)
    assert kept.get(gone.id) is None
    assert kept.recent() == []
    assert save(kept).path.is_file()
    assert kept.count() == 1


# Files that come, go and are bad


def test_bad_files_are_listed_and_break_nothing(kept: Gallery, tmp_path: Path) -> None:
    record = save(kept)
    data, folder = record.path.read_bytes(), kept.outputs / "2026-01-01"
    folder.mkdir()
    (folder / "empty.png").touch()
    (folder / "cut.png").write_bytes(data[:-20])
    (folder / "head.PNG").write_bytes(data[:900])
    (folder / "flipped.png").write_bytes(data[:120] + bytes([data[120] ^ 1]) + data[121:])
    (folder / "jpeg.png").write_bytes(b"\xff\xd8\xff" + b"x" * 99)
    (folder / "text.png").write_text("<html>")
    (folder / "future.png").write_bytes(data.replace(b'"version": 1', b'"version": 9'))
    (folder / "bomb.png").write_bytes(data[:33] + b"\x7f\xff\xff\xffzTXt" + data[33:])
    (folder / "notes.txt").write_text("not a picture")
    (folder / ".hidden.png").write_text("not looked at")
    Image.new("RGB", (9, 9)).save(folder / "plain.png")
    (folder / "linked.png").symlink_to(tmp_path / "elsewhere.png")
    (kept.outputs / "loop").symlink_to(kept.outputs)
    (folder / "directory.png").mkdir()
    found = kept.refresh()
    names = {path.name for path, _ in found.damaged}
    assert names == {
        "empty.png", "cut.png", "head.PNG", "flipped.png", "text.png", "future.png", "bomb.png",
    }  # fmt: skip
    assert all(reason.endswith(".") and path.name in reason for path, reason in found.damaged)
    assert kept.recent() == [record]
    assert kept.refresh() == kept.rebuild() == gallery.Refreshed(0, 0, found.damaged)
    (folder / "cut.png").write_bytes(data)
    assert "cut.png" not in {path.name for path, _ in kept.refresh().damaged}


def test_names_that_are_no_text(kept: Gallery) -> None:
    record = save(kept)
    odd = Path(os.fsdecode(os.fsencode(kept.outputs) + b"/\xff.png"))
    shutil.copy(record.path, odd)
    assert kept.refresh() == gallery.Refreshed(0, 0, ((odd, "The file's name is not readable text: give it another."),))
    assert kept.recent() == [record]
    assert kept.by_path(odd) is None
    for id in ("\ud800", "", "\0", "x" * 10_000, "' OR 1=1 --"):
        assert kept.get(id) is None
        assert kept.recent(before=id) == []


def test_moved_copied_and_deleted_files(kept: Gallery) -> None:
    first, second = save(kept, 1), save(kept, 2)
    favourites = kept.outputs / "favourites"
    favourites.mkdir()
    moved = first.path.rename(favourites / "mine.png")
    assert kept.refresh() == gallery.Refreshed(0, 0, ())
    found = kept.get(first.id)
    assert found is not None
    assert found.path == moved
    copy = Path(shutil.copy(second.path, favourites / "again.png"))
    assert kept.refresh().added == 0
    assert kept.count() == 2
    second.path.unlink()
    assert kept.refresh() == gallery.Refreshed(0, 0, ())
    found = kept.get(second.id)
    assert found is not None
    assert found.path == copy
    thumbnail = kept.thumbnail(found)
    copy.unlink()
    assert kept.get(second.id) is None
    assert kept.count() == 1
    moved.unlink()
    assert kept.refresh() == gallery.Refreshed(0, 1, ())
    assert thumbnail.exists()  # of a record that get() had already dropped: harmless, and rebuilt on demand


def test_leftovers_of_a_killed_process_are_removed(kept: Gallery) -> None:
    folder = save(kept).path.parent
    (folder / ".reseed-0123456789abcdef.tmp").write_bytes(b"half")
    (folder / ".other.tmp").write_bytes(b"not ours")
    kept.refresh()
    assert sorted(path.name for path in folder.iterdir()) == [".other.tmp", "00001-7.png"]


def test_a_refresh_elsewhere_may_remove_the_unfinished_file(kept: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    real, fired = os.link, []

    def link(source: Any, target: Any, **options: Any) -> None:
        if not fired:
            fired.append(Path(source).unlink())
        real(source, target, **options)

    monkeypatch.setattr(os, "link", link)
    assert sound(save(kept).path)
    assert fired


# The index


def spoil_cut(index: Path) -> None:
    index.write_bytes(index.read_bytes()[:5000])


def spoil_noise(index: Path) -> None:
    index.write_bytes(os.urandom(20_000))


def spoil_newer(index: Path) -> None:
    with sqlite3.connect(index) as db:
        db.executescript("DROP TABLE files; CREATE TABLE files (later); PRAGMA user_version = 99;")
    db.close()


def spoil_row(index: Path) -> None:
    with sqlite3.connect(index) as db:
        db.execute("UPDATE files SET recipe = substr(recipe, 1, 20)")
    db.close()


def spoil_table(index: Path) -> None:
    with sqlite3.connect(index) as db:
        db.execute("DROP TABLE files")
    db.close()


def spoil_folder(index: Path) -> None:
    index.unlink()
    index.mkdir()


SPOILERS = [Path.unlink, Path.touch, spoil_cut, spoil_noise, spoil_newer, spoil_row, spoil_table, spoil_folder]


@pytest.mark.parametrize("spoil", SPOILERS)
def test_the_index_is_disposable_between_runs(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    kept = opened(tmp_path)
    records = [save(kept, seed) for seed in SEEDS][::-1]
    kept.close()
    spoil(tmp_path / "cache" / "index.db")
    again = opened(tmp_path)
    again.refresh()
    assert again.recent() == records
    assert again.get(records[0].id) == records[0]
    newest = save(again, 1)
    assert again.recent(1) == [newest]
    again.close()


@pytest.mark.parametrize("spoil", [Path.unlink, spoil_noise, spoil_row, spoil_table])
def test_the_index_is_disposable_while_running(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    kept = opened(tmp_path)
    records = [save(kept, seed) for seed in SEEDS][::-1]
    spoil(tmp_path / "cache" / "index.db")
    newest = save(kept, 1)
    assert kept.recent() == [newest, *records]
    kept.close()
    again = opened(tmp_path)
    again.refresh()
    assert again.recent() == [newest, *records]
    again.close()


def test_the_index_answers_without_scanning(kept: Gallery) -> None:
    plans = {
        "1": "SCAN files",  # backwards by place, its key, to the end of the page
        "place < 7": "USING INTEGER PRIMARY KEY (rowid<?)",
        "id = 'x'": "USING INDEX files_id",
        "path = 'x'": "USING INDEX sqlite_autoindex_files_1 (path=?)",
        "origin = 'x' AND origin != ''": "USING INDEX files_origin",
    }
    for where, plan in plans.items():
        asked = f"SELECT * FROM files WHERE id != '' AND copy = 0 AND {where} ORDER BY place DESC LIMIT 9"
        query = f"EXPLAIN QUERY PLAN {asked}"
        steps = kept._index.run(lambda db, query=query: [row[3] for row in db.execute(query)])  # type: ignore[misc]
        assert plan in steps[0], (where, steps)
        assert where.startswith(("id", "path", "origin")) or len(steps) == 1, "nothing is sorted"


def test_a_closed_gallery_says_so_and_still_keeps_pictures(kept: Gallery) -> None:
    kept.close()
    assert sound(save(kept).path)
    with pytest.raises(StorageError, match="closed"):
        kept.recent()


# Thumbnails


def test_thumbnails(kept: Gallery) -> None:
    record = save(kept, width=512, height=256)
    path = kept.thumbnail(record)
    with Image.open(path) as image:
        assert (image.format, image.size) == ("WEBP", (256, 128))
    stamp = path.stat().st_mtime_ns
    assert kept.thumbnail(record) == path
    assert path.stat().st_mtime_ns == stamp
    for size, width in ((64, 64), (-1, 16), (10**9, 512)):
        with Image.open(kept.thumbnail(record, size)) as image:
            assert image.size == (width, width // 2)
    record.path.unlink()
    kept.refresh()
    assert list(kept.thumbnails.iterdir()) == []
    with pytest.raises(PictureError, match="no longer there"):
        kept.thumbnail(record, 65)


def test_thumbnails_of_damaged_and_enormous_files(kept: Gallery) -> None:
    record = save(kept)
    data = record.path.read_bytes()
    at = data.index(b"IDAT") + 8
    record.path.write_bytes(data[:at] + bytes(len(data) - at))
    with pytest.raises(PictureError, match="damaged"):
        kept.thumbnail(record)
    Image.new("1", (9000, 9000)).save(record.path)
    with pytest.raises(PictureError, match="too large"):
        kept.thumbnail(record)
    assert not kept.thumbnails.exists()


def test_the_thumbnail_folder_may_be_deleted_or_unusable(kept: Gallery) -> None:
    record = save(kept)
    kept.thumbnail(record)
    shutil.rmtree(kept.thumbnails)
    assert kept.thumbnail(record).is_file()
    shutil.rmtree(kept.thumbnails)
    kept.thumbnails.write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="thumbnail was not saved"):
        kept.thumbnail(record)


@pytest.mark.slow
def test_a_thousand_pictures_are_found_once(kept: Gallery) -> None:
    source = save(kept, width=512, height=512).path
    text = png.read(source)
    assert text.recipe is not None
    assert text.fingerprint is not None
    with Image.open(source) as image:
        image.load()
    for number in range(1000):
        texts = png.texts_of(
            text.recipe, text.fingerprint, pixels_sha256=str(text.pixels_sha256), id=f"{number:032x}", origin="",
            created=text.created,
        )  # fmt: skip
        folder = kept.outputs / f"2025-01-{number % 28 + 1:02d}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number:05d}-7.png").write_bytes(png.encode(image.resize((64, 64)), texts))
    assert kept.rebuild().added == 1000
    assert kept.refresh() == gallery.Refreshed(0, 0, ())
