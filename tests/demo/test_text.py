"""Tokenizer and text encoder: every text can be encoded, and known words are whole."""

from pathlib import Path

import pytest
import torch
from transformers import CLIPTextModel, CLIPTokenizer

from webui.demo.captions import vocabulary
from webui.demo.text import LENGTH, learn_merges, make_encoder, make_tokenizer, read_earlier, take_over, tokenize


@pytest.fixture(scope="module")
def tokenizer(words_work: Path) -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(words_work / "tokenizer")


def test_known_words_are_one_token_each(tokenizer: CLIPTokenizer):
    for word in sorted(vocabulary()):
        if word.isalpha():
            assert len(tokenizer(word).input_ids) == 3, word


def test_the_empty_text_is_start_and_end(tokenizer: CLIPTokenizer):
    assert tokenizer("").input_ids == [len(tokenizer) - 2, len(tokenizer) - 1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "qwxzt",
        "a unicorn, 4k!!",
        "ein Schloß am See",
        "🦆🌙",
        "城",
        "a\x00b",
        "(snow:1.5) [rain] \\( AND BREAK",
        "ducks " * 500,
    ],
)
def test_every_text_becomes_77_known_tokens(tokenizer: CLIPTokenizer, words_work: Path, text: str):
    ids = tokenize(tokenizer, [text])
    assert ids.shape == (1, LENGTH)
    assert int(ids.min()) >= 0 and int(ids.max()) < len(tokenizer)
    with torch.no_grad():
        hidden = CLIPTextModel.from_pretrained(words_work / "text_encoder")(ids).last_hidden_state
    assert hidden.shape == (1, LENGTH, 128) and bool(torch.isfinite(hidden).all())


def test_capitals_do_not_matter(tokenizer: CLIPTokenizer):
    assert tokenizer("A Castle AT Night").input_ids == tokenizer("a castle at night").input_ids


def test_unknown_letters_are_kept_apart(tokenizer: CLIPTokenizer):
    assert tokenizer("qwxzt").input_ids != tokenizer("qwxzv").input_ids
    assert tokenizer.decode(tokenizer("unicorn").input_ids, skip_special_tokens=True).strip() == "unicorn"


def test_merges_make_words_whole_the_common_pair_first():
    merges = learn_merges({"ab", "cab", "abc"})
    assert merges[0] == ("a", "b</w>") or merges[0] == ("a", "b")
    assert {a + b for a, b in merges} >= {"ab</w>", "cab</w>", "abc</w>"}


def test_a_larger_vocabulary_takes_over_what_a_smaller_one_learned() -> None:
    """As after `adopt`, when captions have new words: known words keep what they mean, new ones begin."""
    old = make_encoder(6, seed=1)
    new = make_encoder(8, seed=2)
    take_over(new, {t: k for k, t in enumerate("abNcMdSE")}, old, {t: k for k, t in enumerate("abcdSE")})
    assert torch.equal(
        new(torch.tensor([[6, 0, 3, 7]])).last_hidden_state, old(torch.tensor([[4, 0, 2, 5]])).last_hidden_state
    )
    fresh = make_encoder(8, seed=2)
    assert torch.equal(new.get_input_embeddings().weight[2], fresh.get_input_embeddings().weight[2])


def test_a_tokenizer_without_its_encoder_is_told(tmp_path: Path) -> None:
    assert read_earlier(tmp_path) is None
    tokens = len(make_tokenizer(tmp_path / "tokenizer"))
    make_encoder(tokens - 1, seed=1).save_pretrained(tmp_path / "text_encoder")
    with pytest.raises(ValueError, match=f"knows {tokens - 1} tokens and the tokenizer {tokens}: run `adopt` again"):
        read_earlier(tmp_path)
