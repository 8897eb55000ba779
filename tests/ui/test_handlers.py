"""The handlers without a browser: what is queued, what is drawn, what is said."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from tests.ui.loop import run
from webui.jobs import Progress
from webui.png import PictureText
from webui.studio import Studio
from webui.ui import form
from webui.ui.desk import Desk
from webui.ui.handlers import NO_PICTURE, VIEW, Handlers, swap, with_seed
from webui.verdict import present

SKIP = gr.skip()
NAMES = ["memory", "shown", *form.NAMES, *form.EXTRA]


@pytest.fixture
def handlers(studio: Studio) -> Handlers:
    """Give the handlers over a studio."""
    return Handlers(studio)


def arguments(studio: Studio, **changes: Any) -> list[Any]:
    """Return what a click on Generate sends."""
    values = {**studio.defaults(), "prompt": "a lake", "steps": 3, "seed": "", "count": 1, "numbering": "increment"}
    return [{**values, **changes}[name] for name in [*form.NAMES, *form.EXTRA]]


def request(session: str = "tab") -> Any:
    return SimpleNamespace(session_hash=session)


def event(**data: str) -> gr.EventData:
    return gr.EventData(None, data)


def wrong(verdicts: list[Any]) -> dict[str, str]:
    """Return the sentences by field."""
    return {name: verdict["message"] for name, verdict in zip(NAMES, verdicts, strict=True) if not verdict["is_valid"]}


def make(handlers: Handlers, **changes: Any) -> tuple[list[str], Progress]:
    """Submit and wait; return the memory and the job's end."""
    memory, _ = handlers.submit([], "", *arguments(handlers.studio, **changes))
    return memory, list(handlers.studio.jobs.watch(memory[-1]))[-1]


def drain(drawn: AsyncIterator[list[Any]]) -> list[dict[str, Any]]:
    """Collect what a watcher draws, by output."""

    async def collect() -> list[dict[str, Any]]:
        return [dict(zip(VIEW, each, strict=True)) async for each in drawn]

    return run(asyncio.wait_for(collect(), 20))


def last(drawn: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what stands on the page after everything was drawn."""
    result: dict[str, Any] = {}
    for each in drawn:
        result |= {name: value for name, value in each.items() if value != SKIP}
    return result


# ---- the door ----------------------------------------------------------------------------------------------


def test_a_form_in_order_has_no_sentences(handlers: Handlers, studio: Studio) -> None:
    assert wrong(handlers.check([], "", *arguments(studio))) == {}


@pytest.mark.parametrize("seed", ["abc", "1.5", "-2", str(2**64), "1e3", "7,,9", "9-7"])
def test_a_bad_seed_is_a_sentence_at_the_seed(handlers: Handlers, studio: Studio, seed: str) -> None:
    found = wrong(handlers.check([], "", *arguments(studio, seed=seed)))
    assert set(found) == {"seed"}
    assert found["seed"].startswith("Seed must be")
    assert studio.jobs.active() == []


def test_every_wrong_field_is_named_at_once(handlers: Handlers, studio: Studio) -> None:
    found = wrong(handlers.check([], "", *arguments(studio, seed="x", steps=0, width=130, prompt="\0")))
    assert set(found) == {"seed", "steps", "width", "prompt"}


def test_new_seed_ignores_what_is_in_the_field_even_if_it_is_wrong(handlers: Handlers, studio: Studio) -> None:
    assert wrong(handlers.check_new([], "", *arguments(studio, seed="abc"))) == {}
    memory, _ = handlers.submit_new([], "", *arguments(studio, seed="5"))
    assert studio.jobs.progress(memory[0]).recipes[0].seed < 2**32


def test_same_seed_takes_the_seed_on_screen(handlers: Handlers, studio: Studio) -> None:
    shown = str(2**64 - 1)
    assert wrong(handlers.check_same([], shown, *arguments(studio, seed="abc"))) == {}
    memory, _ = handlers.submit_same([], shown, *arguments(studio, seed="5"))
    assert studio.jobs.progress(memory[0]).recipes[0].seed == 2**64 - 1


def test_same_seed_without_a_picture_says_so(handlers: Handlers, studio: Studio) -> None:
    assert wrong(handlers.check_same([], "", *arguments(studio)))["seed"] == NO_PICTURE


def test_a_refusal_after_the_check_is_a_message(handlers: Handlers, studio: Studio) -> None:
    with pytest.raises(gr.Error, match="Seed must be"):
        handlers.submit([], "", *arguments(studio, seed="abc"))


def test_a_browser_remembers_its_jobs_and_nothing_else(handlers: Handlers, studio: Studio) -> None:
    memory, _ = handlers.submit(["old", 7, None, "x" * 99], "", *arguments(studio))
    assert memory[:-1] == ["old"]
    assert handlers.submit("nonsense", "", *arguments(studio))[0] != []


# ---- watching ----------------------------------------------------------------------------------------------


def test_a_watch_ends_with_the_picture_its_seed_and_the_history(handlers: Handlers) -> None:
    memory, _ = handlers.submit([], "", *arguments(handlers.studio, seed="42"))
    page = last(drain(handlers.start_following(memory, request())))
    assert 'data-seed="42"' in page["stage"]
    assert "Finished: 1 picture." in page["status"]
    assert page["history"].count('class="tile"') == 1
    assert page["stop"]["interactive"] is False


def test_previews_are_drawn_in_the_stage_and_leave_no_file(handlers: Handlers) -> None:
    handlers.studio.engine.delay = 0.15  # type: ignore[attr-defined]
    memory, _ = handlers.submit([], "", *arguments(handlers.studio, seed="42"))
    drawn = drain(handlers.follow(memory, request()))
    assert any("data:image/jpeg;base64," in str(each["stage"]) for each in drawn)
    assert any('role="progressbar"' in str(each["status"]) for each in drawn)
    assert drawn[0]["stop"] == gr.update(interactive=True)


def test_a_newer_watcher_takes_over(handlers: Handlers) -> None:
    handlers.studio.engine.delay = 0.2  # type: ignore[attr-defined]
    memory, _ = handlers.submit([], "", *arguments(handlers.studio))

    async def both() -> tuple[int, int]:
        async def count(session: str) -> int:
            return len([each async for each in handlers.follow(memory, request(session))])

        older = asyncio.create_task(count("tab"))
        await asyncio.sleep(0.2)
        newer = asyncio.create_task(count("tab"))
        await asyncio.wait_for(older, 5)
        ended_first = handlers.studio.jobs.active() != []
        assert ended_first
        return await older, await newer

    older, newer = run(both())
    assert newer > 0
    assert older > 0


def test_a_watcher_waits_for_the_last_drawing_of_the_one_before(handlers: Handlers) -> None:
    async def order() -> list[str]:
        said: list[str] = []
        _, left = await handlers.desk.watch("tab")

        async def newer() -> None:
            await handlers.desk.watch("tab")
            said.append("newer draws")

        task = asyncio.create_task(newer())
        await asyncio.sleep(0.05)
        said.append("older has left")
        left.set()
        await task
        return said

    assert run(order()) == ["older has left", "newer draws"]


def test_a_picked_picture_stays_while_others_are_made(handlers: Handlers) -> None:
    memory, first = make(handlers, seed="1")
    handlers.pick(event(id=first.records[0].id), memory, request())
    memory, _ = handlers.submit(memory, "", *arguments(handlers.studio, seed="2"))
    page = last(drain(handlers.follow(memory, request())))
    assert 'data-seed="1"' in page["stage"]
    page = dict(zip(VIEW, handlers.watch_again(memory, request()), strict=True))
    assert 'data-seed="2"' in page["stage"]


def test_a_new_job_ends_the_look_at_a_picked_picture(handlers: Handlers) -> None:
    memory, first = make(handlers, seed="1")
    handlers.pick(event(id=first.records[0].id), memory, request())
    memory, _ = make(handlers, seed="2")
    page = last(drain(handlers.start_following(memory, request())))
    assert 'data-seed="2"' in page["stage"]


def test_an_unknown_picture_or_job_changes_nothing(handlers: Handlers) -> None:
    memory, _ = make(handlers, seed="1")
    page = dict(zip(VIEW, handlers.pick(event(id="../../etc/passwd"), memory, request()), strict=True))
    assert 'data-seed="1"' in page["stage"]
    page = last(drain(handlers.follow(["no-such-job"], request())))
    assert "Describe a picture" in page["stage"]


def test_stop_keeps_what_is_finished(handlers: Handlers) -> None:
    handlers.studio.engine.delay = 0.05  # type: ignore[attr-defined]
    memory, _ = handlers.submit([], "", *arguments(handlers.studio, seed="1-50"))
    for progress in handlers.studio.jobs.watch(memory[0]):
        if len(progress.records) == 1:
            handlers.stop(memory)
    page = last(drain(handlers.follow(memory, request())))
    assert "Stopped:" in page["status"]
    assert 'data-seed="1' in page["stage"]


def test_dropping_the_queue_leaves_the_job_being_made(handlers: Handlers) -> None:
    handlers.studio.engine.delay = 0.1  # type: ignore[attr-defined]
    memory: list[str] = []
    for seed in ("1", "2", "3"):
        memory, _ = handlers.submit(memory, "", *arguments(handlers.studio, seed=seed))
    left = handlers.drop(memory)
    assert left == memory[:1]
    page = last(drain(handlers.follow(left, request())))
    assert 'data-seed="1"' in page["stage"]


def test_an_error_is_shown_as_its_sentence(handlers: Handlers, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(recipe: object) -> Any:
        raise MemoryError("nothing <b>left</b>")

    monkeypatch.setattr(handlers.studio.engine, "generate", fail)
    memory, _ = make(handlers, seed="1")
    page = last(drain(handlers.follow(memory, request())))
    assert 'class="stage error"' in page["stage"]
    assert "<b>left" not in page["stage"]
    assert "Not finished." in page["status"]


def test_more_history_is_shown_page_by_page(handlers: Handlers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webui.ui.handlers.PAGE_OF_HISTORY", 2)
    handlers.desk.tab("tab").depth = 2
    memory, _ = make(handlers, seed="1-5")
    page = last(drain(handlers.follow(memory, request())))
    assert page["history"].count('class="tile"') == 2
    assert "Show more" in page["history"]
    page = dict(zip(VIEW, handlers.more(memory, request()), strict=True))
    assert page["history"].count('class="tile"') == 4


def test_a_closed_tab_is_forgotten() -> None:
    desk = Desk()
    run(desk.watch("tab"))
    desk.leave("tab")
    assert desk.tabs == {}


def test_a_tab_without_a_heartbeat_goes_on_watching_until_a_newer_watcher_comes() -> None:
    desk = Desk()
    number, left = run(desk.watch("tab"))
    desk.leave("tab")
    assert desk.watching("tab", number)
    desk.tab("tab")
    assert desk.watching("tab", number)
    left.set()
    newer, _ = run(desk.watch("tab"))
    assert not desk.watching("tab", number)
    assert desk.watching("tab", newer)


# ---- seeds -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 2**32 - 1, 2**53 + 1, 2**63, 2**64 - 1])
def test_recycle_writes_every_digit(handlers: Handlers, seed: int) -> None:
    assert handlers.recycle(str(seed))[0] == str(seed)
    assert handlers.reuse(event(seed=str(seed)))[0] == str(seed)


@pytest.mark.parametrize("shown", ["", "-1", "abc", str(2**64)])
def test_recycle_never_writes_what_is_no_seed(handlers: Handlers, shown: str) -> None:
    written, said = handlers.recycle(shown)
    assert written == SKIP
    assert 'class="wrong"' in said


@pytest.mark.parametrize(
    ("text", "shown", "expected"),
    [("7", "", "8"), (str(2**64 - 2), "", str(2**64 - 1)), (str(2**53), "", str(2**53 + 1)), ("-1", "41", "42")],
)
def test_plus_one_is_exact(handlers: Handlers, text: str, shown: str, expected: str) -> None:
    assert handlers.step_up(text, shown)[0] == expected


@pytest.mark.parametrize(("text", "shown"), [("", ""), ("7, 9", ""), ("abc", "5"), (str(2**64 - 1), "")])
def test_plus_one_says_why_it_cannot(handlers: Handlers, text: str, shown: str) -> None:
    written, said = handlers.step_up(text, shown)
    assert written == SKIP
    assert 'class="wrong"' in said


def test_dice_writes_minus_one(handlers: Handlers) -> None:
    assert handlers.dice()[0] == "-1"


def test_a_seed_is_put_among_the_arguments(studio: Studio) -> None:
    assert form.read(with_seed(arguments(studio, seed="x"), "9"))[1] == "9"


# ---- recipes into the form ---------------------------------------------------------------------------------


def test_the_recipe_of_a_picture_is_loaded(handlers: Handlers) -> None:
    _, job = make(handlers, seed="9", prompt="a lake at dawn")
    *changed, said = handlers.load(event(id=job.records[0].id, what="all"))
    filled = dict(zip([*form.NAMES, *form.EXTRA], changed, strict=True))
    assert (filled["prompt"], filled["seed"], filled["count"]) == ("a lake at dawn", "9", 1)
    assert "The whole recipe is in the form." in said
    assert handlers.load(event(id="nothing", what="all"))[:-1] == [SKIP] * len(changed)


def test_loading_a_recipe_says_whether_the_same_picture_can_be_expected(handlers: Handlers, tmp_path: Path) -> None:
    _, job = make(handlers, seed="9")
    *_, said = handlers.load(event(id=job.records[0].id, what="all"))
    assert "The picture will differ here." in said  # the fake engine is another program than the one that is installed
    *_, said = handlers.load(event(id=job.records[0].id, what="seed"))
    assert "differ" not in said
    studio = handlers.studio
    checkpoint = studio.about("reseed")
    now = replace(present("cpu", "float32"), model="reseed", model_hash=studio.catalog.hash(checkpoint))
    text = PictureText(job.records[0].recipe, now, job.records[0].pixels_sha256)
    assert studio.recall(text).kind == "expected identical"
    copy = tmp_path / "dropped.png"
    copy.write_bytes(job.records[0].path.read_bytes())
    drawn, _, _ = handlers.inspect(str(copy))
    assert "The picture will differ here." in drawn


def test_a_dropped_picture_is_read_and_its_copy_deleted(handlers: Handlers, tmp_path: Path) -> None:
    _, job = make(handlers, seed="9", prompt="<b>bold</b>")
    copy = tmp_path / "dropped <i>.png"
    copy.write_bytes(job.records[0].path.read_bytes())
    drawn, values, emptied = handlers.inspect(str(copy))
    assert values["seed"] == 9
    assert "&lt;b&gt;bold" in drawn
    assert "<b>bold" not in drawn
    assert "<i>" not in drawn
    assert emptied is None
    assert not copy.exists()
    taken = handlers.take(event(what="seed"), values)
    assert taken[len(form.NAMES)] == "9"
    assert taken[-1] == ""
    assert handlers.take(event(what="nothing"), values)[0] == SKIP


@pytest.mark.parametrize("data", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_cannot_be_read_gets_a_sentence(handlers: Handlers, tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "bad.png"
    file.write_bytes(data)
    drawn, values, _ = handlers.inspect(str(file))
    assert 'role="alert"' in drawn
    assert values == {}
    assert not file.exists()
    assert handlers.inspect(None) == (SKIP, SKIP, SKIP)


# ---- small things ------------------------------------------------------------------------------------------


def test_a_change_of_model_changes_only_a_size_that_was_the_models_own(handlers: Handlers) -> None:
    own = handlers.studio.defaults()
    same = handlers.change_model("reseed", "reseed", own["width"], own["height"])
    assert same == (own["width"], own["height"], "reseed")
    assert handlers.change_model("reseed", "reseed", 640, 640) == (SKIP, SKIP, "reseed")
    assert handlers.change_model("gone", "reseed", own["width"], own["height"]) == (SKIP, SKIP, "gone")


def test_tokens_are_counted_and_sizes_swapped(handlers: Handlers) -> None:
    assert "3/75" in handlers.count_tokens("a blue lake", "reseed")
    assert swap(512, 768) == (768, 512)
    assert handlers.example(event(text="a lake")) == "a lake"


def test_the_words_that_a_model_knows_are_buttons(handlers: Handlers) -> None:
    drawn = handlers.vocabulary("reseed")
    assert 'data-text="at sunset"' in drawn
    assert handlers.vocabulary("nowhere") == ""


def test_a_trap_in_a_prompt_is_named_and_its_text_escaped(handlers: Handlers) -> None:
    assert handlers.traps("a quiet lake", "fog") == ""
    drawn = handlers.traps("a wide <b>picture</b>, 16:9", "")
    assert "The prompt ends in &#x27;:9&#x27;" in drawn
    assert "<b>" not in drawn
