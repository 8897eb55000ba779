"""Compare without a browser: which two pictures, what is said of them, and the table of what made them."""

import doctest
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from tests.ui.test_changed import family
from tests.ui.test_handlers import event, make, request
from webui.drift import KEPT, LOST
from webui.gallery import Record
from webui.studio import Studio
from webui.ui.compare import ALONE, GONE, MODES
from webui.ui.handlers import Handlers


@pytest.fixture
def handlers(studio: Studio) -> Handlers:
    """Give the handlers over a studio."""
    return Handlers(studio)


def compared(handlers: Handlers, record: Record, **data: str) -> str:
    """Press Compare with a picture on the stage; return the panel."""
    return handlers.comparing.press(event(id=record.id, **data), request())


def pair(left: Record, right: Record) -> str:
    return f'data-id="{right.id}" data-other="{left.id}"><div class="head">'


def picture(handlers: Handlers, **values: Any) -> Record:
    (record,) = make(handlers, **values)[1].records
    return record


def test_a_picture_is_compared_with_its_parent_on_the_left(handlers: Handlers) -> None:
    parent, child = family(handlers, prompt="a lake")
    picture(handlers, seed="1")
    panel = compared(handlers, child)
    assert pair(parent, child) in panel
    left, right = (panel.index(f'src="pictures/{record.id}.png"') for record in (parent, child))
    assert left < right
    assert "composition kept 1.00" in panel
    assert all(f'value="{mode}">{words}</label>' in panel for mode, words in MODES.items())


def test_without_a_parent_the_one_before_it_is_taken_and_for_the_first_the_newest(handlers: Handlers) -> None:
    first, second, third = (picture(handlers, seed=seed) for seed in "123")
    assert pair(first, second) in compared(handlers, second)
    assert pair(third, first) in compared(handlers, first)


def test_the_left_one_can_be_chosen_and_the_sides_exchanged(handlers: Handlers) -> None:
    _, child = family(handlers)
    other = picture(handlers, seed="1")
    panel = compared(handlers, child, other=other.id)
    assert pair(other, child) in panel
    assert f'data-do="compare" data-id="{other.id}" data-other="{child.id}"' in panel
    assert pair(child, other) in compared(handlers, other, other=child.id)


def test_what_is_not_there_is_a_sentence(handlers: Handlers) -> None:
    record = picture(handlers, seed="1")
    with pytest.raises(gr.Error, match=ALONE):
        compared(handlers, record)
    with pytest.raises(gr.Error, match=GONE):
        compared(handlers, record, other="ab" * 16)
    record.path.unlink()
    with pytest.raises(gr.Error, match=GONE):
        compared(handlers, record)


def test_the_table_dims_what_is_equal_and_shows_what_differs(handlers: Handlers) -> None:
    _, child = family(handlers, prompt="a lake by a mill in the deep green wood, (boat:1.4) <b>", cfg_scale=5.5)
    panel = compared(handlers, child)
    assert '<tr class="differs"><th scope="row">≠ CFG scale</th><td>3</td><td><b>5.5</b></td></tr>' in panel
    assert '<tr class="equal"><th scope="row">Seed</th><td colspan="2">7</td></tr>' in panel
    boat = '<span class="reweighted">boat <b>1.2→1.4</b></span> <ins>+&lt;b&gt;</ins>'
    words = f'<td colspan="2" class="diff">a lake by a mill in the deep green wood, {boat}</td>'
    assert f'<tr class="differs"><th scope="row">≠ Prompt</th>{words}</tr>' in panel
    assert panel.count('<tr class="differs">') == 2
    assert '<tr class="equal"><th scope="row">Weights SHA-256</th>' in panel


def test_sizes_that_differ_are_said(handlers: Handlers) -> None:
    _, child = family(handlers, width=128, height=192)
    panel = compared(handlers, child)
    assert "The sizes differ: 256×256 on the left and 128×192 on the right, scaled to fit." in panel
    assert "composition" not in panel
    assert 'style="--w:128;--h:192"' in panel


def test_the_page_about_it_is_true() -> None:
    page = Path(__file__).parents[2] / "docs" / "compare.md"
    assert doctest.testfile(str(page), module_relative=False) == doctest.TestResults(0, 4)
    text = page.read_text(encoding="utf-8")
    assert f"From {1 - KEPT:.2f} it is *kept*, down to {1 - LOST:.2f} *lost*" in text
    assert all(f"| {words} |" in text for words in MODES.values())
    assert (page.parent / "images" / "compare.png").is_file()
