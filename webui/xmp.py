"""XMP: the texts that programs put into a picture's packet of RDF, in PNG, JPEG and WebP alike.

The promise: safe on a file from a stranger. One pass of expat over at most ``MAX_XMP`` bytes; a document type, and so
every entity of its own, ends the reading before it begins; nothing is fetched, nothing raises. Draw Things writes its
settings into ``exif:UserComment``, editors keep an infotext there or in ``dc:description``.

XMP: ISO 16684-1:2019; where packets stand: XMP Specification Part 3, Adobe 2020.
"""

from collections.abc import Mapping
from typing import Final
from xml.parsers import expat

KEY: Final = "XML:com.adobe.xmp"
"""The key of the packet in a PNG; those of other formats are kept by it as well."""
MAX_XMP: Final = 256 * 1024

_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns# "
_DUBLIN: Final = "http://purl.org/dc/elements/1.1/ "
_NAMES: Final = {
    "http://ns.adobe.com/exif/1.0/ UserComment": "parameters",
    "http://ns.adobe.com/tiff/1.0/ ImageDescription": "Description",
    "http://ns.adobe.com/xap/1.0/ CreatorTool": "Software",
    f"{_DUBLIN}description": "Description",
    f"{_DUBLIN}title": "Title",
}
"""Properties, each with its namespace, by the keys that PNGs use for them."""
_OF_ANY: Final = frozenset({"parameters", "prompt", "workflow", "invokeai_metadata"})
"""Properties that are taken from any namespace."""


class _Refused(Exception):
    """The packet has a document type."""


def joined(texts: Mapping[str, str]) -> dict[str, str]:
    """Return a file's texts with those of its packet, if it has one; what stands outside of the packet wins."""
    return {**read(texts[KEY]), **texts} if KEY in texts else dict(texts)


def read(packet: str) -> dict[str, str]:
    """Read the texts of a packet; nothing from one that is too long, broken or has a document type.

    >>> read('<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    ...      'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="Draw Things"/></rdf:RDF>')
    {'Software': 'Draw Things'}
    """
    reader = _Reader()
    data = packet.encode("utf-8", "replace")
    if len(data) > MAX_XMP:
        return {}
    parser = expat.ParserCreate("utf-8", " ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler, parser.EndElementHandler = reader.begin, reader.end
    parser.CharacterDataHandler = reader.words
    try:
        parser.Parse(data.strip(b"\0"), True)
    except (expat.ExpatError, _Refused):
        return {}
    return reader.found


def _refuse(*_: object) -> None:
    raise _Refused


class _Reader:
    """Collects properties: attributes of ``rdf:Description``, and elements in it with their words or first item."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self._open: list[str] = []
        self._said: list[str] | None = None
        self._items = 0

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        if name == f"{_RDF}Description":
            for key, value in attributes.items():
                self._note(key, value)
        elif self._within():
            self._said, self._items = [], 0
        elif name == f"{_RDF}li":
            self._items += 1
        self._open.append(name)

    def words(self, text: str) -> None:
        if self._said is not None and self._items <= 1:
            self._said.append(text)

    def end(self, name: str) -> None:
        self._open.pop()
        if self._within() and self._said is not None:
            self._note(name, "".join(self._said))
            self._said = None

    def _within(self) -> bool:
        return bool(self._open) and self._open[-1] == f"{_RDF}Description"

    def _note(self, name: str, value: str) -> None:
        local = name.rpartition(" ")[2]
        key = _NAMES.get(name, local if local in _OF_ANY else "")
        if key and value.strip():
            self.found.setdefault(key, value.strip())
