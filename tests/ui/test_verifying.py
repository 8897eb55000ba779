"""The Verify button without a browser: what it starts, what is drawn beside the picture, and what Stop stops."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from tests.damage import flip, other_pixels
from tests.ui.test_handlers import arguments, drain, event, last, make, request
from webui.gallery import Record
from webui.studio import Studio
from webui.ui.handlers import Handlers
from webui.ui.recall import Recall
from webui.ui.verifying import AGAIN, WHOLE, draw


@pytest.fixture
def handlers(studio: Studio) -> Handlers:
    """Give the handlers over a studio whose engine names the model that is there."""
    engine: Any = studio.engine
    engine.model_hash = studio.catalog.hash(studio.about("reseed"))
    return Handlers(studio)


def picture(handlers: Handlers, memory: list[str], **values: Any) -> Record:
    """Make a picture and put it on the tab's stage."""
    job = make(handlers, **values)[1]
    memory[:] = [*memory, job.job]
    drain(handlers.follow(memory, request()))
    return job.records[0]


def verified(handlers: Handlers, record: Record, memory: list[str]) -> str:
    """Press Verify and follow to the end; return the panel."""
    assert "Looking at the file" in next(iter(handlers.verifying.press(event(id=record.id), request())))
    list(handlers.verifying.press(event(id=record.id), request()))
    panel: str = last(drain(handlers.follow(memory, request())))["check"]
    return panel


def test_a_sound_picture_is_said_to_be_identical(handlers: Handlers) -> None:
    memory: list[str] = []
    record = picture(handlers, memory, seed="1")
    panel = verified(handlers, record, memory)
    assert 'class="check identical"' in panel
    assert "<b>Identical</b>: made again here, every pixel is equal." in panel
    assert record.pixels_sha256 in panel
    assert WHOLE in panel
    assert "difference" not in panel
    assert handlers.studio.gallery.count() == 1


def test_what_differs_is_told_in_figures_with_the_reason_and_the_difference(handlers: Handlers) -> None:
    memory: list[str] = []
    record = picture(handlers, memory, seed="1")
    other_pixels(record.path)
    panel = verified(handlers, record, memory)
    assert 'class="check differs"' in panel
    assert "<b>Differs</b>: at most" in panel
    assert "PSNR" in panel
    assert "the file was changed after it was saved" in panel
    assert "Its pixels are not those that were recorded" in panel
    check = handlers.studio.checks.of(record.id)
    assert check is not None
    assert f'src="differences/{check.job}.png"' in panel
    assert "Show the difference, times" in panel


def test_a_note_of_another_machine_is_text_and_no_markup(handlers: Handlers) -> None:
    memory: list[str] = []
    record = picture(handlers, memory, seed="1")
    verified(handlers, record, memory)
    checks = handlers.studio.checks
    check = checks.of(record.id)
    assert check is not None
    ended = checks.progress(check)
    assert ended is not None
    note = "Worker 1 (<script>alert(1)</script>) was lost."
    panel = draw(replace(check, result=None), replace(ended, status="running", note=note))
    assert "Worker 1 (&lt;script&gt;alert(1)&lt;/script&gt;) was lost." in panel
    assert "<script>" not in panel


def test_damage_is_named_with_what_to_do(handlers: Handlers) -> None:
    memory: list[str] = []
    record = picture(handlers, memory, seed="1")
    flip(record.path, b"IDAT")
    panel = verified(handlers, record, memory)
    assert "<b>Damaged</b>: the picture cannot be read." in panel
    assert "The part IDAT at byte" in panel
    assert AGAIN in panel


def test_a_model_that_is_not_here_is_named(handlers: Handlers) -> None:
    memory: list[str] = []
    handlers.studio.engine.model_hash = "ef" * 32  # type: ignore[attr-defined]
    record = picture(handlers, memory, seed="1")
    panel = verified(handlers, record, memory)
    assert "<b>Not made again</b>: The picture was made with the model reseed with the hash efef" in panel


def test_a_fault_of_the_engine_is_said(handlers: Handlers, monkeypatch: pytest.MonkeyPatch) -> None:
    memory: list[str] = []
    record = picture(handlers, memory, seed="1")

    def fail(recipe: object) -> Any:
        raise MemoryError("nothing <b>left</b>")

    monkeypatch.setattr(handlers.studio.engine, "generate", fail)
    panel = verified(handlers, record, memory)
    assert "<b>Not made again</b>: The picture could not be made because of a fault" in panel
    assert "<b>left" not in panel


def test_a_picture_that_is_gone_is_a_sentence_and_leaves_no_panel(handlers: Handlers) -> None:
    memory: list[str] = []
    record = picture(handlers, memory, seed="1")
    record.path.unlink()
    pressed = handlers.verifying.press(event(id=record.id), request())
    assert "Looking at the file" in next(pressed)
    assert next(pressed) == ""
    with pytest.raises(gr.Error, match="moved or deleted"):
        next(pressed)


def test_progress_is_drawn_and_the_stop_button_stops_what_is_at_work(handlers: Handlers) -> None:
    memory: list[str] = []
    record = picture(handlers, memory, seed="1", steps=9)
    handlers.studio.engine.delay = 0.1  # type: ignore[attr-defined]
    list(handlers.verifying.press(event(id=record.id), request()))
    waiting, _ = handlers.submit(request(), memory, "", *arguments(handlers.studio, seed="2"))
    check = handlers.studio.checks.of(record.id)
    assert check is not None
    for progress in handlers.studio.jobs.watch(check.job):
        if (progress.step, progress.status) == (2, "running"):
            assert 'aria-label="Progress of making it again"' in handlers.verifying.draw(handlers.desk.tab(request()))
            assert "Step 2 of 9" in draw(check, progress)
            assert handlers._redraw(memory, request())[-1] == gr.update(interactive=True)
            handlers.stop(waiting, request())
    page = last(drain(handlers.follow(waiting, request())))
    assert "Stopped before it was made again." in page["check"]
    assert page["stop"] == gr.update(interactive=False)
    assert [one.recipe.seed for one in handlers.studio.gallery.recent()] == [2, 1]


def test_the_check_belongs_to_the_picture_on_the_stage(handlers: Handlers) -> None:
    memory: list[str] = []
    first, second = (picture(handlers, memory, seed=seed) for seed in ("1", "2"))
    verified(handlers, first, memory)
    drawn = handlers.pick(event(id=second.id), memory, request())
    assert drawn[1] == ""
    assert "Identical" in handlers.pick(event(id=first.id), memory, request("another tab"))[1]


def test_a_dropped_file_of_ours_is_checked_too(handlers: Handlers, tmp_path: Path) -> None:
    recall = Recall(handlers.studio, handlers.verifying)
    record = picture(handlers, [], seed="1")
    copy = tmp_path / "dropped.png"
    copy.write_bytes(record.path.read_bytes())
    drawn, _, _ = recall.inspect(str(copy))
    assert WHOLE in drawn
    copy.write_bytes(record.path.read_bytes())
    other_pixels(copy)
    drawn, _, _ = recall.inspect(str(copy))
    assert "Its pixels are not those that were recorded" in drawn
    assert WHOLE not in drawn
    assert not copy.exists()
