"""Working: an engine that makes several pictures at once changes when they are made, and nothing else."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.test_jobs import House, pixels, recipes
from webui.engine import Step
from webui.engine.draft import Draft
from webui.engine.fake import FakeEngine
from webui.errors import EngineError
from webui.journal import origin
from webui.recipe import Recipe


class Three(FakeEngine):
    """Makes three pictures at a time; each waits at its first step for the gate. A prompt can make odd seeds fail."""

    workers = 3

    def __init__(self, delay: float = 0.0) -> None:
        super().__init__(delay)
        self.gate, self.lock = threading.Event(), threading.Lock()
        self.gate.set()
        self.inside, self.most, self.order = 0, 0, list[int]()
        self.warmed: list[int] = []

    def generate(self, recipe: Recipe, draft: Draft | None = None, stop: int | None = None) -> Iterator[Step]:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.order.append(recipe.seed)
        try:
            for step in super().generate(recipe, draft, stop):
                assert self.gate.wait(20)
                if recipe.prompt == "odd ones fail" and recipe.seed % 2 and step.index == 1:
                    raise EngineError("An odd seed.")
                yield step
        finally:
            with self.lock:
                self.inside -= 1

    def warm(self, model: str) -> None:
        self.warmed.append(self.inside)


def until(condition: object) -> None:
    assert callable(condition)
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_three_at_once_are_the_pictures_of_one_after_the_other(tmp_path: Path) -> None:
    engine = Three(0.005)
    house = House(tmp_path, engine)
    wanted = recipes(12)
    last = house.ended(house.jobs.submit(wanted).job)
    assert last.status == "succeeded"
    assert engine.most == 3
    assert [number for number, _ in last.made] == [*range(12)]
    assert [record.pixels_sha256 for record in last.records] == pixels(wanted)
    assert [record.origin for record in last.records] == [origin(last.job, number) for number in range(12)]
    assert house.again().jobs.progress(last.job).records == last.records


def three_at_work(folder: Path, wanted: list[Recipe]) -> tuple[Three, House, str]:
    """Open a house and submit a job, of which three pictures are begun and held."""
    engine = Three()
    engine.gate.clear()
    house = House(folder, engine)
    job = house.jobs.submit(wanted).job
    until(lambda: engine.inside == 3)
    return engine, house, job


def test_those_who_watch_see_the_first_of_several(tmp_path: Path) -> None:
    engine, house, job = three_at_work(tmp_path, recipes(4))
    found = house.jobs.progress(job)
    assert (found.status, found.index, found.at_work, found.left) == ("running", 0, (0, 1, 2), (0, 1, 2, 3))
    engine.gate.set()
    seen = list(house.jobs.watch(job))
    assert [one.seq for one in seen] == sorted({one.seq for one in seen})
    assert all(one.index == min(one.at_work, default=one.index) or one.step >= 0 for one in seen)
    assert (seen[-1].at_work, seen[-1].left) == ((), ())
    house.close()


def test_cancel_stops_all_and_keeps_what_is_finished(tmp_path: Path) -> None:
    engine = Three(0.02)
    house = House(tmp_path, engine)
    job = house.jobs.submit(recipes(60, steps=5)).job
    waiting = house.jobs.submit(recipes(1, seed=99)).job
    until(lambda: len(house.jobs.progress(job).records) >= 4)
    assert house.jobs.cancel(waiting).status == "canceled"
    assert house.jobs.cancel(job).status == "canceling"
    last = house.ended(job)
    until(lambda: engine.inside == 0)
    assert last.status == "canceled"
    assert 4 <= len(last.records) < 60
    assert house.gallery.count() == len(last.records)
    assert house.ended(house.jobs.submit(recipes(1, seed=98)).job).status == "succeeded"
    house.close()


def test_a_picture_that_fails_ends_its_job_when_the_others_at_work_are_kept(tmp_path: Path) -> None:
    engine = Three(0.005)
    house = House(tmp_path, engine)
    last = house.ended(house.jobs.submit(recipes(9, seed=1, prompt="odd ones fail")).job)
    assert (last.status, last.error, last.code) == ("failed", "An odd seed.", "engine")
    assert [record.recipe.seed for record in last.records] == [2]  # it was at work beside seeds 1 and 3
    assert house.ended(house.jobs.submit(recipes(3, seed=20)).job).status == "succeeded"
    swept = house.ended(house.jobs.submit(recipes(9, seed=1, prompt="odd ones fail"), kind="sweep").job)
    assert swept.status == "succeeded"
    assert [number for number, _ in swept.failed] == [0, 2, 4, 6, 8]
    assert [number for number, _ in swept.made] == [1, 3, 5, 7]
    house.close()


def test_owners_share_the_workers(tmp_path: Path) -> None:
    engine = Three(0.005)
    engine.gate.clear()
    house = House(tmp_path, engine)
    many = house.jobs.of("a" * 32).submit(recipes(12, seed=100))
    until(lambda: engine.inside == 3)
    few = [house.jobs.of(owner).submit(recipes(1, seed=seed)) for owner, seed in (("b" * 32, 1), ("c" * 32, 2))]
    engine.gate.set()
    ends = [house.ended(job.job) for job in (*few, many)]
    assert all(end.status == "succeeded" for end in ends)
    assert {1, 2} <= {*engine.order[3:6]}, "whoever has no worker gets the next one that is free"
    house.close()


def test_jobs_of_one_owner_are_made_in_their_order(tmp_path: Path) -> None:
    engine = Three()
    house = House(tmp_path, engine, start=False)
    jobs = [house.jobs.submit(recipes(4, seed=10 * number)).job for number in range(3)]
    house.jobs.start()
    for job in jobs:
        house.ended(job)
    begun = [seed // 10 for seed in engine.order]
    assert len(begun) == 12
    # those taken at the same time may begin in any order, others not
    assert all(begun.index(later) >= 4 * later - 2 for later in (1, 2))
    house.close()


def test_a_model_is_loaded_while_no_job_is_begun(tmp_path: Path) -> None:
    engine, house, job = three_at_work(tmp_path, recipes(6))
    house.jobs.warm("reseed")
    engine.gate.set()
    house.ended(job)
    until(lambda: engine.warmed)
    assert engine.warmed == [0]
    house.close()


def test_a_restart_finishes_what_three_were_at(tmp_path: Path) -> None:
    engine = Three(0.01)
    house = House(tmp_path, engine)
    wanted = recipes(20, steps=5)
    job = house.jobs.submit(wanted).job
    until(lambda: len(house.jobs.progress(job).records) >= 4)
    house.close()
    entry = House(tmp_path, start=False).jobs._journal.load(job)
    assert entry is not None
    assert entry.status == "pending"
    assert {item.status for item in entry.items} == {"pending", "succeeded"}
    assert {item.attempt for item in entry.items if item.status == "pending"} == {0}
    house = House(tmp_path, Three())
    last = house.ended(job)
    assert last.status == "succeeded"
    assert [record.pixels_sha256 for record in last.records] == pixels(wanted)
    assert house.gallery.count() == 20
    house.close()
