"""Ways to damage pictures, and a folder of sound ones to begin with."""

import json
import os
import shutil
import sqlite3
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from tests.test_gallery import opened, save
from webui import png

LONG_AGO = 1_600_000_000


def sound(folder: Path) -> Path:
    """Make a data folder with three pictures and a finished index."""
    kept = opened(folder)
    for seed in (7, 8, 2**64 - 1):
        save(kept, seed)
    kept.close()
    return folder


def pictures(data: Path) -> list[Path]:
    return sorted((data / "outputs").rglob("*.png"))


def chunks(path: Path) -> list[tuple[bytes, bytes]]:
    raw, at, found = path.read_bytes(), 8, []
    while at < len(raw):
        length, kind = struct.unpack(">I4s", raw[at : at + 8])
        found.append((kind, raw[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def write(path: Path, parts: list[tuple[bytes, bytes]]) -> None:
    """Write a PNG from chunks, with right checksums."""
    sealed = (struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
              for kind, body in parts)  # fmt: skip
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(sealed))


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the recipe chunk of a picture; pixels stay, checksums fit."""
    texts = png.read_texts(path)
    chunk = json.loads(texts["recipe"])
    change(chunk)
    rewrite(path, {**texts, "recipe": json.dumps(chunk)})


def rewrite(path: Path, texts: dict[str, str]) -> None:
    with Image.open(path) as image:
        data = png.encode(image, texts)
    path.write_bytes(data)


def flip(path: Path, after: bytes) -> None:
    """Flip a bit behind the name of a chunk."""
    raw = bytearray(path.read_bytes())
    raw[raw.index(after) + 12] ^= 1
    path.write_bytes(raw)


def other_pixels(path: Path) -> None:
    texts = png.read_texts(path)
    with Image.open(path) as image:
        image.putpixel((3, 3), (1, 2, 3))
        data = png.encode(image, texts)
    path.write_bytes(data)


def ask_index(path: Path, query: str) -> None:
    with sqlite3.connect(path.parents[2] / "cache" / "index.db") as db:
        db.execute(query)
    db.close()


def without(path: Path, *kinds: bytes) -> None:
    write(path, [(kind, body) for kind, body in chunks(path) if kind not in kinds])


def strip(path: Path, key: str) -> None:
    rewrite(path, {name: text for name, text in png.read_texts(path).items() if name != key})


def of_other_version(chunk: dict[str, Any]) -> None:
    chunk["version"] = 99


def with_other_recipe(**values: object) -> Callable[[dict[str, Any]], None]:
    return lambda chunk: chunk["recipe"].update(values)


def other_hash(chunk: dict[str, Any]) -> None:
    chunk["pixels_sha256"] = "0" * 64


def make_leftover(path: Path) -> None:
    left = path.with_name(".reseed-0123456789abcdef.tmp")
    left.write_bytes(b"half a pict")
    os.utime(left, (LONG_AGO, LONG_AGO))


def make_orphan(path: Path) -> None:
    elsewhere = opened(path.parents[2] / "elsewhere")
    record = save(elsewhere, 99)
    elsewhere.close()
    target = path.with_name("00099-99.png")
    shutil.copy(record.path, target)
    os.utime(target, (LONG_AGO, LONG_AGO))


def make_pipe(path: Path) -> None:
    os.mkfifo(path.with_name("00044-1.png"))


def make_odd_name(path: Path) -> None:
    strip(path, "recipe")
    strip(path, "parameters")
    path.rename(path.with_name(os.fsdecode(b"\xff.png")))
