"""Extra networks as words: A1111's forms, the words that name embeddings, lists of hashes, and what is said of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.growth import growth
from webui import networks
from webui.errors import BadValue
from webui.fingerprint import Fingerprint
from webui.networks import Lora, embeddings, read_hashes, write_hashes
from webui.prompt_schedule import networks as taken_out
from webui.recipe import Recipe


def loras(text: str) -> tuple[Lora, ...]:
    return networks.loras(taken_out(text)[1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<lora:ink>", Lora("ink", 1.0, 1.0)),
        ("<lora:ink:0.8>", Lora("ink", 0.8, 0.8)),
        ("<lyco:ink:0.8>", Lora("ink", 0.8, 0.8)),
        ("<lora:ink:0.8:0.5>", Lora("ink", 0.8, 0.5)),
        ("<lora:ink:te=0.2>", Lora("ink", 0.2, 0.2)),
        ("<lora:ink:unet=0.2>", Lora("ink", 1.0, 0.2)),
        ("<lora:ink:0.7:unet=-.2>", Lora("ink", 0.7, -0.2)),
        ("<lora:ink:te=0:unet=1>", Lora("ink", 0.0, 1.0)),
        ("<lora:my ink.v2: 1 >", Lora("my ink.v2", 1.0, 1.0)),
    ],
)
def test_forms(text: str, expected: Lora) -> None:
    assert loras(f"a {text} b") == (expected,)
    assert loras(str(expected)) == (expected,)


@pytest.mark.parametrize("text", ["loud", "", "1:2:3", "1:te=x", "dyn=4", "nan", "1e999", "101", "unet=", "0x1"])
def test_weights_that_are_none_are_a_sentence(text: str) -> None:
    with pytest.raises(BadValue, match=r"Prompt must be without LoRA weights .* got '<lora:ink:"):
        loras(f"<lora:ink:{text}>")


def test_weights_of_one_name_add_up_and_the_order_stays() -> None:
    assert loras("<lora:b:1:0><lora:a><lora:b:0.5>") == (Lora("b", 1.5, 0.5), Lora("a"))


NAMES = ["lake", "my lake", "Bad-Hand", "style_2", "12", "<cat>", "Über  Bild", "(odd)"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a lake", ["lake"]),
        ("lakes, moonlake, lake2", ["lake"]),
        ("lakes, moonlake", []),
        ("my lake and a LAKE", ["my lake", "lake"]),
        ("bad-hand, (BAD-HAND:1.3)", ["bad-hand"]),
        ("bad-hand-", ["bad-hand"]),
        ("bad--hand, bad-hander", []),
        ("style_2", ["style_2"]),
        ("3127", ["12"]),
        ("a <cat>!", []),
        ("a <cat> b", ["<cat>"]),
        ("über bild", ["über bild"]),
        (r"\(odd\) odd", ["(odd)"]),
        ("(la:1.2)ke", []),
        ("", []),
    ],
)
def test_words_that_name_embeddings(text: str, expected: list[str]) -> None:
    assert embeddings([text], NAMES) == expected


def test_comfyui_names_them_so() -> None:
    assert embeddings(["lake, embedding:Bad-Hand"], NAMES, profile="ComfyUI") == ["bad-hand"]


@given(st.dictionaries(
    st.text(st.sampled_from("abc, .-(湖"), min_size=1, max_size=9).map(lambda name: f"k{name}k"),
    st.text(st.sampled_from("0123456789abcdef"), min_size=4, max_size=64), max_size=5))  # fmt: skip
def test_lists_of_hashes_come_back(hashes: dict[str, str]) -> None:
    text = write_hashes(hashes)
    assert read_hashes(text) == hashes
    assert Recipe.of(seed=1, lora_hashes=text).lora_hashes == text


@pytest.mark.parametrize("text", ["ink", "ink:", "ink: xyz", "ink: abc", ": abcd"])
def test_what_is_no_list_of_hashes_is_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="Lora hashes must be a list such as ink: 0a1b2c3d4e5f"):
        Recipe.of(seed=1, lora_hashes=text)


@pytest.mark.parametrize("unit", ["a", "a: b, ", ":", " ", "ink: abcd,", "a:  "])
def test_reading_hashes_takes_linear_time(unit: str) -> None:
    def read(text: str) -> object:
        try:
            return read_hashes(text)
        except ValueError:
            return None

    assert growth(read, unit) < 1.5


def test_a_picture_is_pinned_to_the_files_it_was_made_with() -> None:
    made = Fingerprint("", "", "", "", "ab" * 32, "", "", f"ink: {'cd' * 32}", f"bad hand: {'ef' * 32}")
    pinned = Recipe.of(seed=1, prompt="<lora:ink>, bad hand").pinned(made)
    assert (pinned.model_hash, pinned.lora_hashes, pinned.embedding_hashes) == (
        "ababababab", "ink: cdcdcdcdcdcd", "bad hand: efefefefefef",
    )  # fmt: skip
    nothing = Fingerprint("", "", "", "", "", "", "")
    assert pinned.pinned(nothing) == pinned


def test_reasons() -> None:
    wanted = {"LoRA": {"ink": "abcd", "wash": "", "gone": "ffff"}, "embedding": {"bad": "1234"}}
    here = {"LoRA": {"ink": ("abcdef", "99"), "wash": ("77",)}, "embedding": {"bad": ("999912345678",), "lake": ("1",)}}
    assert [*networks.reasons(wanted, here)] == [
        "The picture does not say the hash of the LoRA wash: another file may have had that name.",
        "The LoRA gone with the hash ffff is not here.",
        "It was made with the embedding bad with the hash 1234, the one here has 999912345678: another file gives "
        "another picture.",
        "lake in its prompt names embedding lake here, which did not count when it was made.",
    ]
