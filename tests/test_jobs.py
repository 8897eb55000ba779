"""Jobs: none is lost, none is made twice, and nothing that happens to one stops the queue."""

import io
import shutil
import sqlite3
import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from webui import board, png
from webui import line as line_module
from webui.drafts import Drafts
from webui.engine import Engine, Step
from webui.engine.draft import Draft
from webui.engine.fake import FakeEngine
from webui.errors import EngineError, JobError, KeyReused, StorageError
from webui.gallery import Gallery
from webui.jobs import Jobs
from webui.journal import MAX_PICTURES, VERSION, Journal, Key, Order, origin
from webui.progress import Pace, Progress, State
from webui.recipe import Recipe


class House:
    """A gallery and a queue in a folder, with an engine of the test's choice; ``again`` is a restart."""

    def __init__(self, folder: Path, engine: Engine | None = None, start: bool = True) -> None:
        self.folder = folder
        self.gallery = Gallery(folder / "outputs", folder / "index.db", folder / "thumbnails")
        self.jobs = Jobs(folder / "jobs.db", engine or FakeEngine(), self.gallery, Drafts(folder / "drafts"))
        if start:
            self.jobs.start()

    def close(self, timeout: float = 10) -> None:
        self.jobs.close(timeout)
        self.gallery.close()

    def again(self, engine: Engine | None = None, start: bool = True) -> "House":
        self.close()
        return House(self.folder, engine, start)

    def ended(self, job: str) -> Progress:
        *_, last = self.jobs.watch(job)
        assert last.done
        return last


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


def recipes(count: int = 1, seed: int = 7, **values: object) -> list[Recipe]:
    known = {"prompt": "a lake", "steps": 3, "width": 64, "height": 64, **values}
    return [Recipe.of(**known, seed=seed + number) for number in range(count)]


def pixels(wanted: list[Recipe]) -> list[str]:
    images = [list(FakeEngine().generate(recipe))[-1].image for recipe in wanted]
    return [png.pixels_sha256(image) for image in images if image is not None]


class Gated(FakeEngine):
    """Waits at each picture's step ``at`` until the gate is opened; says that it got there."""

    def __init__(self, at: int = 1, patience: float | None = 20) -> None:
        super().__init__()
        self.at, self.patience = at, patience
        self.there, self.gate = threading.Event(), threading.Event()

    def generate(self, recipe: Recipe, draft: Draft | None = None, stop: int | None = None) -> Iterator[Step]:
        for step in super().generate(recipe, draft, stop):
            if step.index == self.at:
                self.there.set()
                assert self.gate.wait(self.patience)
            yield step


# The straight way


def test_a_job_is_made(house: House) -> None:
    wanted = recipes(3, seed=2**64 - 3)
    first = house.jobs.submit(wanted)
    assert (first.status, first.count, first.recipes, first.records) == ("pending", 3, tuple(wanted), ())
    last = house.ended(first.job)
    assert last.status == "succeeded"
    assert (last.error, last.code, last.preview, last.eta, last.position) == (None, None, None, None, 0)
    assert [record.recipe.seed for record in last.records] == [2**64 - 3, 2**64 - 2, 2**64 - 1]
    assert [record.pixels_sha256 for record in last.records] == pixels(wanted)
    assert [record.origin for record in last.records] == [origin(first.job, number) for number in range(3)]
    assert house.jobs.active() == []
    assert house.jobs.progress(first.job) == last


def test_every_change_is_seen_in_order(tmp_path: Path) -> None:
    engine = Gated(at=0)
    house = House(tmp_path, engine)
    job = house.jobs.submit(recipes(2)).job
    assert engine.there.wait(5)
    seen: list[list[Progress]] = [[], []]
    watchers = [threading.Thread(target=lambda to=to: to.extend(house.jobs.watch(job))) for to in seen]
    for watcher in watchers:
        watcher.start()
    engine.gate.set()
    for watcher in watchers:
        watcher.join(10)
    for events in seen:
        assert [event.seq for event in events] == sorted({event.seq for event in events})
        assert (events[0].status, events[-1].status) == ("running", "succeeded")
        places = [(event.index, event.step) for event in events]
        assert places == sorted(places)
        assert all(event.eta is None or event.eta >= 0 for event in events)
    house.close()


def test_a_watcher_comes_back_to_the_preview_it_left(tmp_path: Path) -> None:
    engine = Gated(at=2)
    house = House(tmp_path, engine)
    job = house.jobs.submit(recipes(1, steps=5)).job
    assert engine.there.wait(5)
    for _ in range(2):  # a reload is a second look
        found = house.jobs.progress(job)
        assert (found.status, found.index, found.step, found.steps) == ("running", 0, 1, 5)
        assert found.preview is not None
        assert found.preview_type == "image/jpeg"
        assert Image.open(io.BytesIO(found.preview)).format == "JPEG"
    began = time.monotonic()
    assert house.jobs.wait(job, found.seq, 0.1).seq == found.seq
    assert time.monotonic() - began >= 0.1
    assert house.jobs.wait(job, found.seq - 1, 60) == found
    engine.gate.set()
    assert house.ended(job).status == "succeeded"
    house.close()


def test_order_position_and_eta(tmp_path: Path) -> None:
    engine = Gated()
    house = House(tmp_path, engine)
    assert house.jobs.active() == []
    jobs = [house.jobs.submit(recipes(2, seed=number)).job for number in range(4)]
    assert engine.there.wait(5)
    active = house.jobs.active()
    assert [progress.job for progress in active] == jobs
    assert [progress.status for progress in active] == ["running", "pending", "pending", "pending"]
    assert [progress.position for progress in active] == [0, 0, 1, 2]
    assert active[0].eta is None
    engine.gate.set()
    ends = [house.ended(job) for job in jobs]
    counters = [[int(record.path.name[:5]) for record in end.records] for end in ends]
    assert counters == [[1, 2], [3, 4], [5, 6], [7, 8]]
    house.close()


def test_eta_is_measured() -> None:
    pace = Pace()
    state = State("a", tuple(recipes(2, steps=10)), "running", 1, [0, 1], steps=10)
    waiting = State("b", tuple(recipes(1, steps=10, sampler="Heun")), "pending", 1, [0])
    assert pace.seconds([state]) is None
    for step in range(5):
        state.step = step
        pace.saw(step, 64 * 64, 100 + step * 0.5)
    assert pace.seconds([]) is None
    assert pace.seconds([state]) == pytest.approx((6 + 10) * 0.5)
    assert pace.seconds([state, waiting]) == pytest.approx((6 + 10 + 20) * 0.5)
    pace.saw(9, 64 * 64, 50)  # not a clock that a machine has: still no negative time
    assert (pace.seconds([state]) or 0) >= 0
    pace.finished(64 * 64, 51)
    assert pace.seconds([state]) == pytest.approx((6 + 10) * 0.35 + 2 * 1, rel=0.01)


def test_the_clock_set_back_changes_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    first = house.jobs.submit(recipes(1)).job
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 3600)
    second = house.jobs.submit(recipes(1, seed=9)).job
    house.ended(second)
    monkeypatch.undo()
    newer, older = house.gallery.recent()
    assert (older.origin, newer.origin) == (origin(first, 0), origin(second, 0))


# At the door


@pytest.mark.parametrize("count", [0, MAX_PICTURES + 1])
def test_a_job_has_pictures(house: House, count: int) -> None:
    with pytest.raises(JobError, match=f"from 1 to 10000 pictures; got {count}"):
        house.jobs.submit(recipes(1) * count)


def test_an_unknown_job_is_a_sentence(house: House) -> None:
    for ask in (house.jobs.progress, house.jobs.cancel, lambda job: next(house.jobs.watch(job))):
        for job in ("nonsense", "", "\ud800", "\0", "x" * 10_000):
            with pytest.raises(JobError, match="There is no job '"):
                ask(job)


def test_a_key_makes_one_job(house: House) -> None:
    first = house.jobs.submit(recipes(2), Key("a key"))
    assert house.jobs.submit(recipes(2), Key("a key")).job == first.job
    assert house.ended(first.job).count == 2
    assert house.jobs.submit(recipes(2), Key("a key")).status == "succeeded"
    with pytest.raises(KeyReused, match="'a key' was used for another job"):
        house.jobs.submit(recipes(3), Key("a key"))
    assert house.jobs.submit(recipes(2)).job != house.jobs.submit(recipes(2)).job
    for key in ("", "x" * 256, "\ud800", "ключ"):
        with pytest.raises(JobError, match="from 1 to 255 ASCII characters"):
            house.jobs.submit(recipes(1), Key(key))


def test_a_request_that_draws_its_seeds_is_known_again_by_its_own_digest(house: House) -> None:
    first = house.jobs.submit(recipes(1, seed=5), Key("a key", "of the request"))
    again = house.jobs.submit(recipes(1, seed=6), Key("a key", "of the request"))
    assert (again.job, again.recipes[0].seed) == (first.job, 5)
    for key in (Key("a key"), Key("a key", "of the request")):
        found = house.jobs.keyed(key)
        assert found is not None
        assert found.job == first.job
    assert house.jobs.keyed(Key("another")) is None
    with pytest.raises(KeyReused, match="Use a new key"):
        house.jobs.keyed(Key("a key", "of another"))
    with pytest.raises(KeyReused, match="Use a new key"):
        house.jobs.submit(recipes(1, seed=5), Key("a key"))


def test_a_key_pressed_at_once_from_many_threads_makes_one_job(house: House) -> None:
    found: set[str] = set()
    threads = [
        threading.Thread(target=lambda: found.add(house.jobs.submit(recipes(1), Key("k")).job)) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1
    house.ended(found.pop())
    assert house.gallery.count() == 1


# Cancel


def test_cancel_a_running_job_keeps_what_is_finished(tmp_path: Path) -> None:
    engine = Gated(at=1)
    house = House(tmp_path, engine)
    job = house.jobs.submit(recipes(3)).job
    after = house.jobs.submit(recipes(1, seed=99)).job
    engine.gate.set()
    for progress in house.jobs.watch(job):
        if len(progress.records) == 1:
            engine.gate.clear()
            engine.there.clear()
            break
    assert engine.there.wait(5)
    assert house.jobs.cancel(job).status == "canceling"
    assert house.jobs.cancel(job).status == "canceling"
    engine.gate.set()
    last = house.ended(job)
    assert last.status == "canceled"
    assert 1 <= len(last.records) <= 2
    assert all(record.path.is_file() for record in last.records)
    assert house.jobs.cancel(job) == last
    assert house.ended(after).status == "succeeded"
    assert house.gallery.count() == len(last.records) + 1
    house.close()


def test_cancel_a_waiting_job_ends_it_at_once(tmp_path: Path) -> None:
    engine = Gated()
    house = House(tmp_path, engine)
    running, waiting = (house.jobs.submit(recipes(1)).job for _ in range(2))
    assert engine.there.wait(5)
    assert house.jobs.cancel(waiting).status == "canceled"
    assert [progress.job for progress in house.jobs.active()] == [running]
    engine.gate.set()
    assert house.ended(running).status == "succeeded"
    assert house.jobs.progress(waiting).records == ()
    house.close()


def test_cancel_after_the_last_step_loses(tmp_path: Path) -> None:
    engine = Gated(at=3)
    house = House(tmp_path, engine)
    job = house.jobs.submit(recipes(1, steps=3)).job
    assert engine.there.wait(5)
    assert house.jobs.cancel(job).status == "canceling"
    engine.gate.set()
    last = house.ended(job)
    assert (last.status, len(last.records)) == ("succeeded", 1)
    assert house.jobs.cancel(job) == last
    house.close()


# Failure


class Failing(FakeEngine):
    """Fails for odd seeds: how, the prompt says."""

    def generate(self, recipe: Recipe, draft: Draft | None = None, stop: int | None = None) -> Iterator[Step]:
        if recipe.seed % 2 == 0:
            yield from super().generate(recipe, draft, stop)
        elif recipe.prompt == "sentence":
            yield Step(0, 3)
            raise EngineError("The picture is not a number.")
        elif recipe.prompt == "fault":
            yield Step(0, 3)
            raise ZeroDivisionError("secret of the machine")
        elif recipe.prompt == "memory":
            raise MemoryError
        else:
            yield Step(0, 3)


@pytest.mark.parametrize(
    ("prompt", "sentence", "code"),
    [
        ("sentence", "The picture is not a number.", "engine"),
        ("fault", "a fault in the program (ZeroDivisionError", "engine"),
        ("memory", "a fault in the program (MemoryError", "engine"),
        ("nothing", "ended without a picture", "engine"),
    ],
)
def test_a_failing_engine_fails_its_job_only(tmp_path: Path, prompt: str, sentence: str, code: str) -> None:
    house = House(tmp_path, Failing())
    job = house.jobs.submit(recipes(3, seed=2, prompt=prompt)).job
    after = house.jobs.submit(recipes(1, seed=4)).job
    last = house.ended(job)
    assert last.status == "failed"
    assert sentence in (last.error or "")
    assert last.code == code
    assert [record.recipe.seed for record in last.records] == [2]
    assert house.ended(after).status == "succeeded"
    house = house.again()
    again = house.jobs.progress(job)
    assert (again.status, again.error, again.records) == ("failed", last.error, last.records)
    house.close()


def test_an_iterator_that_is_no_generator_will_do(tmp_path: Path) -> None:
    class Plain(FakeEngine):
        def generate(self, recipe: Recipe, draft: Draft | None = None, stop: int | None = None) -> Iterator[Step]:
            return iter(list(super().generate(recipe, draft, stop)))

    house = House(tmp_path, Plain())
    assert house.ended(house.jobs.submit(recipes(1)).job).status == "succeeded"
    house.close()


def test_a_full_disk_is_a_reason(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 0))
    last = house.ended(house.jobs.submit(recipes(1)).job)
    assert (last.status, last.code) == ("failed", "storage")
    assert "0 MB left" in (last.error or "")


def test_a_full_disk_holds_the_line_up_until_there_is_room(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    usage, free = namedtuple("usage", "total used free"), [0]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, free[0]))
    monkeypatch.setattr("webui.jobs.PAUSE", 0.02)
    first, second = (house.jobs.submit(recipes(1, seed=seed)).job for seed in (1, 2))
    assert house.ended(first).code == "storage"
    progress = house.jobs.progress(second)
    while not progress.held:
        progress = house.jobs.wait(second, progress.seq, 5)
    assert progress.status == "pending"
    assert house.jobs.wait(second, progress.seq, 0.2).seq == progress.seq, "it is told once, and nothing is begun"
    free[0] = 10**12
    assert house.ended(second).status == "succeeded"
    assert not house.jobs.progress(second).held
    assert house.ended(house.jobs.submit(recipes(1, seed=3)).job).status == "succeeded"
    monkeypatch.undo()
    assert house.ended(house.jobs.submit(recipes(1)).job).status == "succeeded"


def test_a_journal_that_takes_no_more_refuses_jobs(tmp_path: Path) -> None:
    house = House(tmp_path, start=False)
    (pages,) = house.jobs._journal._db.execute("PRAGMA page_count").fetchone()
    house.jobs._journal._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageError, match="disk is full"):
        for _ in range(100):
            house.jobs.submit(recipes(20, prompt="x" * 1000))
    accepted = len(house.jobs.active())
    house = house.again()
    assert len(house.jobs._journal.unfinished()) + house.gallery.count() >= accepted
    house.close()


def worker() -> threading.Thread:
    """Return the thread that makes the pictures of the house opened last."""
    return [thread for thread in threading.enumerate() if thread.name == "reseed-worker"][-1]


def test_a_journal_that_breaks_under_a_job_is_said(tmp_path: Path) -> None:
    engine = Gated()
    house = House(tmp_path, engine)
    job = house.jobs.submit(recipes(1)).job
    assert engine.there.wait(5)
    house.jobs._journal._db.execute("DROP TABLE items")
    engine.gate.set()
    last = house.ended(job)
    assert last.status == "failed"
    assert "no such table" in (last.error or "")
    assert len(last.records) == 1
    assert worker().is_alive()
    house.close()


def test_warming_happens_in_the_worker_and_may_fail(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []

    class Cold(FakeEngine):
        def warm(self, model: str) -> None:
            seen.append((model, threading.current_thread().name))
            raise RuntimeError("no such model")

    house = House(tmp_path, Cold())
    house.jobs.warm("reseed")
    assert house.ended(house.jobs.submit(recipes(1)).job).status == "succeeded"
    assert seen == [("reseed", "reseed-worker")]
    house.close()


# Closing and starting again


def test_close_gives_the_picture_back_and_the_next_start_makes_it(tmp_path: Path) -> None:
    engine = Gated(at=1)
    house = House(tmp_path, engine)
    wanted = recipes(2)
    first = house.jobs.submit(wanted)
    second = house.jobs.submit(recipes(1, seed=50))
    assert engine.there.wait(5)
    closer = threading.Thread(target=house.close)
    closer.start()
    while not house.jobs._line.closing:
        time.sleep(0.001)
    with pytest.raises(JobError, match="shutting down"):
        house.jobs.submit(wanted)
    engine.gate.set()
    closer.join(10)
    assert not closer.is_alive()
    entry = Journal(tmp_path / "jobs.db").load(first.job)
    assert entry is not None
    assert [(item.status, item.attempt) for item in entry.items] == [("pending", 0), ("pending", 0)]
    house = House(tmp_path)
    last = house.ended(first.job)
    assert last.seq > board.LEAP
    assert [record.pixels_sha256 for record in last.records] == pixels(wanted)
    assert house.ended(second.job).status == "succeeded"
    house.close()


def test_an_engine_that_hangs_does_not_hold_up_closing(tmp_path: Path) -> None:
    engine = Gated()
    house = House(tmp_path, engine)
    job = house.jobs.submit(recipes(1)).job
    assert engine.there.wait(5)
    closer = threading.Thread(target=house.close, args=(0.2,))
    closer.start()
    closer.join(30)  # the engine would hold it for ever
    assert not closer.is_alive()
    assert [progress.done for progress in house.jobs.watch(job)] == [False]
    with pytest.raises(JobError, match="Another Reseed is at work"):
        House(tmp_path)
    engine.gate.set()
    worker().join(5)
    house = House(tmp_path)
    assert house.ended(job).status == "succeeded"
    house.close()


def test_closing_twice_starting_twice_and_without_a_start(tmp_path: Path) -> None:
    house = House(tmp_path)
    with pytest.raises(JobError, match="started already"):
        house.jobs.start()
    house.close()
    house.close()
    house = House(tmp_path, start=False)
    job = house.jobs.submit(recipes(1)).job
    house = house.again()
    assert house.ended(job).status == "succeeded"
    house.close()


def test_a_job_submitted_before_the_start_is_made(tmp_path: Path) -> None:
    house = House(tmp_path, start=False)
    first = house.jobs.submit(recipes(1))
    house.jobs.start()
    assert house.jobs.wait(first.job, first.seq, 10).seq != first.seq
    assert house.ended(first.job).status == "succeeded"
    house.close()


def crashed(folder: Path, *attempts: int, saved: bool = False, status: str = "running") -> str:
    """Leave a journal as a process that died at its first picture does."""
    house = House(folder, start=False)
    job = house.jobs.submit(recipes(2)).job
    journal = house.jobs._journal
    journal.move_job(job, ["pending"], "running", seq=5)
    for _ in attempts:
        journal.begin_item(job, 0)
        journal.release_item(job, 0, counted=True)
    journal.begin_item(job, 0)
    if status != "running":
        journal.move_job(job, ["running"], status, seq=6)
    if saved:
        *_, last = FakeEngine().generate(recipes(1)[0])
        assert last.image is not None
        assert last.fingerprint is not None
        house.gallery.save(last.image, recipes(1)[0], last.fingerprint, origin(job, 0))
        (folder / "index.db").unlink()  # it may not have come as far as the index
    house.close()
    return job


def test_after_a_crash_the_picture_is_made_again(tmp_path: Path) -> None:
    job = crashed(tmp_path)
    house = House(tmp_path)
    last = house.ended(job)
    assert [record.pixels_sha256 for record in last.records] == pixels(recipes(2))
    house.close()


def test_after_a_crash_a_saved_picture_is_not_made_again(tmp_path: Path) -> None:
    job = crashed(tmp_path, saved=True)
    house = House(tmp_path)
    last = house.ended(job)
    assert last.status == "succeeded"
    assert [record.recipe.seed for record in last.records] == [7, 8]
    assert house.gallery.count() == 2
    house.close()


def test_a_picture_that_kills_twice_is_not_tried_again(tmp_path: Path) -> None:
    job = crashed(tmp_path, 1)
    house = House(tmp_path)
    last = house.ended(job)
    assert (last.status, last.code, last.records) == ("failed", "worker_lost", ())
    assert "stopped 2 times while it made picture 1" in (last.error or "")
    assert house.ended(house.jobs.submit(recipes(1)).job).status == "succeeded"
    house.close()


@pytest.mark.parametrize("saved", [False, True])
def test_a_cancel_survives_a_crash(tmp_path: Path, saved: bool) -> None:
    job = crashed(tmp_path, saved=saved, status="canceling")
    house = House(tmp_path)
    last = house.ended(job)
    assert (last.status, len(last.records)) == ("canceled", int(saved))
    house.close()


def test_a_recipe_that_is_no_longer_allowed_fails_its_job_only(tmp_path: Path) -> None:
    job = crashed(tmp_path)
    with sqlite3.connect(tmp_path / "jobs.db") as db:
        db.execute("UPDATE items SET recipe = replace(recipe, 'DPM++ 2M', 'Gone')")
    db.close()
    house = House(tmp_path)
    assert house.jobs.active() == []
    assert Journal(tmp_path / "jobs.db").unfinished() == []
    found = house.jobs.progress(job)
    assert (found.status, found.recipes) == ("failed", ())
    assert "cannot be taken up again" in (found.error or "")
    assert "Gone" in (found.error or "")
    assert house.ended(house.jobs.submit(recipes(1)).job).status == "succeeded"
    house.close()


def test_ended_jobs_are_read_back(tmp_path: Path) -> None:
    house = House(tmp_path)
    job = house.jobs.submit(recipes(2)).job
    last = house.ended(job)
    house = house.again()
    found = house.jobs.progress(job)
    assert found == replace(last, index=0, step=0, steps=0, seq=found.seq)
    last.records[0].path.unlink()
    house = house.again()
    found = house.jobs.progress(job)
    assert (found.status, found.records) == ("succeeded", last.records[1:])
    house.close()


def test_only_the_newest_ended_jobs_stay_in_memory(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_module, "REMEMBERED", 3)
    jobs = [house.jobs.submit(recipes(1, steps=1)).job for _ in range(6)]
    house.ended(jobs[-1])
    assert list(house.jobs._line.known) == jobs[-3:]
    assert house.jobs.progress(jobs[0]).status == "succeeded"
    assert jobs[0] in house.jobs._line.known


# The journal


def test_the_journal_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path / "jobs.db").close()
    with sqlite3.connect(tmp_path / "jobs.db") as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()
    with pytest.raises(StorageError, match=f"version {VERSION + 1}; this program knows version {VERSION}"):
        Journal(tmp_path / "jobs.db")


@pytest.mark.parametrize("content", [b"nonsense" * 1000, b"SQLite format 3\0" + b"\xff" * 4080])
def test_a_damaged_journal_is_put_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "jobs.db").write_bytes(content)
    house = House(tmp_path)
    assert (tmp_path / "jobs.db.corrupt-1").read_bytes() == content
    assert house.ended(house.jobs.submit(recipes(1)).job).status == "succeeded"
    house.close()


def test_a_journal_that_cannot_be_opened_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.db").mkdir()
    for path in (tmp_path / "file" / "jobs.db", tmp_path / "folder.db"):
        with pytest.raises(StorageError):
            Journal(path)


def test_of_two_who_move_a_job_one_wins(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "jobs.db")
    journal.add("a", Order(tuple(recipes(1))))
    won: list[bool] = []
    threads = [
        threading.Thread(target=lambda: won.append(journal.move_job("a", ["pending"], "running", seq=2)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]
    journal.close()


def test_old_ended_jobs_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "jobs.db")
    for job in ("old", "new", "open"):
        journal.add(job, Order(tuple(recipes(1))), Key(job))
    journal.move_job("old", ["pending"], "succeeded", seq=2)
    journal.move_job("new", ["pending"], "failed", seq=2)
    assert journal.prune(time.time() + 6 * 24 * 3600) == 0
    journal._db.execute("UPDATE jobs SET ended = ended - 10 * 24 * 3600 WHERE id IN ('old', 'open')")
    assert journal.prune(time.time()) == 1
    assert journal.load("old") is None
    assert journal.by_key(Key("old")) is None
    assert journal.unfinished() == ["open"]
    monkeypatch.setattr("webui.journal.KEPT_JOBS", 0)
    assert journal.prune(time.time()) == 1
    assert journal._db.execute("SELECT DISTINCT job FROM items").fetchall() == [("open",)]
    journal.close()
