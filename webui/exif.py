"""EXIF: the texts that programs put into JPEG, WebP and AVIF, found without decoding pixels.

The promise: safe on a file from a stranger. Segments, chunks and boxes are walked with limits, a wrong length ends the
walk, nothing is decompressed. Infotext stands in the UserComment; ComfyUI writes its graph into Make and Model. An XMP
packet is kept as it is, by the key that it has in PNGs, for ``webui.xmp``.

EXIF 3.0: CIPA DC-008-2023. WebP: https://developers.google.com/speed/webp/docs/riff_container. AVIF boxes: ISO/IEC
14496-12 (meta, iinf, iloc) with items as in ISO/IEC 23008-12.
"""

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

from webui import xmp

MAX_EXIF: Final = 1024 * 1024
"""Bytes of an EXIF block, or of AVIF's table of items; longer ones are not read."""

_USER_COMMENT, _INNER = 0x9286, 0x8769
_WORDS: Final = {0x010E: "Description", 0x010F: "Make", 0x0110: "Model", 0x0131: "Software"}
_PREFIXED: Final = ("workflow", "prompt", "parameters", "generation_data")
_PREFIXES: Final = (b"ASCII\0\0\0", b"JIS\0\0\0\0\0", b"\0" * 8)
_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
_MAX_BOXES: Final = 4096


def texts(file: BinaryIO, head: bytes) -> dict[str, str] | None:
    """Read the texts of a JPEG, WebP or AVIF whose first 16 bytes are ``head``; None when it is none of them."""
    if head.startswith(b"\xff\xd8\xff"):
        return _jpeg(file)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _webp(file)
    if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis", b"mif1", b"msf1"):
        return tags(_avif(file))
    return None


def tags(exif: bytes) -> dict[str, str]:
    """Read the texts of an EXIF block by the keys that PNGs use for them."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < 8:
        return {}
    found: dict[str, str] = {}
    first = struct.unpack_from(order + "I", exif, 4)[0]
    inner = 0
    for tag, _, value in _entries(exif, order, first):
        if tag == _INNER:
            inner = value
    for tag, data, _ in (*_entries(exif, order, first), *_entries(exif, order, inner)):
        if tag == _USER_COMMENT and len(data) > 4:
            found.setdefault("parameters", _user_comment(data))
        elif tag in _WORDS:
            text = data.decode("utf-8", "replace").strip("\0 ")
            key, colon, rest = text.partition(":")
            if colon and key.lower() in _PREFIXED:
                found.setdefault(key.lower(), rest.strip())
            elif text:
                found.setdefault(_WORDS[tag], text)
    return found


def _entries(exif: bytes, order: str, at: int) -> Iterator[tuple[int, bytes, int]]:
    """Yield tag, bytes and plain value of each entry of the directory at ``at``."""
    if not 8 <= at <= len(exif) - 2:
        return
    count = struct.unpack_from(order + "H", exif, at)[0]
    wanted = {*_WORDS, _USER_COMMENT, _INNER}  # each once: a block full of one tag is not read again and again
    for entry in range(at + 2, min(at + 2 + 12 * count, len(exif) - 11), 12):
        tag, kind, size, value = struct.unpack_from(order + "HHII", exif, entry)
        if tag in wanted:
            wanted.remove(tag)
            start = value if size > 4 else entry + 8
            yield tag, exif[start : start + size] if kind in (1, 2, 7) else b"", value


def _user_comment(data: bytes) -> str:
    """Decode a UserComment. UNICODE is UTF-16 in either order; an infotext is mostly ASCII, so the zeros tell which.

    Some programs write UTF-8 behind the same prefix, some no prefix at all.
    """
    if data.startswith(b"UNICODE\0"):
        body = data[8:]
        if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return body.decode("utf-16", "replace")
        if b"\0" in body.rstrip(b"\0") or not body.isascii():
            try:
                return body.decode("utf-8") if b"\0" not in body else _utf16(body)
            except UnicodeDecodeError:
                return _utf16(body)
        return body.decode("ascii").strip("\0")
    body = data[8:] if data.startswith(_PREFIXES) else data
    return body.decode("utf-8", "replace").strip("\0")


def _utf16(body: bytes) -> str:
    little = body[1::2].count(0) > body[0::2].count(0)
    return body.decode("utf-16-le" if little else "utf-16-be", "replace")


def _jpeg(file: BinaryIO) -> dict[str, str]:
    """Read the EXIF block, the XMP packet and the comment among the segments before the pixels."""
    found: dict[str, str] = {}
    file.seek(2)
    for _ in range(256):
        marker = file.read(2)
        if len(marker) < 2 or marker[0] != 0xFF or marker[1] in (0xD9, 0xDA):
            break
        length = int.from_bytes(file.read(2)) - 2
        if length < 0:
            break
        body = file.read(length)
        if marker[1] == 0xE1 and body.startswith(b"Exif\0\0"):
            found = {**tags(body), **found}
        elif marker[1] == 0xE1 and body.startswith(_XMP):
            found.setdefault(xmp.KEY, body.removeprefix(_XMP).decode("utf-8", "replace"))
        elif marker[1] == 0xFE:
            found.setdefault("Comment", body.decode("utf-8", "replace").strip("\0"))
    return found


def _webp(file: BinaryIO) -> dict[str, str]:
    """Read the EXIF and the XMP chunk, which may follow the pixels; one that is too long is left out."""
    found: dict[str, str] = {}
    at = 12
    for _ in range(1024):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            break
        length = int.from_bytes(head[4:], "little")
        if length <= MAX_EXIF and head[:4] == b"EXIF":
            found = {**found, **tags(file.read(length))}
        elif length <= MAX_EXIF and head[:4] == b"XMP ":
            found.setdefault(xmp.KEY, file.read(length).decode("utf-8", "replace"))
        at += 8 + length + length % 2
    return found


def _avif(file: BinaryIO) -> bytes:
    """Find the item of kind Exif by AVIF's tables; empty when there is none or it is too long."""
    end = file.seek(0, io.SEEK_END)
    for kind, at, stop in _boxes(file, 0, end):
        if kind != b"meta" or stop - at > MAX_EXIF:
            continue
        wanted, places = set(), {}
        for inner, start, after in _boxes(file, at + 4, stop):
            file.seek(start)
            if inner == b"iinf":
                wanted = set(_exif_items(file, start, after))
            elif inner == b"iloc":
                places = dict(_places(file.read(after - start)))
        for item in wanted & places.keys():
            offset, length = places[item]
            if 4 < length <= MAX_EXIF:
                file.seek(offset)
                data = file.read(length)
                return data[4 + int.from_bytes(data[:4]) :]
    return b""


def _boxes(file: BinaryIO, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Walk boxes: yield kind, begin and end of what is in each."""
    for _ in range(_MAX_BOXES):
        if at + 8 > end:
            return
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8).ljust(8, b"\0"))
        start = at + 8
        if length == 1:
            length, start = int.from_bytes(file.read(8)), at + 16
        stop = end if length == 0 else at + length
        if stop < start or stop > end:
            return
        yield kind, start, stop
        at = stop


def _exif_items(file: BinaryIO, at: int, end: int) -> Iterator[int]:
    """Yield the numbers of the items of kind Exif from AVIF's ``iinf``."""
    file.seek(at)
    wide = file.read(1) != b"\0"
    for kind, start, _ in _boxes(file, at + (8 if wide else 6), end):
        file.seek(start)
        data = file.read(16)
        if kind == b"infe" and len(data) >= 12 and data[0] in (2, 3):
            size = 2 if data[0] == 2 else 4
            if data[6 + size : 10 + size] == b"Exif":
                yield int.from_bytes(data[4 : 4 + size])


def _places(data: bytes) -> Iterator[tuple[int, tuple[int, int]]]:
    """Yield number, offset and length of each item of one piece from AVIF's ``iloc``."""
    if len(data) < 8 or data[0] > 2:
        return
    version, sizes = data[0], (data[4] >> 4, data[4] & 15, data[5] >> 4, data[5] & 15 if data[0] else 0)
    if sizes[0] + sizes[1] + sizes[3] == 0:
        return  # pieces of no bytes could be claimed without end
    wide = 4 if version == 2 else 2
    at = 6 + wide

    def number(size: int) -> int:
        nonlocal at
        at += size
        return int.from_bytes(data[at - size : at])

    for _ in range(int.from_bytes(data[6 : 6 + wide])):
        if at >= len(data):
            return
        item = number(wide)
        in_file = not version or number(2) & 15 == 0
        number(2)  # which file: this one
        base, pieces = number(sizes[2]), number(2)
        for _ in range(pieces):
            if at >= len(data):
                return
            number(sizes[3])
            offset, length = number(sizes[0]), number(sizes[1])
            if pieces == 1 and in_file:
                yield item, (base + offset, length)
