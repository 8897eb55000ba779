"""Checks: the file at once, then the picture made again by the one worker, compared, and never saved."""

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.damage import flip, other_pixels
from tests.test_jobs import Gated
from webui.checks import REMEMBERED, Check
from webui.engine import Step
from webui.engine.checkpoints import Catalog
from webui.engine.draft import Draft
from webui.engine.fake import FakeEngine
from webui.errors import EngineError, JobError
from webui.gallery import Record
from webui.pixels import decoded
from webui.progress import Progress
from webui.recipe import Recipe
from webui.settings import Settings
from webui.studio import Studio


def house(folder: Path, engine: FakeEngine | None = None) -> Studio:
    """Open a studio whose engine says that the model ``tiny``, which is there, makes its pictures."""
    model = folder / "models" / "tiny"
    model.mkdir(parents=True, exist_ok=True)
    (model / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    catalog, engine = Catalog(folder / "models"), engine or FakeEngine()
    engine.model_hash = catalog.hash(catalog.find("tiny"))
    opened = Studio(Settings(data_dir=folder), engine, catalog)
    opened.start()
    return opened


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    opened = house(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[tuple[Studio, Gated, Record]]:
    """A studio whose engine waits in the middle of each picture but the first, which is there."""
    engine = Gated()
    engine.gate.set()
    opened = house(tmp_path, engine)
    record = made(opened)
    engine.gate.clear()
    engine.there.clear()
    yield opened, engine, record
    engine.gate.set()
    opened.close()


def recipe(seed: int = 7) -> Recipe:
    return Recipe.of(prompt="a lake", seed=seed, steps=3, width=64, height=64, model="tiny")


def made(studio: Studio, seed: int = 7) -> Record:
    *_, last = studio.jobs.watch(studio.jobs.submit([recipe(seed)]).job)
    return last.records[0]


def ended(studio: Studio, check: Check) -> Progress:
    *_, last = studio.jobs.watch(check.job)
    assert not studio.checks.open(check)
    return last


def files(studio: Studio) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in studio.settings.outputs.rglob("*") if path.is_file()}


# What comes of it


def test_a_sound_picture_is_identical_and_nothing_is_saved(studio: Studio) -> None:
    record = made(studio)
    before = files(studio)
    check = studio.checks.start(record)
    last = ended(studio, check)
    assert (last.status, last.records, check.problems) == ("succeeded", (), ())
    assert check.result is not None
    assert (check.result.outcome, check.result.made_sha256) == ("identical", record.pixels_sha256)
    assert check.result.kept is None
    assert studio.checks.difference(check.job) is None
    assert files(studio) == before
    assert studio.gallery.count() == 1


def test_a_changed_pixel_is_measured_and_drawn(studio: Studio, tmp_path: Path) -> None:
    record = made(studio)
    other_pixels(record.path)
    check = studio.checks.start(record)
    assert {problem.kind for problem in check.problems} == {"pixels-differ", "stale-row"}
    assert ended(studio, check).status == "succeeded"
    assert check.result is not None
    assert check.result.outcome == "differs"
    assert "the file was changed after it was saved" in check.result.sentence
    drawn = studio.checks.difference(check.job)
    assert drawn is not None
    (tmp_path / "d.png").write_bytes(drawn)
    image = decoded(tmp_path / "d.png")
    assert (image.size, image.getpixel((0, 0))) == ((64, 64), (0, 0, 0))
    assert image.getpixel((3, 3)) != (0, 0, 0)
    assert studio.checks.difference("") is None
    assert studio.checks.difference("0" * 32) is None


def test_a_damaged_file_is_said_at_once_and_not_made_again(studio: Studio) -> None:
    record = made(studio)
    flip(record.path, b"IDAT")
    check = studio.checks.start(record)
    assert {problem.kind for problem in check.problems} == {"bad-crc", "stale-row"}
    assert check.result is not None
    assert (check.result.outcome, check.job, studio.checks.open(check)) == ("unreadable", "", False)
    assert studio.jobs.active() == []


def test_a_model_that_is_gone_is_said_and_no_other_is_taken(studio: Studio, tmp_path: Path) -> None:
    record = made(studio)
    shutil.rmtree(tmp_path / "models")
    check = studio.checks.start(record)
    assert check.result is not None
    assert (check.result.outcome, check.job) == ("environment", "")
    assert "the model tiny" in check.result.sentence


def test_a_fault_of_the_engine_ends_the_check_and_the_queue_goes_on(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = made(studio)

    def fail(*asked: object) -> Iterator[Step]:
        raise EngineError("The device is on fire.")

    with monkeypatch.context() as patch:
        patch.setattr(studio.engine, "generate", fail)
        last = ended(studio, studio.checks.start(record))
    assert (last.status, last.error, last.code) == ("failed", "The device is on fire.", "engine")
    assert made(studio, 8).recipe.seed == 8


# The queue


def test_a_check_waits_its_turn_and_is_made_by_the_one_worker(tmp_path: Path) -> None:
    order: list[tuple[int, str]] = []

    class Noting(FakeEngine):
        def generate(self, recipe: Recipe, draft: Draft | None = None, stop: int | None = None) -> Iterator[Step]:
            order.append((recipe.seed, threading.current_thread().name))
            yield from super().generate(recipe, draft, stop)

    studio = house(tmp_path, Noting(delay=0.02))
    record = made(studio, 1)
    before = studio.jobs.submit([recipe(2), recipe(3)])
    check = studio.checks.start(record)
    after = studio.jobs.submit([recipe(4)])
    assert [progress.job for progress in studio.jobs.active()] == [before.job, check.job, after.job]
    waiting = studio.checks.progress(check)
    assert waiting is not None
    assert waiting.eta is not None
    list(studio.jobs.watch(after.job))
    assert [seed for seed, _ in order] == [1, 2, 3, 1, 4]
    assert {name for _, name in order} == {"reseed-worker"}
    studio.close()


def test_several_clicks_are_one_check(gated: tuple[Studio, Gated, Record]) -> None:
    studio, engine, record = gated
    with ThreadPoolExecutor(4) as pool:
        checks = list(pool.map(studio.checks.start, [record] * 8))
    assert len({id(check) for check in checks}) == len(studio.jobs.active()) == 1
    assert studio.checks.of(record.id) is checks[0]
    engine.gate.set()
    ended(studio, checks[0])
    assert studio.checks.start(record) is not checks[0]


@pytest.mark.parametrize("begun", [True, False])
def test_a_check_can_be_stopped(gated: tuple[Studio, Gated, Record], begun: bool) -> None:
    studio, engine, record = gated
    before = [] if begun else [studio.jobs.submit([recipe(8)])]
    check = studio.checks.start(record)
    assert engine.there.wait(5)
    assert [progress.status for progress in studio.jobs.active()] == ["running"] + ["pending"] * len(before)
    assert studio.jobs.cancel(check.job).status == ("canceling" if begun else "canceled")
    engine.gate.set()
    assert ended(studio, check).status == "canceled"
    assert check.result is None
    assert made(studio, 9).recipe.seed == 9


@pytest.mark.parametrize("restart", ["close", "crash"])
def test_a_check_that_is_lost_with_the_process_is_forgotten(
    gated: tuple[Studio, Gated, Record], tmp_path: Path, restart: str
) -> None:
    studio, engine, record = gated
    check = studio.checks.start(record)
    assert engine.there.wait(5)
    if restart == "crash":  # what a killed process leaves: nothing of the check is written down
        crashed = tmp_path / "crashed"
        shutil.copytree(tmp_path / "outputs", crashed / "outputs")
        for file in tmp_path.glob("jobs.db*"):
            shutil.copy(file, crashed)
        again = house(crashed)
    else:
        threading.Timer(0.2, engine.gate.set).start()
        studio.close()
        with pytest.raises(JobError, match="shutting down"):
            studio.jobs.remake(recipe(), lambda made, by: None)
        again = house(tmp_path)
    assert again.jobs.active() == []
    with pytest.raises(JobError, match="There is no job"):
        again.jobs.progress(check.job)
    assert [one.id for one in again.gallery.recent()] == [record.id]
    assert again.checks.of(record.id) is None
    again.close()


def test_only_the_newest_checks_are_remembered(studio: Studio) -> None:
    records = [made(studio, seed) for seed in range(REMEMBERED + 2)]
    for record in records:
        ended(studio, studio.checks.start(record))
    ended(studio, studio.checks.start(records[2]))
    studio.checks.start(records[0])
    known = [studio.checks.of(record.id) is not None for record in records]
    assert known == [True, False, True, False] + [True] * (REMEMBERED - 2)
