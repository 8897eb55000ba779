"""Jobs that explore and jobs that sweep: drafts that finish exactly, and grids in which a lost cell stops nothing."""

from pathlib import Path

import pytest

from tests.test_jobs import Failing, Gated, House, pixels, recipes
from webui.engine import draft as drafts
from webui.engine.fake import FakeEngine
from webui.errors import JobError
from webui.journal import Key, Kind
from webui.progress import Progress
from webui.recipe import Recipe


class Counting(FakeEngine):
    """Notes which calls of the model it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int, int]] = []

    def generate(self, recipe: Recipe, draft: drafts.Draft | None = None, stop: int | None = None):
        for step in super().generate(recipe, draft, stop):
            if step.image is None and step.draft is None:
                self.asked.append((recipe.seed, step.index))
            yield step


def ended(house: House, wanted: list[Recipe], kind: Kind, about: str = "") -> Progress:
    return house.ended(house.jobs.submit(wanted, kind=kind, about=about).job)


def shas(progress: Progress) -> list[str]:
    return [record.pixels_sha256 for record in progress.records]


# ---- explore --------------------------------------------------------------------------------------


def test_drafts_are_made_and_finished_to_the_same_pixels(tmp_path: Path) -> None:
    engine = Counting()
    house = House(tmp_path, engine)
    wanted = recipes(4, steps=6)
    sheet = ended(house, wanted, "explore")
    assert (sheet.kind, sheet.status, sheet.records, house.gallery.count()) == ("explore", "succeeded", (), 0)
    assert [number for number, _ in sheet.drafts] == [0, 1, 2, 3]
    assert engine.asked == [(seed, step) for seed in range(7, 11) for step in range(3)], "half of the calls"
    engine.asked.clear()
    chosen = [wanted[2], wanted[0]]
    assert shas(ended(house, chosen, "make")) == pixels(chosen)
    assert engine.asked == [(seed, step) for seed in (9, 7) for step in range(3, 6)], "the other half"
    house.close()


def test_a_draft_that_is_kept_is_not_made_again(tmp_path: Path) -> None:
    engine = Counting()
    house = House(tmp_path, engine)
    first = ended(house, recipes(2, steps=6), "explore")
    asked = len(engine.asked)
    assert ended(house, recipes(2, steps=6), "explore").drafts == first.drafts
    assert len(engine.asked) == asked
    house.close()


def test_the_drafts_of_a_job_are_known_after_a_restart(tmp_path: Path) -> None:
    house = House(tmp_path)
    sheet = ended(house, recipes(3), "explore")
    house = house.again()
    found = house.jobs.progress(sheet.job)
    assert (found.kind, found.status, found.drafts) == ("explore", "succeeded", sheet.drafts)
    house.close()


def test_exploring_goes_on_after_a_restart(tmp_path: Path) -> None:
    engine = Gated()
    house = House(tmp_path, engine)
    job = house.jobs.submit(recipes(3, steps=6), kind="explore").job
    assert engine.there.wait(5)
    house.jobs._closing = True
    engine.gate.set()
    house = house.again()
    last = house.ended(job)
    assert (last.status, [number for number, _ in last.drafts]) == ("succeeded", [0, 1, 2])
    house.close()


def test_a_draft_of_another_model_is_left_alone(tmp_path: Path) -> None:
    house = House(tmp_path, FakeEngine(model_hash="a" * 64))
    ended(house, recipes(1), "explore")
    house = house.again(FakeEngine())
    assert shas(ended(house, recipes(1), "make")) == pixels(recipes(1))
    house.close()


def test_a_draft_that_is_gone_costs_time_and_no_pixel(tmp_path: Path) -> None:
    house = House(tmp_path)
    ended(house, recipes(2), "explore")
    first, second = sorted((tmp_path / "drafts").glob("*.safetensors"))
    first.unlink()
    second.write_bytes(b"damaged")
    assert shas(ended(house, recipes(2), "make")) == pixels(recipes(2))
    house.close()


def test_what_is_made_again_to_be_compared_is_made_from_the_start(tmp_path: Path) -> None:
    engine = Counting()
    house = House(tmp_path, engine)
    ended(house, recipes(1, steps=6), "explore")
    engine.asked.clear()
    seen: list[object] = []
    house.ended(house.jobs.remake(recipes(1, steps=6)[0], lambda *made: seen.append(made)).job)
    assert len(seen) == 1
    assert engine.asked == [(7, step) for step in range(6)]
    house.close()


def test_progress_and_time_are_those_of_drafts(tmp_path: Path) -> None:
    engine = Gated(at=2)
    house = House(tmp_path, engine)
    job = house.jobs.submit(recipes(1, steps=8), kind="explore").job
    assert engine.there.wait(5)
    assert house.jobs.progress(job).steps == 4
    engine.gate.set()
    house.ended(job)
    house.close()


# ---- sweep ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["sentence", "fault", "memory"])
def test_a_cell_that_cannot_be_made_stops_no_other(tmp_path: Path, prompt: str) -> None:
    house = House(tmp_path, Failing())
    wanted = recipes(5, seed=6, prompt=prompt)
    last = ended(house, wanted, "sweep", "how the cells lie")
    assert (last.status, last.error, last.about) == ("succeeded", None, "how the cells lie")
    assert [number for number, _ in last.made] == [0, 2, 4]
    assert [number for number, _ in last.failed] == [1, 3]
    assert all(sentence.endswith(".") for _, sentence in last.failed)
    house = house.again()
    found = house.jobs.progress(last.job)
    assert (found.made, found.failed, found.about) == (last.made, last.failed, last.about)
    house.close()


def test_a_sweep_of_one_that_fails_has_failed(tmp_path: Path) -> None:
    house = House(tmp_path, Failing())
    last = ended(house, recipes(1, seed=7, prompt="sentence"), "sweep")
    assert (last.status, last.error) == ("failed", "The picture is not a number.")
    house.close()


def test_a_sweep_that_is_cancelled_keeps_its_cells(tmp_path: Path) -> None:
    engine = Gated()
    engine.gate.set()
    house = House(tmp_path, engine)
    job = house.jobs.submit(recipes(50, steps=3), kind="sweep").job
    for progress in house.jobs.watch(job):
        if len(progress.records) == 2:
            house.jobs.cancel(job)
    last = house.jobs.progress(job)
    assert last.status == "canceled"
    assert 2 <= len(last.made) < 50
    assert house.gallery.count() == len(last.made)
    house.close()


def test_a_key_tells_the_kinds_apart(tmp_path: Path) -> None:
    house = House(tmp_path)
    first = house.jobs.submit(recipes(1), Key("key"), kind="sweep", about="a")
    assert house.jobs.submit(recipes(1), Key("key"), kind="sweep", about="a").job == first.job
    with pytest.raises(JobError, match="used for another job"):
        house.jobs.submit(recipes(1), Key("key"))
    house.close()
