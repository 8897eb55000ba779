"""The grid picture, by its pixels: every picture in its place, boxes where there is none, and never too large."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from webui.fingerprint import Fingerprint
from webui.gallery import Gallery, Record
from webui.grid_picture import KEY, MOST_PIXELS, WAITING, draw
from webui.recipe import Recipe
from webui.sweeping import Layout, Legend, Place

WHITE, BOX = (255, 255, 255), (244, 244, 245)
COLOURS = ((200, 0, 0), (0, 180, 0), (0, 0, 220), (180, 180, 0), (0, 160, 160), (160, 0, 160))
RECIPE = Recipe.of(prompt="a lake", seed=7, steps=1, width=128, height=64)


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    gallery = Gallery(tmp_path / "outputs", tmp_path / "index.db", tmp_path / "thumbnails")
    yield gallery
    gallery.close()


def saved(gallery: Gallery, number: int, width: int = 128, height: int = 64) -> Record:
    """Keep a picture of one colour."""
    image = Image.new("RGB", (width, height), COLOURS[number % len(COLOURS)])
    made_by = Fingerprint("1", "none", "none", "reseed", "ab" * 32, "fake", "uint8")
    return gallery.save(image, RECIPE.but(seed=number, width=width, height=height), made_by, f"job:{number}")


def layout(columns: int, rows: int = 0, blocks: int = 0, word: str = "Value") -> Layout:
    sides = [side for side in (columns, rows, blocks) if side]
    legends = tuple(Legend("Axis", tuple(f"{word} {n}.{k}" for k in range(side))) for n, side in enumerate(sides))
    return Layout(legends, tuple(range(columns * max(1, rows) * max(1, blocks))))


def drawn(how: Layout, places: list[Place]) -> Image.Image:
    picture = Image.open(io.BytesIO(draw(how, places)))
    assert json.loads(picture.text[KEY]) == json.loads(how.to_json())  # type: ignore[attr-defined]
    return picture.convert("RGB")


def box(picture: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Return where a colour is: left, top, right, bottom."""
    same = (
        ImageChops.difference(picture, Image.new("RGB", picture.size, colour))
        .convert("L")
        .point(lambda v: 255 * (v == 0))
    )
    found = same.getbbox()
    assert found is not None, f"{colour} is not in the picture"
    return found


def ink(picture: Image.Image, left: int, top: int, right: int, bottom: int) -> float:
    """Return how dark a part is on average, from 0 for white paper."""
    return 255 - ImageStat.Stat(picture.crop((left, top, right, bottom)).convert("L")).mean[0]


def test_columns_run_to_the_right_rows_down_and_blocks_below_each_other(gallery: Gallery) -> None:
    how = layout(2, 1, 2)
    picture = drawn(how, [Place(how.captions(at), saved(gallery, at)) for at in range(4)])
    first, second, third, fourth = (box(picture, COLOURS[at]) for at in range(4))
    for left, top, right, bottom in (first, second, third, fourth):
        assert (right - left, bottom - top) == (128, 64), "at its own size"
    assert first[1] == second[1] and third[1] == fourth[1]
    assert first[0] == third[0] and second[0] == fourth[0]
    assert 0 < second[0] - first[2] < 16 and third[1] > first[3]
    assert picture.getpixel((picture.width - 1, picture.height - 1)) == WHITE
    assert ink(picture, first[0], 0, first[2], first[1]) > 1, "a caption above"
    assert ink(picture, 0, first[1], first[0], first[3]) > 1, "a caption at the left"
    assert ink(picture, first[0], first[3] + 1, second[2], third[1]) > 1, "the title and captions of the next block"


def test_without_rows_nothing_is_at_the_left(gallery: Gallery) -> None:
    how = layout(3)
    picture = drawn(how, [Place(how.captions(at), saved(gallery, at)) for at in range(3)])
    left, top, _, bottom = box(picture, COLOURS[0])
    assert left < 16
    assert ink(picture, 0, top, left, bottom) == 0
    assert picture.height - bottom < 16


def test_a_cell_without_a_picture_is_a_box_with_its_reason(gallery: Gallery) -> None:
    how = layout(3)
    reasons = ["", "The values do not go together.", ""]
    places = [Place(how.captions(at), saved(gallery, 0) if at == 0 else None, reasons[at]) for at in range(3)]
    picture = drawn(how, places)
    left, top, _, bottom = box(picture, COLOURS[0])
    step = box(picture, BOX)[0] - left
    for number in (1, 2):
        corner = (left + number * step, top)
        assert picture.getpixel(corner) == BOX
        assert picture.getpixel((corner[0] + 127, bottom - 1)) == BOX
        assert ink(picture, *corner, corner[0] + 128, bottom) > ink(Image.new("RGB", (8, 8), BOX), 0, 0, 8, 8) + 1
    said = [picture.crop((left + n * step, top, left + n * step + 128, bottom)) for n in (1, 2)]
    assert said[0].tobytes() != said[1].tobytes(), f"the other says {WAITING}"


def test_a_file_that_is_gone_or_damaged_is_a_box(gallery: Gallery) -> None:
    how = layout(3)
    gone, damaged, sound = (saved(gallery, number) for number in range(3))
    gone.path.unlink()
    damaged.path.write_bytes(damaged.path.read_bytes()[:200])
    picture = drawn(how, [Place(how.captions(at), record) for at, record in enumerate((gone, damaged, sound))])
    assert box(picture, BOX)[0] < box(picture, COLOURS[2])[0]
    for colour in COLOURS[:2]:
        with pytest.raises(AssertionError):
            box(picture, colour)


def test_pictures_of_other_sizes_keep_their_shape_in_the_middle_of_their_cell(gallery: Gallery) -> None:
    how = layout(2)
    wide, tall = saved(gallery, 0, 128, 64), saved(gallery, 1, 64, 128)
    picture = drawn(how, [Place(how.captions(0), wide), Place(how.captions(1), tall)])
    a, b = box(picture, COLOURS[0]), box(picture, COLOURS[1])
    assert (a[2] - a[0], a[3] - a[1]) == (128, 64)
    assert (b[2] - b[0], b[3] - b[1]) == (64, 128)
    assert (a[1] + a[3]) / 2 == (b[1] + b[3]) / 2


def test_cells_are_scaled_down_until_the_picture_fits(gallery: Gallery) -> None:
    how = layout(20, 3)
    record = saved(gallery, 0, 1024, 512)
    picture = drawn(how, [Place(how.captions(at), record) for at in range(60)])
    assert MOST_PIXELS * 0.9 < picture.width <= MOST_PIXELS
    left, top, right, _ = box(picture, COLOURS[0])
    assert picture.getpixel((left, top)) == COLOURS[0]
    assert right <= picture.width - 1


@pytest.mark.parametrize("sides", [(1000,), (1, 1000), (1, 2, 150)], ids=str)
def test_as_many_cells_as_a_sweep_has_fit_too(sides: tuple[int, ...]) -> None:
    how = layout(*sides)
    picture = drawn(how, [Place(how.captions(at)) for at in range(len(how.cells))])
    assert max(picture.size) <= MOST_PIXELS
    assert box(picture, BOX)[2] <= picture.width


def test_long_captions_make_the_legend_taller_and_are_cut_at_last(gallery: Gallery) -> None:
    record = saved(gallery, 0)
    heights = []
    for word in ("short", "some longer words that need two lines", "endless " * 500, "W" * 4000):
        how = layout(2, word=word)
        picture = drawn(how, [Place(how.captions(at), record) for at in range(2)])
        heights.append(box(picture, COLOURS[0])[1])
        assert box(picture, COLOURS[0])[3] - heights[-1] == 64
    assert heights[0] < heights[1] < heights[2] == heights[3] < 200


@pytest.mark.parametrize(
    "word", ["дом у озера", "湖のほとりの家", "بيت", "🏠🦆", "e\u0301\u200d\ufeff", "256×512 − 3…", "\n\t", "\ud800"]
)
def test_captions_in_any_script_are_drawn(gallery: Gallery, word: str) -> None:
    how = Layout((Legend(word, (word, "x")), Legend(word, (word, "y")), Legend(word, (word, "z"))), tuple(range(8)))
    picture = drawn(how, [Place(how.captions(at), saved(gallery, 0)) for at in range(8)])
    assert box(picture, COLOURS[0])[0] > 0


def test_what_the_font_lacks_gets_a_sign_that_is_understood(gallery: Gallery) -> None:
    record = saved(gallery, 0)

    def above(caption: str) -> bytes:
        how = Layout((Legend("Size", (caption,)),), (0,))
        picture = drawn(how, [Place((caption,), record)])
        return picture.crop((0, 0, picture.width, box(picture, COLOURS[0])[1])).tobytes()

    assert above("64×128") == above("64x128")
    assert above("−3") == above("-3")
    assert above("64×128") != above("64128")


def test_a_layout_says_so_in_the_file_without_a_recipe_that_it_is_not(gallery: Gallery, tmp_path: Path) -> None:
    from webui import png

    how = layout(1)
    path = tmp_path / "grid.png"
    path.write_bytes(draw(how, [Place(how.captions(0), saved(gallery, 0))]))
    with pytest.raises(png.NoRecipe):
        png.read(path)
    assert Layout.from_json(Image.open(path).text[KEY], 1) == how  # type: ignore[attr-defined]
