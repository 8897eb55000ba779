"""Pictures as files: text written into PNGs, and recipes read out of PNG, JPEG, WebP and AVIF.

The promise: what ``encode`` writes, ``read`` gives back, character for character, and reading is safe on a file from
a stranger: chunks are walked with limits, pixels are never decoded, and whatever is wrong is a PictureError with a
sentence. Our own pictures carry the recipe as JSON in a ``recipe`` chunk, which is the truth, and as A1111's infotext
in ``parameters`` for other programs. Both stand before the pixels, uncompressed.

Chunks: Portable Network Graphics (Third Edition), W3C 2025, https://www.w3.org/TR/png-3/. The other formats are read
in ``webui.exif`` and ``webui.xmp``, what other programs write in ``webui.infotext`` and ``webui.foreign``.
"""

import hashlib
import io
import json
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from webui import exif, foreign, infotext, xmp
from webui.errors import BadRecipe, BadValue, PictureError, shown
from webui.fingerprint import Fingerprint
from webui.infotext import Reading
from webui.lineage import UNKNOWN, Lineage
from webui.recipe import Recipe

VERSION: Final = 1
"""Version of the ``recipe`` chunk; the recipe inside has its own."""

MAX_TEXT: Final = 512 * 1024
"""Bytes of a text: two prompts of 10,000 characters and what was typed for them, each escaped to six bytes, fit twice.
Longer ones are skipped."""
MAX_TEXTS, MAX_TOTAL, MAX_CHUNKS = 64, 1024 * 1024, 50_000

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_TEXT_KINDS: Final = (b"tEXt", b"iTXt", b"zTXt")
_KEYS: Final = frozenset({"recipe", "parameters", "invokeai_metadata"})
_OTHER_PLACES: Final = ("Parameters", "UserComment", "Comment", "Description")
"""Where an infotext stands when a picture has passed through an editor."""
_ID = re.compile(r"[0-9a-f]{32}\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class NoRecipe(PictureError):
    """A file is a sound picture that carries no recipe."""


@dataclass(frozen=True, slots=True)
class PictureText:
    """What a picture says about how it was made.

    Our own pictures have ``recipe``, ``fingerprint``, ``pixels_sha256``, ``id``, ``origin``, ``created`` and perhaps a
    ``lineage``; those of other programs have ``reading``. ``infotext`` is the text as found; ``source`` names the
    program.
    """

    recipe: Recipe | None = None
    fingerprint: Fingerprint | None = None
    pixels_sha256: str | None = None
    infotext: str | None = None
    reading: Reading | None = None
    source: str = ""
    id: str = ""
    origin: str = ""
    created: str = ""
    lineage: Lineage = UNKNOWN


def pixels_sha256(image: Image.Image) -> str:
    """Return the SHA-256 of mode, size and raw bytes: it survives another compression or other metadata."""
    head = f"{image.mode} {image.width}x{image.height}\n".encode()
    return hashlib.sha256(head + image.tobytes()).hexdigest()


def encode(image: Image.Image, texts: Mapping[str, str]) -> bytes:
    """Write a PNG with texts before the pixels: tEXt when a text is Latin-1, else iTXt in UTF-8, never compressed.

    Keys are 1 to 79 Latin-1 characters; texts may not hold NUL or unpaired surrogates (ValueError).
    """
    info = PngInfo()
    for key, text in texts.items():
        if "\0" in text:
            raise ValueError(f"the text {key!r} holds NUL")
        try:
            info.add(b"tEXt", key.encode("latin-1") + b"\0" + text.encode("latin-1"))
        except UnicodeEncodeError:
            info.add(b"iTXt", key.encode("latin-1") + b"\0\0\0\0\0" + text.encode())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info, compress_level=4)  # a third of the default's time, at most 10 % larger
    return buffer.getvalue()


def texts_of(  # noqa: PLR0913 — one argument for each member of the chunk
    recipe: Recipe,
    fingerprint: Fingerprint,
    *,
    pixels_sha256: str,
    id: str,
    origin: str,
    created: str,
    lineage: Lineage = UNKNOWN,
) -> dict[str, str]:
    """Write the texts of one of our pictures: ``recipe`` (JSON, read by ``read``) and ``parameters`` (infotext).

    The templates of its lineage stand in the infotext under the keys of A1111's extension Dynamic Prompts.
    """
    chunk = {
        "format": "reseed",
        "version": VERSION,
        "id": id,
        "created": created,
        "origin": origin,
        "recipe": recipe.to_dict(),
        "fingerprint": fingerprint.to_dict(),
        "pixels_sha256": pixels_sha256,
        **({"lineage": lineage.to_dict()} if lineage != UNKNOWN else {}),
    }
    product = fingerprint.product
    version = product if product.lower().startswith("reseed") else f"Reseed {product}".strip()
    return {
        "recipe": json.dumps(chunk, ensure_ascii=False),
        "parameters": infotext.format(recipe, {"Version": version, **lineage.to_infotext()}),
    }


def read_texts(data: bytes | Path) -> dict[str, str]:
    """Read the texts of a PNG; of equal keys the first wins. Texts after the pixels count when none before them do.

    Raises PictureError when the file is not a PNG, is damaged before its pixels, or holds more text than we allow.
    """
    name = _name(data)
    with _opened(data, name) as file:
        return _png_texts(file, name, whole=False)


def read(source: bytes | Path, whole: bool = False) -> PictureText:
    """Read how a PNG, JPEG, WebP or AVIF was made; ``whole`` also checks that a PNG is there to its end.

    Raises NoRecipe for a sound picture without a recipe, PictureError for what is no picture or is damaged.
    """
    name = _name(source)
    with _opened(source, name) as file:
        head = file.read(16)
        file.seek(0)
        if head.startswith(_SIGNATURE):
            texts = _png_texts(file, name, whole)
        elif head:
            found = exif.texts(file, head)
            if found is None:
                raise PictureError(f"{name} is not a PNG, JPEG, WebP or AVIF picture.")
            texts = found
        else:
            raise PictureError(f"{name} is empty: it has 0 bytes.")
    return _picture_text(xmp.joined(texts), name)


def _picture_text(texts: dict[str, str], name: str) -> PictureText:
    parameters = texts.get("parameters", "").strip()
    if "recipe" in texts and (ours := _ours(texts["recipe"], name, parameters or None)):
        return ours
    graph = "workflow" in texts or texts.get("prompt", "").lstrip().startswith("{")
    reading = None
    if parameters and not (parameters.startswith("{") and isinstance(foreign.parsed(parameters), dict)):
        reading = infotext.parse(parameters, "ComfyUI" if graph else "")
        if reading.source:
            return PictureText(infotext=parameters, reading=reading, source=reading.source)
    if (found := foreign.read(texts)) is not None:
        return PictureText(infotext=found[1], reading=found[0], source=found[0].source)
    for key in _OTHER_PLACES:
        if (elsewhere := infotext.parse(texts.get(key, ""))).source:
            return PictureText(infotext=texts[key], reading=elsewhere, source=elsewhere.source)
    if reading is not None:
        return PictureText(infotext=parameters, reading=reading, source="A1111")
    if graph:
        raise NoRecipe(f"{name} holds a ComfyUI workflow but no recipe text, so there is no seed or prompt to read.")
    raise NoRecipe(f"{name} carries no recipe. Messengers and web sites often remove it: use the original file.")


def _ours(text: str, name: str, parameters: str | None) -> PictureText | None:
    """Read our own chunk; None when another program uses the same key."""
    data = _json(text)
    if not isinstance(data, dict):
        raise PictureError(f"{name} is damaged: its recipe is not readable JSON.")
    if data.get("format") != "reseed":
        return None
    if data.get("version") != VERSION:
        raise PictureError(
            f"{name} has a recipe chunk of version {shown(data.get('version'))}; this program reads version {VERSION}. "
            "A newer Reseed made it: update to read it."
        )
    recipe, made_by = data.get("recipe"), data.get("fingerprint")
    words = [data.get(key) for key in ("id", "pixels_sha256", "origin", "created")]
    if (
        not isinstance(recipe, dict)
        or not isinstance(made_by, dict)
        or not all(isinstance(word, str) and len(word) <= 200 for word in words)
        or not _ID.match(id := str(words[0]))
        or not _SHA256.match(pixels := str(words[1]))
    ):
        raise PictureError(f"{name} is damaged: its recipe chunk lacks a part or has one of the wrong kind.")
    try:
        made = Recipe.from_dict(recipe)
        lineage = Lineage.from_dict(data.get("lineage", {}))
    except (BadRecipe, BadValue) as error:
        raise PictureError(f"{name} holds a recipe with values that are not allowed: {error}") from None
    fingerprint = Fingerprint.from_dict(made_by)
    told = (parameters, None, "Reseed", id, str(words[2]), str(words[3]), lineage)
    return PictureText(made, fingerprint, pixels, *told)


def _json(text: str) -> Any:
    """Read JSON strictly: None for what is not JSON, holds NaN or a key twice, or is nested too deep."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=int)  # int("NaN") raises
    except (ValueError, RecursionError):
        return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _name(source: bytes | Path) -> str:
    return "The picture" if isinstance(source, bytes) else shown(source.name, 80).strip("'\"")


@contextmanager
def _opened(source: bytes | Path, name: str) -> Iterator[BinaryIO]:
    """Open a picture for reading; failures of the file system become PictureErrors."""
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
            yield file
    except OSError as error:
        raise PictureError(f"{name} cannot be read: {error.strerror or error}.") from error


def _chunks(file: BinaryIO, name: str) -> Iterator[tuple[bytes, int, int]]:
    """Walk a PNG: yield each chunk's kind, offset and length of data, up to IEND."""
    if file.read(8) != _SIGNATURE:
        raise PictureError(f"{name} is not a PNG picture.")
    end = file.seek(0, io.SEEK_END)
    at = 8
    for _ in range(MAX_CHUNKS):
        file.seek(at)
        head = file.read(8)
        length, kind = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"")
        if len(head) < 8 or at + 12 + length > end:
            raise PictureError(f"{name} is damaged: it is cut off after {end} bytes.")
        if not kind.isalpha() or (at == 8 and (kind != b"IHDR" or length != 13)):
            raise PictureError(f"{name} is damaged: at byte {at} stands something that is not a part of a PNG.")
        yield kind, at, length
        if kind == b"IEND":
            return
        at += 12 + length
    raise PictureError(f"{name} has more than {MAX_CHUNKS} chunks, which no honest picture has.")


def _body(file: BinaryIO, name: str, at: int, length: int) -> bytes:
    """Read the data of the chunk at ``at`` and check its CRC."""
    file.seek(at + 4)
    body = file.read(4 + length)
    if zlib.crc32(body) != int.from_bytes(file.read(4)):
        raise PictureError(f"{name} is damaged: the checksum of the part at byte {at} does not fit.")
    return body[4:]


def _png_texts(file: BinaryIO, name: str, whole: bool) -> dict[str, str]:
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    last: dict[str, str] | None = None
    texts, count, total = before, 0, 0
    for kind, at, length in _chunks(file, name):
        if kind == b"IHDR":
            width, height = struct.unpack(">II", _body(file, name, at, length)[:8])
            if not 0 < width < 2**31 or not 0 < height < 2**31:
                raise PictureError(f"{name} is damaged: it claims a size of {width}×{height} pixels.")
        elif kind == b"IDAT":
            if not whole and before.keys() & _KEYS:
                break
            texts = after
        elif kind == b"eXIf" and length <= MAX_TEXT and last is None:
            last = exif.tags(_body(file, name, at, length))
        elif kind in _TEXT_KINDS:
            count += 1
            if length > MAX_TEXT:
                continue
            total += length
            if count > MAX_TEXTS or total > MAX_TOTAL:
                raise PictureError(f"{name} holds too much text: at most {MAX_TEXTS} texts and 1 MiB are read.")
            key, text = _decoded(kind, _body(file, name, at, length))
            if text is not None:
                texts.setdefault(key, text)
            elif key in _KEYS:
                raise PictureError(f"{name} is damaged: its text {key!r} is not readable.")
    if whole and texts is before:
        raise PictureError(f"{name} is damaged: it has no pixels.")
    return before if before.keys() & _KEYS else {**(last or {}), **after, **before}


def _decoded(kind: bytes, body: bytes) -> tuple[str, str | None]:
    """Read key and text of a text chunk; the text is None when it is malformed or unpacks to more than MAX_TEXT."""
    raw_key, _, rest = body.partition(b"\0")
    key, packed, encoding = raw_key.decode("latin-1"), kind == b"zTXt", "latin-1"
    try:
        if kind == b"iTXt":
            packed, encoding = rest[0] == 1, "utf-8"
            _, _, rest = rest[2:].split(b"\0", 2)  # language, translated key, text
        elif packed:
            rest = rest[1:]
        if packed:
            unpacker = zlib.decompressobj()
            rest = unpacker.decompress(rest, MAX_TEXT)
            if not unpacker.eof:
                return key, None
        return key, rest.decode(encoding)
    except (zlib.error, ValueError, IndexError):
        return key, None
