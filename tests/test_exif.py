"""The texts of JPEG, WebP and AVIF, and of EXIF in a PNG: every way that programs write them; no table does harm."""

import io
import json
import struct
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin, features

from tests.growth import lines
from tests.test_png import INFOTEXT, picture
from webui import png
from webui.errors import PictureError


def with_comment(kind: str, comment: bytes) -> bytes:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = comment
    buffer = io.BytesIO()
    picture().save(buffer, kind, exif=exif.tobytes())
    return buffer.getvalue()


COMMENTS = {
    "big": b"UNICODE\0" + INFOTEXT.encode("utf-16-be"),
    "little": b"UNICODE\0" + INFOTEXT.encode("utf-16-le"),
    "marked": b"UNICODE\0" + INFOTEXT.encode("utf-16"),
    "ascii": b"ASCII\0\0\0" + INFOTEXT.encode(),
    "zeros": b"\0" * 8 + INFOTEXT.encode(),
    "bare": INFOTEXT.encode(),
    "utf-8": b"UNICODE\0" + INFOTEXT.encode(),
    "padded": b"ASCII\0\0\0" + INFOTEXT.encode() + b"\0\0",
}
KINDS = ["JPEG", "WEBP", *(["AVIF"] if features.check("avif") else [])]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", COMMENTS)
def test_other_formats_carry_infotext(kind: str, form: str) -> None:
    found = png.read(with_comment(kind, COMMENTS[form]))
    assert found.infotext == INFOTEXT
    assert found.reading is not None
    assert (found.reading.values["seed"], found.reading.values["prompt"]) == (4294967295, "a house by a lake, 湖")


GRAPH = {
    "1": {"class_type": "KSampler", "inputs": {"seed": 2**63 + 1, "steps": 4, "cfg": 2, "sampler_name": "euler",
                                              "scheduler": "karras", "latent_image": ["2", 0]}},
    "2": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 128}},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_comfyui_writes_its_graph_into_make_and_model(kind: str) -> None:
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x010F], exif[0x0110] = "workflow:{}", "prompt:" + json.dumps(GRAPH)
    picture().save(buffer, kind, exif=exif.tobytes())
    found = png.read(buffer.getvalue())
    assert found.source == "ComfyUI"
    assert found.reading is not None
    assert (found.reading.values["seed"], found.reading.values["height"]) == (2**63 + 1, 128)


def test_a_camera_is_not_a_program() -> None:
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x010F], exif[0x0110], exif[0x0131] = "Canon", "EOS 5D: Mark IV", "GIMP 2.10"
    picture().save(buffer, "JPEG", exif=exif, comment=b"Created with GIMP")
    with pytest.raises(png.NoRecipe, match="carries no recipe"):
        png.read(buffer.getvalue())


def test_exif_in_a_png_is_read_when_it_has_no_text() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = COMMENTS["big"]
    buffer = io.BytesIO()
    picture().save(buffer, "PNG", exif=exif.tobytes())
    assert png.read(buffer.getvalue()).infotext == INFOTEXT
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a lake\nSteps: 3, Sampler: Euler, Seed: 4")
    picture().save(buffer := io.BytesIO(), "PNG", exif=exif.tobytes(), pnginfo=info)
    assert (png.read(buffer.getvalue()).infotext or "").startswith("a lake")


@pytest.mark.parametrize("kind", KINDS)
def test_a_format_is_told_by_content(kind: str, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(with_comment(kind, COMMENTS["big"]))
    assert png.read(tmp_path / "x.png").infotext == INFOTEXT


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


@pytest.mark.parametrize("sizes", [b"\0\0", b"\x44\0", b"\xff\xff", b"\x04\x40"])
@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_tables_that_claim_much_take_no_time(sizes: bytes, version: int) -> None:
    iloc = box(b"iloc", bytes([version, 0, 0, 0]) + sizes + b"\xff" * 900_000)
    infe = box(b"infe", b"\2\0\0\0\xff\xff\0\0Exif\0\0\0\0")
    meta = box(b"meta", b"\0\0\0\0" + box(b"iinf", b"\0\0\0\0\0\1" + infe * 9) + iloc)
    tags = b"MM\0*\0\0\0\x08\xff\xff" + struct.pack(">HHII", 0x9286, 7, 2**20, 0) * 65535

    def read(data: bytes) -> None:
        with suppress(PictureError):
            png.read(data)

    for data in (box(b"ftyp", b"avif\0\0\0\0") + meta, b"RIFF\0\0\0\0WEBPEXIF" + struct.pack("<I", len(tags)) + tags):
        assert 0 < lines(partial(read, data)) < 5 * len(data)
