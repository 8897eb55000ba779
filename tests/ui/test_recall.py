"""Recall: what brings seeds, words and recipes into the form gives the same picture, and notes where it came from."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from tests.ui.test_handlers import event, make, request
from webui import png
from webui.gallery import Record
from webui.lineage import Lineage
from webui.png import PictureText
from webui.studio import Studio
from webui.ui import form
from webui.ui.handlers import Handlers
from webui.ui.recall import Found, Recall
from webui.verdict import present

SKIP = gr.skip()
ID = "ab" * 16
OTHER = "cd" * 16


@pytest.fixture
def handlers(studio: Studio) -> Handlers:
    """Give the handlers over a studio."""
    return Handlers(studio)


@pytest.fixture
def recall(studio: Studio, handlers: Handlers) -> Recall:
    """Give what brings things into the form."""
    return Recall(studio, handlers.verifying)


def filled(changed: list[Any]) -> dict[str, Any]:
    """Return what changes in the form, by name."""
    pairs = zip([*form.NAMES, *form.EXTRA], changed, strict=False)
    return {name: value for name, value in pairs if value != SKIP}


def made(handlers: Handlers, **changes: Any) -> Record:
    return make(handlers, **changes)[1].records[0]


def again(handlers: Handlers, changed: list[Any], **changes: Any) -> Record:
    """Press Generate in a form that was filled so."""
    return made(handlers, **filled(changed), **changes)


def dropped(recall: Recall, tmp_path: Path, data: bytes) -> tuple[str, Found]:
    copy = tmp_path / "dropped.png"
    copy.write_bytes(data)
    drawn, found, _ = recall.inspect(str(copy))
    return drawn, found


# ---- seeds -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 2**32 - 1, 2**53 + 1, 2**63, 2**64 - 1])
def test_recycle_writes_every_digit(recall: Recall, seed: int) -> None:
    assert recall.recycle(f"{ID}@{seed}", "")[:2] == (str(seed), f"{ID}@{seed}")
    assert recall.reuse(event(**{"seed": str(seed), "from": ID}), "")[:2] == (str(seed), f"{ID}@{seed}")


@pytest.mark.parametrize("shown", ["", "-1", f"{ID}@-1", f"{ID}@abc", f"{ID}@{2**64}"])
def test_recycle_never_writes_what_is_no_seed(recall: Recall, shown: str) -> None:
    written, parent, said = recall.recycle(shown, "")
    assert written == parent == SKIP
    assert 'class="wrong"' in said


# ---- recipes into the form ---------------------------------------------------------------------------------


def test_the_recipe_of_a_picture_is_loaded(handlers: Handlers, recall: Recall) -> None:
    _, job = make(handlers, seed="9", prompt="a lake at dawn")
    *changed, said = recall.load(event(id=job.records[0].id, what="all"), request(), "")
    form_now = filled(changed)
    assert (form_now["prompt"], form_now["seed"], form_now["count"]) == ("a lake at dawn", "9", 1)
    assert "The whole recipe is in the form." in said
    assert recall.load(event(id="nothing", what="all"), request(), "")[:-1] == [SKIP] * len(changed)


def test_loading_a_recipe_says_whether_the_same_picture_can_be_expected(
    handlers: Handlers, recall: Recall, tmp_path: Path
) -> None:
    _, job = make(handlers, seed="9")
    *_, said = recall.load(event(id=job.records[0].id, what="all"), request(), "")
    assert "The picture will differ here." in said  # the fake engine is another program than the one that is installed
    *_, said = recall.load(event(id=job.records[0].id, what="seed"), request(), "")
    assert "differ" not in said
    studio = handlers.studio
    checkpoint = studio.about("reseed")
    here = {"model": "reseed", "model_hash": studio.catalog.hash(checkpoint), "kernels": "packed AVX512"}
    now = replace(present("cpu", "float32"), **here)
    text = PictureText(job.records[0].recipe, now, job.records[0].pixels_sha256)
    assert studio.recall(text).kind == "expected identical"
    copy = tmp_path / "dropped.png"
    copy.write_bytes(job.records[0].path.read_bytes())
    drawn, _, _ = recall.inspect(str(copy))
    assert "The picture will differ here." in drawn


def test_a_dropped_picture_is_read_and_its_copy_deleted(handlers: Handlers, recall: Recall, tmp_path: Path) -> None:
    _, job = make(handlers, seed="9", prompt="<b>bold</b>")
    copy = tmp_path / "dropped <i>.png"
    copy.write_bytes(job.records[0].path.read_bytes())
    drawn, found, emptied = recall.inspect(str(copy))
    assert (found.values["seed"], found.id) == (9, job.records[0].id)
    assert "&lt;b&gt;bold" in drawn
    assert "<b>bold" not in drawn
    assert "<i>" not in drawn
    assert emptied is None
    assert not copy.exists()
    taken = recall.take(event(what="seed"), found, "")
    assert taken[len(form.NAMES)] == "9"
    assert taken[-1] == ""
    assert recall.take(event(what="nothing"), found, "")[0] == SKIP


@pytest.mark.parametrize("data", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_cannot_be_read_gets_a_sentence(recall: Recall, tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "bad.png"
    file.write_bytes(data)
    drawn, found, _ = recall.inspect(str(file))
    assert 'role="alert"' in drawn
    assert found == Found()
    assert not file.exists()
    assert recall.inspect(None) == (SKIP, SKIP, SKIP)


# ---- the same picture, and no words drawn again ------------------------------------------------------------


@pytest.fixture
def house(studio: Studio) -> Studio:
    """A studio with lists and styles of a person's own."""
    studio.settings.wildcards.mkdir()
    (studio.settings.wildcards / "colour.txt").write_text("red\nblue\n{pale|dark} green\n")
    studio.settings.styles.write_text(
        'name,prompt,negative_prompt\nOil,"oil of {prompt}",photo\nCalm,"calm {sea|sky}"\n'
    )
    return studio


TYPED = {"prompt": "a __colour__ {house|boat}", "negative_prompt": "{fog|rain}", "styles": ["Oil", "Calm"]}


def test_a_loaded_recipe_gives_the_same_picture_and_takes_the_styles_out(
    house: Studio, handlers: Handlers, recall: Recall
) -> None:
    first = made(handlers, seed="1-3", **TYPED)
    *changed, said = recall.load(event(id=first.id, what="all"), request(), "")
    assert filled(changed)["styles"] == []
    assert again(handlers, changed).recipe == first.recipe
    assert "backslash" not in said


@pytest.mark.parametrize("words", ["a {red|blue} house", "__init__ and {x}", r"\{a|b\} \\{c|d}", "{2$$a|b} __nope__"])
def test_a_foreign_picture_whose_words_look_like_wildcards_comes_back_as_it_is(
    handlers: Handlers, recall: Recall, tmp_path: Path, words: str
) -> None:
    text = f"{words}\nNegative prompt: {words}\nSteps: 3, Sampler: Euler, CFG scale: 7, Seed: 5, Size: 64x64"
    _, found = dropped(recall, tmp_path, png.encode(Image.new("RGB", (64, 64)), {"parameters": text}))
    *changed, said, _ = recall.take(event(what="all"), found, "")
    record = again(handlers, changed)
    assert (record.recipe.prompt, record.recipe.negative_prompt) == (words, words)
    assert "A backslash marks what would draw words again" in said
    assert not record.lineage.is_typed
    *changed, _ = recall.load(event(id=record.id, what="prompt"), request(), "")
    assert again(handlers, changed, seed="6").recipe.prompt == words


def test_the_template_comes_back_with_its_styles_and_draws_the_same_with_the_same_seed(
    house: Studio, handlers: Handlers, recall: Recall
) -> None:
    first = made(handlers, seed="11", **TYPED)
    assert first.lineage == Lineage("", TYPED["prompt"], TYPED["negative_prompt"], ("Oil", "Calm"))  # type: ignore[arg-type]
    *changed, said = recall.load(event(id=first.id, what="template"), request(), "")
    assert filled(changed) == {**TYPED, "parent": f"{first.id}@", "share": 0}
    assert "The template is in the form" in said
    assert again(handlers, changed, seed="11").recipe == first.recipe
    drawn = {again(handlers, changed, seed=str(seed)).recipe.prompt for seed in range(8)}
    assert len(drawn) > 2


def test_a_style_that_is_gone_is_named_when_the_template_comes_back(
    house: Studio, handlers: Handlers, recall: Recall
) -> None:
    first = made(handlers, **TYPED)
    house.settings.styles.write_text("name,prompt\nCalm,calm\n")
    *changed, said = recall.load(event(id=first.id, what="template"), request(), "")
    assert filled(changed)["styles"] == ["Calm"]
    assert "The style &#x27;Oil&#x27; is not here" in said


def test_a_picture_without_a_template_offers_none(handlers: Handlers, recall: Recall) -> None:
    first = made(handlers)
    *changed, said = recall.load(event(id=first.id, what="template"), request(), "")
    assert filled(changed) == {}
    assert "does not say that" in said


@pytest.mark.parametrize("place", ["keys", "lines"])
def test_the_template_of_another_program_is_offered(
    handlers: Handlers, recall: Recall, tmp_path: Path, place: str
) -> None:
    text = "a red house\nNegative prompt: fog {x|y}\nSteps: 3, Sampler: Euler, CFG scale: 7, Seed: 5, Size: 64x64"
    text += ', Template: "a {red|blue} house"' if place == "keys" else "\nTemplate: a {red|blue} house"
    drawn, found = dropped(recall, tmp_path, png.encode(Image.new("RGB", (64, 64)), {"parameters": text}))
    assert "Bring the template back" in drawn
    assert "a {red|blue} house" in drawn
    assert "Not used here" not in drawn
    *changed, said, _ = recall.take(event(what="template"), found, f"{ID}@")
    assert filled(changed) == {
        "prompt": "a {red|blue} house", "negative_prompt": r"fog \{x|y\}", "styles": [], "parent": "", "share": 0
    }  # fmt: skip
    assert "Another program drew from it" in said


def test_a_template_that_says_no_more_than_the_words_is_not_offered(recall: Recall, tmp_path: Path) -> None:
    text = "a red house\nSteps: 3, Sampler: Euler, CFG scale: 7, Seed: 5, Size: 64x64\nTemplate: a red house"
    drawn, _ = dropped(recall, tmp_path, png.encode(Image.new("RGB", (64, 64)), {"parameters": text}))
    assert "Bring the template back" not in drawn


def test_a_template_that_is_too_long_is_a_sentence_and_the_rest_is_read(recall: Recall, tmp_path: Path) -> None:
    text = "a house\nSteps: 3, Sampler: Euler, CFG scale: 7, Seed: 5, Size: 64x64\nTemplate: " + "x" * 10_001
    drawn, found = dropped(recall, tmp_path, png.encode(Image.new("RGB", (64, 64)), {"parameters": text}))
    assert "Prompt must be text of at most 10000 characters" in drawn
    assert found.values["seed"] == 5


# ---- where it came from ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "seed", "parent"),
    [
        ("seed", "9", ID), ("seed", " 9 ", ID), ("seed", "10", ""), ("seed", "-1", ""), ("seed", "9, 10", ""),
        ("all", "9", ID), ("all", "-1", ID), ("all", "10-12", ID), ("prompt", "-1", ID), ("template", "77", ID),
    ],
)  # fmt: skip
def test_words_hold_their_parent_and_a_seed_while_it_is_in_the_form(what: str, seed: str, parent: str) -> None:
    held = form.brought(ID, "9" if what == "seed" else "")
    assert form.parent(held, seed) == parent


def test_a_picture_is_the_parent_of_what_comes_of_it(handlers: Handlers, recall: Recall) -> None:
    first = made(handlers, seed="9", prompt="a {lake|pond}")
    assert first.lineage.parent == ""
    for what in ("all", "seed", "prompt", "template"):
        *changed, _ = recall.load(event(id=first.id, what=what), request(), "")
        assert again(handlers, changed).lineage.parent == first.id
    seed, parent, _ = recall.recycle(f"{first.id}@9", "")
    assert made(handlers, seed=seed, parent=parent, prompt="ducks").lineage.parent == first.id
    assert made(handlers, seed="10", parent=parent).lineage.parent == ""
    assert {record.lineage.parent for record in handlers.studio.gallery.children(first.id)} == {first.id}
    assert len(handlers.studio.gallery.children(first.id)) == 5


def test_the_last_that_was_brought_counts(handlers: Handlers, recall: Recall) -> None:
    first, second = made(handlers, seed="1"), made(handlers, seed="2")
    *changed, _ = recall.load(event(id=first.id, what="all"), request(), "")
    held = filled(changed)["parent"]
    assert recall.recycle(f"{second.id}@2", held)[1] == f"{second.id}@2"
    assert recall.recycle(f"{first.id}@1", held)[1] == held  # its words are in the form, whatever the seed becomes
    assert recall.reuse(event(**{"seed": "1", "from": first.id}), held)[1] == held


def test_what_another_program_made_is_no_parent(handlers: Handlers, recall: Recall, tmp_path: Path) -> None:
    text = "a house\nSteps: 3, Sampler: Euler, CFG scale: 7, Seed: 5, Size: 64x64"
    _, found = dropped(recall, tmp_path, png.encode(Image.new("RGB", (64, 64)), {"parameters": text}))
    *changed, _, _ = recall.take(event(what="all"), found, f"{ID}@")
    assert again(handlers, changed).lineage.parent == ""


def test_a_dropped_picture_of_ours_is_the_parent(handlers: Handlers, recall: Recall, tmp_path: Path) -> None:
    first = made(handlers, seed="9")
    _, found = dropped(recall, tmp_path, first.path.read_bytes())
    *changed, _, _ = recall.take(event(what="seed"), found, "")
    assert again(handlers, changed).lineage.parent == first.id


def test_an_example_is_no_pictures_words(recall: Recall) -> None:
    assert recall.example(event(text="a lake"), f"{ID}@") == ("a lake", "")
    assert recall.example(event(text="a lake"), f"{ID}@9") == ("a lake", f"{ID}@9")


def test_what_a_browser_stored_of_its_own_is_no_parent() -> None:
    for held in ("nonsense", "nonsense@", "../../x@9", f"{ID}", f"{OTHER}x@"):
        assert form.parent(held, "9") == ""
