"""Make the pictures of the documentation with the program itself.

    scripts/make_pictures.py [OUTDIR]     (default: docs/images)

Every picture is made through the studio, as the page and the command line make theirs, from the seeds and prompts
below; running it again gives equal files on the same machine and versions.
"""

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from webui.drift import drift
from webui.settings import Settings
from webui.studio import Studio

ROOT = Path(__file__).resolve().parent.parent
SIDE, MARGIN, LINE = 420, 14, 46
PAPER, INK, MUTED = "#ffffff", "#18181b", "#52525b"

HOUSE = "a house by a lake"
SHEETS = {
    "one-seed-two-prompts.png": [(4, HOUSE), (4, f"{HOUSE} at sunset, ducks")],
    "one-seed-six-prompts.png": [
        (4, f"{HOUSE}{words}")
        for words in ("", " at dawn", " at sunset", " at night, ducks", " in the snow", " in autumn")
    ],
    "one-seed-counted.png": [
        *((4, f"{number} in the hills") for number in ("a house", "two houses", "three houses")),
        *((4, f"{HOUSE}, {number}") for number in ("a duck", "two ducks", "three ducks")),
    ],
    "six-seeds-one-prompt.png": [(seed, f"{HOUSE} at sunset") for seed in range(1, 7)],
    "drift.png": [
        *((4, prompt) for prompt in (HOUSE, f"{HOUSE} at night", f"{HOUSE} in winter", f"{HOUSE}, snowfall")),
        (4, "a castle by a lake"),
        (6, HOUSE),
    ],
}
MEASURED = "drift.png"
"""Below each picture of this sheet stands how far it drifted from the first."""
CONTACT = (
    HOUSE,
    f"{HOUSE}, ducks",
    f"{HOUSE} at sunset, ducks",
    "a blue castle in the mountains",
    "a sailboat on the sea at dawn",
    "a windmill in the hills in autumn",
    "a tent in the desert at night",
    "a lighthouse by the sea, neon",
)
"""The columns of the contact sheet; its rows are seeds."""
SEEDS = range(1, 9)
CELL, NUMBER = 160, 24


def main() -> int:
    """Make every sheet."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        studio = Studio.open(Settings(data_dir=Path(data)))
        studio.start()
        try:
            for name, cells in SHEETS.items():
                _sheet(studio, cells, name == MEASURED).save(folder / name, optimize=True)
                print(folder / name)
            _contact(studio, CONTACT, SEEDS).save(folder / "contact-sheet.jpg", quality=88)
            print(folder / "contact-sheet.jpg")
        finally:
            studio.close()
    return 0


def _sheet(studio: Studio, cells: list[tuple[int, str]], measured: bool) -> Image.Image:
    """Lay a few large pictures out, the prompt and the seed below each, and when ``measured`` the drift."""
    columns = 2 if len(cells) == 2 else 3
    side = SIDE if columns == 2 else SIDE * 2 // 3
    rows = -(-len(cells) // columns)
    sheet, draw = _paper(MARGIN + columns * (side + MARGIN), MARGIN + rows * (side + LINE + MARGIN))
    font = ImageFont.load_default(16 if columns == 2 else 13)
    pictures = [_picture(studio, seed, prompt) for seed, prompt in cells]
    for at, (seed, prompt) in enumerate(cells):
        picture = pictures[at].resize((side, side), Image.Resampling.LANCZOS)
        x, y = MARGIN + at % columns * (side + MARGIN), MARGIN + at // columns * (side + LINE + MARGIN)
        sheet.paste(picture, (x, y))
        draw.text((x, y + side + 6), prompt, INK, font)
        draw.text((x, y + side + 26), f"seed {seed}", MUTED, font)
        if measured and at:
            moved = drift(pictures[0], pictures[at])
            draw.text((x + side, y + side + 26), f"drift {moved.number:.2f}, {moved.word}", MUTED, font, anchor="ra")
    return sheet


def _contact(studio: Studio, prompts: tuple[str, ...], numbers: Iterable[int]) -> Image.Image:
    """Lay many small pictures out: a column for each prompt, a row for each seed."""
    rows = list(numbers)
    sheet, draw = _paper(NUMBER + len(prompts) * CELL, LINE + len(rows) * CELL)
    font = ImageFont.load_default(13)
    for column, prompt in enumerate(prompts):
        draw.multiline_text((NUMBER + column * CELL + 3, 5), _wrapped(prompt, font, CELL - 6), INK, font, spacing=3)
    for row, seed in enumerate(tqdm(rows, desc="seeds")):
        draw.text((6, LINE + row * CELL + CELL // 2 - 8), str(seed), MUTED, font)
        for column, prompt in enumerate(prompts):
            picture = _picture(studio, seed, prompt).resize((CELL, CELL), Image.Resampling.LANCZOS)
            sheet.paste(picture, (NUMBER + column * CELL, LINE + row * CELL))
    return sheet


def _paper(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new("RGB", (width, height), PAPER)
    return sheet, ImageDraw.Draw(sheet)


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """Break a text into lines that are at most ``width`` pixels wide."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


def _picture(studio: Studio, seed: int, prompt: str) -> Image.Image:
    *_, last = studio.jobs.watch(studio.submit({"prompt": prompt}, str(seed)).job)
    if last.error:
        raise SystemExit(last.error)
    with Image.open(last.records[0].path) as image:
        return image.convert("RGB")


if __name__ == "__main__":
    raise SystemExit(main())
