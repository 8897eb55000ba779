"""Prompts as the network reads them: emphasis, chunks, BREAK, clip skip, and the equality that caching rests on."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from webui import prompt
from webui.engine import script
from webui.engine.chunking import Chunk, Manner, chunks
from webui.engine.conditioning import Embedding, emphasise, interpolate, match, variants
from webui.errors import BadValue
from webui.recipe import Recipe


@pytest.fixture(scope="module")
def reader(engine):
    return engine._model("reseed", "").family.reader


@pytest.fixture(scope="module")
def tokenizer(reader):
    return reader.tokenizers[0]


def lengths(tokenizer, text: str) -> list[int]:
    return [len(chunk.tokens) for chunk in chunks(tokenizer, text)]


def test_empty_prompt_is_one_empty_chunk(tokenizer):
    assert chunks(tokenizer, "") == [Chunk((), ())]
    assert chunks(tokenizer, "   ") == [Chunk((), ())]


def test_unweighted_prompt_is_what_the_encoder_says(reader, tokenizer):
    ids = tokenizer("a lake at night", padding="max_length", max_length=77, return_tensors="pt").input_ids
    with torch.inference_mode():
        expected = reader.encoders[0](ids).last_hidden_state
    assert torch.equal(reader.read("a lake at night", 1).tokens, expected)


def test_chunks_of_75(tokenizer):
    words = " ".join(["lake"] * 150)
    assert len(tokenizer("lake", add_special_tokens=False).input_ids) == 1
    assert lengths(tokenizer, words) == [75, 75]
    assert lengths(tokenizer, words + " night") == [75, 75, 1]


def test_a_full_chunk_is_broken_after_a_near_comma(tokenizer):
    near = " ".join(["lake"] * 65) + ", " + " ".join(["night"] * 20)
    far = " ".join(["lake"] * 30) + ", " + " ".join(["night"] * 60)
    assert lengths(tokenizer, near) == [66, 20]
    assert lengths(tokenizer, far) == [75, 16]


def test_a_comma_that_comes_next_stays_with_its_words(tokenizer):
    text = " ".join(["lake"] * 60) + ", " + " ".join(["lake"] * 14) + ", night"
    assert lengths(tokenizer, text) == [75, 2]


def test_break_begins_a_chunk(tokenizer):
    assert lengths(tokenizer, "lake BREAK night sky") == [1, 2]
    assert lengths(tokenizer, "lake BREAK BREAK night") == [1, 0, 1]
    assert lengths(tokenizer, "lake BREAK") == [1]


COMFYUI = Manner(profile="ComfyUI")


def test_comfyui_breaks_chunks_between_words(tokenizer):
    def comfyui(text: str) -> list[int]:
        return [len(chunk.tokens) for chunk in chunks(tokenizer, text, COMFYUI)]

    lakes = " ".join(["lake"] * 73)
    short, long = "xqz", "xqzvkjw" * 2
    assert [len(tokenizer(word, add_special_tokens=False).input_ids) for word in (short, long)] == [3, 14]
    assert lengths(tokenizer, f"{lakes} {short}") == [75, 1]
    assert comfyui(f"{lakes} {short}") == [73, 3]
    assert comfyui(f"{lakes} ({short}:1.2)") == [73, 3]
    assert comfyui(f"{lakes} {long}") == [75, 12]
    assert comfyui(" ".join(["lake"] * 65) + ", " + " ".join(["night"] * 20)) == [75, 11]
    assert comfyui("lake BREAK night") == [2 + len(tokenizer("BREAK", add_special_tokens=False).input_ids)]
    assert comfyui("") == comfyui(" \n ") == [0]
    assert comfyui("x" * 600) == [75] * (len(tokenizer("x" * 600, add_special_tokens=False).input_ids) // 75) + (
        [rest] if (rest := len(tokenizer("x" * 600, add_special_tokens=False).input_ids) % 75) else []
    )


@given(st.lists(st.sampled_from(["lake", "night,", "xqz", "xqzvkjwbnm", "xqzvkjw" * 2, "(sky:1.3)"]), max_size=120))
@settings(max_examples=60, deadline=None)
def test_comfyui_loses_no_token_and_no_weight(tokenizer, words):
    text = " ".join(words)
    (whole,) = ([token for chunk in found for token in zip(chunk.tokens, chunk.weights, strict=True)]
                for found in (chunks(tokenizer, text, COMFYUI),))  # fmt: skip
    spans = [span for section in prompt.parse(text, "Original", "ComfyUI") for span in section]
    expected = [(token, span.weight) for span in spans
                for token in tokenizer(span.text, add_special_tokens=False).input_ids]  # fmt: skip
    assert whole == expected
    assert all(len(chunk.tokens) <= 75 for chunk in chunks(tokenizer, text, COMFYUI))


def test_weights_go_with_their_tokens(tokenizer):
    (chunk,) = chunks(tokenizer, "a (lake:1.5) [night]")
    assert chunk.weights == pytest.approx((1.0, 1.5, 1 / 1.1))


def test_500_words(reader):
    found = reader.read(" ".join(["lake, night"] * 250), 1)
    assert found.tokens.shape[1] % 77 == 0
    assert found.tokens.shape[1] >= 7 * 77
    assert torch.isfinite(found.tokens).all()


def test_emphasis_changes_the_embedding(reader):
    plain, weighted = (reader.read(text, 1).tokens for text in ("a lake at night", "a (lake:1.4) at night"))
    assert not torch.allclose(plain, weighted, atol=1e-2)


def test_emphasis_keeps_the_mean(engines):
    reader = engines["sd1"]._model("sd1", "").family.reader  # the bundled encoder has next to no mean
    plain, weighted = (reader.read(text, 1).tokens for text in ("a lake at night", "a (lake:1.4) at night"))
    assert not torch.allclose(plain, weighted)
    assert weighted.mean().item() == pytest.approx(plain.mean().item(), rel=1e-4)


def test_emphasise_by_hand():
    features = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    found = emphasise(features, (1.0, 2.0))
    assert torch.allclose(found, torch.tensor([[[1.0, 2.0], [6.0, 8.0]]]) * (2.5 / 4.25))


def test_emphasise_without_a_mean_to_restore():
    """A mean that is nothing beside the values is left alone: dividing by it would blow up the features."""
    features = torch.tensor([[[1.0, -1.0], [2.0, -2.0 + 1e-7]]])
    found = emphasise(features, (1.0, 1.5))
    assert torch.allclose(found, torch.tensor([[[1.0, -1.0], [3.0, -3.0]]]), atol=1e-5)


LONG = " ".join(["lake"] * 80)


def test_texts_of_one_prompt_restore_their_mean_together(engines):
    """As one batch does in A1111: by hand, from features without emphasis, each text as often as it stands there."""
    reader = engines["sd1"]._model("sd1", "").family.reader
    said = ("a (lake:1.6) at night", "a (house:0.4)", "a (lake:1.6) at night")
    plain = [reader.read(text, 1, "Ignore").tokens.double() for text in said]
    weighed = [reader.read(text, 1, "No norm").tokens.double() for text in said]
    scale = torch.cat(plain).mean() / torch.cat(weighed).mean()
    for text, tokens in zip(said, weighed, strict=True):
        found = reader.read(text, 1, beside=said).tokens.double()
        assert torch.allclose(found, tokens * scale, rtol=1e-5, atol=1e-6)
        assert not torch.allclose(found, reader.read(text, 1).tokens.double(), rtol=1e-4)
        assert torch.equal(reader.read(text, 1, "No norm", beside=said).tokens.double(), tokens)


def test_a_text_beside_itself_is_alone(reader):
    assert reader.read("a (lake:1.4)", 1, beside=("a (lake:1.4)",) * 3) is reader.read("a (lake:1.4)", 1)


def test_texts_of_one_prompt_have_the_chunks_of_the_longest(reader):
    found = reader.read("a lake", 1, beside=("a lake", LONG)).tokens
    alone, empty = reader.read("a lake", 1).tokens, reader.read("", 1).tokens
    assert torch.equal(found, torch.cat([alone, empty], dim=1))
    assert torch.equal(reader.read(LONG, 1, beside=("a lake", LONG)).tokens, reader.read(LONG, 1).tokens)


def test_a_prompt_with_schedules_is_read_with_all_it_says(engines):
    family = engines["sd1"]._model("sd1", "").family
    text = "a [(lake:1.6)|(house:0.4)|(lake:1.6)]"
    recipe = Recipe.of(prompt=text, negative_prompt="fog", seed=1, steps=4, width=64, height=64, cfg_scale=3.0)
    read = script.read(recipe)
    said = ("a (lake:1.6)", "a (house:0.4)", "a (lake:1.6)", "a (lake:1.6)")
    assert read.said == (("fog",), said)
    ((_, positive),) = family._groups(recipe, read, read.at(1))
    assert torch.equal(positive.tokens, family.reader.read("a (lake:1.6)", 1, beside=said).tokens)


def test_weights_of_one_leave_every_bit(reader):
    assert torch.equal(reader.read("(lake:1.0) night", 1).tokens, reader.read("(lake:1) night", 1).tokens)
    features = torch.full((1, 2, 3), 0.1)
    assert emphasise(features, (1.0, 1.0)) is features


def test_clip_skip_reads_an_earlier_layer_through_the_final_norm(reader, tokenizer):
    ids = tokenizer("a lake", padding="max_length", max_length=77, return_tensors="pt").input_ids
    encoder = reader.encoders[0]
    with torch.inference_mode():
        layers = encoder(ids, output_hidden_states=True).hidden_states
        expected = encoder.final_layer_norm(layers[-2])
    assert torch.equal(reader.read("a lake", 2).tokens, expected)
    assert not torch.allclose(reader.read("a lake", 1).tokens, expected)


def test_clip_skip_beyond_the_encoder(reader):
    with pytest.raises(BadValue, match=r"Clip skip must be at most 3 for this model.*got 4"):
        reader.read("a lake", 4)


def test_sdxl_clip_skip(engines):
    reader = engines["sdxl"]._model("sdxl", "").family.reader
    first, second, third = (reader.read("a lake", skip).tokens for skip in (1, 2, 3))
    assert torch.equal(first, second)  # as A1111: SDXL's own minimum is 2
    assert not torch.allclose(second, third)


def test_sdxl_pooled_is_of_the_first_chunk_and_unweighted(engines):
    reader = engines["sdxl"]._model("sdxl", "").family.reader
    plain, weighted, longer = (reader.read(text, 1) for text in ("lake", "(lake:1.5)", "lake BREAK night"))
    assert plain.tokens.shape == (1, 77, 64)
    assert torch.equal(plain.pooled, weighted.pooled)
    assert torch.equal(plain.pooled, longer.pooled)
    assert longer.tokens.shape == (1, 154, 64)


def test_cache_is_bit_equal_and_small(reader):
    first = reader.read("a desert at dawn", 1).tokens.clone()
    for number in range(40):
        reader.read(f"number {number}", 1)
    assert len(reader._cache) == 16
    assert torch.equal(first, reader.read("a desert at dawn", 1).tokens)


def test_match_repeats_to_the_least_common_length():
    two, three = (Embedding(torch.arange(n * 77.0).view(1, -1, 1)) for n in (2, 3))
    first, second = match(two, three)
    assert first.tokens.shape == second.tokens.shape == (1, 6 * 77, 1)
    assert torch.equal(first.tokens[:, : 2 * 77], first.tokens[:, 2 * 77 : 4 * 77])


def test_repeating_does_not_change_what_the_network_says(engine):
    """Attention over repeated keys is the same average; so a long negative prompt does not change the positive one."""
    unet = engine._model("reseed", "").family.pipe.unet
    reader = engine._model("reseed", "").family.reader
    tokens = reader.read("a lake at night", 1).tokens
    channels = unet.config.in_channels
    x = torch.linspace(-1, 1, channels * 64).view(1, channels, 8, 8)
    with torch.inference_mode():
        once, thrice = (unet(x, 500, encoder_hidden_states=tokens.repeat(1, n, 1)).sample for n in (1, 3))
    assert torch.allclose(once, thrice, atol=2e-5)


def test_count(reader):
    assert reader.count("") == (0, 75)
    assert reader.count("a lake, (night:1.2)") == (4, 75)
    assert reader.count("lake BREAK night") == (2, 150)


def test_count_is_the_most_of_all_steps_and_parts(reader):
    assert reader.count("[a lake:night:0.5]") == reader.count("a lake")
    assert reader.count("[a|b|a lake, night]") == reader.count("a lake, night")
    assert reader.count("night AND a lake, night") == reader.count("a lake, night")
    assert reader.count("a lake <lora:watercolour:0.8>") == reader.count("a lake ")


def test_variants():
    assert variants("a") == ["a"]
    assert variants("[a:b:0.5] AND [c|d]") == ["a", "b", "c", "d"]
    many = variants("[" + "|".join("x" * n for n in range(40)) + "]")
    assert len(many) == 8 and many[-1] == "x" * 39


@pytest.fixture(scope="module")
def strong(engines):
    """A reader whose features have a mean; the bundled encoder has next to none."""
    return engines["sd1"]._model("sd1", "").family.reader


def test_no_norm_multiplies_and_leaves_the_mean(strong):
    plain = strong.read("a (lake:1.0) at night", 1).tokens
    found = strong.read("a (lake:1.4) at night", 1, "No norm").tokens
    (chunk,) = chunks(strong.tokenizers[0], "a (lake:1.4) at night")
    weights = torch.ones(77)
    weights[1 : 1 + len(chunk.tokens)] = torch.tensor(chunk.weights)
    assert torch.equal(found, plain * weights[None, :, None])
    assert found.mean() != pytest.approx(plain.mean().item(), rel=1e-6)


def test_ignore_is_the_prompt_without_weights(strong):
    assert torch.equal(
        strong.read("a (lake:1.4) at night", 1, "Ignore").tokens, strong.read("a (lake:1.0) at night", 1).tokens
    )


def test_none_reads_the_brackets_as_words(strong):
    tokenizer = strong.tokenizers[0]
    text = "a (lake:1.4) BREAK night"
    ids = tokenizer(text, padding="max_length", max_length=77, return_tensors="pt").input_ids
    with torch.inference_mode():
        expected = strong.encoders[0](ids).last_hidden_state
    assert torch.equal(strong.read(text, 1, "None").tokens, expected)


def test_the_manners_differ_where_there_is_a_weight_and_only_there(strong):
    ways = [
        ("Original", "A1111"),
        ("No norm", "A1111"),
        ("Ignore", "A1111"),
        ("None", "A1111"),
        ("Original", "ComfyUI"),
    ]
    found = [strong.read("a (lake:1.4) at night", 1, *way).tokens for way in ways]
    assert all(not torch.equal(a, b) for index, a in enumerate(found) for b in found[:index])
    same = [strong.read("a lake, night", 1, *way).tokens for way in ways]
    assert all(torch.equal(same[0], other) for other in same[1:])


def test_forge_reads_as_a1111(strong):
    text = "a (lake:1.4), [night]"
    assert torch.equal(strong.read(text, 1).tokens, strong.read(text, 1, "Original", "Forge").tokens)


def test_comfyui_weighs_between_the_empty_prompt_and_the_word(strong):
    empty, plain = strong.read("", 1).tokens, strong.read("a lake", 1).tokens
    doubled, none = (strong.read(f"(a lake:{w})", 1, "Original", "ComfyUI").tokens for w in (2, 0))
    assert torch.allclose(doubled[:, 1:3], empty[:, 1:3] + 2 * (plain - empty)[:, 1:3], atol=1e-6)
    assert torch.allclose(none[:, 1:3], empty[:, 1:3], atol=1e-6)
    assert torch.equal(doubled[:, 3:], plain[:, 3:])


def test_interpolate_by_hand():
    features, empty = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), torch.ones(1, 2, 2)
    assert torch.equal(interpolate(features, empty, (1.0, 2.0)), torch.tensor([[[1.0, 2.0], [5.0, 7.0]]]))


def test_the_cache_knows_the_manner(strong):
    ways = ("Original", "No norm", "Original")
    first, other, again = (strong.read("(dawn:1.3) x", 1, way).tokens for way in ways)
    assert torch.equal(first, again) and not torch.equal(first, other)
