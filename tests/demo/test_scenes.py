"""Pictures: drawn alike at every time and in every process, and composed without a look at the words."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from webui.demo.palette import PAINT
from webui.demo.scenes import SIZE, Content, Layout, code_of_seed, draw_scene, far_ridge, make_layout
from webui.demo.words import CHOICES, TIMES, settle

LAKE = Content(place="lake")
SEEDS = (1, 2, 3, 4)


def digest(picture: np.ndarray) -> str:
    return hashlib.sha256(picture.tobytes()).hexdigest()


def horizon_row(picture: np.ndarray) -> int:
    """Measure the water's upper edge: of the rows that can be it, the one that changes most over the whole width."""
    change = np.abs(np.diff(picture.astype(float), axis=0)).sum(2)
    first, last = int(0.42 * SIZE), int(0.62 * SIZE)
    return first + int(np.median(change[first:last], axis=1).argmax()) + 1


def changed_box(with_thing: np.ndarray, without: np.ndarray) -> tuple[float, int]:
    """Measure where a thing stands: the middle of its width and its lowest row."""
    rows, columns = np.nonzero(np.abs(with_thing.astype(int) - without).max(2) > 12)
    return (columns.min() + columns.max()) / 2, int(rows.max())


def layout_of(seed: int) -> Layout:
    return make_layout(code_of_seed(seed))


def test_a_picture_has_the_promised_shape():
    picture = draw_scene(layout_of(0), LAKE)
    assert picture.shape == (SIZE, SIZE, 3) and picture.dtype == np.uint8


def test_drawing_twice_gives_the_same_bytes():
    content = settle(Content(thing="castle", time="night", weather="snowfall", ducks=3, trees=True))
    assert digest(draw_scene(layout_of(5), content)) == digest(draw_scene(layout_of(5), content))


def test_another_process_draws_the_same_bytes_without_torch():
    script = (
        "import hashlib, sys\n"
        "from webui.demo.data import draw_picture\n"
        "print(*[hashlib.sha256(draw_picture(1, n).tobytes()).hexdigest() for n in range(12)])\n"
        "assert 'torch' not in sys.modules\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    from webui.demo.data import draw_picture

    assert run.stdout.split() == [digest(draw_picture(1, n)) for n in range(12)]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_horizon_stays_whatever_the_words_say(seed: int):
    layout = layout_of(seed)
    expected = round(layout.horizon * SIZE)
    for time in TIMES:
        for thing in ("nothing", "boat", "tent"):
            picture = draw_scene(layout, replace(LAKE, time=time, thing=thing, weather="rain"))
            assert abs(horizon_row(picture) - expected) <= 2, (time, thing)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_thing_stands_at_the_same_place(seed: int):
    layout = layout_of(seed)
    empty = draw_scene(layout, Content(place="desert"))
    found = {}
    for thing in ("house", "castle", "lighthouse", "tent"):
        found[thing] = changed_box(draw_scene(layout, Content(place="desert", thing=thing)), empty)
    middles, feet = zip(*found.values(), strict=True)
    assert max(middles) - min(middles) < 0.03 * SIZE, found
    assert max(feet) - min(feet) <= 2, found
    assert abs(np.mean(middles) - layout.thing.x * SIZE) < 0.03 * SIZE


@pytest.mark.parametrize("seed", SEEDS)
def test_the_ridge_keeps_its_peaks_from_place_to_place(seed: int):
    layout = layout_of(seed)
    mountains, hills = far_ridge(layout, "mountains"), far_ridge(layout, "hills")
    assert np.array_equal(mountains, far_ridge(layout, "snow"))
    assert np.corrcoef(mountains, hills)[0, 1] > 0.8


def test_other_layouts_give_other_pictures_of_the_same_words():
    pictures = [draw_scene(layout_of(seed), LAKE).astype(float) for seed in SEEDS]
    assert min(np.abs(a - b).mean() for i, a in enumerate(pictures) for b in pictures[:i]) > 5.0


@pytest.mark.parametrize(
    "field", ["time", "weather", "style", "thing", "number", "ducks", "birds", "trees", "flowers", "season"]
)
def test_every_word_can_be_seen(field: str):
    layout = make_layout(np.full(64, 0.3))
    values = CHOICES[field]
    plain = Content(trees=field == "season", thing="house" if field == "number" else "nothing")
    pictures = [digest(draw_scene(layout, replace(plain, **{field: v}))) for v in values]
    assert len(set(pictures)) == len(values)


def test_a_roof_has_the_colour_of_its_word():
    layout = layout_of(2)
    spot = layout.thing
    for colour, wanted in PAINT.items():
        picture = draw_scene(layout, Content(place="snow", thing="house", colour=colour))
        roof = picture[int((spot.y - 0.7 * spot.size) * SIZE), int(spot.x * SIZE)]
        assert np.abs(roof.astype(int) - wanted).max() <= 2, colour


def test_night_is_darker_than_dawn_and_dawn_than_day():
    day, dawn, night = (draw_scene(layout_of(3), replace(LAKE, time=t)).mean() for t in ("day", "dawn", "night"))
    assert night < 0.5 * dawn < dawn < day
