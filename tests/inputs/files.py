"""Files that broke other programs, 82 to 87, and model files that are none, 88: each is made here, none is kept."""

import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from PIL import Image

from tests.inputs.table import REFUSED, TAKEN
from tests.test_png import chunk, ours, with_chunks
from webui import png
from webui.engine.headers import HEADER_LIMIT
from webui.recipe import Recipe

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
RECIPE: Final = Recipe.of(prompt="a lake", seed=7, width=64, height=64)
DOORS: Final = ("page", "a1111", "cli")
"""The doors that take files: what is dropped on the page, A1111's png-info, ``webui verify``."""


@dataclass(frozen=True)
class File:
    """A file of the list, what is said of it, and which doors read it all the same."""

    number: int
    what: str
    make: Callable[[], bytes]
    said: str
    but: Mapping[str, str] = field(default_factory=dict)
    cli: str = ""
    """What ``webui verify`` says, where it has words of its own."""
    name: str = "picture.png"

    def at(self, door: str) -> str:
        """Return what a door does with it."""
        return self.but.get(door, REFUSED)

    def words(self, door: str) -> str:
        """Return what a door says of it."""
        return self.cli or self.said if door == "cli" else self.said


def large(side: int, *texts: bytes) -> bytes:
    """Make a square PNG of black and white, which packs to next to nothing."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    packer = zlib.compressobj(1)
    row = bytes(1 + (side + 7) // 8)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    return SIGNATURE + head + b"".join(texts) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def lying(side: int) -> bytes:
    """Make a large PNG whose recipe is of a small one."""
    text = json.dumps(json.loads(png.read_texts(ours(RECIPE))["recipe"]))
    return large(side, chunk(b"tEXt", b"recipe\0" + text.encode("latin-1")))


def other(kind: str, **options: Any) -> bytes:
    """Write a picture in another format."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, kind, **options)
    return buffer.getvalue()


def moving() -> bytes:
    """Make an animated PNG."""
    return other("PNG", save_all=True, append_images=[Image.new("RGB", (8, 8), "blue")])


def told(text: str) -> bytes:
    """Make a PNG whose recipe chunk is some text."""
    return png.encode(Image.new("RGB", (8, 8)), {"recipe": text})


def said(**changes: object) -> bytes:
    """Make one of our pictures with other members in its recipe."""
    whole = json.loads(png.read_texts(ours(RECIPE))["recipe"])
    return told(json.dumps({**whole, "recipe": {**whole["recipe"], **changes}}))


def twice() -> bytes:
    """Make one of our pictures whose recipe names its seed twice."""
    text = png.read_texts(ours(RECIPE))["recipe"]
    return told(text.replace('"seed":', '"seed": "8", "seed":', 1))


def damaged(at: int) -> bytes:
    """Change a byte of one of our pictures."""
    data = bytearray(ours(RECIPE))
    data[at] ^= 1
    return bytes(data)


SILENT: Final = {"a1111": TAKEN}
"""A1111 answers a sound picture that says nothing with nothing."""
TOLD: Final = {"page": TAKEN}
"""The recipe stands before the damage: the page offers it, and says what is wrong with the file."""
OURS: Final = ours(RECIPE)
PIXELS: Final = OURS.index(b"IDAT")
KNOWN: Final = "not a PNG, JPEG, WebP or AVIF"
NO_PNG: Final = "is not a PNG: it begins with"
PACKED: Final = zlib.compress(bytes(50_000_000))

FILES: Final = (
    File(82, "8000x8000", lambda: large(8000), "no recipe", SILENT),
    File(82, "8000x8000 with a recipe of 64x64", lambda: lying(8000), "", {"page": TAKEN, "a1111": TAKEN}),
    File(83, "14000x14000", lambda: large(14_000), "no recipe", SILENT),
    File(84, "APNG", moving, "no recipe", SILENT),
    File(84, "GIF", lambda: other("GIF"), KNOWN, cli=NO_PNG),
    File(84, "WebP", lambda: other("WEBP"), "no recipe", SILENT, NO_PNG),
    File(84, "TIFF", lambda: other("TIFF"), KNOWN, cli=NO_PNG),
    File(84, "SVG", lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', KNOWN,
         cli=NO_PNG),
    File(84, "HTML", lambda: b"<html><script>alert(1)</script></html>", KNOWN, cli=NO_PNG),
    File(85, "cut in its text", lambda: OURS[:100], "cut off"),
    File(85, "cut in its pixels", lambda: OURS[: PIXELS + 9], "cut off"),
    File(85, "no IEND", lambda: OURS[:-12], "cut off", TOLD),
    File(85, "bad checksum of its text", lambda: damaged(90), "checksum"),
    File(85, "bad checksum of its pixels", lambda: damaged(PIXELS + 8), "", {"page": TAKEN, "a1111": TAKEN}),
    File(85, "0 bytes", lambda: b"", "", cli="0 bytes"),
    File(85, "chunk of 2^31 bytes", lambda: with_chunks(struct.pack(">I", 2**31) + b"tEXt"), "cut off",
         cli="not a part of a PNG"),
    File(85, "0x0", lambda: SIGNATURE + chunk(b"IHDR", bytes(13)) + chunk(b"IEND", b""), "size of 0×0",
         cli="no pixels"),
    File(86, "text of 30 MB", lambda: with_chunks(chunk(b"tEXt", b"parameters\0" + b"x" * 30_000_000)), "", SILENT),
    File(86, "100,000 chunks", lambda: with_chunks(*[chunk(b"tEXt", b"k\0")] * 100_000), "too much text",
         cli="more than 50000 parts"),
    File(86, "zTXt bomb", lambda: with_chunks(chunk(b"zTXt", b"parameters\0\0" + PACKED)), "not readable"),
    File(86, "iTXt bomb", lambda: with_chunks(chunk(b"iTXt", b"parameters\0\1\0\0\0" + PACKED)), "not readable"),
    File(86, "iCCP bomb", lambda: with_chunks(chunk(b"iCCP", b"x\0\0" + PACKED)), "no recipe", SILENT),
    File(86, "parameters twice",
         lambda: with_chunks(chunk(b"tEXt", b"parameters\0a"), chunk(b"tEXt", b"parameters\0b")),
         "", dict.fromkeys(DOORS, TAKEN)),
    File(86, "recipe behind the pixels", lambda: with_chunks(chunk(b"tEXt", b"recipe\0{}"), before=False), "no recipe",
         SILENT),
    File(87, "3,000 deep", lambda: told("[" * 3000 + "]" * 3000), "not readable JSON"),
    File(87, "a key twice", twice, "not readable JSON"),
    File(87, "NaN", lambda: told('{"format": "reseed", "version": NaN}'), "not readable JSON"),
    File(87, "version 99", lambda: told('{"format": "reseed", "version": 99}'), "version 99"),
    File(87, "recipe of version 99", lambda: said(version=99), "version"),
    File(87, "a seed of 1.5", lambda: said(seed=1.5), "Seed must be"),
    File(87, "a seed of 2^64", lambda: said(seed=2**64), "Seed must be"),
    File(87, "a member that is none", lambda: said(colour="red"), "colour"),
)  # fmt: skip
CASES: Final = tuple((file, door) for file in FILES for door in DOORS)


def write_models(models: Path, outside: Path) -> None:
    """Write model files that are none, ``table.DISGUISED``, a LoRA that is a pickle, and a link out of the folder."""
    with zipfile.ZipFile(models / "pickle.safetensors", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    (models / "bare.safetensors").write_bytes(pickle.dumps({"a": 1}))
    (models / "loud.SAFETENSORS").write_bytes(pickle.dumps({"a": 1}))
    (models / "bomb.safetensors").write_bytes(struct.pack("<Q", HEADER_LIMIT + 1) + b"{")
    (models / "cut.safetensors").write_bytes(struct.pack("<Q", 100) + b'{"a":')
    (models / "loras").mkdir()
    (models / "loras" / "old.pt").write_bytes(b"PK\x03\x04")
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "inside.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    (models / "linked").symlink_to(outside)
