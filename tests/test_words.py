"""Words: what was typed becomes each picture's words at the door, from its own seed and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from webui.engine.checkpoints import Catalog
from webui.engine.fake import FakeEngine
from webui.errors import BadRecipe
from webui.lineage import UNKNOWN, Lineage
from webui.settings import Settings
from webui.studio import Studio
from webui.wildcards import escape
from webui.words import Lists, read_styles


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """A studio with lists and styles of a person's own."""
    settings = Settings(data_dir=tmp_path)
    (settings.wildcards / "things").mkdir(parents=True)
    (settings.wildcards / "colour.txt").write_bytes("\ufeffred\r\nblue\r\n# none\r\n\r\ngreen\r\n".encode())
    (settings.wildcards / "things" / "small.txt").write_text("duck\n{cat|dog} in __colour__\n")
    (settings.wildcards / "readme.md").write_text("no list")
    settings.styles.write_text('name,prompt,negative_prompt\nOil,"oil of {prompt}",photo\nCalm,"calm {sea|sky}"\n')
    opened = Studio(settings, FakeEngine(), Catalog(settings.models))
    yield opened
    opened.close()


def prompts(studio: Studio, prompt: str, seed: str, **values: object) -> list[str]:
    return [one.prompt for one in studio.settle({"prompt": prompt, **values}, seed)[0]]


# Wildcards


def test_each_picture_of_a_batch_draws_what_its_seed_draws_alone(studio: Studio) -> None:
    template = "a __colour__ house, __things/small__, {by day|at night}"
    batch = prompts(studio, template, "0-19")
    assert batch == [words for seed in range(20) for words in prompts(studio, template, str(seed))]
    assert len(set(batch)) > 10
    assert not any(mark in words for words in batch for mark in "{}_|")


def test_the_negative_prompt_draws_apart(studio: Studio) -> None:
    template = " ".join(["{a|b}"] * 20)
    (recipe,) = studio.settle({"prompt": template, "negative_prompt": template}, "7")[0]
    assert recipe.prompt != recipe.negative_prompt


def test_variations_of_one_composition_have_the_same_words(studio: Studio) -> None:
    values = {"prompt": "a __colour__ {house|boat|tree}", "variation_strength": 0.2, "variation_seed": "1"}
    assert len({one.prompt for one in studio.settle(values, "7", 9)[0]}) == 1


def test_what_is_kept_is_what_was_typed(studio: Studio) -> None:
    asked = {"prompt": "a __colour__ house", "negative_prompt": "fog"}
    recipes, lineage = studio.settle(asked, "5-7", lineage=Lineage("ab" * 16))
    assert lineage == Lineage("ab" * 16, "a __colour__ house", "fog")
    for one in recipes:
        again, plain = studio.settle({**one.values(), "prompt": escape(one.prompt)}, str(one.seed))
        assert (again, plain) == ([one], UNKNOWN)


def test_escaped_brackets_are_words_and_no_template(studio: Studio) -> None:
    recipes, lineage = studio.settle({"prompt": escape("{a|b} __colour__")}, "5")
    assert (recipes[0].prompt, lineage) == ("{a|b} __colour__", UNKNOWN)


def test_line_ends_are_kept_as_the_recipe_keeps_them(studio: Studio) -> None:
    recipes, lineage = studio.settle({"prompt": "a {house|boat}\r\nby a lake"}, "5")
    assert recipes[0].prompt.endswith("\nby a lake")
    assert lineage.template == "a {house|boat}\nby a lake"


@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_a_list_that_is_not_there_is_a_sentence_at_its_field(studio: Studio, field: str) -> None:
    with pytest.raises(BadRecipe, match=r"Wildcard must be one of colour, things/small; got 'color'") as caught:
        studio.submit({field: "{a|{b|__color__}}"}, "5")
    assert [error.field for error in caught.value.errors] == [field]
    assert "Did you mean colour? Write \\__color\\__ where the text itself is meant." in str(caught.value)
    assert studio.jobs.active() == []


def test_everything_wrong_is_named_at_once(studio: Studio) -> None:
    with pytest.raises(BadRecipe) as caught:
        asked = {"prompt": "a\0", "negative_prompt": "x" * 10_001, "steps": 0}
        studio.settle(asked, "abc", lineage=Lineage(styles=("Owl",)))
    assert {error.field for error in caught.value.errors} == {"seed", "steps", "prompt", "negative_prompt", "styles"}


def test_a_list_that_cannot_be_read_is_a_sentence(studio: Studio) -> None:
    (studio.settings.wildcards / "bad.txt").write_bytes(b"\xff\xfe")
    assert prompts(studio, "__colour__", "1") != []
    with pytest.raises(BadRecipe, match="Wildcard must be a list that can be read as UTF-8 text; got 'bad'"):
        prompts(studio, "__bad__", "1")


def test_an_extra_network_in_an_option_is_named_for_the_picture_that_draws_it(studio: Studio) -> None:
    with pytest.raises(BadRecipe, match="<lora:x:1>"):
        prompts(studio, "{a lake|a pond <lora:x:1>}", "0-30")


def test_lists_are_read_when_they_are_drawn_from_and_each_time_anew(studio: Studio) -> None:
    lists = Lists(studio.settings.wildcards)
    assert list(lists) == ["colour", "things/small"]
    assert lists["COLOUR"] is lists["colour"]
    assert "Things/Small" in lists
    assert len(Lists(studio.settings.wildcards / "nowhere")) == 0
    (studio.settings.wildcards / "new.txt").write_text("one\n")
    assert prompts(studio, "__new__", "1") == ["one"]
    (studio.settings.wildcards / "new.txt").write_text("two\n")
    assert prompts(studio, "__new__", "1") == ["two"]


# Styles


def test_styles_are_put_around_the_prompts_before_wildcards_are_drawn(studio: Studio) -> None:
    recipes, lineage = studio.settle({"prompt": "a lake"}, "0-9", lineage=Lineage(styles=("oil", "Calm")))
    assert {one.prompt for one in recipes} == {"oil of a lake, calm sea", "oil of a lake, calm sky"}
    assert {one.negative_prompt for one in recipes} == {"photo"}
    assert lineage == Lineage("", "a lake", "", ("Oil", "Calm"))


def test_nothing_typed_is_kept_as_nothing_where_styles_were_chosen(studio: Studio) -> None:
    recipes, lineage = studio.settle({}, "1", lineage=Lineage(styles=("Oil",)))
    assert recipes[0].prompt == "oil of "
    assert lineage == Lineage("", "", "", ("Oil",))
    assert lineage.is_typed


def test_a_file_of_styles_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "styles.csv"
    assert read_styles(file) == ({}, [])
    file.write_bytes(b"name,prompt\nOil,\xff\n")
    assert read_styles(file) == ({}, [f"{file} cannot be read: it is not UTF-8 text."])
    assert read_styles(tmp_path) == ({}, [f"{tmp_path} cannot be read: Is a directory."])
    file.write_text("name,prompt\nOil,oil\n,x\n")
    known, problems = read_styles(file)
    assert list(known) == ["Oil"]
    assert problems == ["styles.csv: Line 3 has no name."]
