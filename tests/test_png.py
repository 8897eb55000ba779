"""PNG texts come back as written; a stranger's file never does harm and always ends in a sentence."""

import io
import json
import struct
import sys
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from tests.strategies import RECIPES
from webui import png
from webui.dialects import SILENCE
from webui.errors import PictureError
from webui.fingerprint import Fingerprint
from webui.recipe import Recipe

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300)
MADE_BY = Fingerprint("Reseed 1", "2.13.0", "0.42.1", "reseed", "ab" * 32, "cpu", "float32")
ID = "0123456789abcdef" * 2
INFOTEXT = (
    "a house by a lake, 湖\nNegative prompt: fog\nSteps: 20, Sampler: Euler a, Schedule type: Karras, CFG scale: 7.5, "
    "Seed: 4294967295, Size: 640x448, Model hash: 6ce0161689, Model: v1-5"
)


def picture(size: tuple[int, int] = (8, 8), color: str = "red") -> Image.Image:
    return Image.new("RGB", size, color)


def ours(made: Recipe, changes: dict[str, object] | None = None) -> bytes:
    texts = png.texts_of(made, MADE_BY, pixels_sha256="0" * 64, id=ID, origin="job:3", created="2026-01-02T03:04:05Z")
    chunk = json.loads(texts["recipe"])
    return png.encode(picture(), {**texts, "recipe": json.dumps({**chunk, **(changes or {})})})


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunks(*chunks: bytes, before: bool = True) -> bytes:
    """A small PNG with chunks put in after its header, or before its end."""
    data = png.encode(picture(), {})
    at = 33 if before else len(data) - 12
    return data[:at] + b"".join(chunks) + data[at:]


# Round trips


@given(st.dictionaries(st.sampled_from(["parameters", "recipe", "a", "Ähm"]), TEXT))
def test_texts_come_back(texts: dict[str, str]) -> None:
    data = png.encode(picture(), texts)
    assert png.read_texts(data) == texts
    assert Image.open(io.BytesIO(data)).text == texts  # type: ignore[attr-defined]


@given(RECIPES)
@settings(max_examples=60)
def test_a_recipe_comes_back(recipe: Recipe) -> None:
    found = png.read(ours(recipe), whole=True)
    assert found.recipe == recipe
    assert found.fingerprint == MADE_BY
    assert (found.id, found.origin, found.created) == (ID, "job:3", "2026-01-02T03:04:05Z")
    assert (found.pixels_sha256, found.source) == ("0" * 64, "Reseed")


@pytest.mark.parametrize("letter", ["a", "é", "漢", "🦆", "\x01", '"', "\\", "\n"])
def test_the_longest_prompts_come_back(letter: str) -> None:
    recipe = Recipe.of(prompt=letter * 10_000, negative_prompt=letter * 10_000, seed=2**64 - 1)
    assert png.read(ours(recipe)).recipe == recipe


def test_infotext_inside_a_prompt_stays_a_prompt() -> None:
    recipe = Recipe.of(prompt="x\nNegative prompt: y\nSteps: 1, Seed: 2, Sampler: DDIM", seed=5)
    assert png.read(ours(recipe)).recipe == recipe


def test_texts_are_plain_and_before_the_pixels() -> None:
    data = png.encode(picture(), {"parameters": "a lake", "recipe": "湖"})
    assert (
        data.index(b"tEXtparameters\0a lake")
        < data.index(b"iTXtrecipe\0\0\0\0\0" + "湖".encode())
        < data.index(b"IDAT")
    )


def test_text_that_a_png_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        png.encode(picture(), {"parameters": "a\0b"})
    with pytest.raises(UnicodeEncodeError):
        png.encode(picture(), {"parameters": "\ud800"})


def test_the_pixel_hash_sees_pixels_and_nothing_else() -> None:
    red = png.pixels_sha256(picture())
    assert red == png.pixels_sha256(Image.open(io.BytesIO(png.encode(picture(), {"a": "b"}))))
    assert len({red, png.pixels_sha256(picture(color="blue")), png.pixels_sha256(picture((4, 16)))}) == 3


# Our chunk, tampered with


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"version": 2}, "newer Reseed"),
        ({"version": None}, "newer Reseed"),
        ({"recipe": None}, "lacks a part"),
        ({"fingerprint": []}, "lacks a part"),
        ({"id": "../../etc/passwd"}, "lacks a part"),
        ({"pixels_sha256": "x"}, "lacks a part"),
        ({"origin": 7}, "lacks a part"),
        ({"origin": "x" * 201}, "lacks a part"),
        ({"recipe": {"version": 99, "seed": "1"}}, "version 99"),
        ({"recipe": {"version": 1, "seed": 1.5}}, "Seed must be"),
        ({"recipe": {"version": 1, "seed": "1", "steps": 0}}, "Steps must be"),
        ({"recipe": {"version": 1, "seed": "1", "sigma": 3}}, "sigma"),
        ({"recipe": {"version": 1}}, "Seed must be"),
    ],
)
def test_a_bad_chunk_is_a_sentence(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(PictureError, match=sentence):
        png.read(ours(Recipe.of(seed=1), changes))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "NaN",
        "[" * 3000,
        '{"format": "reseed", "version": NaN}',
        '{"format": 1, "format": "reseed"}',
        "9" * 5000,
    ],
)
def test_json_that_is_none_is_a_sentence(text: str) -> None:
    with pytest.raises(PictureError, match="not readable JSON"):
        png.read(png.encode(picture(), {"recipe": text}))


def test_another_program_may_use_the_same_key() -> None:
    found = png.read(png.encode(picture(), {"recipe": '{"flour": 500}', "parameters": INFOTEXT}))
    assert found.recipe is None
    assert found.reading is not None


# Files of other programs


@pytest.mark.parametrize(
    ("version", "extra", "source"),
    [
        (", Version: v1.10.1", {}, "A1111"),
        ("", {}, "A1111"),
        (", Version: f2.0.1v1.10.1-previous-669", {}, "Forge"),
        (", Version: neo", {}, "Forge"),
        (", App: SD.Next, Version: 1", {}, "SD.Next"),
        (", Version: ComfyUI", {}, "ComfyUI"),
        ("", {"workflow": "{}", "prompt": "{}"}, "ComfyUI"),
        (", Version: Reseed 0.1.0", {}, "Reseed"),
    ],
)
def test_the_program_is_named(version: str, extra: dict[str, str], source: str) -> None:
    found = png.read(png.encode(picture(), {**extra, "parameters": INFOTEXT + version}))
    assert found.source == source
    assert found.reading is not None
    assert found.reading.values["width"] == 640


def test_invokeai() -> None:
    data = {
        "positive_prompt": "湖", "negative_prompt": "fog", "seed": 42, "steps": 30, "cfg_scale": 7.5, "width": 768,
        "height": 512, "scheduler": "dpmpp_2m_k", "clip_skip": 0, "rand_device": "cpu", "app_version": "6.14.0",
        "model": {"name": "dreamshaper", "hash": "blake3:00", "base": "sd-1"}, "loras": [],
    }  # fmt: skip
    found = png.read(png.encode(picture(), {"invokeai_metadata": json.dumps(data)}))
    assert found.source == "InvokeAI"
    assert found.reading is not None
    assert found.infotext == json.dumps(data)
    values = found.reading.values
    assert {name: values[name] for name in values if name not in SILENCE} == {
        "prompt": "湖", "negative_prompt": "fog", "seed": 42, "steps": 30, "cfg_scale": 7.5, "width": 768,
        "height": 512, "sampler": "DPM++ 2M", "schedule": "Karras", "rng": "CPU",
        "model": "dreamshaper", "profile": "A1111",
    }  # fmt: skip
    assert found.reading.values["clip_skip"] == 1
    assert found.reading.rest == {"app_version": "6.14.0", "model": json.dumps(data["model"])}
    odd = png.read(png.encode(picture(), {"invokeai_metadata": '{"scheduler": "tcd", "seed": -1, "steps": "x"}'}))
    assert odd.reading is not None
    assert {problem.field for problem in odd.reading.problems} == {"sampler", "seed", "steps"}


def test_the_notes_of_a_foreign_picture() -> None:
    found = png.read(png.encode(picture(), {"parameters": INFOTEXT + ", Version: f2.0.1v1.10.1"}))
    assert found.reading is not None
    assert found.reading.values["profile"] == "Forge"
    assert found.reading.notes[0] == "Made by Forge 2.0.1: its arithmetic is used."


def test_compressed_texts_and_texts_after_the_pixels_are_read() -> None:
    packed = zlib.compress(INFOTEXT.encode())
    latin = zlib.compress(b"caf\xe9")
    assert png.read(with_chunks(chunk(b"iTXt", b"parameters\0\1\0\0\0" + packed))).infotext == INFOTEXT
    assert png.read_texts(with_chunks(chunk(b"zTXt", b"parameters\0\0" + latin))) == {"parameters": "café"}
    late = chunk(b"tEXt", b"parameters\0late")
    assert png.read_texts(with_chunks(late, before=False)) == {"parameters": "late"}
    early = with_chunks(chunk(b"tEXt", b"parameters\0early"))
    assert png.read_texts(early[:-12] + late + early[-12:]) == {"parameters": "early"}


def test_of_equal_keys_the_first_wins() -> None:
    twice = with_chunks(chunk(b"tEXt", b"parameters\0first"), chunk(b"tEXt", b"parameters\0second"))
    assert png.read_texts(twice) == {"parameters": "first"}


# Files that are not what they seem


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ({}, "carries no recipe"),
        ({"Software": "x"}, "carries no recipe"),
        ({"workflow": "{}", "prompt": "{}"}, "ComfyUI workflow"),
        ({"parameters": '{"sui_image_params": {}}'}, "carries no recipe"),
        ({"invokeai_metadata": "nonsense"}, "carries no recipe"),
    ],
)
def test_a_picture_without_a_recipe(texts: dict[str, str], sentence: str) -> None:
    with pytest.raises(png.NoRecipe, match=sentence):
        png.read(png.encode(picture(), texts))


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "BMP"])
def test_other_formats_are_refused_whatever_their_name(kind: str, tmp_path: Path) -> None:
    picture().save(tmp_path / "x.png", kind)
    with pytest.raises(PictureError, match=r"x\.png is not a PNG, JPEG, WebP or AVIF"):
        png.read(tmp_path / "x.png")


def test_missing_empty_and_folder(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    for name, sentence in (("empty.png", "0 bytes"), ("gone.png", "cannot be read"), ("", "cannot be read")):
        with pytest.raises(PictureError, match=sentence):
            png.read(tmp_path / name)


GOOD = ours(Recipe.of(prompt="a lake", seed=7))


def test_a_cut_off_file_is_a_sentence() -> None:
    for size in range(len(GOOD)):
        with pytest.raises(PictureError):
            png.read(GOOD[:size], whole=True)


@given(st.integers(8, len(GOOD) - 1), st.integers(1, 255))
@settings(max_examples=300)
def test_a_changed_byte_never_gives_another_recipe(at: int, change: int) -> None:
    data = bytearray(GOOD)
    data[at] ^= change
    try:
        found = png.read(bytes(data), whole=True)
    except PictureError:
        return
    assert found.recipe in (Recipe.of(prompt="a lake", seed=7), None)


@given(st.binary(max_size=400))
@settings(max_examples=300)
def test_noise_after_each_signature_is_a_sentence(noise: bytes) -> None:
    exif = b"II*\0\x08\0\0\0" + noise
    jpeg = b"\xff\xd8\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif
    webp = b"RIFF\0\0\0\0WEBPEXIF" + struct.pack("<I", len(exif)) + exif
    avif = b"\0\0\0\x10ftypavif\0\0\0\0" + struct.pack(">I", len(noise) + 12) + b"meta\0\0\0\0" + noise
    for kind in (b"iinf", b"iloc"):
        avif += struct.pack(">I4s4x", len(noise) + 20, b"meta") + struct.pack(">I", len(noise) + 8) + kind + noise
    for data in (
        avif,
        noise,
        b"\x89PNG\r\n\x1a\n" + noise,
        b"\xff\xd8\xff" + noise,
        b"RIFF\0\0\0\0WEBP" + noise,
        jpeg,
        webp,
    ):
        try:
            png.read(data)
        except PictureError as error:
            assert str(error).startswith("The picture")


HEADER = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (with_chunks(*[chunk(b"tEXt", b"k%d\0x" % k) for k in range(65)]), "too much text"),
        (with_chunks(*[chunk(b"tEXt", b"k%d\0" % k + b"x" * 200_000) for k in range(6)]), "too much text"),
        (with_chunks(*[chunk(b"eXIf", b"")] * 100_001), "chunks"),
        (with_chunks(chunk(b"tEXt", b"parameters\0" + b"x" * 30_000_000)), "no recipe"),
        (with_chunks(chunk(b"zTXt", b"parameters\0\0" + zlib.compress(bytes(200_000_000)))), "not readable"),
        (with_chunks(chunk(b"iTXt", b"parameters\0\1\0\0\0" + zlib.compress(bytes(9_000_000)))), "not readable"),
        (with_chunks(chunk(b"iTXt", b"parameters\0\0\0\0\0\xff\xfe")), "not readable"),
        (with_chunks(chunk(b"iTXt", b"parameters\0")), "not readable"),
        (with_chunks(struct.pack(">I", 2**31) + b"tEXt"), "cut off"),
        (with_chunks(b"\0\0\0\1tEXtaXXXX"), "checksum"),
        (with_chunks(b"\0\0\0\0\0\0\0\0\0\0\0\0"), "not a part of a PNG"),
        (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(13)), "size of 0×0"),
        (b"\x89PNG\r\n\x1a\n" + HEADER + chunk(b"IEND", b""), "no pixels"),
    ],
)  # fmt: skip
def test_bombs_and_malformed_chunks(data: bytes, sentence: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(PictureError, match=sentence):
            png.read(data, whole=True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * len(data) + 20_000_000


def test_pixels_are_never_decoded() -> None:
    """A picture of 60,000×60,000 pixels whose pixels are nonsense gives its text at once."""
    text = chunk(b"tEXt", b"parameters\0" + INFOTEXT.encode("latin-1", "replace"))
    data = b"\x89PNG\r\n\x1a\n" + HEADER + text + chunk(b"IDAT", b"nonsense") + chunk(b"IEND", b"")
    found = png.read(data, whole=True)
    assert found.reading is not None
    assert found.reading.values["seed"] == 4294967295


def test_pillow_limits_stay_as_they_are() -> None:
    assert Image.MAX_IMAGE_PIXELS == 89_478_485
    assert PngImagePlugin.MAX_TEXT_CHUNK == 1_048_576
    assert sys.getrecursionlimit() >= 1000
