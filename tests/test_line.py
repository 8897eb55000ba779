"""The line: owners take turns, nobody is passed for ever, and with one owner nothing changes."""

import itertools
import random

import pytest

from tests.test_jobs import recipes
from webui.line import Line
from webui.lineage import Lineage
from webui.progress import State

A, B, C = "a" * 32, "b" * 32, "c" * 32


def job(name: str, owner: str = "") -> State:
    return State(name, tuple(recipes(1)), "pending", 1, [0], Lineage(owner=owner))


def line(*names: str) -> Line:
    """Make a line of jobs such as ``a1``, whose first letter is the owner's; no letter is nobody's."""
    made = Line()
    for name in names:
        made.join(job(name, {"a": A, "b": B, "c": C}.get(name[0], "")))
    return made


def order(made: Line) -> list[str]:
    return [state.job for state in made.order()]


def serve(made: Line) -> str:
    """Make the next job and end it."""
    state = made.order()[0]
    made.begin(state)
    state.status = "running"
    made.order()  # others look on meanwhile
    state.status = "succeeded"
    made.leave(state)
    return state.job


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("1 2 3", "1 2 3"),
        ("a1 a2 a3", "a1 a2 a3"),
        ("a1 a2 a3 b1", "a1 b1 a2 a3"),
        ("a1 a2 b1 b2 c1", "a1 b1 c1 a2 b2"),
        ("1 2 a1", "1 a1 2"),
        ("", ""),
    ],
)
def test_owners_take_turns_and_the_order_that_is_told_is_the_one_that_comes(names: str, expected: str) -> None:
    made = line(*names.split())
    assert order(made) == expected.split()
    assert [serve(made) for _ in names.split()] == expected.split()


def test_who_joins_comes_before_the_one_who_is_served_and_behind_those_who_wait() -> None:
    made = line("a1", "a2", "b1")
    begun = made.order()[0]
    made.begin(begun)
    begun.status = "running"
    made.join(job("c1", C))
    assert order(made) == ["a1", "b1", "c1", "a2"]
    begun.status = "succeeded"
    made.leave(begun)
    assert order(made) == ["b1", "c1", "a2"]


def test_nobody_is_passed_for_ever_however_many_join() -> None:
    made = line("a1", "a2")
    served = [serve(made)]
    for number in range(5):
        made.join(job(f"new {number}", f"{number:032x}"))
        served.append(serve(made))
    assert "a2" in served[:3]


def test_what_is_before_a_job_is_what_ends_before_it() -> None:
    made = line("a1", "a2", "a3", "b1")
    assert [state.job for state in made.until(made.known["b1"])] == ["a1", "b1"]
    assert [state.job for state in made.until(made.known["a3"])] == ["a1", "b1", "a2", "a3"]
    assert made.until(job("stranger")) == []
    assert (made.waiting, len(made.of(A)), len(made.of(B)), len(made.of(""))) == (4, 3, 1, 4)


def test_what_was_begun_before_a_restart_comes_first_and_counts_as_a_turn() -> None:
    made = line("a1", "a2", "b1", "b2")
    made.first = "b1"
    assert order(made) == ["b1", "a1", "b2", "a2"]
    assert [serve(made) for _ in range(4)] == ["b1", "a1", "b2", "a2"]


def test_no_owner_is_made_to_wait_for_more_than_one_job_of_each_other() -> None:
    chance = random.Random(7)
    names = [f"{chance.choice('abc')}{number}" for number in range(60)]
    made = line(*names)
    served = [serve(made) for _ in names]
    assert sorted(served) == sorted(names)
    for owner in "abc":
        turns = [at for at, name in enumerate(served) if name[0] == owner]
        assert all(later - earlier <= 3 for earlier, later in itertools.pairwise(turns))
