"""The history without a browser: what is found, what is said, and that it stays small."""

import html
import re

import gradio as gr
import pytest

from tests.ui.test_handlers import event, handlers, make, request
from webui.studio import Studio
from webui.ui.desk import Desk
from webui.ui.handlers import Handlers
from webui.ui.history import EMPTY, NOTHING, UNMARKED
from webui.ui.views import NO_SEEDS

__all__ = ["handlers"]


def seeds(drawn: str) -> list[str]:
    return re.findall(r'<li class="tile".*?data-seed="(\d+)"', drawn)


def test_what_is_typed_narrows_the_history(handlers: Handlers) -> None:
    make(handlers, seed="7, 18446744073709551615", prompt="a red house")
    make(handlers, seed="7", prompt="a boat")
    past = handlers.past
    assert seeds(past.find("", request())) == ["7", "18446744073709551615", "7"]
    assert seeds(past.find("hou", request())) == ["18446744073709551615", "7"]
    assert seeds(past.find("seed:18446744073709551615", request())) == ["18446744073709551615"]
    assert seeds(past.find("", request("another tab"))) == seeds(past.every(request())[1])
    nothing = past.find('"<b>cat', request())
    assert NOTHING in nothing
    assert "<b>" not in nothing


def test_recent_seeds_are_offered_once_with_their_newest_picture(handlers: Handlers) -> None:
    assert NO_SEEDS in handlers.past.seeds(handlers.desk.tab(request()))
    old = make(handlers, seed="7", prompt="a red house")[1].records[0]
    new = make(handlers, seed="7, 18446744073709551615", prompt="a boat")[1].records
    drawn = handlers.past.seeds(handlers.desk.tab(request()))
    offered = re.findall(r'data-seed="(\d+)" data-from="(\w+)"', drawn)
    assert offered == [(str(record.recipe.seed), record.id) for record in reversed(new)]
    assert old.id not in drawn
    make(handlers, seed="100-119")
    assert re.findall(r'data-seed="(\d+)"', handlers.past.seeds(handlers.desk.tab(request()))) == [
        str(seed) for seed in range(119, 111, -1)
    ]


def test_a_wrong_filter_is_said_and_can_be_left(handlers: Handlers) -> None:
    make(handlers, seed="7")
    drawn = handlers.past.find("seed:<b>", request())
    assert "Seed must be a whole number" in html.unescape(drawn)
    assert "<b>" not in drawn
    assert 'data-do="every"' in drawn
    text, drawn = handlers.past.every(request())
    assert (text, seeds(drawn)) == ("", ["7"])


def test_an_empty_history_says_what_comes_there(handlers: Handlers) -> None:
    assert EMPTY in handlers.past.find("", request())


def test_siblings_of_the_picture_on_screen(handlers: Handlers) -> None:
    first = make(handlers, seed="7, 8", prompt="a house")[1].records[0]
    make(handlers, seed="7", prompt="a boat")
    text, drawn = handlers.past.siblings(event(id=first.id, what="seed"), request())
    assert (text, seeds(drawn)) == ("seed:7", ["7", "7"])
    text, drawn = handlers.past.siblings(event(id=first.id, what="words"), request())
    assert (text, seeds(drawn)) == ("", ["8"])
    assert "The words of seed 7, other seeds" in drawn
    assert seeds(handlers.past.siblings(event(id="gone", what="seed"), request())[1]) == ["8"]


def test_a_page_never_grows_beyond_its_most(handlers: Handlers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webui.ui.history.PAGE_OF_HISTORY", 2)
    monkeypatch.setattr("webui.ui.history.MOST_SHOWN", 4)
    make(handlers, seed="1-9")
    past, tab = handlers.past, handlers.desk.tab(request("tab"))
    assert seeds(past.find("", request())) == ["9", "8"]
    pages = []
    while 'data-do="more"' in (drawn := past.draw(tab)):
        past.more(tab)
        pages.append(seeds(past.draw(tab)))
    assert pages == [["9", "8", "7", "6"], ["5", "4"], ["5", "4", "3", "2"], ["1"]]
    assert 'data-do="newest"' in drawn
    assert seeds(past.newest(request())) == ["9", "8"]


def test_a_page_of_long_prompts_stays_small(studio: Studio) -> None:
    handlers = Handlers(studio)
    make(handlers, seed="1-40", prompt="word " * 2_000, steps=1, width=64, height=64)
    drawn = Handlers(studio).past.draw(Desk().tab(request()))
    assert len(seeds(drawn)) == 40
    assert len(drawn) < 40 * 1_000
    assert drawn.count('loading="lazy"') == 40


def test_a_favourite_is_starred_and_found(handlers: Handlers) -> None:
    records = make(handlers, seed="7, 8, 9")[1].records
    assert UNMARKED in handlers.past.favourites(request())
    stage, drawn = handlers.past.mark(event(id=records[1].id), request())
    assert "★" in stage
    assert (seeds(drawn), drawn.count('class="mark"')) == (["8"], 1)
    assert seeds(handlers.past.favourites(request())) == ["9", "8", "7"]
    handlers.studio.gallery.rebuild()
    assert handlers.studio.favourites.ids() == {records[1].id}
    stage, drawn = handlers.past.mark(event(id=records[1].id), request())
    assert "★" not in stage
    assert 'class="mark"' not in drawn


def test_a_mark_that_cannot_be_kept_is_said(handlers: Handlers) -> None:
    record = make(handlers, seed="7")[1].records[0]
    handlers.studio.settings.favourites.write_text("{")
    with pytest.raises(gr.Error, match="cannot be read"):
        handlers.past.mark(event(id=record.id), request())
    assert handlers.studio.settings.favourites.read_text() == "{"


def test_a_deleted_picture_leaves_the_page_and_comes_back(handlers: Handlers) -> None:
    _, job = make(handlers, seed="7, 8")
    memory, past, tab = [job.job], handlers.past, handlers.desk.tab(request("tab"))
    seven = job.records[0]
    tab.picked = seven.id
    past.discard(event(id=seven.id), request())
    drawn = "".join(str(part) for part in handlers._draw(handlers._jobs(memory, handlers.desk.tab(request())), tab))
    assert seven.id not in drawn.replace(f'data-id="{seven.id}"', "")
    assert tab.shown == job.records[1].id
    assert "Put back what was deleted last" in drawn
    past.put_back(event(id=seven.id), request())
    handlers._draw(handlers._jobs(memory, handlers.desk.tab(request())), tab)
    assert tab.shown == seven.id
    assert seeds(past.draw(tab)) == ["8", "7"]
    assert "Put back" not in past.draw(tab)


@pytest.mark.parametrize("name", ["discard", "put_back"])
def test_what_is_gone_can_neither_be_deleted_nor_put_back(handlers: Handlers, name: str) -> None:
    with pytest.raises(gr.Error, match="no longer in the"):
        getattr(handlers.past, name)(event(id="gone"), request())
