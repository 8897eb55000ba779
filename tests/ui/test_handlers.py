"""The handlers without a browser: what is queued, what is drawn, what is said."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from tests.ui.loop import run
from webui.engine.checkpoints import Catalog
from webui.engine.fake import FakeEngine
from webui.progress import Progress
from webui.studio import Studio
from webui.ui import form
from webui.ui.desk import Desk
from webui.ui.handlers import NO_PICTURE, VIEW, Handlers, swap

SKIP = gr.skip()
NAMES = ["memory", "shown", *form.NAMES, *form.EXTRA]


@pytest.fixture
def handlers(studio: Studio) -> Handlers:
    """Give the handlers over a studio."""
    return Handlers(studio)


def arguments(studio: Studio, **changes: Any) -> list[Any]:
    """Return what a click on Generate sends."""
    extra = {"seed": "", "count": 1, "numbering": "increment", "styles": [], "parent": "", "share": 0}
    values = {**studio.defaults(), "prompt": "a lake", "steps": 3, **extra}
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
    memory, _ = handlers.submit(request(), [], "", *arguments(handlers.studio, **changes))
    return memory, list(handlers.studio.jobs.watch(memory[-1]))[-1]


def stop_when(handlers: Handlers, memory: list[str], reached: Callable[[Progress], bool]) -> None:
    """Press stop as soon as the job has reached something, and wait until it has ended."""
    for progress in handlers.studio.jobs.watch(memory[0]):
        if reached(progress):
            handlers.stop(memory, request())


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
    assert wrong(handlers.check(request(), [], "", *arguments(studio))) == {}


@pytest.mark.parametrize("seed", ["abc", "1.5", "-2", str(2**64), "1e3", "7,,9", "9-7"])
def test_a_bad_seed_is_a_sentence_at_the_seed(handlers: Handlers, studio: Studio, seed: str) -> None:
    found = wrong(handlers.check(request(), [], "", *arguments(studio, seed=seed)))
    assert set(found) == {"seed"}
    assert found["seed"].startswith("Seed must be")
    assert studio.jobs.active() == []


def test_every_wrong_field_is_named_at_once(handlers: Handlers, studio: Studio) -> None:
    found = wrong(handlers.check(request(), [], "", *arguments(studio, seed="x", steps=0, width=130, prompt="\0")))
    assert set(found) == {"seed", "steps", "width", "prompt"}


def test_too_many_styles_are_a_sentence_at_their_field(handlers: Handlers, studio: Studio) -> None:
    assert (
        "at most 32 names" in wrong(handlers.check(request(), [], "", *arguments(studio, styles=["x"] * 33)))["styles"]
    )


def test_new_seed_ignores_what_is_in_the_field_even_if_it_is_wrong(handlers: Handlers, studio: Studio) -> None:
    assert wrong(handlers.check_new(request(), [], "", *arguments(studio, seed="abc"))) == {}
    memory, _ = handlers.submit_new(request(), [], "", *arguments(studio, seed="5"))
    assert studio.jobs.progress(memory[0]).recipes[0].seed < 2**32


def test_same_seed_takes_the_seed_on_screen(handlers: Handlers, studio: Studio) -> None:
    shown = f"{'ab' * 16}@{2**64 - 1}"
    assert wrong(handlers.check_same(request(), [], shown, *arguments(studio, seed="abc"))) == {}
    memory, _ = handlers.submit_same(request(), [], shown, *arguments(studio, seed="5"))
    *_, last = studio.jobs.watch(memory[0])
    assert (last.recipes[0].seed, last.records[0].lineage.parent) == (2**64 - 1, "ab" * 16)


def test_same_seed_without_a_picture_says_so(handlers: Handlers, studio: Studio) -> None:
    assert wrong(handlers.check_same(request(), [], "", *arguments(studio)))["seed"] == NO_PICTURE


def test_a_refusal_after_the_check_is_a_message(handlers: Handlers, studio: Studio) -> None:
    with pytest.raises(gr.Error, match="Seed must be"):
        handlers.submit(request(), [], "", *arguments(studio, seed="abc"))


def test_a_browser_remembers_its_jobs_and_nothing_else(handlers: Handlers, studio: Studio) -> None:
    memory, _ = handlers.submit(request(), ["old", 7, None, "x" * 99], "", *arguments(studio))
    assert memory[:-1] == ["old"]
    assert handlers.submit(request(), "nonsense", "", *arguments(studio))[0] != []


# ---- watching ----------------------------------------------------------------------------------------------


def test_a_watch_ends_with_the_picture_its_seed_and_the_history(handlers: Handlers) -> None:
    memory, _ = handlers.submit(request(), [], "", *arguments(handlers.studio, seed="42"))
    page = last(drain(handlers.start_following(memory, request())))
    assert 'data-seed="42"' in page["stage"]
    assert "Finished: 1 picture." in page["status"]
    assert page["history"].count('class="tile"') == 1
    assert page["stop"]["interactive"] is False


def test_whether_something_can_be_stopped_is_told_at_each_look(handlers: Handlers) -> None:
    engine: Any = handlers.studio.engine
    engine.delay = 0.3  # at each of twenty steps, until three looks were drawn
    memory, _ = handlers.submit(request(), [], "", *arguments(handlers.studio, steps=20))
    drawn = handlers.follow(memory, request())

    async def watch() -> list[Any]:
        looks = [await anext(drawn) for _ in range(3)]
        engine.delay = 0
        return [*looks, *[look async for look in drawn]]

    looks = [look[VIEW.index("stop")] for look in run(asyncio.wait_for(watch(), 20))]
    assert looks == [gr.update(interactive=True)] * (len(looks) - 1) + [gr.update(interactive=False)]


def test_previews_are_drawn_in_the_stage_and_leave_no_file(handlers: Handlers) -> None:
    handlers.studio.engine.delay = 0.15  # type: ignore[attr-defined]
    memory, _ = handlers.submit(request(), [], "", *arguments(handlers.studio, seed="42"))
    drawn = drain(handlers.follow(memory, request()))
    assert any("data:image/jpeg;base64," in str(each["stage"]) for each in drawn)
    assert any('role="progressbar"' in str(each["status"]) for each in drawn)
    assert drawn[0]["stop"] == gr.update(interactive=True)


def test_a_newer_watcher_takes_over(handlers: Handlers) -> None:
    handlers.studio.engine.delay = 0.2  # type: ignore[attr-defined]
    memory, _ = handlers.submit(request(), [], "", *arguments(handlers.studio))

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
        _, left = await handlers.desk.watch(request())

        async def newer() -> None:
            await handlers.desk.watch(request())
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
    memory, _ = handlers.submit(request(), memory, "", *arguments(handlers.studio, seed="2"))
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
    memory, _ = handlers.submit(request(), [], "", *arguments(handlers.studio, seed="1-50"))
    stop_when(handlers, memory, lambda progress: len(progress.records) == 1)
    page = last(drain(handlers.follow(memory, request())))
    assert "Stopped:" in page["status"]
    assert 'data-seed="1' in page["stage"]


def test_dropping_the_queue_leaves_the_job_being_made(handlers: Handlers) -> None:
    handlers.studio.engine.delay = 0.1  # type: ignore[attr-defined]
    memory: list[str] = []
    for seed in ("1", "2", "3"):
        memory, _ = handlers.submit(request(), memory, "", *arguments(handlers.studio, seed=seed))
    left = handlers.drop(memory, request())
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
    monkeypatch.setattr("webui.ui.history.PAGE_OF_HISTORY", 2)
    handlers.desk.tab(request("tab")).depth = 2
    memory, _ = make(handlers, seed="1-5")
    page = last(drain(handlers.follow(memory, request())))
    assert page["history"].count('class="tile"') == 2
    assert "Show more" in page["history"]
    page = dict(zip(VIEW, handlers.more(memory, request()), strict=True))
    assert page["history"].count('class="tile"') == 4


def test_a_closed_tab_is_forgotten() -> None:
    desk = Desk()
    run(desk.watch(request()))
    desk.leave(request())
    assert desk.tabs == {}


def test_a_tab_without_a_heartbeat_goes_on_watching_until_a_newer_watcher_comes() -> None:
    desk = Desk()
    number, left = run(desk.watch(request()))
    desk.leave(request())
    assert desk.watching(request(), number)
    desk.tab(request("tab"))
    assert desk.watching(request(), number)
    left.set()
    newer, _ = run(desk.watch(request()))
    assert not desk.watching(request(), number)
    assert desk.watching(request(), newer)


# ---- seeds -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown", "expected"),
    [("7", "", "8"), (str(2**64 - 2), "", str(2**64 - 1)), (str(2**53), "", str(2**53 + 1)), ("-1", "9f3c@41", "42")],
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


def test_the_words_that_a_model_knows_are_buttons(handlers: Handlers) -> None:
    drawn = handlers.vocabulary("reseed")
    assert 'data-text="at sunset"' in drawn
    assert handlers.vocabulary("nowhere") == ""


def test_loras_and_embeddings_that_are_here_are_buttons_and_no_traps(tmp_path: Path, studio: Studio) -> None:
    catalog = Catalog(loras=tmp_path / "loras", embeddings=tmp_path / "embeddings")
    for name in ("loras/ink & wash", "embeddings/bad-hand"):
        (tmp_path / f"{name}.safetensors").parent.mkdir()
        (tmp_path / f"{name}.safetensors").write_bytes(b"")
    with_files = Studio(replace(studio.settings, data_dir=tmp_path / "other"), FakeEngine(), catalog)
    handlers = Handlers(with_files)
    drawn = handlers.vocabulary("reseed")
    assert 'data-text="&lt;lora:ink &amp; wash:1&gt;"' in drawn and 'data-text="bad-hand"' in drawn
    assert 'data-text="at sunset"' in drawn
    assert "bad-hand" in handlers.vocabulary("nowhere")
    assert handlers.traps("a lake <lora:ink & wash:1>", "") == ""
    assert "names a LoRA that is not here" in handlers.traps("a lake <lora:oil:1>", "")
    with_files.close()


def test_a_trap_in_a_prompt_is_named_and_its_text_escaped(handlers: Handlers) -> None:
    assert handlers.traps("a quiet lake", "fog") == ""
    drawn = handlers.traps("a wide <b>picture</b>, 16:9", "")
    assert "The prompt ends in &#x27;:9&#x27;" in drawn
    assert "<b>" not in drawn
