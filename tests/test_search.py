"""Whatever is typed is a search; what is found is what holds of the recipes, newest first, page by page."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.test_gallery import opened, recipe, save
from webui import search
from webui.errors import BadValue
from webui.fingerprint import Fingerprint
from webui.gallery import Gallery, Record
from webui.search import Search

BIG = 2**64 - 1


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gallery, dict[str, Record]]]:
    """Give a gallery with six pictures, and these by a letter."""
    kept = opened(tmp_path_factory.mktemp("shelf"))
    wanted = {
        "a": recipe(7, prompt="a red house by a lake", sampler="Euler"),
        "b": recipe(BIG, prompt="a red house by a lake", sampler="Heun"),
        "c": recipe(7, prompt="ein Häuschen, 湖 🦆", negative_prompt="blurry lake"),
        "d": recipe(BIG - 1, prompt='lighthouse "NEAR" (AND) seed'),
        "e": recipe(70, prompt="a house of red bricks"),
        "f": recipe(7, prompt="a red house by a lake", negative_prompt="blurry"),
    }
    by, image = Fingerprint("", "", "", "", "", "", ""), Image.new("RGB", (64, 64))
    yield kept, {letter: kept.save(image, one, by) for letter, one in wanted.items()}
    kept.close()


def letters(shelf: tuple[Gallery, dict[str, Record]], wanted: Search, **page: object) -> str:
    kept, records = shelf
    names = {record.id: letter for letter, record in records.items()}
    return "".join(names[record.id] for record in kept.search(wanted, **page))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "fedcba"),
        ("red house", "feba"),
        ("HOUSE red", "feba"),
        ('"red house"', "fba"),
        ('"red hou', "fba"),
        ("hou", "feba"),
        ("hou red", ""),
        ("lake", "fcba"),
        ("hauschen", "c"),
        ("湖", "c"),
        ("🦆", "c"),
        ("near and", "d"),
        ("seed", "d"),
        ("NOT", ""),
        ("*", ""),
        ('"', "fedcba"),
        ("seed:7", "fca"),
        (f"seed:{BIG}", "b"),
        (f"house seed:{BIG - 1}", ""),
        ("light seed:18446744073709551614", "d"),
        ("sampler:Heun", "b"),
        ('sampler:"Euler"', "a"),
        ("model:reseed red", "feba"),
        ("model:other", ""),
        ("since:2001-01-01 until:2001-12-31", ""),
        ("since:2001-01-01", "fedcba"),
    ],
)
def test_what_is_typed_finds_what_it_says(shelf: tuple[Gallery, dict[str, Record]], text: str, found: str) -> None:
    assert letters(shelf, Search.parse(text)) == found


def test_days_are_counted_from_the_folders(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    record = save(kept)
    folder = kept.outputs / "2024-02-29"
    record.path.parent.rename(folder)
    kept.refresh()
    for since, until, found in (("2024-02-29", "2024-02-29", 1), ("2024-03-01", "", 0), ("", "2024-02-28", 0)):
        days = [date.fromisoformat(day) if day else None for day in (since, until)]
        assert len(kept.search(Search(since=days[0], until=days[1]))) == found
    kept.close()


def test_siblings_have_the_seed_or_the_words(shelf: tuple[Gallery, dict[str, Record]]) -> None:
    assert letters(shelf, Search(seed="7")) == "fca"
    assert letters(shelf, Search(prompts=("a red house by a lake", ""))) == "ba"
    assert letters(shelf, Search(prompts=("a red house by a lake", ""), other_than="7")) == "b"
    assert letters(shelf, Search(other_than="7")) == "edb"


def test_a_search_among_some(shelf: tuple[Gallery, dict[str, Record]]) -> None:
    some = frozenset(shelf[1][letter].id for letter in "ade") | {"unknown", "\ud800"}
    assert letters(shelf, Search(among=some)) == "eda"
    assert letters(shelf, Search("red", among=some)) == "ea"
    assert letters(shelf, Search(among=frozenset())) == ""


@pytest.mark.parametrize("text", ["", "red", "seed:7"])
def test_pages_follow_one_another_without_gap(shelf: tuple[Gallery, dict[str, Record]], text: str) -> None:
    kept, wanted = shelf[0], Search.parse(text)
    whole, paged = kept.search(wanted), kept.search(wanted, 2)
    while more := kept.search(wanted, 2, before=paged[-1].id):
        paged += more
    assert paged == whole
    assert kept.search(wanted, before="unknown") == []


@given(st.text() | st.text('"*(){}:^+-, abAND\0\x1a'))
@example('"' * 3)
@example("a" * 20_000)
@example("a " * 5_000)
@example("\ud800")
@settings(deadline=None)
def test_no_text_breaks_the_index(shelf: tuple[Gallery, dict[str, Record]], text: str) -> None:
    letters(shelf, Search(text))
    try:
        wanted = Search.parse(text)
    except BadValue as error:
        assert error.field in search.FILTERS
    else:
        letters(shelf, wanted)


@given(st.lists(st.text("abcäß湖🦆'0", min_size=1, max_size=6), min_size=1, max_size=5))
def test_a_prompt_is_found_by_any_of_its_words(words: list[str]) -> None:
    index = search.indexed(recipe(prompt=" ".join(words)).to_dict())
    assert index[0].split() == words
    assert all(f'"{word}"' in (Search(word).match or "") for word in words if word != "'" * len(word))


@pytest.mark.parametrize("text", ["seed:abc", "seed:-1", f"seed:{2**64}", "since:yesterday", "until:2026-02-30"])
def test_a_filter_that_is_not_allowed_is_named(text: str) -> None:
    with pytest.raises(BadValue, match="must be") as caught:
        Search.parse(text)
    assert caught.value.field == text.partition(":")[0]


def test_what_was_deleted_or_changed_is_not_found(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    first, second = save(kept, 1, prompt="first"), save(kept, 2, prompt="second")
    first.path.write_bytes(second.path.read_bytes())  # now a copy of the second
    kept.refresh()
    assert kept.search(Search("first")) == []
    assert [record.id for record in kept.search(Search("second"))] == [second.id]
    second.path.unlink()
    assert [record.path for record in kept.search(Search("second"))] == [first.path] * bool(kept.refresh())
    kept.close()


def test_the_words_are_built_again_with_the_index(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    record = save(kept, BIG, prompt="a lighthouse")
    kept.close()
    (tmp_path / "cache" / "index.db").unlink()
    again = opened(tmp_path)
    again.refresh()
    again.rebuild()
    assert again.search(Search.parse(f"light seed:{BIG}")) == [record]
    again.close()


@given(st.dates(), st.dates(), st.integers(0, 2**24 - 1), st.integers(0, 2**24 - 1))
def test_places_are_in_the_order_of_days_and_counters(one: date, other: date, first: int, second: int) -> None:
    places = [search.place(day.isoformat(), number, "T23:59:59") for day, number in ((one, first), (other, second))]
    assert (places[0] < places[1]) == ((one, first) < (other, second))
    assert 0 <= places[0] < 2**63
