"""Values, 1 to 81 and 88, at every door: refused with a sentence and nothing changed, or taken as they are."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.inputs.doors import GONE, NAMES, House, ask, opened
from tests.inputs.files import write_models
from tests.inputs.table import CASES, DRAWN, REFUSED, Case, expected


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Give a house with models that are none."""
    folder = tmp_path_factory.mktemp("inputs")
    with opened(folder) as house:
        write_models(house.models, folder / "outside")
        ask(house, "cli", "steps", "1", harmless=True)  # the first command makes the data folder
        yield house


STATUS = {49: {"page": 413, "firefly": 413, "runware": 413, "a1111": 413}}
"""Answers whose number says more than that a value is not allowed."""


def cases(so: bool) -> list[Any]:
    return [pytest.param(case, id=str(case)) for case in CASES if (case.so == REFUSED) == so]


@pytest.mark.parametrize("case", cases(True))
def test_what_a_door_does_not_take_is_a_sentence_and_changes_nothing(house: House, case: Case) -> None:
    before = house.state()
    answer = ask(house, case.door, case.row.field, case.row.value)
    assert not answer.taken, answer.text
    if case.door == "cli":
        assert answer.status == 2
    else:
        assert 400 <= answer.status < 500
        assert answer.status == STATUS.get(case.row.number, {}).get(case.door, answer.status)
    assert answer.sentence.rstrip().endswith((".", "?")), answer.sentence
    assert any(words in answer.sentence for words in (" must ", "cannot be read", "no model", " is ")), answer.sentence
    assert "Traceback" not in answer.text and "TypeError" not in answer.text
    assert len(answer.text) < 30_000
    assert house.state() == before


@pytest.mark.parametrize("case", cases(False))
def test_what_a_door_takes_comes_back_as_it_was(house: House, case: Case) -> None:
    answer = ask(house, case.door, case.row.field, case.row.value, harmless=True)
    assert answer.taken, answer.sentence
    if case.door == "cli":  # it was refused for the style beside it alone, so nothing was made
        assert f"got {GONE!r}." in answer.sentence
        return
    house.finish()
    name = case.row.field
    if name == "seeds":
        wanted = json.loads(case.row.value)
        made = [record.recipe.seed for record in house.studio.gallery.recent(len(wanted))][::-1]
        assert all(one in (-1, found) for one, found in zip(wanted, made, strict=True))
        return
    record = house.studio.gallery.recent(1)[0]
    if case.so == DRAWN:
        assert 0 <= record.recipe.seed < 2**32
        assert case.door == "page" or str(record.recipe.seed) in answer.text
    elif name == "style":
        assert record.lineage.styles == (expected(case),)
    elif name != "count":
        assert getattr(record.recipe, name) == expected(case)


def test_every_door_is_in_the_table() -> None:
    assert {case.door for case in CASES} == set(NAMES)
