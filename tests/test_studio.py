"""The studio is the door's common part: seeds are settled, batches numbered, everything wrong named at once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from webui.engine.checkpoints import Catalog
from webui.engine.fake import FakeEngine
from webui.errors import BadRecipe, BadValue, StorageError
from webui.lineage import Lineage
from webui.presets import Preset
from webui.settings import Settings
from webui.studio import SEEDS, Studio
from webui.sweeping import layout_of


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
    (first,), (second,) = studio.settle({}, "-1")[0], studio.settle({}, "")[0]
    assert 0 <= first.seed < 2**32
    assert first.seed != second.seed


def test_a_list_of_seeds_stands_for_the_batch(studio: Studio) -> None:
    assert [one.seed for one in studio.settle({}, "7, 9, 20-22", 5)[0]] == [7, 9, 20, 21, 22]


@pytest.mark.parametrize(("numbering", "expected"), [("increment", [5, 6, 7]), ("same", [5, 5, 5])])
def test_numbering(studio: Studio, numbering: str, expected: list[int]) -> None:
    assert [one.seed for one in studio.settle({}, "5", 3, numbering)[0]] == expected


def test_seeds_to_explore_count_up_and_a_list_stands_for_itself(studio: Studio) -> None:
    assert [one.seed for one in studio.settle_seeds({}, "5")[0]] == list(range(5, 5 + SEEDS))
    assert [one.seed for one in studio.settle_seeds({}, "7, 9, 20-22")[0]] == [7, 9, 20, 21, 22]
    assert len(studio.settle_seeds({}, "1-100")[0]) == 100
    with pytest.raises(BadValue, match=r"at most 100 seeds to explore; got '1-101'\. Generate takes more\."):
        studio.explore({}, "1-101")
    assert studio.jobs.active() == []


def test_exploring_makes_drafts_with_their_lineage(studio: Studio) -> None:
    studio.start()
    came = Lineage("ab" * 16)
    *_, last = studio.jobs.watch(studio.explore({"prompt": "a lake", "steps": 2}, "5", came, sheet="first").job)
    assert (last.kind, last.about, last.lineage, len(last.drafts), last.records) == (
        "explore",
        "first:0.0",
        came,
        12,
        (),
    )
    assert studio.gallery.count() == 0


def test_what_is_missing_takes_the_models_defaults(studio: Studio) -> None:
    (recipe,) = studio.settle({"prompt": "x"}, "1")[0]
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
        studio.settle({}, "1", count)


def test_a_model_that_is_not_here_is_named(studio: Studio) -> None:
    with pytest.raises(BadRecipe, match="nowhere") as caught:
        studio.settle({"model": "nowhere"}, "1")
    assert caught.value.errors[0].field == "model"


def test_a_size_that_the_model_cannot_make_is_named_before_anything_is_queued(studio: Studio) -> None:
    assert studio.about("reseed").multiple == 16
    with pytest.raises(
        BadRecipe, match=r"Width must be a multiple of 16 for this model; got 264\. Nearest: 256"
    ) as caught:
        studio.submit({"width": 264, "height": 72}, "1")
    assert [error.field for error in caught.value.errors] == ["width", "height"]
    assert studio.jobs.active() == []


def test_all_words_are_one_list_and_one_s_own_win(studio: Studio) -> None:
    studio.settings.styles.write_text("name,prompt\nPastel,of the table\nneon,of the table\nOil,oil\n")
    studio.preset_files.save(Preset("NEON", prompt="mine"))
    studio.preset_files.save(Preset("Numbers", values={"steps": 3}))
    found, problems = studio.styles()
    assert problems == []
    assert {name: found[name].prompt for name in ("Pastel", "NEON", "Oil", "Ink")} == {
        "Pastel": "of the table", "NEON": "mine", "Oil": "oil", "Ink": "{prompt}, ink drawing",
    }  # fmt: skip
    assert not {"Neon", "neon", "Numbers", "Quick look"} & set(found)
    assert len(found) == len({name.lower() for name in found})


def test_presets_combine_in_a_picture_which_keeps_their_names(studio: Studio) -> None:
    asked = Lineage(styles=("landscape_photography", "Science fiction"))
    recipes, lineage = studio.settle({"prompt": "a city"}, "7", lineage=asked)
    assert recipes[0].prompt == (
        "a city, landscape photography, wide vista, natural light, science fiction, advanced technology"
    )
    assert lineage.styles == ("Landscape photography", "Science fiction")
    assert lineage.template == "a city"


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
    made = studio.settle(values, "7", 3)[0]
    assert [(one.seed, one.variation_seed) for one in made] == [(7, 40), (7, 41), (7, 42)]
    made = studio.settle(values, "7, 9")[0]
    assert [(one.seed, one.variation_seed) for one in made] == [(7, 40), (9, 40)]


@pytest.mark.parametrize("text", ["-1", "", "−1"])
def test_a_random_variation_seed_is_drawn_at_the_door_when_it_counts(studio: Studio, text: str) -> None:
    (drawn,) = studio.settle({"variation_seed": text, "variation_strength": 0.5}, "7")[0]
    (unused,) = studio.settle({"variation_seed": text}, "7")[0]
    assert 0 <= drawn.variation_seed < 2**32
    assert unused.variation_seed == 0


def test_a_wrong_variation_seed_is_named(studio: Studio) -> None:
    with pytest.raises(BadRecipe, match="Variation seed must be"):
        studio.settle({"variation_seed": "abc", "variation_strength": 0.5}, "7")


def test_an_extra_network_that_is_not_here_is_a_sentence_at_the_prompt(studio: Studio) -> None:
    with pytest.raises(BadRecipe, match="Prompt must be without LoRAs that are not here; got '<lora:x:1>'"):
        studio.settle({"prompt": "a lake <lora:x:1>"}, "7")


@pytest.mark.parametrize("pipeline", ["StableDiffusion3Pipeline", "FluxPipeline"])
def test_what_a_flow_model_cannot_do_is_said_at_the_door(studio: Studio, tmp_path: Path, pipeline: str) -> None:
    folder = tmp_path / "models" / "flow"
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text(f'{{"_class_name": "{pipeline}"}}')
    wanted = {"model": "flow", "sampler": "Restart", "schedule": "Align Your Steps", "width": 1000}
    with pytest.raises(BadRecipe) as caught:
        studio.settle(wanted)
    assert [(error.field, error.hint) for error in caught.value.errors] == [
        ("width", "Nearest: 992 or 1008."),
        ("sampler", "Near ones are Heun, DPM++ 2M or DPM++ 2S a."),
        ("schedule", "Try Simple or Beta."),
    ]
    assert studio.settle({"model": "flow", "sampler": "Heun", "schedule": "Beta"})[0][0].model == "flow"
    assert studio.settle({**wanted, "model": "reseed", "width": 512})[0][0].sampler == "Restart"


# ---- sweeps ----------------------------------------------------------------------------------------


def test_a_sweep_is_settled_once_and_goes_all_the_way(studio: Studio) -> None:
    studio.start()
    axes = [("CFG scale", "3-4"), ("Noise layout", "plain, centred"), ("RNG", "NV, CPU")]
    planned = studio.plan(axes, {"prompt": "a lake", "steps": 1}, "-1")
    assert len({recipe.seed for recipe in planned.recipes}) == 1
    *_, last = studio.jobs.watch(studio.sweep(planned).job)
    assert (last.kind, last.status, len(last.records)) == ("sweep", "succeeded", 6)
    assert layout_of(last) == planned.layout


def test_wildcards_are_drawn_once_for_a_sweep(studio: Studio) -> None:
    planned = studio.plan([("Seed", "1-9")], {"prompt": "a {red|blue|green} lake"}, "5")
    assert {recipe.prompt for recipe in planned.recipes} == {
        studio.settle({"prompt": "a {red|blue|green} lake"}, "5")[0][0].prompt
    }
    assert planned.lineage.template == "", "with seed 6 the template gives other words"
    assert studio.plan([("Steps", "1-2")], {"prompt": "a {red|blue} lake"}, "5").lineage.template == "a {red|blue} lake"


def test_everything_wrong_with_a_sweep_is_named_at_once(studio: Studio) -> None:
    with pytest.raises(BadRecipe) as caught:
        studio.plan(
            [("Steps", "0"), ("Model", "gone"), ("Prompt S/R", "lake, sea")], {"width": 513, "prompt": "a lake"}, "x"
        )
    assert [error.field for error in caught.value.errors] == ["seed", "width", "axis_x", "axis_y"]
    assert studio.jobs.active() == []


def test_a_list_of_seeds_is_an_axis_not_a_batch(studio: Studio) -> None:
    with pytest.raises(BadRecipe, match="Seed must be one seed for a sweep; got '7-9'"):
        studio.plan([("Steps", "1-2")], {}, "7-9")


def test_a_cell_that_the_model_or_a_missing_file_forbids_is_a_sentence_of_its_own(
    studio: Studio, tmp_path: Path
) -> None:
    folder = tmp_path / "models" / "flow"
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    planned = studio.plan([("Model", "reseed, flow"), ("Sampler", "Euler, Restart")], {"schedule": "Simple"}, "7")
    assert [isinstance(cell, str) for cell in planned.layout.cells] == [False, False, False, True]
    assert "Sampler must be" in str(planned.layout.cells[3])
    planned = studio.plan([("Prompt S/R", "a, <lora:x:1>")], {"prompt": "a"}, "7")
    assert planned.layout.cells[0] == 0
    assert "without LoRAs that are not here" in str(planned.layout.cells[1])
