"""Make the pictures of the documentation with the program itself: one seed, several prompts.

    scripts/make_pictures.py [OUTDIR]     (default: docs/images)

Every picture is made through the studio, as the page and the command line make theirs, from the seeds and prompts
below; running it again gives equal files on the same machine and versions.
"""

import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from webui.settings import Settings
from webui.studio import Studio

ROOT = Path(__file__).resolve().parent.parent
SIDE, MARGIN, LINE = 420, 14, 46
PAPER, INK, MUTED = "#ffffff", "#18181b", "#52525b"

HOUSE = "a house by a lake"
SHEETS = {
    "one-seed-two-prompts.png": [(5, HOUSE), (5, f"{HOUSE} at sunset, ducks")],
    "one-seed-six-prompts.png": [
        (5, f"{HOUSE}{words}")
        for words in ("", " at dawn", " at sunset", " at night, ducks", " in the snow", " in autumn")
    ],
    "six-seeds-one-prompt.png": [(seed, f"{HOUSE} at sunset") for seed in range(1, 7)],
}


def main() -> int:
    """Make every sheet."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        studio = Studio.open(Settings(data_dir=Path(data)))
        studio.start()
        try:
            for name, cells in SHEETS.items():
                _sheet(studio, cells).save(folder / name, optimize=True)
                print(folder / name)
        finally:
            studio.close()
    return 0


def _sheet(studio: Studio, cells: list[tuple[int, str]]) -> Image.Image:
    columns = 2 if len(cells) == 2 else 3
    side = SIDE if columns == 2 else SIDE * 2 // 3
    rows = -(-len(cells) // columns)
    size = (MARGIN + columns * (side + MARGIN), MARGIN + rows * (side + LINE + MARGIN))
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(16 if columns == 2 else 13)
    for at, (seed, prompt) in enumerate(cells):
        picture = _picture(studio, seed, prompt).resize((side, side), Image.Resampling.LANCZOS)
        x, y = MARGIN + at % columns * (side + MARGIN), MARGIN + at // columns * (side + LINE + MARGIN)
        sheet.paste(picture, (x, y))
        draw.text((x, y + side + 6), prompt, INK, font)
        draw.text((x, y + side + 26), f"seed {seed}", MUTED, font)
    return sheet


def _picture(studio: Studio, seed: int, prompt: str) -> Image.Image:
    *_, last = studio.jobs.watch(studio.submit({"prompt": prompt}, str(seed)).job)
    if last.error:
        raise SystemExit(last.error)
    with Image.open(last.records[0].path) as image:
        return image.convert("RGB")


if __name__ == "__main__":
    raise SystemExit(main())
