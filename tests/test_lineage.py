"""Lineage: kept through the queue, the file, the index and its rebuilding; it changes no pixel and no digest."""

import doctest
import json
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import TEXT
from tests.test_gallery import made, opened, recipe
from tests.test_jobs import Gated, House, pixels, recipes
from tests.test_png import ID, MADE_BY, ours, picture
from webui import infotext, png
from webui.errors import BadValue, PictureError
from webui.journal import Key
from webui.lineage import MOST_STYLES, UNKNOWN, Lineage
from webui.recipe import Recipe
from webui.styles import NAME_LIMIT

PARENT = "ab" * 16
IDS = st.text("0123456789abcdef", min_size=32, max_size=32)
LINEAGES = st.builds(
    Lineage,
    parent=st.just("") | IDS,
    template=TEXT,
    negative_template=TEXT,
    styles=st.lists(TEXT.map(lambda text: text[:NAME_LIMIT]), max_size=4).map(tuple),
    owner=st.just("") | IDS,
)
TYPED = Lineage(PARENT, "a {red|blue} __thing__, {x:y}", "fog\n[a|b]", ("Oil, on canvas", "日本"))


def texts(lineage: Lineage, made_of: Recipe | None = None) -> dict[str, str]:
    return png.texts_of(
        made_of or recipe(),
        MADE_BY,
        pixels_sha256="0" * 64,
        id=ID,
        origin="",
        created="2026-01-02T03:04:05Z",
        lineage=lineage,
    )


# The file


@given(LINEAGES)
@settings(max_examples=60, deadline=None)
def test_it_comes_back_from_json_and_from_a_file(lineage: Lineage) -> None:
    assert Lineage.from_json(lineage.to_json()) == lineage
    found = png.read(png.encode(picture(), texts(lineage)))
    assert (found.lineage, found.recipe) == (lineage, recipe())


@given(LINEAGES)
@settings(max_examples=60, deadline=None)
def test_the_templates_come_back_from_the_infotext_and_nothing_else_in_it_changes(lineage: Lineage) -> None:
    reading, plain = infotext.parse(texts(lineage)["parameters"]), infotext.parse(texts(UNKNOWN)["parameters"])
    assert (reading.values, reading.source) == (plain.values, plain.source)
    assert Lineage.from_infotext(reading.rest) == Lineage("", lineage.template, lineage.negative_template)


def test_a_file_without_it_is_written_and_read_as_before() -> None:
    assert "lineage" not in json.loads(texts(UNKNOWN)["recipe"])
    assert png.read(ours(recipe())).lineage == UNKNOWN


def test_members_that_a_later_version_adds_are_left_out() -> None:
    data = {**TYPED.to_dict(), "mood": "calm"}
    assert png.read(ours(recipe(), {"lineage": data})).lineage == TYPED


@pytest.mark.parametrize(
    "data",
    [
        None, [], "x", 7, {"parent": "../../etc/passwd"}, {"parent": PARENT + "\n"}, {"parent": 7}, {"parent": ["a"]},
        {"template": 7}, {"template": "x" * 10_001}, {"negative_template": None}, {"styles": "Oil"}, {"styles": [7]},
        {"styles": ["x" * 101]}, {"styles": ["x"] * (MOST_STYLES + 1)}, {"styles": {}},
    ],
)  # fmt: skip
def test_one_that_is_damaged_is_a_sentence(data: object) -> None:
    with pytest.raises(PictureError, match=r"holds a recipe with values that are not allowed: .* must be"):
        png.read(ours(recipe(), {"lineage": data}))


@pytest.mark.parametrize("text", ["{", "[" * 3000, "[]", '{"parent": "x"}'])
def test_text_that_is_none_is_a_sentence(text: str) -> None:
    with pytest.raises(BadValue, match="must be"):
        Lineage.from_json(text)


@pytest.mark.parametrize("letter", ["a", "漢", "🦆", "\x01", '"', "\\"])
def test_the_longest_templates_and_prompts_fit_into_a_file(letter: str) -> None:
    long = letter * 10_000
    lineage = Lineage(PARENT, long, long, (letter * NAME_LIMIT,) * MOST_STYLES)
    asked = Recipe.of(prompt=long, negative_prompt=long, seed=2**64 - 1)
    for data in (ours(asked, {"lineage": lineage.to_dict()}), png.encode(picture(), texts(lineage, asked))):
        found = png.read(data)
        assert (found.recipe, found.lineage) == (asked, lineage)


def test_the_examples_of_the_documentation_are_true() -> None:
    page = Path(__file__).parents[1] / "docs" / "lineage.md"
    assert doctest.testfile(str(page), module_relative=False) == (0, 2)


# The gallery


@given(lineage=LINEAGES)
@settings(max_examples=12, deadline=None)  # it writes files, and a disk may be busy
def test_it_survives_the_index_and_its_rebuilding_and_changes_no_pixel(
    tmp_path_factory: pytest.TempPathFactory, lineage: Lineage
) -> None:
    gallery = opened(tmp_path_factory.mktemp("data"))
    plain, record = gallery.save(*made(recipe())), gallery.save(*made(recipe()), "", lineage)
    assert record.pixels_sha256 == plain.pixels_sha256
    assert record.recipe.digest() == plain.recipe.digest()
    for _ in range(2):
        assert gallery.get(record.id) == record
        assert [found.id for found in gallery.children(lineage.parent)] == ([record.id] if lineage.parent else [])
        gallery.rebuild()
    gallery.close()


def test_children_are_found_newest_first_and_by_the_index(tmp_path: Path) -> None:
    gallery = opened(tmp_path)
    parent = gallery.save(*made(recipe(1)))
    children = [gallery.save(*made(recipe(seed)), "", Lineage(parent.id)) for seed in (2, 3, 4)]
    gallery.save(*made(recipe(5)), "", Lineage(children[0].id))
    assert gallery.children(parent.id) == children[::-1]
    assert gallery.children(parent.id, 2) == children[:0:-1]
    assert gallery.children("") == []
    gallery.close()
    with sqlite3.connect(tmp_path / "cache" / "index.db") as db:
        plan = str(db.execute("EXPLAIN QUERY PLAN SELECT * FROM files WHERE parent = 'x' AND parent != ''").fetchall())
    db.close()
    assert "files_parent" in plan


def test_an_index_of_the_version_before_is_filled_again_from_the_files(tmp_path: Path) -> None:
    gallery = opened(tmp_path)
    record = gallery.save(*made(recipe()), "", TYPED)
    gallery.close()
    with sqlite3.connect(tmp_path / "cache" / "index.db") as db:
        db.executescript(
            "DROP INDEX files_parent; ALTER TABLE files DROP COLUMN parent; ALTER TABLE files DROP COLUMN lineage; "
            "PRAGMA user_version = 1;"
        )
    db.close()
    again = opened(tmp_path)
    again.refresh()
    assert again.recent() == [record]
    again.close()


# The queue


def test_it_is_kept_with_every_picture_of_a_job_through_a_restart(tmp_path: Path) -> None:
    house = House(tmp_path, start=False)
    job = house.jobs.submit(recipes(2), lineage=TYPED).job
    house = house.again()
    last = house.ended(job)
    assert [record.lineage for record in last.records] == [TYPED, TYPED]
    assert [record.pixels_sha256 for record in last.records] == pixels(recipes(2))
    house.close()


def test_it_is_no_part_of_what_makes_a_job_the_same(tmp_path: Path) -> None:
    house = House(tmp_path)
    first = house.jobs.submit(recipes(1), Key("key"), TYPED)
    assert house.jobs.submit(recipes(1), Key("key")).job == first.job
    house.ended(first.job)
    house.close()


def test_a_parent_that_was_still_being_made_is_named_by_its_id(tmp_path: Path) -> None:
    engine = Gated()
    house = House(tmp_path, engine)
    first = house.jobs.submit(recipes(1)).job
    assert engine.there.wait(5)
    second = house.jobs.submit(recipes(1), lineage=Lineage(f"{first}:0")).job
    third = house.jobs.submit(recipes(1), lineage=Lineage(f"{first}:1")).job  # there is no such picture
    engine.gate.set()
    made_last = house.ended(third).records[0]
    (parent,), (child,) = house.ended(first).records, house.ended(second).records
    assert (child.lineage.parent, made_last.lineage.parent) == (parent.id, "")
    house.close()


@pytest.mark.parametrize(("version", "since"), [(1, ("about", "kind", "lineage")), (2, ("about", "kind"))])
def test_the_journal_of_a_version_before_is_brought_up_to_date(
    tmp_path: Path, version: int, since: tuple[str, ...]
) -> None:
    house = House(tmp_path, start=False)
    job = house.jobs.submit(recipes(1)).job
    house.close()
    with sqlite3.connect(tmp_path / "jobs.db") as db:
        for column in since:
            db.execute(f"ALTER TABLE jobs DROP COLUMN {column}")
        db.execute(f"PRAGMA user_version = {version}")
    db.close()
    house = House(tmp_path)
    found = house.ended(job)
    assert (found.records[0].lineage, found.kind, found.about) == (UNKNOWN, "make", "")
    again = house.jobs.submit(recipes(1, seed=8), lineage=TYPED).job
    assert house.ended(again).records[0].lineage == TYPED
    house.close()
