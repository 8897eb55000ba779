"""Owners: each sees only pictures, jobs, checks and trash of their own; a file tells nobody's name."""

import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.damage import other_pixels
from tests.test_gallery import made, opened, recipe
from tests.test_jobs import Gated, House, recipes
from webui import owners, png
from webui.engine.checkpoints import Catalog
from webui.engine.fake import FakeEngine
from webui.errors import JobError, PictureError, StorageError
from webui.gallery import Gallery, Record
from webui.journal import Journal, Key
from webui.lineage import Lineage
from webui.search import Search
from webui.settings import Settings
from webui.studio import Studio

A, B = "a" * 32, "b" * 32
SMALL: dict[str, Any] = {"prompt": "a lake", "steps": 2, "width": 64, "height": 64}


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    studio = Studio(Settings(data_dir=tmp_path), FakeEngine(), Catalog(tmp_path / "models"))
    studio.start()
    yield studio
    studio.close()


def finished(own: Studio, **values: Any) -> Record:
    (record,) = list(own.jobs.watch(own.submit({**SMALL, **values}).job))[-1].records
    return record


# The key


def test_the_secret_is_made_once_and_only_its_user_reads_it(tmp_path: Path) -> None:
    found = owners.secret(tmp_path)
    assert len(found) == owners.SIZE
    assert stat.S_IMODE((tmp_path / owners.FILE).stat().st_mode) == 0o600
    (tmp_path / owners.FILE).chmod(0o644)
    assert owners.secret(tmp_path) == found
    assert stat.S_IMODE((tmp_path / owners.FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [owners.FILE]


@pytest.mark.parametrize("content", ["", "ab" * 31, "not hexadecimal", "é"])
def test_a_damaged_secret_is_a_sentence_and_stays(tmp_path: Path, content: str) -> None:
    (tmp_path / owners.FILE).write_text(content)
    with pytest.raises(StorageError, match="The secret in"):
        owners.secret(tmp_path)
    assert (tmp_path / owners.FILE).read_text() == content


def test_a_key_tells_no_name_and_is_another_s_in_another_folder(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    here, there = owners.secret(tmp_path), owners.secret(tmp_path / "other")
    keys = {
        owners.owner_key(here, "user ann"),
        owners.owner_key(here, "visitor ann"),
        owners.owner_key(there, "user ann"),
    }
    assert len(keys) == 3
    assert all(Lineage(owner=key).owner == key and "ann" not in key for key in keys)


# The gallery


def test_a_gallery_is_seen_by_each_owner_as_their_own(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    mine, hers = (kept.save(*made(recipe(seed)), f"job:{seed}", Lineage(owner=who)) for seed, who in ((1, A), (2, B)))
    nobodys = kept.save(*made(recipe(3, prompt="a lake with a boat")), "job:3")
    child = kept.save(*made(recipe(4)), "", Lineage(mine.id, owner=B))
    for again in (False, True):  # from what was saved, and from the files alone
        own = kept.of(A)
        assert [record.id for record in own.recent()] == [mine.id]
        assert [record.id for record in own.search(Search("lake"))] == [mine.id]
        assert own.search(Search(seed="2")) == own.search(Search(among=frozenset({hers.id}))) == []
        assert (own.count(), kept.of(B).count(), kept.count()) == (1, 2, 4)
        assert own.get(mine.id) == own.by_path(mine.path) == own.find_origin("job:1") == mine
        for other in (hers, nobodys):
            assert own.get(other.id) is own.by_path(other.path) is own.find_origin(other.origin) is None
        assert (own.children(mine.id), kept.of(B).children(mine.id)) == ([], [child])
        assert own.recent(before=hers.id) == [mine]
        if not again:
            kept.close()
            (tmp_path / "cache" / "index.db").unlink()
            kept = opened(tmp_path)
            kept.refresh()
    kept.close()


def test_the_owner_is_in_the_file_and_changes_no_pixel(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    owned, plain = kept.save(*made(recipe()), "", Lineage(owner=A)), kept.save(*made(recipe()))
    assert png.read(owned.path).lineage.owner == A
    assert b"owner" not in plain.path.read_bytes()
    assert (owned.pixels_sha256, owned.recipe.digest()) == (plain.pixels_sha256, plain.recipe.digest())
    kept.close()


def test_an_index_without_owners_is_filled_again(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    mine = kept.save(*made(recipe()), "", Lineage(owner=A))
    kept.close()
    with sqlite3.connect(tmp_path / "cache" / "index.db") as db:
        db.execute("DROP INDEX files_owner")
        db.execute("UPDATE files SET owner = ''")
        db.execute("PRAGMA user_version = 3")
    db.close()
    again = opened(tmp_path)
    again.refresh()
    assert (again.of(A).recent(), again.of(B).recent()) == ([mine], [])
    again.close()


def test_a_row_that_names_another_owner_than_its_file_is_read_again(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    mine = kept.save(*made(recipe()), "", Lineage(owner=A))
    kept._index.run(lambda db: db.execute("UPDATE files SET owner = ?", (B,)), writes=True)
    assert kept.of(B).get(mine.id) is None
    assert kept.of(A).get(mine.id) == mine
    kept.close()


def test_an_owner_s_newest_are_read_from_the_index_of_owners(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    kept.save(*made(recipe()), "", Lineage(owner=A))
    query = (
        "EXPLAIN QUERY PLAN SELECT files.* FROM files WHERE files.place BETWEEN 0 AND 9e18 AND owner = 'x' "
        "AND owner != '' AND id != '' AND copy = 0 ORDER BY files.place DESC LIMIT 5"
    )
    told = " ".join(str(row) for row in kept._index.run(lambda db: db.execute(query).fetchall()))
    assert "files_owner" in told
    assert "TEMP B-TREE" not in told
    kept.close()


# The queue


def test_another_s_job_is_as_unknown_as_one_that_never_was(studio: Studio) -> None:
    job = studio.of(A).submit(SMALL).job
    jobs = studio.of(B).jobs
    asks: list[Callable[[], object]] = [
        lambda: jobs.progress(job),
        lambda: jobs.cancel(job),
        lambda: jobs.wait(job, 0, 1),
        lambda: next(jobs.watch(job)),
    ]
    for ask in asks:
        with pytest.raises(JobError, match="There is no job"):
            ask()
    assert jobs.active() == []
    last = list(studio.of(A).jobs.watch(job))[-1]
    assert (last.status, last.lineage.owner) == ("succeeded", A)
    assert studio.jobs.progress(job) == last
    assert studio.of(B).parent(f"{job}:0") is studio.of(B).parent(last.records[0].id) is None


def test_an_owner_is_kept_with_jobs_and_pictures_through_a_restart(tmp_path: Path) -> None:
    house = House(tmp_path, start=False)
    job = (
        house.jobs.of(A).submit(recipes(1), Key("key"), Lineage(owner=B)).job
    )  # who asks is the owner, whatever is said
    house = house.again()
    (record,) = list(house.jobs.of(A).watch(job))[-1].records
    assert (record.lineage.owner, house.gallery.of(A).recent()) == (A, [record])
    house = house.again()
    assert house.jobs.of(A).submit(recipes(1), Key("key")).job == job
    with pytest.raises(JobError, match="There is no job"):
        house.jobs.of(B).progress(job)
    with pytest.raises(JobError, match="The key 'key' was used"):
        house.jobs.of(A).submit(recipes(2), Key("key"))
    assert house.jobs.of(B).submit(recipes(2), Key("key")).job != job
    house.close()


def test_jobs_without_an_owner_are_nobody_s(tmp_path: Path) -> None:
    house = House(tmp_path)
    job = house.jobs.submit(recipes(1)).job
    record = house.ended(job).records[0]
    house = house.again()
    assert house.jobs.progress(job).records == (record,)
    assert house.gallery.of(A).get(record.id) is None
    journal = Journal(tmp_path / "jobs.db")
    entry = journal.load(job)
    assert entry is not None and entry.lineage == ""
    journal.close()
    house.close()


def test_a_restart_goes_on_with_the_job_at_work_and_keeps_the_turns(tmp_path: Path) -> None:
    engine = Gated(at=1)
    house = House(tmp_path, engine)
    a1, a2, a3, b1, b2 = (
        house.jobs.of(who).submit(recipes(2, seed=9 * n)).job for n, who in enumerate((A, A, A, B, B))
    )
    assert engine.there.wait(5)
    assert [house.jobs.progress(job).position for job in (a1, b1, a2, b2, a3)] == [0, 0, 1, 2, 3]
    house.jobs.cancel(a1)
    engine.there.clear()
    engine.gate.set()
    house.ended(a1)
    engine.gate.clear()
    while house.jobs.progress(b1).status != "running":
        time.sleep(0.001)
    threading.Timer(0.2, engine.gate.set).start()
    second = Gated(at=1)
    house = house.again(second)  # what was at work is given back, and taken up first
    assert second.there.wait(5)
    assert [house.jobs.progress(job).position for job in (b1, a2, b2, a3)] == [0, 0, 1, 2]
    second.gate.set()
    assert {house.ended(job).status for job in (b1, a2, b2, a3)} == {"succeeded"}
    house.close()


# What stands beside the pictures


def test_a_check_is_seen_by_the_owner_of_the_picture(studio: Studio) -> None:
    engine: Any = studio.engine
    engine.model_hash = studio.catalog.hash(studio.about("reseed"))
    record = finished(studio.of(A))
    other_pixels(record.path)
    check = studio.of(A).checks.start(record)
    list(studio.of(A).jobs.watch(check.job))
    assert studio.of(A).checks.of(record.id) is check
    assert studio.of(A).checks.difference(check.job) is not None
    assert studio.of(B).checks.of(record.id) is None
    assert studio.of(B).checks.difference(check.job) is None
    assert studio.of(B).checks.progress(check) is None


def test_each_has_a_trash_of_their_own(studio: Studio) -> None:
    record = finished(studio.of(A))
    with pytest.raises(PictureError, match="no longer in the outputs folder"):
        studio.of(B).trash.put(record.id)
    studio.of(A).trash.put(record.id)
    assert (studio.of(A).trash.ids(), studio.of(B).trash.ids(), studio.trash.ids()) == ([record.id], [], [])
    with pytest.raises(PictureError, match="no longer in the trash"):
        studio.of(B).trash.put_back(record.id)
    studio.gallery.rebuild()
    assert studio.gallery.count() == 0
    studio.of(A).trash.put_back(record.id)
    assert studio.of(A).gallery.get(record.id) == record


def test_words_are_held_to_one_s_own_pictures(studio: Studio) -> None:
    record = finished(studio.of(A))
    held = {**SMALL, "prompt": "a tent"}
    assert studio.of(A).settle(held, "7", lineage=Lineage(record.id), share=0.3)[0][0].prompt != "a tent"
    with pytest.raises(Exception, match="it is no longer here"):
        studio.of(B).settle(held, "7", lineage=Lineage(record.id), share=0.3)


def test_an_owner_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    for owner in ("ann", "A" * 32, A + "\n", "a" * 31):
        with pytest.raises(ValueError, match="Owner must be 32 hexadecimal digits"):
            Lineage(owner=owner)
    kept: Gallery = opened(tmp_path)
    kept.save(Image.new("RGB", (64, 64)), recipe(), made(recipe())[2], "", Lineage(owner=A))
    assert kept.of("' OR 1=1 --").recent() == []
    kept.close()
