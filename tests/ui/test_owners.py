"""Two owners on one page: each sees, compares, loads, stops and deletes only what is their own."""

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from tests.ui.test_handlers import VIEW, arguments, drain, event, last, wrong
from webui import ui
from webui.gallery import Record
from webui.settings import Door
from webui.studio import Studio
from webui.ui.compare import ALONE, GONE
from webui.ui.desk import Tab, owner_of
from webui.ui.handlers import Handlers
from webui.ui.holding import followed
from webui.ui.links import Links
from webui.ui.recall import Recall

A, B = "a" * 32, "b" * 32


@pytest.fixture
def handlers(studio: Studio) -> Handlers:
    """Give the handlers over a studio."""
    return Handlers(studio)


def asked(owner: str, session: str = "tab") -> Any:
    """Make a request as gradio hands it over, with what the gate left in its scope; both have one session."""
    return SimpleNamespace(session_hash=session, request=SimpleNamespace(scope={"state": {"owner": owner}}))


def make(handlers: Handlers, owner: str, **values: Any) -> tuple[list[str], Record]:
    memory, _ = handlers.submit(asked(owner), [], "", *arguments(handlers.studio, **values))
    (record,) = list(handlers.studio.jobs.watch(memory[-1]))[-1].records
    return memory, record


def page(handlers: Handlers, owner: str, memory: list[str]) -> dict[str, Any]:
    return last(drain(handlers.follow(memory, asked(owner))))


def test_history_seeds_and_branch_are_one_s_own(handlers: Handlers) -> None:
    mine, record = make(handlers, A, seed="7", prompt="a red house")
    parent = f"{record.id}@"
    hers, child = make(handlers, B, seed="9", prompt="a boat", parent=parent)
    for owner, memory, own, other in ((A, mine, record, child), (B, hers, child, record)):
        drawn = page(handlers, owner, memory)
        assert own.id in drawn["history"] and own.id in drawn["seeds"] and own.id in drawn["stage"]
        for part in ("history", "seeds", "branch", "stage", "changed", "strip", "details"):
            assert f'data-id="{other.id}"' not in str(drawn.get(part, "")), part
    assert handlers.desk.tab(asked(A)) is not handlers.desk.tab(asked(B))


def test_another_s_job_in_a_browser_s_memory_is_neither_shown_nor_stopped(handlers: Handlers) -> None:
    memory, record = make(handlers, A, seed="7", prompt="a secret house")
    drawn = page(handlers, B, memory)
    assert all("secret" not in str(part) and record.id not in str(part) for part in drawn.values())
    running, _ = handlers.submit(asked(A), [], "", *arguments(handlers.studio, steps=20, count=50))
    handlers.stop(running, asked(B))
    assert handlers.drop([*running, *running], asked(B)) == [*running, *running]
    assert handlers.exploring.away(running, asked(B)) == running
    assert handlers.studio.jobs.progress(running[0]).status in ("pending", "running")
    handlers.stop(running, asked(A))
    assert list(handlers.studio.jobs.watch(running[0]))[-1].status == "canceled"


def test_another_s_picture_cannot_be_picked_loaded_compared_marked_checked_or_deleted(handlers: Handlers) -> None:
    _, record = make(handlers, A, seed="7", prompt="a secret house")
    drawn = dict(zip(VIEW, handlers.pick(event(id=record.id), [], asked(B)), strict=True))
    assert "secret" not in str(drawn)
    recall = Recall(handlers.studio, handlers.verifying)
    assert "There is no picture" in recall.load(event(id=record.id, what="all"), asked(B), "")[-1]
    with pytest.raises(gr.Error, match="moved or deleted"):
        handlers.comparing.press(event(id=record.id), asked(B))
    _, own = make(handlers, B, seed="8")
    with pytest.raises(gr.Error) as alone:
        handlers.comparing.press(event(id=own.id), asked(B))
    with pytest.raises(gr.Error) as gone:
        handlers.comparing.press(event(id=own.id, other=record.id), asked(B))
    assert (str(alone.value.message), str(gone.value.message)) == (ALONE, GONE)
    handlers.past.mark(event(id=record.id), asked(B))
    assert handlers.studio.favourites.ids() == frozenset()
    with pytest.raises(gr.Error, match="moved or deleted"):
        list(handlers.verifying.press(event(id=record.id), asked(B)))
    with pytest.raises(gr.Error, match="moved or deleted"):
        handlers.past.discard(event(id=record.id), asked(B))
    assert "secret" not in "".join(handlers.past.siblings(event(id=record.id, what="words"), asked(B)))
    assert handlers.studio.gallery.get(record.id) == record


def test_what_is_deleted_is_offered_back_to_its_owner_only(handlers: Handlers) -> None:
    _, record = make(handlers, A, seed="7")
    handlers.past.discard(event(id=record.id), asked(A))
    assert "Put back" in handlers.past.every(asked(A))[1]
    assert "Put back" not in handlers.past.every(asked(B))[1]
    with pytest.raises(gr.Error, match="no longer in the trash"):
        handlers.past.put_back(event(id=record.id), asked(B))
    handlers.past.put_back(event(id=record.id), asked(A))
    assert handlers.studio.of(A).gallery.get(record.id) is not None


def test_favourites_are_one_s_own(handlers: Handlers) -> None:
    (_, mine), (_, hers) = make(handlers, A, seed="7"), make(handlers, B, seed="9")
    for owner, record in ((A, mine), (B, hers)):
        handlers.past.mark(event(id=record.id), asked(owner))
    assert mine.id in handlers.past.favourites(asked(A))
    assert mine.id not in handlers.past.favourites(asked(B))


def test_drafts_and_sweeps_are_one_s_own(handlers: Handlers) -> None:
    memory, _ = handlers.explore(asked(A), [], "", *arguments(handlers.studio, prompt="a secret house", steps=4))
    list(handlers.studio.jobs.watch(memory[0]))
    assert page(handlers, B, memory)["sheet"] == ""
    assert handlers.exploring.more(memory, asked(B)) == memory
    assert handlers.exploring.finish(event(chosen=f"{memory[0]}:0"), memory, asked(B)) == memory
    assert "secret" in page(handlers, A, memory)["sheet"]


def test_the_words_of_another_s_picture_are_neither_shown_nor_held(handlers: Handlers) -> None:
    _, record = make(handlers, A, seed="7", prompt="a secret house")
    parent = f"{record.id}@7"
    assert "secret" in followed(handlers.studio, asked(A), parent, "7", 30)
    assert "secret" not in followed(handlers.studio, asked(B), parent, "7", 30)
    held = {"seed": "7", "parent": parent, "share": 30}
    assert "share" in wrong(handlers.check(asked(B), [], "", *arguments(handlers.studio, **held)))
    links = Links(handlers.studio, Recall(handlers.studio, handlers.verifying))
    assert links.write(asked(B), *arguments(handlers.studio, **held))[0] == ""
    with pytest.raises(gr.Error, match="it is no longer here"):
        handlers.submit(asked(B), [], "", *arguments(handlers.studio, **held))


def test_in_a_demo_nothing_is_deleted_and_a_request_of_nobody_shows_nothing(handlers: Handlers) -> None:
    _, record = make(handlers, A, seed="7")
    assert 'data-do="discard"' in handlers.past.stage(record)
    object.__setattr__(handlers.studio.settings, "door", Door(demo=True))
    assert 'data-do="discard"' not in handlers.past.stage(record)
    for press in (handlers.past.discard, handlers.past.put_back):
        with pytest.raises(gr.Error, match="not possible in this demo"):
            press(event(id=record.id), asked(A))
    with pytest.raises(Exception, match="Nobody knows whose request"):
        handlers.past.draw(Tab())


def test_a_request_without_a_gate_is_nobody_s() -> None:
    assert owner_of(SimpleNamespace(session_hash="tab")) == ""
    assert owner_of(SimpleNamespace(request=None)) == ""
    assert owner_of(asked(A)) == A


def test_no_part_of_the_page_looks_at_pictures_and_jobs_of_all() -> None:
    """A handler that forgets to ask whose request it is shows everybody's: none takes these of ``self.studio``."""
    owned = {
        "gallery",
        "jobs",
        "checks",
        "trash",
        "parent",
        "settle",
        "settle_seeds",
        "submit",
        "explore",
        "sweep",
        "plan",
    }
    allowed = {("sweeping.py", "jobs"), ("verifying.py", "checks")}  # the pace of all; a dropped file
    found = set()
    for path in Path(ui.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in owned and ast.unparse(node.value) == "self.studio":
                found.add((path.name, node.attr))
    assert found == allowed
