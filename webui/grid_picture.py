"""The grid picture: a sweep's pictures in one, with what the axes say above columns, beside rows and over blocks.

The promise: it can always be drawn. A cell without a picture is a quiet box that says why; captions are wrapped and, at
last, shortened; cells are scaled down until no side is longer than MOST_PIXELS. The file says how its cells lie.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from webui import durable, png
from webui.errors import PictureError
from webui.pixels import decoded
from webui.sweeping import Layout, Place

MOST_PIXELS: Final = 8192
"""Of a side: larger pictures are refused by browsers and viewers."""
KEY: Final = "sweep"
"""Where the PNG holds its layout as JSON."""
WAITING: Final = "Not made yet."
UNKNOWN: Final = 256
"""Pixels of a cell's side while no picture is there."""

_PAPER, _INK, _QUIET, _BOX = "#ffffff", "#18181b", "#52525b", "#f4f4f5"
_PLAIN: Final = str.maketrans({"−": "-", "–": "-", "—": "-", "×": "x", "…": "...", "’": "'"})
"""What Pillow's own font lacks and a stand-in is understood for."""
_FONTS: Final = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "NotoSansCJK-Regular.ttc", "arial.ttf", "Arial Unicode.ttf",
                 "segoeui.ttf", "msgothic.ttc")  # fmt: skip
"""Fonts that a machine may have, for captions in other scripts."""
_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_Box = tuple[int, int, int, int]


class _Letters:
    """Writes captions in Pillow's own font, or in the machine's that has the most of their letters."""

    def __init__(self, texts: Sequence[str]) -> None:
        wanted = frozenset("".join(texts))
        fonts = {"": _font("", 16)}
        if not all(_has(fonts[""], letter.translate(_PLAIN)[0]) for letter in wanted):
            for name in _FONTS:
                with suppress(OSError):  # most of them are not here
                    fonts[name] = _font(name, 16)
        self._name = max(fonts, key=lambda name: sum(_has(fonts[name], letter) for letter in wanted))
        lacking = [letter for letter in wanted if not _has(fonts[self._name], letter)]
        self._spelling = {ord(letter): letter.translate(_PLAIN) for letter in lacking}
        self._sizes: dict[int, _Font] = {}

    def font(self, size: int) -> _Font:
        """Return the font with letters ``size`` pixels high."""
        if size not in self._sizes:
            self._sizes[size] = _font(self._name, size)
        return self._sizes[size]

    def lines(self, text: str, size: int, width: int, most: int = 4) -> list[str]:
        """Break a text into at most ``most`` lines of a width, within words where one is longer; a cut ends in dots."""
        length, lines = self.font(size).getlength, [""]
        for word in text.translate(self._spelling).split():
            joined = f"{lines[-1]} {word}".strip()
            if length(joined) <= width:
                lines[-1] = joined
                continue
            lines += [""] if lines[-1] else []
            for letter in word:
                if lines[-1] and length(lines[-1] + letter) > width:
                    lines.append("")
                lines[-1] += letter
            if len(lines) > most:
                break
        if len(lines) <= most:
            return lines
        last = lines[most - 1]
        while last and length(f"{last}...") > width:
            last = last[:-1]
        return [*lines[: most - 1], f"{last.rstrip()}..."]

    def write(self, sheet: Image.Image, text: str, box: _Box, size: int, colour: str = _INK) -> None:
        """Write a text into the middle of a box: left, top, right, bottom."""
        left, top, right, bottom = box
        lines = self.lines(text, size, right - left, max(1, (bottom - top) // _line(size)))
        at = top + max(0, (bottom - top - len(lines) * _line(size)) // 2)
        for line in lines:
            ImageDraw.Draw(sheet).text(((left + right) / 2, at), line, colour, self.font(size), "ma")
            at += _line(size)


def _font(name: str, size: int) -> _Font:
    return ImageFont.truetype(name, size) if name else ImageFont.load_default(size)


def _has(font: _Font, letter: str) -> bool:
    """Say whether a font draws a letter as itself and not as the box of what it lacks."""
    return letter.isspace() or bytes(font.getmask(letter)) != bytes(font.getmask("\U0010ffff"))


def _line(size: int) -> int:
    """Return the height of a line of letters."""
    return size * 5 // 4


@dataclass(frozen=True)
class _Plan:
    """Lengths in pixels: a cell, the letters, the room beside rows, above columns and for a block's title, the gap."""

    width: int
    height: int
    letters: int
    beside: int
    above: int
    title: int
    gap: int

    def left(self, column: int) -> int:
        """Return where a column begins."""
        return self.beside + self.gap + column * (self.width + self.gap)

    def size(self, columns: int, rows: int, blocks: int) -> tuple[int, int]:
        """Return how large the whole picture is."""
        return self.left(columns), self.gap + blocks * (self.title + self.above + rows * (self.height + self.gap))


def draw(layout: Layout, places: Sequence[Place]) -> bytes:
    """Draw the grid of a sweep as it stands, as a PNG file."""
    texts = [caption for legend in layout.legends for caption in legend.captions]
    letters = _Letters([*texts, *(place.reason for place in places), WAITING])
    blocks, shape = layout.blocks(), (len(layout.columns), len(layout.blocks()[0][1]), len(layout.blocks()))
    plan = _plan(layout, places, letters, shape)
    sheet = Image.new("RGB", plan.size(*shape), _PAPER)
    top = plan.gap
    for title, rows in blocks:
        letters.write(sheet, title, (plan.gap, top, sheet.width - plan.gap, top + plan.title), plan.letters * 5 // 4)
        top += plan.title
        for column, caption in enumerate(layout.columns):
            left = plan.left(column)
            letters.write(sheet, caption, (left, top, left + plan.width, top + plan.above), plan.letters)
        top += plan.above
        for row in rows:
            letters.write(sheet, row.caption, (plan.gap, top, plan.beside, top + plan.height), plan.letters)
            for column, cell in enumerate(row.cells):
                _draw_cell(sheet, letters, places[cell], plan, (plan.left(column), top))
            top += plan.height + plan.gap
    return png.encode(sheet, {KEY: layout.to_json()})


def write(target: Path, layout: Layout, places: Sequence[Place]) -> None:
    """Write the grid of a sweep to a new file; raise StorageError when that cannot be, or when the file is there."""
    durable.write_as(target, draw(layout, places), "The grid picture")


def _draw_cell(sheet: Image.Image, letters: _Letters, place: Place, plan: _Plan, at: tuple[int, int]) -> None:
    """Draw a cell at its upper left corner: its picture in the middle, or a box with the reason why there is none."""
    (left, top), margin = at, plan.letters // 2
    picture, reason = _picture(place, plan)
    if picture is not None:
        sheet.paste(picture, (left + (plan.width - picture.width) // 2, top + (plan.height - picture.height) // 2))
        return
    right, bottom = left + plan.width, top + plan.height
    ImageDraw.Draw(sheet).rectangle((left, top, right - 1, bottom - 1), fill=_BOX)
    letters.write(sheet, reason, (left + margin, top + margin, right - margin, bottom - margin), plan.letters, _QUIET)


def _picture(place: Place, plan: _Plan) -> tuple[Image.Image | None, str]:
    """Return a cell's picture, not larger than a cell, or why there is none."""
    if place.record is None:
        return None, place.reason or WAITING
    try:
        image = decoded(place.record.path).convert("RGB")
    except PictureError as error:
        return None, str(error)
    if image.width > plan.width or image.height > plan.height:
        image.thumbnail((plan.width, plan.height), Image.Resampling.LANCZOS)
    return image, ""


def _plan(layout: Layout, places: Sequence[Place], letters: _Letters, shape: tuple[int, int, int]) -> _Plan:
    """Find the largest cells, up to the pictures' own size, whose grid is not larger than MOST_PIXELS."""
    made = [place.record.recipe for place in places if place.record is not None]
    width, height = (max((getattr(one, side) for one in made), default=UNKNOWN) for side in ("width", "height"))
    scale = 1.0
    while True:
        plan = _scaled(layout, letters, max(1, round(width * scale)), max(1, round(height * scale)))
        over = max(plan.size(*shape)) / MOST_PIXELS
        if over <= 1 or plan.width == plan.height == 1:
            return plan
        scale *= min(0.98, 1 / over)


def _scaled(layout: Layout, letters: _Letters, width: int, height: int) -> _Plan:
    """Measure a grid whose cells have a size."""
    size = max(4, min(64, max(12, min(width, height) // 16), height * 4 // 5, width // 4))
    rows = layout.legends[1].captions if len(layout.legends) > 1 else ()
    length = letters.font(size).getlength
    gap = max(1, size // 3)
    return _Plan(
        width,
        height,
        size,
        beside=min(max(width // 2, 8 * size), gap * 3 + round(max(map(length, rows)))) if rows else 0,
        above=max(len(letters.lines(caption, size, width)) for caption in layout.columns) * _line(size) + gap,
        title=2 * _line(size * 5 // 4) if len(layout.legends) > 2 else 0,
        gap=gap,
    )
