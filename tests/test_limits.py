"""The limits of a demo: each is said in a sentence, before anything is queued, and nobody else has any."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.test_jobs import Gated
from webui.engine.checkpoints import Catalog
from webui.engine.fake import FakeEngine
from webui.errors import LimitError, ReseedError
from webui.journal import Key
from webui.limits import RETRY, Limits
from webui.recipe import Recipe
from webui.settings import Door, Settings
from webui.studio import Studio

A, B = "a" * 32, "b" * 32
SMALL: dict[str, Any] = {"prompt": "a lake", "steps": 2, "width": 64, "height": 64}


def recipe(**values: Any) -> Recipe:
    return Recipe.of(**{**SMALL, "seed": 1, **values})


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Studio]:
    """Give a studio of a demo whose engine waits before its first step."""
    studio = Studio(Settings(data_dir=tmp_path, door=Door(demo=True)), Gated(at=1), Catalog(tmp_path / "models"))
    studio.start()
    yield studio
    engine: Any = studio.engine
    engine.gate.set()
    studio.close()


@pytest.mark.parametrize(
    ("recipes", "explores", "words"),
    [
        ([recipe()] * 5, False, "at most 4 pictures at once; got 5"),
        ([recipe()] * 13, True, "at most 12 drafts at once; got 13"),
        ([recipe(steps=51)], False, "Steps must be at most 50 in this demo; got 51"),
        ([recipe(), recipe(width=1024, height=1032)], False, "such as 1024 × 1024; got 1024 × 1032"),
    ],
)
def test_what_is_too_large_is_a_sentence(recipes: list[Recipe], explores: bool, words: str) -> None:
    with pytest.raises(LimitError, match=words) as refused:
        Limits().check(recipes, explores)
    assert (refused.value.code, refused.value.retry_after) == ("limit", 0)


def test_what_is_within_the_limits_is_allowed() -> None:
    Limits().check([recipe(steps=50, width=1024, height=1024)] * 4)
    Limits().check([recipe()] * 12, True)
    Limits().admit(2, 19)
    for mine, waiting, words in ((3, 0, "takes 3 jobs of a visitor"), (0, 20, "The line is full: 20 jobs")):
        with pytest.raises(LimitError, match=words) as refused:
            Limits().admit(mine, waiting)
        assert refused.value.retry_after == RETRY


def test_a_visitor_has_one_job_at_work_and_two_waiting(demo: Studio) -> None:
    jobs = [demo.of(A).submit(SMALL).job for _ in range(3)]
    engine: Any = demo.engine
    assert engine.there.wait(5)
    for asked in (
        lambda: demo.of(A).submit(SMALL),
        lambda: demo.of(A).explore(SMALL),
        lambda: demo.of(A).sweep(demo.of(A).plan([("Steps", "1, 2")], SMALL)),
        lambda: demo.of(A).jobs.remake(recipe(), lambda image, made_by: None),
    ):
        with pytest.raises(LimitError, match="one at work and 2 waiting"):
            asked()
    assert len(demo.jobs.active()) == 3
    assert demo.of(B).submit(SMALL).position == 0  # the next turn is the other's
    demo.of(A).jobs.cancel(jobs[-1])
    assert demo.of(A).submit(SMALL).status == "pending"


def test_no_more_than_twenty_jobs_wait_in_all(demo: Studio) -> None:
    demo.of(A).submit(SMALL)
    engine: Any = demo.engine
    assert engine.there.wait(5)
    for number in range(20):
        demo.of(f"{number:032x}").submit(SMALL)
    with pytest.raises(LimitError, match="The line is full: 20 jobs wait"):
        demo.of(B).submit(SMALL)


def test_a_sweep_is_held_to_the_same_number_of_pictures(demo: Studio) -> None:
    own = demo.of(A)
    with pytest.raises(LimitError, match="at most 4 pictures at once; got 5"):
        own.sweep(own.plan([("Steps", "1-5")], SMALL))
    assert own.explore(SMALL).count == 12


def test_a_key_that_comes_again_is_no_new_job(demo: Studio) -> None:
    first = demo.of(A).submit(SMALL, "7", key=Key("again"))
    for _ in range(5):
        assert demo.of(A).submit(SMALL, "7", key=Key("again")).job == first.job
    assert demo.of(B).submit(SMALL, "8", key=Key("again")).job != first.job  # an owner's keys are their own


def test_without_a_demo_nothing_is_limited(tmp_path: Path) -> None:
    studio = Studio(Settings(data_dir=tmp_path), FakeEngine(), Catalog(tmp_path / "models"))
    assert studio.of(A).submit({**SMALL, "steps": 60}, count=5).count == 5
    for _ in range(25):
        studio.of(A).submit(SMALL)
    studio.must_not_be_demo("Deleting is")
    studio.close()


def test_a_demo_knows_whose_request_it_is_or_shows_nothing(demo: Studio) -> None:
    with pytest.raises(ReseedError, match="Nobody knows whose request this is"):
        demo.of("")
    with pytest.raises(LimitError, match="Deleting is not possible in this demo"):
        demo.must_not_be_demo("Deleting is")
