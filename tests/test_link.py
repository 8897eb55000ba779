"""Recipe links: round trips of every recipe, fixed defaults, limits, and a sentence for all that is no link."""

import base64
import doctest
import random
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import RECIPES
from webui.errors import BadRecipe, BadValue
from webui.link import DEFAULTS, LONGEST, MOST_READ, READABLE, read, write
from webui.recipe import PARAMS, PROMPT_LIMIT, Recipe


@given(RECIPES)
def test_every_recipe_comes_back(recipe: Recipe) -> None:
    text = write(recipe)
    assert read(text) == recipe
    assert read(f"https://example.org/reseed/?{text}#top") == recipe
    assert read(f"http://127.0.0.1:7860/?__theme=dark#{text}") == recipe
    assert text.isascii() and len(text) <= LONGEST
    assert not set(text) & set(' "<>\\^`{|}#?()')


@pytest.mark.parametrize("seed", [0, 1, 2**53 + 1, 2**63, 2**64 - 1])
def test_seeds_keep_every_digit(seed: int) -> None:
    text = write(Recipe.of(seed=seed, variation_seed=seed))
    assert f"&variation_seed={seed}&" in text or seed == 0
    assert read(text).seed == read(text).variation_seed == seed


def test_a_link_is_readable_and_short() -> None:
    recipe = Recipe.of(prompt="a house by a lake, (ducks:1.2) & 50 % sky\nnight", seed=7, cfg_scale=5, width=768)
    assert write(recipe) == (
        "prompt=a+house+by+a+lake,+%28ducks:1.2%29+%26+50+%25+sky%0Anight&cfg_scale=5&seed=7&width=768&v=1"
    )
    assert write(Recipe.of(seed=7)) == "seed=7&v=1"
    assert read("v=1&cfg_scale=5.0&seed=007&prompt=caf%C3%A9") == Recipe.of(prompt="café", cfg_scale=5, seed=7)


def test_the_defaults_are_those_of_the_version() -> None:
    known = {
        "steps": 20, "sampler": "DPM++ 2M", "schedule": "Automatic", "cfg_scale": 7.0, "width": 512, "height": 512,
        "model": "reseed", "clip_skip": 1, "rng": "NV", "emphasis": "Original", "profile": "A1111",
    }  # fmt: skip
    found = read("seed=7&v=1").values()
    assert {name: found[name] for name in known} == known
    assert found == {**{name: param.default for name, param in PARAMS.items()}, **DEFAULTS, "seed": 7}


def test_long_prompts_are_packed() -> None:
    words = random.Random(1).choices([f"word{k}" for k in range(400)], k=2000)
    recipe = Recipe.of(prompt=" ".join(words)[:PROMPT_LIMIT], negative_prompt=" ".join(words[::-1])[:3000], seed=7)
    text = write(recipe)
    assert text.startswith("z=") and text.endswith("&v=1") and len(text) < LONGEST
    assert read(text) == recipe
    edge = [Recipe.of(prompt="x" * count, seed=7) for count in range(READABLE - 20, READABLE)]
    assert {write(one)[:2] for one in edge} == {"pr", "z="}
    assert [read(write(one)) for one in edge] == edge
    chinese = Recipe.of(prompt="猫在湖边的房子" * 400 + "&+% =\n#", seed=7)
    assert read(write(chinese)) == chinese


def test_what_does_not_fit_is_a_sentence() -> None:
    noise = "".join(map(chr, random.Random(1).choices(range(0x4E00, 0x9FFF), k=PROMPT_LIMIT)))
    with pytest.raises(BadValue, match=r"Recipe link must be at most 8000 characters long; got .* send the picture"):
        write(Recipe.of(prompt=noise, seed=7))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "of version 1 .*got 'no v'"),
        ("hello", "parameters of an address"),
        ("https://example.org/", "parameters of an address"),
        ("seed=7", "of version 1"),
        ("seed=7&v=2", "A newer Reseed made it: update to read it"),
        ("seed=7&v=x", "of version 1"),
        ("seed=7&seed=8&v=1", "each given once"),
        ("prompt=%FF&seed=7&v=1", "parameters of an address"),
        ("seed=7&z=AAAA&v=1", "either packed"),
        ("z=AAAA&v=1", "cut off or changed"),
        ("z=&v=1", "cut off or changed"),
        ("z=é&v=1", "cut off or changed"),
        ("x" * (MOST_READ + 1), "at most 100000 characters"),
        ("seed=7&v=1&" + "&".join(f"a{k}=1" for k in range(300)), "parameters of an address"),
    ],
)
def test_what_is_no_link_is_a_sentence(text: str, said: str) -> None:
    with pytest.raises(BadValue, match=f"Recipe link must be .*{said}"):
        read(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prompt=a&v=1", "Seed must be given"),
        ("seed=-1&v=1", "Seed must be a whole number from 0"),
        ("seed=18446744073709551616&v=1", "Seed must be"),
        ("seed=7&step=8&v=1", "step: must be a parameter of a recipe .* Did you mean steps"),
        ("seed=7&zzz=8&v=1", "A newer Reseed may know it"),
        ("seed=7&steps=0&cfg_scale=99&v=1", "Steps must be .* CFG scale must be"),
        ("seed=7&sampler=Eular&v=1", "Did you mean Euler"),
        ("seed=7&rng=CPU&noise_layout=centred&v=1", "plain with RNG CPU"),
        ("seed=7&utm_source=x&v=1", "utm_source: must be a parameter"),
    ],
)
def test_what_is_not_allowed_in_a_link_is_named(text: str, said: str) -> None:
    with pytest.raises(BadRecipe, match=said):
        read(text)


def packed(data: bytes) -> str:
    return "z=" + base64.urlsafe_b64encode(data).decode().rstrip("=") + "&v=1"


def test_what_is_packed_is_not_read_without_end() -> None:
    bomb = zlib.compress(b"seed=7&prompt=" + b"a" * 50_000_000, 9)
    with pytest.raises(BadValue, match="at most 100000 bytes long when it is unpacked"):
        read(packed(bomb))


def test_what_was_cut_off_is_not_read() -> None:
    whole = zlib.compress(b"seed=7&prompt=" + bytes(range(97, 123)) * 9, 9)
    assert read(packed(whole)).seed == 7
    for damaged in (whole[:-1], whole + b"x", b"x" + whole, zlib.compress(b"\xff\xfe")):
        with pytest.raises(BadValue, match="cut off or changed"):
            read(packed(damaged))
    with pytest.raises(BadRecipe, match="z: must be a parameter"):
        read(packed(zlib.compress(b"seed=7&z=AAAA")))


@given(st.text(max_size=80) | st.text(st.sampled_from("seedprompt=&v1z7%+#?"), max_size=60))
def test_any_text_is_a_recipe_or_a_sentence(text: str) -> None:
    try:
        assert read(write(read(text))) == read(text)
    except (BadValue, BadRecipe) as error:
        assert str(error).endswith((".", "?"))


def test_the_page_on_links_tells_the_truth() -> None:
    page = Path(__file__).parents[1] / "docs" / "links.md"
    done = doctest.testfile(str(page), module_relative=False)
    assert (done.failed, done.attempted) == (0, 5)
