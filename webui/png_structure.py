"""The structure of a PNG: its chunks walked from the signature to the last byte, with every checksum computed.

The promise: any change of a byte between the signature and the end shows, unless its checksum was changed to fit;
memory is bounded whatever a file claims; nothing is decoded. What is wrong is a kind and a sentence.

Portable Network Graphics (Third Edition), W3C 2025, https://www.w3.org/TR/png-3/, sections 5.2 to 5.4.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

from webui import png

Found = tuple[str, str]
"""A kind of problem, from ``webui.verify.KINDS``, and its sentence."""

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_BLOCK: Final = 1 << 20


class Structure(NamedTuple):
    """What the chunks say: the size in pixels, None when the picture is damaged, and what is wrong."""

    size: tuple[int, int] | None
    found: list[Found]


def structure(file: BinaryIO) -> Structure:
    """Walk a file from its beginning; raise OSError when it cannot be read."""
    head = file.read(8)
    if not head:
        return Structure(None, [("empty", "It is empty: it has 0 bytes.")])
    if head != _SIGNATURE:
        if _SIGNATURE.startswith(head):
            return Structure(None, [("truncated", f"It is cut off after {len(head)} bytes.")])
        return Structure(None, [("not-png", f"It is not a PNG: it begins with the bytes {head.hex(' ')}.")])
    found = list(_chunks(file))
    if {kind for kind, _ in found} - {"trailing"}:
        return Structure(None, found)
    file.seek(16)  # after the signature, and length and kind of IHDR
    width, height = struct.unpack(">II", file.read(8))
    return Structure((width, height), found)


def _chunks(file: BinaryIO) -> Iterator[Found]:
    """Walk the chunks to IEND and say what is wrong on the way; what makes it impossible to go on comes last."""
    data = False
    for _ in range(png.MAX_CHUNKS):
        at = file.tell()
        head = file.read(8)
        length, kind = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"")
        if kind and (not kind.isalpha() or length >= 2**31 or (at == 8) != (kind == b"IHDR")):
            yield "bad-chunk", f"At byte {at} stands what is not a part of a PNG."
            return
        checksum = _checksum(file, kind, length)
        stored = file.read(4)
        if len(stored) < 4:
            size = file.seek(0, os.SEEK_END)
            yield "truncated", f"It is cut off after {size} bytes: the end of the picture is not there."
            return
        if checksum != int.from_bytes(stored):
            name = kind.decode("ascii")
            yield "bad-crc", f"The part {name} at byte {at} does not fit its checksum: bytes were changed."
        elif kind == b"IHDR" and length != 13:
            yield "bad-chunk", f"Its head has {length} bytes instead of 13."
        data = data or kind == b"IDAT"
        if kind == b"IEND":
            yield from _end(file, data)
            return
    yield "bad-chunk", f"It has more than {png.MAX_CHUNKS} parts, which no honest picture has."


def _end(file: BinaryIO, data: bool) -> list[Found]:
    found = []
    here = file.tell()
    if rest := file.seek(0, os.SEEK_END) - here:
        found.append(("trailing", f"After the end of the picture {rest} more bytes follow."))
    if not data:
        found.append(("no-pixels", "It has no pixels: there is no part IDAT."))
    return found


def _checksum(file: BinaryIO, kind: bytes, length: int) -> int:
    """Read a chunk's data in blocks, as much as there is; return the checksum of kind and data."""
    checksum = zlib.crc32(kind)
    while length > 0 and (block := file.read(min(length, _BLOCK))):
        checksum = zlib.crc32(block, checksum)
        length -= len(block)
    return checksum
