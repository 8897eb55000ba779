"""Embeddings: a word that stands for vectors, as if the text encoder had known it; counted, weighed, kept together."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.lora_files import plain, written
from webui.engine.checkpoints import Catalog
from webui.engine.chunking import ROOM, Manner, Vector, chunks
from webui.engine.conditioning import PLAIN, Words
from webui.engine.diffusion import DiffusionEngine
from webui.engine.loading import clip_tokenizer
from webui.engine.noise import Stream
from webui.errors import NetworkError
from webui.networks import embeddings
from webui.recipe import Recipe

WIDTH = 32


def vectors(count: int, seed: int = 1) -> torch.Tensor:
    return Stream(seed, "NV", (count, WIDTH)).normal()


def small(family: str, prompt: str, negative: str = "", **changes: object) -> Recipe:
    return Recipe.of(
        **{"prompt": prompt, "negative_prompt": negative, "seed": 3, "steps": 2, "width": 64, "height": 64,
           "model": family, "sampler": "Euler", "cfg_scale": 3.0, **changes}
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("embeddings")
    written(found / "Bad-Hand.safetensors", {"emb_params": vectors(3)})
    written(found / "sub" / "bad.safetensors", {"string_to_param.*": vectors(2, 5)})
    written(found / "cat toy.safetensors", {"<cat-toy>": vectors(1, 6)[0]})
    written(found / "both.safetensors", {"clip_g": vectors(2, 7), "clip_l": vectors(2, 8)})
    written(found / "wide.safetensors", {"emb_params": torch.zeros(1, 768)})
    written(found / "long.safetensors", {"emb_params": torch.zeros(76, WIDTH)})
    written(found / "torn.safetensors", {"clip_g": vectors(2), "clip_l": vectors(3)})
    written(found / "other.safetensors", {"a": vectors(2), "b": vectors(3)})
    (found / "old.pt").write_bytes(b"\x80\x02.")
    return found


@pytest.fixture(scope="module")
def known(models: Path, folder: Path) -> dict[str, DiffusionEngine]:
    return {name: DiffusionEngine(Catalog(models, embeddings=folder), device="cpu") for name in ("sd1", "sdxl", "flux")}


@pytest.fixture
def reader(known):
    found = known["sd1"]._model("sd1", "").family.reader
    yield found
    found.words = PLAIN


def as_tokens(reader, encoder, text: str, added: dict[str, torch.Tensor]) -> torch.Tensor:
    """Encode a text with a copy of an encoder whose table has further rows: ``{new token: its vector}`` by hand."""
    taught = copy.deepcopy(encoder)
    table = taught.get_input_embeddings()
    rows = torch.cat([table.weight.data, torch.stack(list(added.values()))])
    table.weight, table.num_embeddings = torch.nn.Parameter(rows), len(rows)
    numbers = {name: len(rows) - len(added) + at for at, name in enumerate(added)}
    tokenizer = reader.tokenizers[0]
    ids = [tokenizer.bos_token_id]
    for word in text.split():
        plain = tokenizer(word, add_special_tokens=False).input_ids
        ids += [numbers[word]] if word in numbers else plain
    ids += [tokenizer.eos_token_id] * (77 - len(ids))
    with torch.inference_mode():
        return taught(torch.tensor([ids])).last_hidden_state


def test_vectors_stand_where_the_word_stands(known, reader):
    found = vectors(3)
    reader.words = Words("one", {"bad-hand": (found,)})
    encoder = plain(known["sd1"], "sd1").text_encoder
    expected = as_tokens(reader, encoder, "a v0 v1 v2 at night", {f"v{n}": found[n] for n in range(3)})
    read = reader.read("a Bad-Hand at night", 1).tokens
    assert torch.allclose(read, expected, atol=1e-6)
    assert not torch.allclose(read, as_tokens(reader, encoder, "a bad-hand at night", {"x": found[0]}))


def test_the_table_is_as_it_was_afterwards(reader):
    before = reader.read("a bad-hand", 1).tokens.clone()
    reader.words = Words("one", {"bad-hand": (vectors(3),)})
    changed = reader.read("a bad-hand", 1).tokens
    reader.words = PLAIN
    assert torch.equal(before, reader.read("a bad-hand", 1).tokens) and not torch.equal(before, changed)
    reader._cache.clear()
    assert torch.equal(before, reader.read("a bad-hand", 1).tokens)


def test_the_texts_of_other_steps_are_read_with_it(reader):
    """What restores the mean of them together is remembered with the embeddings it was computed with."""
    texts = ("a (bad-hand:1.4)", "a lake")
    words = (PLAIN, Words("one", {"bad-hand": (vectors(3),)}), Words("two", {"bad-hand": (vectors(3, 9),)}), PLAIN)
    found = []
    for reader.words in words:
        found.append(reader.read(texts[1], 1, beside=texts).tokens)
    assert torch.equal(found[0], found[3])
    assert not torch.equal(found[0], found[1]) and not torch.equal(found[1], found[2])


def test_the_longest_name_counts_and_weights_apply(reader):
    (chunk,) = chunks(reader.tokenizers[0], "a bad (bad-hand:1.5)", embeddings={"bad": 2, "bad-hand": 3})
    (word, *_) = chunk.tokens
    assert chunk.tokens == (word, *(Vector("bad", n) for n in range(2)), *(Vector("bad-hand", n) for n in range(3)))
    assert chunk.weights == (1.0,) * 3 + (1.5,) * 3


def test_comfyuis_words(reader):
    """A name that says what it is, in words of its own; one that is long goes on in the next chunk, as all words do."""
    manner, sizes = Manner(profile="ComfyUI"), {"cat toy": 3, "long": 20}
    (chunk,) = chunks(reader.tokenizers[0], "a cat toy, (embedding:cat toy:1.5)", manner, sizes)
    plain = len(reader.tokenizers[0]("a cat toy,", add_special_tokens=False).input_ids)
    assert chunk.tokens[plain:] == tuple(Vector("cat toy", n) for n in range(3))
    assert chunk.weights == (1.0,) * plain + (1.5,) * 3
    first, second = chunks(reader.tokenizers[0], "lake " * 73 + "embedding:cat toy", manner, sizes)
    assert (len(first.tokens), len(second.tokens)) == (73, 3)
    first, second = chunks(reader.tokenizers[0], "lake " * 73 + "embedding:long", manner, sizes)
    assert (len(first.tokens), len(second.tokens)) == (75, 18)


def test_vectors_stay_in_one_chunk(reader):
    """Those that do not fit begin the next one, and the comma before them stays where it is, as in A1111."""
    text = "lake, " * 36 + "bad-hand lake"
    first, second = chunks(reader.tokenizers[0], text, embeddings={"bad-hand": 5})
    assert len(first.tokens) == 72
    assert second.tokens[:5] == tuple(Vector("bad-hand", n) for n in range(5)) and len(second.tokens) == 6
    (whole,) = chunks(reader.tokenizers[0], "bad-hand", embeddings={"bad-hand": ROOM})
    assert len(whole.tokens) == ROOM


@pytest.fixture(scope="module")
def clip():
    return clip_tokenizer()


@settings(deadline=None)
@given(st.text(st.sampled_from("ab -_1,"), max_size=20), st.lists(st.text(st.sampled_from("ab -_1"), max_size=4)))
def test_what_is_said_to_be_used_is_what_the_encoder_gets(clip, text, names):
    """The words that count by their letters are those that count by the tokens of CLIP's tokenizer."""
    said = embeddings([text], names)
    read = chunks(clip, text, embeddings=dict.fromkeys(said, 1))
    assert {token.name for chunk in read for token in chunk.tokens if isinstance(token, Vector)} == set(said)


def test_they_are_counted(known):
    engine = known["sd1"]
    engine._model("sd1", "")
    assert engine.count_tokens("bad-hand", "sd1") == (3, 75)
    assert engine.count_tokens("a (BAD-HAND:1.2), bad", "sd1") == (1 + 3 + 1 + 2, 75)
    assert engine.count_tokens("[bad-hand:lake:0.5] <lora:bad:1>", "sd1") == (3, 75)
    assert engine.count_tokens("a wide", "sd1")[0] == 2


@pytest.mark.parametrize("recipe", [
    small("sd1", "a house, bad-hand"), small("sd1", "a house", "Bad-Hand"), small("sd1", "a cat toy"),
    small("sdxl", "a both house"), small("sdxl", "a house", "both"),
], ids=lambda recipe: f"{recipe.model} {recipe.prompt} / {recipe.negative_prompt}")  # fmt: skip
def test_pictures_with_and_without(engines, known, pixels, recipe):
    """Another picture than the words alone give, the same one each time, and nothing left for the next."""
    words, plain = pixels(engines[recipe.model], recipe), small(recipe.model, "a lake")
    before = pixels(known[recipe.model], plain)
    first = pixels(known[recipe.model], recipe)
    assert not np.array_equal(first, words)
    assert np.array_equal(before, pixels(known[recipe.model], plain))
    assert np.array_equal(first, pixels(known[recipe.model], recipe))


def test_what_is_not_read_is_not_used(known):
    """At CFG scale 1 the negative prompt is not read; the fingerprint names what was used and nothing else."""
    engine = known["sd1"]
    for recipe, expected in (
        (small("sd1", "a house", "bad-hand", cfg_scale=1.0), []),
        (small("sd1", "a house, bad", "bad-hand"), ["bad", "bad-hand"]),
        (small("sd1", "a badly handled [house:bad-hand:0]"), ["bad-hand"]),
    ):
        *_, last = engine.generate(recipe)
        assert [part.split(":")[0] for part in last.fingerprint.embeddings.split(", ") if part] == expected


def test_sdxl_reads_both_parts(known):
    family = known["sdxl"]._model("sdxl", "").family
    reader, given = family.reader, (vectors(2, 8), vectors(2, 7))
    reader.words = Words("both", {"both": given})
    read = reader.read("a both", 1)
    reader.words = PLAIN
    pipe = plain(known["sdxl"], "sdxl")
    encoders = (pipe.text_encoder, pipe.text_encoder_2)
    for encoder, part, own in zip(encoders, read.tokens.split(WIDTH, -1), given, strict=True):
        taught = copy.deepcopy(encoder)
        table = taught.get_input_embeddings()
        table.weight = torch.nn.Parameter(torch.cat([table.weight.data, own]))
        tokenizer = reader.tokenizers[0]
        start = [tokenizer.bos_token_id, *tokenizer("a", add_special_tokens=False).input_ids]
        ids = [*start, len(table.weight) - 2, len(table.weight) - 1]
        ids += [tokenizer.eos_token_id] * (77 - len(ids))
        with torch.inference_mode():
            expected = taught(torch.tensor([ids]), output_hidden_states=True).hidden_states[-2]
        assert torch.allclose(part, expected, atol=1e-6)


REFUSED = {
    "wide": r"wide\.safetensors is for SD 1\.x; the model sd1 reads text of 32 numbers a token",
    "both": r"both\.safetensors is for a model that reads text of 64 numbers a token",
    "long": r"long\.safetensors has 76 vectors; an embedding must have from 1 to 75",
    "torn": r"torn\.safetensors is a damaged embedding",
    "other": r"other\.safetensors is not an embedding that is read: it holds 2 tensors",
    "old": r"old\.pt is a pickle",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_a_sentence(known, name):
    with pytest.raises(
        NetworkError, match=f"Negative prompt must be without embeddings .*; got '{name}'. {REFUSED[name]}"
    ):
        list(known["sd1"].generate(small("sd1", "a house", f"fog, {name}")))


def test_a_model_without_clip_alone_is_a_sentence(known):
    with pytest.raises(NetworkError, match="the model flux is of the Flux kind"):
        list(known["flux"].generate(small("flux", "a bad house")))
