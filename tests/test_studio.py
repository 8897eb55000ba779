"""The studio is the door's common part: seeds are settled, batches numbered, everything wrong named at once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from webui.engine.checkpoints import Catalog
from webui.engine.fake import FakeEngine
from webui.errors import BadRecipe, StorageError
from webui.settings import Settings
from webui.studio import Studio


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    settings = Settings(data_dir=tmp_path)
    opened = Studio(settings, FakeEngine(), Catalog(settings.models))
    yield opened
    opened.close()


def test_a_job_goes_all_the_way(studio: Studio) -> None:
    studio.start()
    submitted = studio.submit({"prompt": "a lake", "steps": 2}, "41", 3)
    assert [recipe.seed for recipe in submitted.recipes] == [41, 42, 43]
    *_, last = studio.jobs.watch(submitted.job)
    assert last.status == "succeeded"
    assert [record.recipe.seed for record in last.records] == [41, 42, 43]
    assert {record.id for record in studio.gallery.recent()} == {record.id for record in last.records}


def test_minus_one_is_settled_before_the_queue(studio: Studio) -> None:
    (first,), (second,) = studio.recipes({}, "-1"), studio.recipes({}, "")
    assert 0 <= first.seed < 2**32
    assert first.seed != second.seed


def test_a_list_of_seeds_stands_for_the_batch(studio: Studio) -> None:
    assert [one.seed for one in studio.recipes({}, "7, 9, 20-22", 5)] == [7, 9, 20, 21, 22]


@pytest.mark.parametrize(("numbering", "expected"), [("increment", [5, 6, 7]), ("same", [5, 5, 5])])
def test_numbering(studio: Studio, numbering: str, expected: list[int]) -> None:
    assert [one.seed for one in studio.recipes({}, "5", 3, numbering)] == expected


def test_what_is_missing_takes_the_models_defaults(studio: Studio) -> None:
    (recipe,) = studio.recipes({"prompt": "x"}, "1")
    about = studio.about("reseed")
    assert (recipe.width, recipe.height) == (about.width, about.height)
    assert recipe.cfg_scale == about.defaults["cfg_scale"]


def test_everything_wrong_is_named_at_once_and_nothing_is_queued(studio: Studio) -> None:
    with pytest.raises(BadRecipe) as caught:
        studio.submit({"steps": 0, "width": 513}, "1e3", 0, "sideways")
    fields = [error.field for error in caught.value.errors]
    assert fields == ["seed", "count", "numbering", "steps", "width"]
    assert studio.jobs.active() == []


@pytest.mark.parametrize("count", [0, 101, 1.5, "3", None, True])
def test_a_batch_count_not_allowed(studio: Studio, count: object) -> None:
    with pytest.raises(BadRecipe, match="Batch count must be a whole number from 1 to 100"):
        studio.recipes({}, "1", count)


def test_a_model_that_is_not_here_is_named(studio: Studio) -> None:
    with pytest.raises(BadRecipe, match="nowhere") as caught:
        studio.recipes({"model": "nowhere"}, "1")
    assert caught.value.errors[0].field == "model"


def test_a_size_that_the_model_cannot_make_is_named_before_anything_is_queued(studio: Studio) -> None:
    assert studio.about("reseed").multiple == 16
    with pytest.raises(
        BadRecipe, match=r"Width must be a multiple of 16 for this model; got 264\. Nearest: 256"
    ) as caught:
        studio.submit({"width": 264, "height": 72}, "1")
    assert [error.field for error in caught.value.errors] == ["width", "height"]
    assert studio.jobs.active() == []


def test_presets_of_ones_own_win(studio: Studio) -> None:
    assert "Pastel" in studio.presets()
    studio.settings.presets.mkdir()
    (studio.settings.presets / "pastel.json").write_text('{"name": "Pastel", "prompt": "mine"}')
    assert studio.presets()["Pastel"].prompt == "mine"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    settings = Settings(data_dir=tmp_path / "file" / "data")
    with pytest.raises(StorageError, match="--data-dir"):
        Studio(settings, FakeEngine(), Catalog(settings.models))


# ---- variation seeds -------------------------------------------------------------------------------------


def test_a_batch_with_variation_keeps_the_seed_and_counts_the_variation_seed(studio: Studio) -> None:
    values = {"prompt": "a lake", "variation_seed": "40", "variation_strength": 0.1}
    made = studio.recipes(values, "7", 3)
    assert [(one.seed, one.variation_seed) for one in made] == [(7, 40), (7, 41), (7, 42)]
    made = studio.recipes(values, "7, 9")
    assert [(one.seed, one.variation_seed) for one in made] == [(7, 40), (9, 40)]


@pytest.mark.parametrize("text", ["-1", "", "−1"])
def test_a_random_variation_seed_is_drawn_at_the_door_when_it_counts(studio: Studio, text: str) -> None:
    (drawn,) = studio.recipes({"variation_seed": text, "variation_strength": 0.5}, "7")
    (unused,) = studio.recipes({"variation_seed": text}, "7")
    assert 0 <= drawn.variation_seed < 2**32
    assert unused.variation_seed == 0


def test_a_wrong_variation_seed_is_named(studio: Studio) -> None:
    with pytest.raises(BadRecipe, match="Variation seed must be"):
        studio.recipes({"variation_seed": "abc", "variation_strength": 0.5}, "7")


def test_an_extra_network_that_is_not_here_is_a_sentence_at_the_prompt(studio: Studio) -> None:
    with pytest.raises(
        BadRecipe, match="Prompt must be without extra networks that are not loaded, such as <lora:x:1>"
    ):
        studio.recipes({"prompt": "a lake <lora:x:1>"}, "7")
