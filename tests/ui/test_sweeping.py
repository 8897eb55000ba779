"""Sweeps on the page without a browser: what is asked, what is said at which axis, and the grid that is drawn."""

import re
from typing import Any

import gradio as gr
import pytest

from tests.ui import test_handlers
from tests.ui.test_handlers import drain, event, last, request
from webui.axes import sweeps
from webui.grid import MOST_CELLS
from webui.recipe import PARAMS, Recipe
from webui.studio import Studio
from webui.sweeping import FIELDS, STOPPED
from webui.ui import form
from webui.ui.handlers import Handlers
from webui.ui.sweeping import AXES, chips, draw, fields

NAMES = ["memory", *(name for field in FIELDS for name in (f"{field}_label", field)), *form.NAMES, *form.EXTRA]
IMPOSSIBLE = ("Steps", "1-3", "Noise layout", "plain, centred", "RNG", "NV, CPU")


@pytest.fixture
def handlers(studio: Studio) -> Handlers:
    """Give the handlers over a studio."""
    return Handlers(studio)


def arguments(studio: Studio, *axes: str, **changes: Any) -> list[Any]:
    """Return what a click on Sweep sends after the memory."""
    asked = test_handlers.arguments(studio, **{"seed": "7", "width": 64, "height": 64, **changes})
    return [*axes, *[""] * (AXES - len(axes)), *asked]


def swept(handlers: Handlers, *axes: str, **changes: Any) -> tuple[list[str], dict[str, Any]]:
    """Sweep to the end; return the memory and what stands on the page then."""
    memory, _ = handlers.sweep(request(), [], *arguments(handlers.studio, *axes, **changes))
    return memory, last(drain(handlers.start_following(memory, request())))


def wrong(verdicts: list[Any], names: list[str]) -> dict[str, str]:
    return {name: verdict["message"] for name, verdict in zip(names, verdicts, strict=True) if not verdict["is_valid"]}


# ---- the door ----------------------------------------------------------------------------------------------


def test_every_axis_and_field_that_is_wrong_gets_its_sentence_at_once(handlers: Handlers, studio: Studio) -> None:
    asked = arguments(studio, "CFG scale", "3-x", "", "1", "Prompt S/R", "tent", seed="abc", width=65)
    found = wrong(handlers.sweeping.check(request(), [], *asked), NAMES)
    assert set(found) == {*FIELDS, "seed", "width"}
    assert found["axis_x"].startswith("CFG scale must be")
    assert found["axis_y"].startswith("Axis must be one of")
    assert found["axis_z"].startswith("Prompt S/R must be")
    assert studio.jobs.active() == []


def test_a_sweep_in_order_has_no_sentences(handlers: Handlers, studio: Studio) -> None:
    assert wrong(handlers.sweeping.check(request(), [], *arguments(studio, *IMPOSSIBLE)), NAMES) == {}


@pytest.mark.parametrize("styles", [7, "Ink", {"a": 1}, [7]])
def test_styles_that_are_no_list_of_names_are_a_sentence(handlers: Handlers, studio: Studio, styles: Any) -> None:
    found = wrong(handlers.sweeping.check(request(), [], *arguments(studio, *IMPOSSIBLE, styles=styles)), NAMES)
    assert found.keys() == {"styles"} and found["styles"].startswith("Styles must be")


def test_a_refusal_after_the_check_is_a_message(handlers: Handlers, studio: Studio) -> None:
    with pytest.raises(gr.Error, match="Sweep must be along one axis at least"):
        handlers.sweep(request(), [], *arguments(studio))


def test_a_browser_remembers_the_sweep_among_its_jobs(handlers: Handlers, studio: Studio) -> None:
    memory, note = handlers.sweep(request(), ["old"], *arguments(studio, "Seed", "1-2", parent="ab" * 16 + "@"))
    assert memory[0] == "old"
    progress = list(studio.jobs.watch(memory[1]))[-1]
    assert (progress.kind, [one.lineage.parent for one in progress.records]) == ("sweep", ["ab" * 16] * 2)
    assert "<p" in note


# ---- counting ----------------------------------------------------------------------------------------------


def test_pictures_are_counted_and_timed_once_the_pace_is_known(handlers: Handlers, studio: Studio) -> None:
    asked = arguments(studio, *IMPOSSIBLE)
    said = handlers.sweeping.estimate(request(), *asked)
    assert "9 pictures. 3 cells are of values that do not go together." in said
    studio.jobs.pace.evaluation = 1 / 64**2
    assert "9 pictures, about 18 s." in handlers.sweeping.estimate(request(), *asked)
    assert "1 picture, about 5 s." in handlers.sweeping.estimate(request(), *arguments(studio, "Steps", "5"))


def test_what_an_axis_lacks_is_said_while_it_is_typed(handlers: Handlers, studio: Studio) -> None:
    assert handlers.sweeping.estimate(request(), *arguments(studio, "CFG scale", "")) == ""
    assert "CFG scale must be" in handlers.sweeping.estimate(request(), *arguments(studio, "CFG scale", "3-"))
    assert f"of at most {MOST_CELLS} pictures" in handlers.sweeping.estimate(
        request(), *arguments(studio, "Seed", "1-999", "Steps", "1-2")
    )


# ---- one click ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [one.name for one in sweeps(Recipe.of(seed=0))])
def test_a_sweep_for_one_click_can_be_made_as_it_is_filled_in(handlers: Handlers, studio: Studio, name: str) -> None:
    assert f'data-name="{name}"' in chips()
    *axes, varied = handlers.sweeping.quick(event(name=name), request(), *arguments(studio)[AXES:])
    changes = {} if varied == gr.skip() else {"variation_seed": varied}
    asked = arguments(studio, *axes, **changes)
    assert wrong(handlers.sweeping.check(request(), [], *asked), NAMES) == {}
    assert axes[2:] == [""] * 4
    assert (name == "Variation ladder") == bool(changes)


def test_ten_seeds_begin_at_the_one_in_the_form(handlers: Handlers, studio: Studio) -> None:
    assert handlers.sweeping.quick(event(name="10 seeds"), request(), *arguments(studio)[AXES:])[:2] == ["Seed", "7-16"]
    label, drawn = handlers.sweeping.quick(event(name="10 seeds"), request(), *arguments(studio, seed="")[AXES:])[:2]
    first, final = map(int, drawn.split("-"))
    assert (label, final - first) == ("Seed", 9)


def test_a_form_that_is_not_right_is_not_swept_in_one_click(handlers: Handlers, studio: Studio) -> None:
    names = [*form.NAMES, *form.EXTRA]
    assert wrong(handlers.sweeping.check_quick(request(), *arguments(studio)[AXES:]), names) == {}
    found = wrong(handlers.sweeping.check_quick(request(), *arguments(studio, seed="1-3", width=65)[AXES:]), names)
    assert set(found) == {"seed", "width"}


# ---- the grid ----------------------------------------------------------------------------------------------


def test_the_grid_has_its_captions_pictures_and_reasons(handlers: Handlers) -> None:
    memory, page = swept(handlers, *IMPOSSIBLE)
    grid = page["sweep"]
    assert re.findall(r"<caption>(.*?)</caption>", grid) == ["RNG NV", "RNG CPU"]
    assert re.findall(r'<th scope="col">(.*?)</th>', grid) == ["Steps 1", "Steps 2", "Steps 3"] * 2
    assert re.findall(r'<th scope="row">(.*?)</th>', grid) == ["Noise layout plain", "Noise layout centred"] * 2
    assert grid.count("<td data-key=") == 12
    job = handlers.studio.jobs.progress(memory[0])
    assert re.findall(r'data-do="pick" data-what="all" data-id="(\w+)"', grid) == [one.id for one in job.records]
    assert grid.count("Noise layout must be plain with RNG CPU") == 2 * 3
    assert f'href="sweeps/{memory[0]}.png"' in grid
    assert page["strip"] == ""
    assert grid.count('aria-current="true"') == 1


def test_places_are_there_before_their_pictures(handlers: Handlers, studio: Studio) -> None:
    studio.engine.delay = 0.05  # type: ignore[attr-defined]
    memory, _ = handlers.sweep(request(), [], *arguments(studio, "Seed", "1-3"))
    seen, watched = set(), set()
    for progress in studio.jobs.watch(memory[0]):
        grid = draw([progress], "")
        assert [grid.count(word) for word in ("<td data-key=", "<th ")] == [3, 3]
        made, live = grid.count("<img"), grid.count('data-do="follow"')
        assert made == len(progress.records)
        assert ("Grid picture" in grid, "Put away" in grid) == (made > 0, progress.done)
        seen.add(made)
        watched.add(live)
    assert (seen, watched) == ({0, 1, 2, 3}, {0, 1})


def test_stop_keeps_what_is_made_and_says_so_of_the_rest(handlers: Handlers, studio: Studio) -> None:
    studio.engine.delay = 0.05  # type: ignore[attr-defined]
    memory, _ = handlers.sweep(request(), [], *arguments(studio, "Seed", "1-30"))
    for progress in studio.jobs.watch(memory[0]):
        if len(progress.records) == 2:
            handlers.stop(memory, request())
    page = last(drain(handlers.follow(memory, request())))
    made = studio.gallery.count()
    assert 2 <= made < 30
    assert page["sweep"].count("<img") == made
    assert page["sweep"].count(f">{STOPPED}<") == 30 - made


def test_a_picture_of_the_grid_goes_to_the_stage(handlers: Handlers) -> None:
    memory, _ = swept(handlers, "Seed", "1-3")
    first = handlers.studio.jobs.progress(memory[0]).records[0]
    view = handlers.pick(event(id=first.id, what="all"), memory, request())
    assert 'data-seed="1"' in view[0]
    marked = next(part for part in view if isinstance(part, str) and 'class="sweep"' in part)
    assert re.findall(r'data-id="(\w+)" aria-current="true"', marked) == [first.id]


def test_a_grid_that_is_put_away_leaves_its_picture_on_the_stage(handlers: Handlers) -> None:
    memory, page = swept(handlers, "Seed", "1-3")
    left = handlers.sweeping.away(event(job=memory[0]), ["other", *memory], request())
    assert left == ["other"]
    after = last(drain(handlers.follow(left, request())))
    assert after["sweep"] == ""
    assert after["stage"] == page["stage"]


def test_the_grid_is_that_of_the_sweep_at_work_then_of_the_last(handlers: Handlers, studio: Studio) -> None:
    studio.engine.delay = 0.1  # type: ignore[attr-defined]
    memory: list[str] = []
    for axis in ("Seed", "Steps"):
        memory, _ = handlers.sweep(request(), memory, *arguments(studio, axis, "1-2"))
    drawn = drain(handlers.follow(memory, request()))
    assert 'aria-label="Grid of Seed"' in drawn[0]["sweep"]
    assert 'aria-label="Grid of Steps"' in last(drawn)["sweep"]


def test_what_a_person_wrote_is_escaped(handlers: Handlers) -> None:
    _, page = swept(handlers, "Prompt S/R", "lake, <b>sea</b>", "Prompt", "<i>lake</i>")
    assert "<b>" not in page["sweep"] and "<i>" not in page["sweep"]
    assert "&lt;b&gt;sea&lt;/b&gt;" in page["sweep"]


def test_a_layout_that_is_lost_is_a_sentence_and_the_pictures_stay(handlers: Handlers, studio: Studio) -> None:
    recipe = Recipe.of(prompt="a lake", seed=7, steps=1, width=64, height=64)
    job = list(studio.jobs.watch(studio.jobs.submit([recipe], kind="sweep", about="{").job))[-1]
    grid = draw([job], "")
    assert "How the pictures of the sweep lie is damaged" in grid
    assert len(job.records) == 1


def test_every_parameter_is_offered_as_an_axis() -> None:
    with gr.Blocks():
        made = fields()
    offered = {value for _, value in made[0].choices}
    assert {param.label for param in PARAMS.values()} | {"", "Prompt S/R", "Size", "Preset"} <= offered
