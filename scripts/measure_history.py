"""Measure how long the history takes to open and to answer, with many records and without their pictures.

    python scripts/measure_history.py [1000 10000 100000]

Fills an index in a temporary folder with so many records, beside empty files, and prints milliseconds a page of 40, the
least of nine runs: of the processor, which other programs do not disturb, and by the clock. At last what a screen of
the history weighs: its HTML, as it is and packed as a server packs it, and the thumbnails of 40 drawn scenes.
"""

import argparse
import gzip
import json
import random
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

from PIL import Image

from webui import gallery_schema as schema
from webui.demo.data import draw_picture
from webui.engine.checkpoints import Catalog
from webui.engine.fake import FakeEngine
from webui.fingerprint import Fingerprint
from webui.gallery import Gallery
from webui.gallery_schema import Row
from webui.recipe import Recipe
from webui.search import Search, place
from webui.settings import Settings
from webui.studio import Studio
from webui.ui.desk import Desk, Tab
from webui.ui.history import Past

SUBJECTS = ("a house by a lake", "a cat on a wall", "mountains at sunset", "a boat in a storm")
SAMPLERS = ("Euler a", "Euler", "DPM++ 2M", "Heun")
PAGE = 41
RUNS = 9


def rows(outputs: Path, count: int) -> list[Row]:
    """Make records: four subjects, twelve other words of two thousand, every fourth with the seed 7."""
    pick = random.Random(1)
    base = Recipe.of(prompt="", seed=0).to_dict()
    fingerprint = json.dumps(dict.fromkeys(("product", "torch", "diffusers", "model_hash", "device", "dtype"), "1"))
    made = []
    for number in range(count):
        day = (date(2024, 1, 1) + timedelta(number // 400)).isoformat()
        path = f"{day}/{number % 400 + 1:05d}-7.png"
        (outputs / path).parent.mkdir(exist_ok=True)
        (outputs / path).touch()
        words = " ".join(f"word{pick.randrange(2000)}" for _ in range(12))
        seed = "7" if number % 4 == 0 else str(pick.getrandbits(64))
        told = {"prompt": f"{pick.choice(SUBJECTS)}, {words}", "negative_prompt": "blurry", "seed": seed}
        recipe = json.dumps({**base, **told, "sampler": pick.choice(SAMPLERS)})
        made.append(
            Row(path, 0, 0, id=f"{number:032x}", place=place(day, number % 400 + 1, ""), seed=seed, recipe=recipe,
                fingerprint=fingerprint, parent=f"{number - 1:032x}" if number % 5 else "")
        )  # fmt: skip
    return made


def milliseconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return the least of nine runs: of the processor and by the clock."""
    took = []
    for _ in range(RUNS):
        used, began = time.process_time(), time.perf_counter()
        work()
        took.append((1000 * (time.process_time() - used), 1000 * (time.perf_counter() - began)))
    return min(used for used, _ in took), min(clock for _, clock in took)


def measure(folder: Path, count: int) -> None:
    """Fill an index, and print a line for each question."""
    outputs, path = folder / "outputs", folder / "cache" / "index.db"
    outputs.mkdir()
    path.parent.mkdir()
    records = rows(outputs, count)
    index = schema.Index(path)
    began = time.process_time()
    index.run(lambda db: schema.put(db, records), writes=True)
    used, size = time.process_time() - began, path.stat().st_size >> 20
    print(f"{count:,} records: filled in {used:.1f} s of the processor, {size} MB")
    index.close()

    def opened() -> None:
        gallery = Gallery(outputs, path, folder / "thumbnails")
        gallery.recent(PAGE)
        gallery.close()

    gallery = Gallery(outputs, path, folder / "thumbnails")
    middle, favourites = f"{count // 2:032x}", frozenset(f"{number:032x}" for number in range(0, count, 100))
    rare = Search(prompts=(json.loads(records[0].recipe)["prompt"], "blurry"))
    asked: dict[str, tuple[Search, str | None]] = {
        "newest": (Search(), None),
        "a page in the middle": (Search(), middle),
        "common word": (Search("house"), None),
        "its page in the middle": (Search("house"), middle),
        "every word a beginning": (Search("w"), None),
        "three words": (Search("house lake word17"), None),
        "no such word": (Search("nothing"), None),
        "common seed": (Search(seed="7"), None),
        "one seed of 64 bits": (Search(seed=records[1].seed), None),
        "word, seed and sampler": (Search("cat", seed="7", sampler="Heun"), None),
        "same words": (rare, None),
        "one day": (Search.parse("since:2024-01-02 until:2024-01-02"), None),
        "favourites (one in a hundred)": (Search(among=favourites), None),
        "favourites with a word": (Search("boat", among=favourites), None),
    }  # fmt: skip
    print(f"  {'':32}{'used':>8}{'clock':>8}")
    print(f"  {'open, first page':32}{'{:8.1f}{:8.1f}'.format(*milliseconds(opened))}")
    for name, (wanted, before) in asked.items():
        found = len(gallery.search(wanted, PAGE, before))
        took = milliseconds(lambda wanted=wanted, before=before: gallery.search(wanted, PAGE, before))  # type: ignore[misc]
        print(f"  {name:32}{took[0]:8.1f}{took[1]:8.1f}   {found} found")
    gallery.close()
    weigh(folder)


def weigh(folder: Path) -> None:
    """Print what a screen of the history weighs, and how long it takes to draw."""
    studio = Studio(Settings(data_dir=folder), FakeEngine(), Catalog(folder / "models"))
    past, tab = Past(studio, Desk()), Tab()
    drawn = past.draw(tab).encode()
    used, clock = milliseconds(lambda: past.draw(tab))
    sizes = f"{len(drawn):,} bytes, {len(gzip.compress(drawn)):,} packed"
    print(f"  {'a screen of 40, drawn':32}{used:8.1f}{clock:8.1f}   {sizes}")
    base = Recipe.of(prompt="", seed=0, width=256, height=256)
    fingerprint = Fingerprint.from_dict({})
    saved = [studio.gallery.save(Image.fromarray(draw_picture(1, n)), base, fingerprint) for n in range(PAGE - 1)]
    weight = sum(studio.gallery.thumbnail(record).stat().st_size for record in saved)
    print(f"  {'thumbnails of 40 drawn scenes':32}{weight:,} bytes")
    studio.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    for count in parser.parse_args().counts:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), count)


if __name__ == "__main__":
    main()
