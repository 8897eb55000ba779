"""The contact sheet without a browser: what is drawn of it, what is finished, and what it is after a restart."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from tests.test_jobs import pixels
from tests.ui.test_handlers import arguments, drain, event, last, make, request, stop_when, wrong
from webui.engine.checkpoints import Catalog
from webui.engine.fake import FakeEngine
from webui.journal import origin
from webui.progress import Progress
from webui.settings import Settings
from webui.studio import Studio
from webui.ui import exploring
from webui.ui import memory as remembered
from webui.ui.handlers import NO_PICTURE, Handlers

Page = dict[str, Any]


@pytest.fixture
def handlers(studio: Studio) -> Handlers:
    """Give the handlers over a studio."""
    return Handlers(studio)


def explored(handlers: Handlers, memory: list[str] | None = None, **values: Any) -> tuple[list[str], Progress]:
    """Press Explore and wait; return the memory and the end of the job."""
    memory, _ = handlers.explore(request(), memory or [], "", *arguments(handlers.studio, **{"seed": "7", **values}))
    return memory, ended(handlers, memory)


def ended(handlers: Handlers, memory: list[str]) -> Progress:
    return list(handlers.studio.jobs.watch(memory[-1]))[-1]


def finish(handlers: Handlers, memory: list[str], sheet: Progress, *numbers: int) -> list[str]:
    """Choose drafts by their numbers, press Finish and wait."""
    chosen = ",".join(origin(sheet.job, number) for number in numbers)
    memory = handlers.exploring.finish(event(chosen=chosen), memory, request())
    ended(handlers, memory)
    return memory


def look(handlers: Handlers, memory: list[str], session: str = "tab") -> Page:
    """Return what stands on a tab's page."""
    return last(drain(handlers.follow(memory, request(session))))


def tiles(page: Page) -> list[tuple[str, str]]:
    """Return the kind and the seed of each tile."""
    found = re.findall(r'<li class="tile ([a-z ]+)".*?data-seed="(\d+)"', page["sheet"])
    return [(kind, seed) for kind, seed in found]


# ---- the sheet -------------------------------------------------------------------------------------


def test_a_sheet_is_twelve_drafts_in_the_place_of_the_stage(handlers: Handlers) -> None:
    memory, sheet = explored(handlers, count=3, numbering="same")
    page = look(handlers, memory)
    assert tiles(page) == [("draft", str(seed)) for seed in range(7, 19)]
    assert [f"drafts/{key}.png?{sheet.job}" for _, key in sheet.drafts] == re.findall(r'src="([^"]+)"', page["sheet"])
    assert (page["stage"], page["strip"]) == ("", "")
    assert "Finished: 12 drafts." in page["status"]
    assert handlers.studio.gallery.count() == 0


@pytest.mark.parametrize(("text", "seeds"), [("7, 9, 20-22", ["7", "9", "20", "21", "22"]), ("5-6", ["5", "6"])])
def test_a_list_of_seeds_stands_for_itself(handlers: Handlers, text: str, seeds: list[str]) -> None:
    assert [seed for _, seed in tiles(look(handlers, explored(handlers, seed=text)[0]))] == seeds


def test_minus_one_draws_a_seed_to_count_from(handlers: Handlers) -> None:
    recipes = explored(handlers, seed="-1")[1].recipes
    assert [recipe.seed - recipes[0].seed for recipe in recipes] == list(range(12))
    assert recipes[0].seed != explored(handlers, seed="")[1].recipes[0].seed


def test_a_sheet_has_its_places_before_its_drafts(handlers: Handlers) -> None:
    handlers.studio.engine.delay = 0.05  # type: ignore[attr-defined]
    memory, _ = handlers.explore(request(), [], "", *arguments(handlers.studio, seed="1-3", steps=4))
    seen = []
    for page in drain(handlers.follow(memory, request())):
        if isinstance(page["sheet"], str):
            seen.append(tiles(page))
    assert {tuple(seed for _, seed in drawn) for drawn in seen} == {("1", "2", "3")}
    assert [kind for kind, _ in seen[0]][1:] == ["drawing", "drawing"]
    assert ["draft", "drawing live", "drawing"] in [[kind for kind, _ in drawn] for drawn in seen]
    assert [kind for kind, _ in seen[-1]] == ["draft"] * 3


def test_no_place_shows_the_preview_of_the_seed_before(handlers: Handlers) -> None:
    _, sheet = explored(handlers, seed="1-2")
    tile = exploring._Tile("x:1", sheet.recipes[1], "seed")
    begun = {
        **vars(sheet),
        "status": "running",
        "index": 1,
        "steps": 0,
        "preview": b"old",
        "preview_type": "image/jpeg",
    }
    assert "src=" not in tile.drawing(Progress(**begun), 1)
    assert 'src="data:image/jpeg;base64,b2xk"' in tile.drawing(Progress(**{**begun, "steps": 2}), 1)
    assert "src=" not in tile.drawing(Progress(**{**begun, "steps": 2}), 0)


def test_a_variation_is_named_by_its_own_seed(handlers: Handlers) -> None:
    memory, sheet = explored(handlers, variation_strength=0.2, variation_seed="40")
    assert [recipe.variation_seed for recipe in sheet.recipes] == list(range(40, 52))
    assert "Draft of variation seed 51" in look(handlers, memory)["sheet"]
    memory = handlers.exploring.more(memory, request())
    recipes = ended(handlers, memory).recipes
    assert [(recipe.seed, recipe.variation_seed) for recipe in recipes] == [(7, seed) for seed in range(52, 64)]


def test_what_is_wrong_is_a_sentence_at_its_field(handlers: Handlers) -> None:
    check: Callable[..., list[Any]] = handlers.check_explore
    assert wrong(check(request(), [], "", *arguments(handlers.studio, count=0, numbering="sideways"))) == {}
    found = wrong(check(request(), [], "", *arguments(handlers.studio, seed="1e3", width=130)))
    assert set(found) == {"seed", "width"}
    found = wrong(check(request(), [], "", *arguments(handlers.studio, seed="1-101")))
    assert found == {"seed": "Seed must be a list of at most 100 seeds to explore; got '1-101'. Generate takes more."}
    assert (
        "at most 18446744073709551604"
        in wrong(check(request(), [], "", *arguments(handlers.studio, seed=str(2**64 - 1))))["seed"]
    )
    with pytest.raises(gr.Error, match="at most 100 seeds"):
        handlers.explore(request(), [], "", *arguments(handlers.studio, seed="1-101"))
    assert handlers.studio.jobs.active() == []


def test_an_error_is_said_on_the_sheet(handlers: Handlers, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*made: object) -> Any:
        raise MemoryError("nothing <b>left</b>")

    monkeypatch.setattr(handlers.studio.engine, "generate", fail)
    page = look(handlers, explored(handlers)[0])
    assert '<p class="wrong" role="alert">The picture could not be made because of a fault' in page["sheet"]
    assert "<b>left" not in page["sheet"]
    assert exploring.NOTHING in page["sheet"]


def test_stop_keeps_what_is_drawn(handlers: Handlers) -> None:
    handlers.studio.engine.delay = 0.05  # type: ignore[attr-defined]
    memory, _ = handlers.explore(request(), [], "", *arguments(handlers.studio, seed="1-50"))
    stop_when(handlers, memory, lambda progress: len(progress.drafts) == 2)
    page = look(handlers, memory)
    assert {kind for kind, _ in tiles(page)} == {"draft"}
    assert 2 <= len(tiles(page)) < 50
    assert f"Stopped: {len(tiles(page))} drafts of 50 made." in page["status"]


# ---- finishing -------------------------------------------------------------------------------------


def test_the_chosen_are_finished_to_the_uninterrupted_pixels(handlers: Handlers) -> None:
    memory, sheet = explored(handlers, styles=[], parent=f"{'ab' * 16}@")
    memory = finish(handlers, memory, sheet, 1, 4)
    records = ended(handlers, memory).records
    assert [record.pixels_sha256 for record in records] == pixels([sheet.recipes[1], sheet.recipes[4]])
    assert {record.lineage.parent for record in records} == {"ab" * 16}
    page = look(handlers, memory)
    assert [seed for kind, seed in tiles(page) if kind == "finished"] == ["8", "11"]
    assert [f'data-do="pick" data-id="{record.id}"' in page["sheet"] for record in records] == [True, True]
    assert page["stage"] == "", "the sheet stays in its place"
    assert page["history"].count('class="tile"') == 2


def test_what_is_finished_or_waiting_is_not_made_twice(handlers: Handlers) -> None:
    memory, sheet = explored(handlers, steps=8)
    once = finish(handlers, memory, sheet, 0)
    assert handlers.exploring.finish(event(chosen=origin(sheet.job, 0)), once, request()) == once
    handlers.studio.engine.delay = 0.05  # type: ignore[attr-defined]
    chosen = event(chosen=origin(sheet.job, 1))
    twice = handlers.exploring.finish(chosen, once, request())
    assert handlers.exploring.finish(chosen, once, request()) == once, "a second click knows no job of the first"
    assert ("finishing", "8") in [(kind.split()[0], seed) for kind, seed in tiles({"sheet": drawn(handlers, twice)})]
    ended(handlers, twice)
    assert handlers.studio.gallery.count() == 2


def drawn(handlers: Handlers, memory: list[str]) -> str:
    jobs = remembered.known(handlers.studio.jobs, memory)
    return handlers.exploring.draw(exploring.Sheet.of(jobs), jobs, handlers.desk.tab(request("tab")))


def test_equal_seeds_of_a_list_are_finished_once(handlers: Handlers) -> None:
    memory, sheet = explored(handlers, seed="7, 7, 8")
    memory = finish(handlers, memory, sheet, 0, 1)
    assert [kind for kind, _ in tiles(look(handlers, memory))] == ["finished", "finished", "draft"]
    assert handlers.studio.gallery.count() == 1


@pytest.mark.parametrize("chosen", ["", "x", "../../etc:1", f"{'0' * 32}:1", "{job}:99"])
def test_what_is_no_draft_of_the_sheet_is_not_finished(handlers: Handlers, chosen: str) -> None:
    memory, sheet = explored(handlers, seed="7-8")
    chosen = chosen.format(job=sheet.job)
    assert handlers.exploring.finish(event(chosen=chosen), memory, request()) == memory
    assert handlers.exploring.finish(event(chosen=origin(sheet.job, 0)), [], request()) == []


def test_a_draft_that_is_gone_is_finished_all_the_same(handlers: Handlers) -> None:
    memory, sheet = explored(handlers, seed="7-8")
    for path in handlers.studio.settings.drafts.iterdir():
        path.unlink()
    page = look(handlers, memory)
    assert tiles(page) == [("draft", "7"), ("draft", "8")]
    assert "src=" not in page["sheet"]
    assert page["sheet"].count(f'aria-label="Draft of seed 7. {exploring.GONE}"') == 1
    records = ended(handlers, finish(handlers, memory, sheet, 1)).records
    assert [record.pixels_sha256 for record in records] == pixels([sheet.recipes[1]])


def test_a_refusal_is_a_message(handlers: Handlers) -> None:
    memory, sheet = explored(handlers, seed="7-8")
    jobs = handlers.studio.jobs
    jobs._line.closing = True
    with pytest.raises(gr.Error, match="shutting down"):
        handlers.exploring.finish(event(chosen=origin(sheet.job, 0)), memory, request())
    with pytest.raises(gr.Error, match="shutting down"):
        handlers.exploring.more(memory, request())


# ---- more, away, and other pictures ----------------------------------------------------------------


def test_more_are_the_seeds_that_follow_with_the_sheets_own_words(handlers: Handlers) -> None:
    template = "a {red|blue|green} lake, \\{boat\\}"
    whole = handlers.studio.settle({**handlers.studio.defaults(), "prompt": template, "steps": 3}, "7", 24)[0]
    memory, first = explored(handlers, prompt=template)
    memory = finish(handlers, memory, first, 0)
    memory = handlers.exploring.more(memory, request())
    more = ended(handlers, memory)
    assert [*first.recipes, *more.recipes] == whole
    assert (remembered.first(more), more.lineage.template) == (first.job, template)
    page = look(handlers, memory)
    assert [seed for _, seed in tiles(page)] == [str(seed) for seed in range(7, 31)]
    assert "<b>24 seeds</b>" in page["sheet"]


def test_more_are_held_as_the_sheet_is(handlers: Handlers) -> None:
    parent = make(handlers, prompt="a red house")[1].records[0].id
    memory, sheet = explored(handlers, prompt="a {blue|green} house", parent=f"{parent}@", share=35)
    memory = handlers.exploring.more(memory, request())
    prompts = {recipe.prompt for job in (sheet, ended(handlers, memory)) for recipe in job.recipes}
    assert prompts <= {"a [red:blue:0.35] house", "a [red:green:0.35] house"}
    (record,) = ended(handlers, finish(handlers, memory, ended(handlers, memory), 11)).records
    assert (record.lineage.parent, record.lineage.template) == (parent, "a {blue|green} house")


def test_a_finished_picture_that_is_deleted_is_a_draft_again(handlers: Handlers) -> None:
    memory, sheet = explored(handlers, seed="7-8")
    memory = finish(handlers, memory, sheet, 0)
    (record,) = ended(handlers, memory).records
    assert [kind for kind, _ in tiles(look(handlers, memory))] == ["finished", "draft"]
    handlers.past.discard(event(id=record.id), request())
    assert [kind for kind, _ in tiles(look(handlers, memory))] == ["draft", "draft"]
    assert ended(handlers, finish(handlers, memory, sheet, 0)).records[0].pixels_sha256 == record.pixels_sha256


def test_more_stop_where_a_sheet_is_full_and_where_seeds_end(handlers: Handlers) -> None:
    memory, _ = explored(handlers, seed="1-89", steps=1)
    assert 'data-do="more"' not in look(handlers, memory)["sheet"]
    memory, _ = explored(handlers, seed=str(2**64 - 12), steps=1)
    with pytest.raises(gr.Error, match="got '18446744073709551616'"):
        handlers.exploring.more(memory, request())
    assert handlers.exploring.more([], request()) == []


def test_a_picked_picture_stands_above_the_sheet_until_it_is_put_away(handlers: Handlers) -> None:
    memory, sheet = explored(handlers)
    memory = finish(handlers, memory, sheet, 0)
    (record,) = ended(handlers, memory).records
    handlers.pick(event(id=record.id), memory, request())
    page = look(handlers, memory)
    assert f'data-id="{record.id}"' in page["stage"]
    assert "Put the picture away" in page["sheet"]
    assert page["sheet"].count('aria-current="true"') == 1
    memory = handlers.exploring.more(memory, request())
    ended(handlers, memory)
    assert f'data-id="{record.id}"' in look(handlers, memory)["stage"], "a button of the sheet moves nothing"
    handlers.watch_again(memory, request())
    page = look(handlers, memory)
    assert page["stage"] == ""
    assert "Put the picture away" not in page["sheet"]
    assert wrong(handlers.check_same(request(), memory, "", *arguments(handlers.studio)))["seed"] == NO_PICTURE


def test_a_picture_that_was_asked_for_later_stands_above_the_sheet(handlers: Handlers) -> None:
    memory, sheet = explored(handlers)
    memory, _ = handlers.submit(request(), memory, "", *arguments(handlers.studio, seed="500"))
    assert 'data-seed="500"' in look(handlers, memory)["stage"]
    memory = finish(handlers, memory, sheet, 2)
    page = look(handlers, memory)
    assert 'data-seed="500"' in page["stage"], "finishing takes nothing from the stage"
    assert [kind for kind, _ in tiles(page)].count("finished") == 1
    memory, _ = explored(handlers, memory, seed="900")
    page = last(drain(handlers.start_following(memory, request())))
    assert page["stage"] == ""
    assert tiles(page)[0] == ("draft", "900")


def test_a_sheet_is_put_away_and_its_drawing_stopped(handlers: Handlers) -> None:
    memory, sheet = explored(handlers)
    memory = finish(handlers, memory, sheet, 0)
    handlers.studio.engine.delay = 0.1  # type: ignore[attr-defined]
    memory = handlers.exploring.more(memory, request())
    more = memory[-1]
    memory = handlers.exploring.away(memory, request())
    assert list(handlers.studio.jobs.watch(more))[-1].status == "canceled"
    page = look(handlers, memory)
    assert page["sheet"] == ""
    assert 'data-seed="7"' in page["stage"]


def test_a_long_memory_forgets_pictures_before_the_sheet(handlers: Handlers) -> None:
    memory, old = make(handlers, seed="1", steps=1)
    memory, sheet = explored(handlers, memory, seed="7-8", steps=1)
    memory = finish(handlers, memory, sheet, 0)
    kept = memory[1:]
    for seed in range(remembered.REMEMBERED):
        memory, _ = handlers.submit(request(), memory, "", *arguments(handlers.studio, seed=str(100 + seed), steps=1))
    assert ended(handlers, memory).status == "succeeded"
    assert memory[:2] == kept
    assert old.job not in memory
    assert len(memory) == remembered.REMEMBERED + 2
    assert [kind for kind, _ in tiles(look(handlers, memory))] == ["finished", "draft"]


def test_a_sheet_is_there_after_a_restart(handlers: Handlers, tmp_path: Path) -> None:
    memory, sheet = explored(handlers, parent=f"{'ab' * 16}@")
    memory = finish(handlers, memory, sheet, 3)
    before = look(handlers, memory)
    handlers.studio.close()
    studio = Studio(Settings(data_dir=tmp_path), FakeEngine(), Catalog(tmp_path / "models"))
    studio.start()
    again = Handlers(studio)
    assert look(again, memory, "another tab")["sheet"] == before["sheet"]
    memory = finish(again, memory, sheet, 5)
    assert ended(again, memory).records[0].lineage.parent == "ab" * 16
    studio.close()
