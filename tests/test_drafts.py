"""What is loaded is what was saved, or nothing; the folder stays within its limit; no file and no disk can break it."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.strategies import RECIPES
from webui import png
from webui.drafts import Drafts
from webui.engine.draft import Draft
from webui.engine.fake import FakeEngine
from webui.errors import DraftError, StorageError
from webui.recipe import Recipe


@pytest.fixture
def kept(tmp_path: Path) -> Drafts:
    return Drafts(tmp_path / "cache" / "drafts")


def recipe(seed: int = 7, **values: object) -> Recipe:
    return Recipe.of(**{"prompt": "a lake, 湖 🦆", "seed": seed, "steps": 6, "width": 64, "height": 64, **values})


def drawn(wanted: Recipe, stop: int = 2, begun: Draft | None = None) -> Draft:
    *_, last = FakeEngine().generate(wanted, begun, stop)
    assert last.image is None
    assert last.draft is not None
    return last.draft


def finished(wanted: Recipe, begun: Draft | None = None) -> str:
    *_, last = FakeEngine().generate(wanted, begun)
    assert last.image is not None
    return png.pixels_sha256(last.image)


def names(kept: Drafts) -> set[str]:
    return {path.name for path in kept.folder.iterdir()}


def path(kept: Drafts, key: str) -> Path:
    return kept.folder / f"{key}.safetensors"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RECIPES, st.sets(st.integers(1, 160), min_size=1, max_size=4))
def test_any_recipe_through_any_stops(kept: Drafts, wanted: Recipe, stops: set[int]) -> None:
    begun = None
    for stop in sorted(stops):
        made = drawn(wanted, stop, begun)
        begun = kept.load(kept.save(made))
        assert begun is not None
        assert (begun.recipe, begun.fingerprint, begun.key) == (made.recipe, made.fingerprint, made.key)
        assert begun.calls == min(stop, wanted.steps)
        assert np.array_equal(begun.answers, made.answers)
        assert begun.preview == made.preview
    assert finished(wanted, begun) == finished(wanted)


def test_steps_of_a_draft_and_of_its_end() -> None:
    steps = list(FakeEngine().generate(recipe(), stop=4))
    assert [step.index for step in steps] == [0, 1, 2, 3, 4]
    assert [step.draft is not None for step in steps] == [False] * 4 + [True]
    assert {step.total for step in steps} == {6}
    rest = list(FakeEngine().generate(recipe(), steps[-1].draft))
    assert [step.index for step in rest] == [4, 5, 6]
    assert rest[-1].image is not None


def test_a_key_names_the_picture_and_how_far_it_is(kept: Drafts) -> None:
    one = drawn(recipe())
    others = [drawn(recipe(8)), drawn(recipe(prompt="a hill")), drawn(recipe(), 3)]
    assert len({other.key for other in (one, *others)}) == 4
    assert drawn(recipe()).key == drawn(recipe(model_hash="abcdef0123")).key == one.key
    assert kept.save(one) == kept.save(drawn(recipe())) == one.key
    assert names(kept) == {f"{one.key}.safetensors"}


def test_the_furthest_draft_of_a_picture_is_found(kept: Drafts) -> None:
    assert kept.find(recipe()) is None
    for stop in (2, 5, 3):
        kept.save(drawn(recipe(), stop))
    kept.save(drawn(recipe(8), 6))
    found = kept.find(recipe(model_hash="abcdef0123"))
    assert found is not None
    assert (found.recipe, found.calls) == (recipe(), 5)
    path(kept, found.key).write_bytes(b"damaged")
    again = kept.find(recipe())
    assert again is not None
    assert again.calls == 3


@pytest.mark.parametrize(
    "key", ["", "a" * 40, "../" * 3 + "x", f"{'a' * 40}-", f"{'A' * 40}-2", f"{'a' * 40}-２", f"{'a' * 40}-2\n"]
)
def test_what_is_no_key_finds_nothing(kept: Drafts, key: str) -> None:
    kept.save(drawn(recipe()))
    kept.folder.with_name("x.safetensors").write_bytes(b"{}")
    assert kept.load(key) is None


def test_a_missing_draft_is_nothing_and_no_warning(kept: Drafts, caplog: pytest.LogCaptureFixture) -> None:
    assert kept.load(f"{'a' * 40}-2") is None
    assert caplog.messages == []


def test_a_flipped_bit_never_gives_another_draft(kept: Drafts) -> None:
    """Nearly everywhere it gives nothing; in the name of a field that is empty it does no harm."""
    made = drawn(recipe(), 4)
    whole = path(kept, kept.save(made)).read_bytes()
    found = []
    for at in range(0, len(whole), 7):
        data = bytearray(whole)
        data[at] ^= 1
        path(kept, made.key).write_bytes(data)
        found.append(kept.load(made.key))
    for other in filter(None, found):
        assert (other.recipe, other.fingerprint, other.preview) == (made.recipe, made.fingerprint, made.preview)
        assert np.array_equal(other.answers, made.answers)
    numbers = made.answers.nbytes // 7
    assert set(found[-numbers:]) == {None}
    assert found.count(None) > 0.9 * len(found)


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff" * 64, b"\x02\0\0\0\0\0\0\0{}", b"\x93NUMPY"])
def test_a_damaged_file_is_nothing_and_says_so(kept: Drafts, caplog: pytest.LogCaptureFixture, data: bytes) -> None:
    key = kept.save(drawn(recipe()))
    path(kept, key).write_bytes(data)
    assert kept.load(key) is None
    assert f"The draft {path(kept, key)} cannot be used" in caplog.text
    assert kept.save(drawn(recipe())) == key
    assert kept.load(key) is not None


def test_a_cut_file_is_nothing(kept: Drafts) -> None:
    key = kept.save(drawn(recipe()))
    whole = path(kept, key).read_bytes()
    for length in range(0, len(whole), 50):
        path(kept, key).write_bytes(whole[:length])
        assert kept.load(key) is None


def test_another_drafts_file_is_nothing(kept: Drafts, caplog: pytest.LogCaptureFixture) -> None:
    mine, other = kept.save(drawn(recipe())), kept.save(drawn(recipe(8)))
    shutil.copyfile(path(kept, other), path(kept, mine))
    assert kept.load(mine) is None
    assert "it is another draft's" in caplog.text


def test_the_limit_is_kept_and_the_longest_unused_go_first(kept: Drafts) -> None:
    keys = [kept.save(drawn(recipe(seed))) for seed in range(4)]
    size = path(kept, keys[0]).stat().st_size
    for age, key in enumerate(keys):
        os.utime(path(kept, key), (age, age))
    assert kept.load(keys[0]) is not None, "looked at, so it is the youngest now"
    small = Drafts(kept.folder, limit=4 * size)
    keys.append(small.save(drawn(recipe(4))))
    assert names(kept) == {f"{keys[seed]}.safetensors" for seed in (0, 2, 3, 4)}
    Drafts(kept.folder, limit=size).save(drawn(recipe(4)))
    assert names(kept) == {f"{keys[4]}.safetensors"}
    assert Drafts(kept.folder, limit=size - 1).load(keys[4]) is not None, "looking removes nothing"
    Drafts(kept.folder, limit=0).save(drawn(recipe(5)))
    assert names(kept) == set()


def test_leftovers_of_a_crash_count_and_go(kept: Drafts) -> None:
    key = kept.save(drawn(recipe()))
    leftover = kept.folder / ".0123456789abcdef.tmp"
    leftover.write_bytes(b"x" * 5000)
    os.utime(leftover, (1, 1))
    (kept.folder / "notes.txt").write_text("not ours")
    Drafts(kept.folder, limit=5000).save(drawn(recipe()))
    assert names(kept) == {f"{key}.safetensors", "notes.txt"}


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"The draft was not saved in .*file"):
        Drafts(tmp_path / "file" / "drafts").save(drawn(recipe()))


def test_a_draft_of_another_picture_or_program_is_refused() -> None:
    begun = drawn(recipe())
    with pytest.raises(DraftError, match="another picture: it has Seed 7"):
        finished(recipe(8), begun)
    with pytest.raises(DraftError, match=r"made with torch 1\.0, here is none: finished here it would be another"):
        finished(recipe(), replace(begun, fingerprint=replace(begun.fingerprint, torch="1.0")))
