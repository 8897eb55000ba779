"""Sweeping: what is read, what is refused at once, where each picture lies, and what a grid says of the others."""

import json
from dataclasses import replace
from math import prod
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.test_jobs import Failing, Gated, House
from webui.errors import BadRecipe, BadValue, JobError
from webui.grid import MOST_CELLS
from webui.lineage import UNKNOWN, Lineage
from webui.recipe import Recipe
from webui.sweeping import DELETED, STOPPED, Layout, Legend, Planned, layout_of, places, plan, read_axes

RECIPE = Recipe.of(prompt="a house by a lake", seed=7, steps=2, width=64, height=64)
IMPOSSIBLE = [("Noise layout", "plain, centred"), ("RNG", "NV, CPU"), ("Steps", "1-3")]
"""Three times two by two, of which the centred layout with RNG CPU is none."""


def planned(*axes: tuple[str, str], recipe: Recipe = RECIPE, lineage: Lineage = UNKNOWN) -> Planned:
    return plan(recipe, read_axes(axes, recipe), lineage)


def refused(*axes: tuple[str, str]) -> dict[str, str]:
    with pytest.raises(BadRecipe) as caught:
        planned(*axes)
    return {error.field: str(error) for error in caught.value.errors}


# ---- reading ---------------------------------------------------------------------------------------


def test_every_axis_that_is_wrong_is_named_at_once() -> None:
    found = refused(("CFG scale", "3-x"), ("", "1-3"), ("Prompt S/R", "castle, house"))
    assert list(found) == ["axis_x", "axis_y", "axis_z"]
    assert found["axis_x"].startswith("CFG scale must be")
    assert found["axis_y"].startswith("Axis must be one of")
    assert found["axis_z"].startswith("Prompt S/R must be a text that is in the prompt")


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ([], "Sweep must be along one axis at least"),
        ([("", " "), ("", "")], "Sweep must be along one axis at least"),
        ([("CFG scale", "")], "CFG scale must be a list of at least one value"),
        ([("Steps", "1-2"), ("steps", "3")], "no two of them the same"),
        ([("Seed", "1-100"), ("Steps", "1-11")], "100 × 11 is 1100 pictures"),
        ([("RNG", "CPU"), ("Noise layout", "centred")], "Noise layout must be plain with RNG CPU"),
    ],
)
def test_a_sweep_that_cannot_be_is_a_sentence(axes: list[tuple[str, str]], words: str) -> None:
    assert words in refused(*axes)["axis_x"]


def test_values_that_do_not_go_together_are_their_cells_sentence() -> None:
    found = planned(*IMPOSSIBLE)
    texts = {at: cell for at, cell in enumerate(found.layout.cells) if isinstance(cell, str)}
    assert list(texts) == [3, 7, 11]
    assert all("Noise layout must be plain with RNG CPU" in text for text in texts.values())
    assert [cell for cell in found.layout.cells if isinstance(cell, int)] == list(range(9))
    assert len(found.recipes) == 9


def test_what_cannot_be_made_here_is_its_cells_sentence_too() -> None:
    def check(recipe: Recipe) -> None:
        if recipe.steps == 2:
            raise BadValue("steps", "Steps", 2, "odd")

    found = plan(RECIPE, read_axes([("Steps", "1-3")], RECIPE), Lineage(), check)
    assert found.layout.cells == (0, "Steps must be odd; got 2.", 1)
    assert [recipe.steps for recipe in found.recipes] == [1, 3]


def test_equal_recipes_are_one_picture_in_two_places() -> None:
    found = planned(("Seed", "7, 9, 7"), ("Steps", "2"))
    assert found.layout.cells == (0, 1, 0)
    assert [recipe.seed for recipe in found.recipes] == [7, 9]


def test_a_random_seed_is_drawn_once_for_all_cells() -> None:
    found = planned(("Seed", "-1, 5"), ("CFG scale", "3-4"))
    drawn = {recipe.seed for recipe in found.recipes} - {5}
    assert len(drawn) == 1
    assert found.layout.legends[0].captions == (f"Seed {drawn.pop()}", "Seed 5")


def test_what_was_typed_is_kept_only_where_it_gives_these_words() -> None:
    came = Lineage("ab" * 16, "a {house|tent} by a lake")
    assert planned(("CFG scale", "3-4"), lineage=came).lineage == came
    for axis in (("Prompt S/R", "house, tent"), ("Seed", "7-8"), ("Negative prompt", "fog")):
        assert planned(axis, lineage=came).lineage == Lineage("ab" * 16)


# ---- how it lies -----------------------------------------------------------------------------------

sizes = st.lists(st.integers(1, 6), min_size=1, max_size=3)


@given(sizes, st.data())
def test_a_layout_survives_being_written_down(sides: list[int], data: st.DataObject) -> None:
    legends = tuple(Legend(f"L{n}", tuple(data.draw(st.text()) for _ in range(side))) for n, side in enumerate(sides))
    cells = tuple(data.draw(st.one_of(st.integers(0, 99), st.text())) for _ in range(prod(sides)))
    layout = Layout(legends, cells)
    assert Layout.from_json(layout.to_json(), 100) == layout
    assert "\n" not in layout.to_json()


@given(sizes)
def test_blocks_and_captions_agree(sides: list[int]) -> None:
    legends = tuple(Legend(f"L{n}", tuple(f"{n}.{k}" for k in range(side))) for n, side in enumerate(sides))
    cells = range(prod(sides))
    layout = Layout(legends, tuple(cells))
    seen = [
        (cell, tuple(word for word in (layout.columns[at], row.caption, title) if word))
        for title, rows in layout.blocks()
        for row in rows
        for at, cell in enumerate(row.cells)
    ]
    assert seen == [(cell, layout.captions(cell)) for cell in cells]


GOOD = Layout((Legend("Steps", ("1", "2")),), (0, "no"))


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": None},
        {"axes": []},
        {"axes": [{"label": "Steps"}]},
        {"axes": [{"label": "Steps", "captions": []}]},
        {"axes": [{"label": "Steps", "captions": ["1"]}]},
        {"axes": 7},
        {"cells": [0, 3]},
        {"cells": [0, -1]},
        {"cells": [0, True]},
        {"cells": [0, 1.0]},
        {"cells": None},
    ],
    ids=str,
)
def test_a_damaged_layout_is_a_sentence(change: dict[str, object]) -> None:
    text = json.dumps({**json.loads(GOOD.to_json()), **change})
    with pytest.raises(JobError, match="How the pictures of the sweep lie"):
        Layout.from_json(text, 1)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '{"version": 1}'])
def test_what_is_no_layout_is_a_sentence(text: str) -> None:
    with pytest.raises(JobError, match="damaged"):
        Layout.from_json(text, 1)


def test_a_layout_of_more_cells_than_a_sweep_has_is_refused() -> None:
    many = Layout((Legend("Seed", tuple(map(str, range(MOST_CELLS + 1)))),), (0,) * (MOST_CELLS + 1))
    with pytest.raises(JobError, match="does not fit"):
        Layout.from_json(many.to_json(), 1)


# ---- what a grid shows -----------------------------------------------------------------------------


def test_every_place_is_accounted_for_also_after_a_restart(tmp_path: Path) -> None:
    house = House(tmp_path)
    found = planned(*IMPOSSIBLE)
    job = house.jobs.submit(found.recipes, kind="sweep", about=found.layout.to_json()).job
    for _ in range(2):
        progress = house.ended(job)
        shown = places(layout_of(progress), progress)
        assert [at for at, place in enumerate(shown) if place.record is None] == [3, 7, 11]
        assert "Noise layout must be plain" in shown[3].reason
        assert shown[0].captions == ("Noise layout plain", "RNG NV", "Steps 1")
        assert shown[11].captions == ("Noise layout centred", "RNG CPU", "Steps 3")
        made = [place.record.recipe.but(model_hash="") for place in shown if place.record is not None]
        assert made == list(found.recipes)
        house = house.again()
    house.close()


def test_a_picture_that_could_not_be_made_or_is_gone_says_so(tmp_path: Path) -> None:
    house = House(tmp_path, Failing())
    found = planned(("Seed", "6-8"), recipe=RECIPE.but(prompt="sentence"))
    progress = house.ended(house.jobs.submit(found.recipes, kind="sweep", about=found.layout.to_json()).job)
    assert [place.reason for place in places(found.layout, progress)] == ["", "The picture is not a number.", ""]
    progress.records[0].path.unlink()
    house.gallery.refresh()
    house = house.again()
    progress = house.jobs.progress(progress.job)
    assert [place.reason for place in places(found.layout, progress)] == [DELETED, "The picture is not a number.", ""]
    house.close()


def test_what_waits_is_made_or_was_stopped_is_told_apart(tmp_path: Path) -> None:
    engine = Gated()
    house = House(tmp_path, engine)
    found = planned(("Seed", "1-3"))
    job = house.jobs.submit(found.recipes, kind="sweep", about=found.layout.to_json()).job
    assert engine.there.wait(5)
    now = places(found.layout, house.jobs.progress(job))
    assert [(place.working, place.reason) for place in now] == [(True, ""), (False, ""), (False, "")]
    house.jobs.cancel(job)
    engine.gate.set()
    last = house.ended(job)
    assert [place.reason for place in places(found.layout, last)] == [STOPPED] * 3
    house.close()


def test_what_was_deleted_meanwhile_is_not_said_to_wait_or_to_have_been_stopped(tmp_path: Path) -> None:
    engine = Gated()
    engine.gate.set()
    house = House(tmp_path, engine)
    found = planned(("Seed", "1-50"))
    job = house.jobs.submit(found.recipes, kind="sweep", about=found.layout.to_json()).job
    for progress in house.jobs.watch(job):
        if len(progress.records) == 2:
            house.jobs.cancel(job)
    last = replace(house.ended(job), made=house.ended(job).made[1:])
    assert places(found.layout, last)[0].reason == DELETED
    assert places(found.layout, replace(last, status="running", index=40))[0].reason == DELETED
    assert places(found.layout, last)[-1].reason == STOPPED
    house.close()


def test_a_job_that_is_no_sweep_lies_in_no_grid(tmp_path: Path) -> None:
    house = House(tmp_path)
    with pytest.raises(JobError, match="no sweep"):
        layout_of(house.jobs.submit([RECIPE]))
    house.close()
