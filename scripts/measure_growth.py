"""Measure how the program's own costs grow: the queue, one job, sweeps, the history and visitors, at four sizes each.

    python scripts/measure_growth.py [--out DIR]

Everything is done in this process with the engine that makes pictures of nothing, so what is counted are the seconds of
the processor that the program itself takes; the least of three runs. The exponent is the slope of a line through the
four points on logarithmic axes: 1 is linear, 0 does not grow. Writes DIR/growth.json, growth.md and growth.svg.
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from measure_history import PAGE, rows
from tqdm import tqdm

from webui import gallery_schema as schema
from webui.engine.checkpoints import Catalog
from webui.engine.fake import FakeEngine
from webui.gallery import Gallery
from webui.recipe import Recipe
from webui.search import Search
from webui.settings import Settings
from webui.studio import Studio

RUNS = 3
SMALL = {"prompt": "a house by a lake", "width": 64, "height": 64, "steps": 2}
WIDTH, HEIGHT, LEFT, TOP = 760, 420, 70, 20
COLOURS = ("#2f6f4f", "#b45309", "#1d4ed8", "#9d174d", "#4b5563")


class Cost(NamedTuple):
    """Something that may grow: its name, its four sizes, and what measures one in seconds."""

    name: str
    sizes: tuple[int, ...]
    measure: Callable[[int], float]


@contextmanager
def house() -> Iterator[Studio]:
    """Give a studio over an empty folder that is at work."""
    with tempfile.TemporaryDirectory(prefix="reseed-growth-") as name:
        folder = Path(name)
        studio = Studio(Settings(data_dir=folder), FakeEngine(), Catalog(folder / "models"))
        studio.start()
        try:
            yield studio
        finally:
            studio.close()


def used(work: Callable[[], object]) -> float:
    """Give the seconds of the processor that a piece of work takes."""
    began = time.process_time()
    work()
    return time.process_time() - began


def queue(count: int) -> float:
    """Submit so many jobs of a picture each and wait for all."""

    def work() -> None:
        jobs = [studio.jobs.submit([Recipe.of(**SMALL, seed=seed)]).job for seed in range(count)]
        for job in jobs:
            assert [*studio.jobs.watch(job)][-1].status == "succeeded"

    with house() as studio:
        return used(work)


def job(count: int) -> float:
    """Submit one job of so many pictures and watch it to its end."""
    with house() as studio:
        recipes = [Recipe.of(**SMALL, seed=seed) for seed in range(count)]
        return used(lambda: [*studio.jobs.watch(studio.jobs.submit(recipes).job)])


def sweep(count: int) -> float:
    """Plan and make a sweep of so many cells: a square of steps and CFG scales."""
    side = math.isqrt(count)

    def work() -> None:
        axes = [("Steps", f"1-{side}"), ("CFG scale", ", ".join(f"{1 + k / 4:g}" for k in range(side)))]
        planned = studio.plan(axes, {**studio.defaults(), **SMALL}, "7")
        assert len(planned.recipes) == side * side
        assert [*studio.jobs.watch(studio.sweep(planned).job)][-1].status == "succeeded"

    with house() as studio:
        return used(work)


def history(count: int) -> float:
    """Open a history of so many pictures, read a page in its middle and look for three words."""
    with tempfile.TemporaryDirectory(prefix="reseed-growth-") as name:
        folder = Path(name)
        outputs, path = folder / "outputs", folder / "index.db"
        outputs.mkdir()
        records = rows(outputs, count)
        index = schema.Index(path)
        index.run(lambda db: schema.put(db, records), writes=True)
        index.close()

        def work() -> None:
            gallery = Gallery(outputs, path, folder / "thumbnails")
            gallery.search(Search(), PAGE, f"{count // 2:032x}")
            gallery.search(Search("house lake word17"), PAGE)
            gallery.close()

        return min(used(work) for _ in range(RUNS))


def visitors(count: int) -> float:
    """Let so many people ask for a picture, look how it stands and find it in a history of their own."""

    def work() -> None:
        owners = [f"{number:032x}" for number in range(1, count + 1)]
        jobs = [studio.of(owner).jobs.submit([Recipe.of(**SMALL, seed=7)]).job for owner in owners]
        for owner, one in zip(owners, jobs, strict=True):
            mine = studio.of(owner)
            assert [*mine.jobs.watch(one)][-1].status == "succeeded"
            assert len(mine.gallery.search(Search(), PAGE)) == 1

    with house() as studio:
        return used(work)


COSTS = (
    Cost("jobs in the queue", (25, 50, 100, 200), queue),
    Cost("pictures of one job", (25, 50, 100, 200), job),
    Cost("cells of a sweep", (16, 36, 64, 144), sweep),
    Cost("pictures in the history", (1_000, 4_000, 16_000, 64_000), history),
    Cost("visitors at once", (12, 25, 50, 100), visitors),
)


def exponent(sizes: list[int], seconds: list[float]) -> float:
    """Give the slope of the line through points on logarithmic axes, by least squares."""
    x, y = [math.log(size) for size in sizes], [math.log(second) for second in seconds]
    middle_x, middle_y = sum(x) / len(x), sum(y) / len(y)
    rise = sum((a - middle_x) * (b - middle_y) for a, b in zip(x, y, strict=True))
    return rise / sum((a - middle_x) ** 2 for a in x)


def table(report: dict[str, Any]) -> str:
    """Write the figures as markdown."""
    lines = ["| what grows | sizes | milliseconds of the processor, in all | exponent |", "|---|---|---|---|"]
    for name, found in report.items():
        sizes = ", ".join(f"{size:,}" for size in found["sizes"])
        took = ", ".join(f"{1000 * second:.3g}" for second in found["seconds"])
        lines.append(f"| {name} | {sizes} | {took} | {found['exponent']:.2f} |")
    return "\n".join(lines) + "\n"


def plot(report: dict[str, Any]) -> str:
    """Draw seconds over sizes on logarithmic axes, as SVG; the thin lines rise as what is linear does."""
    sizes = [size for found in report.values() for size in found["sizes"]]
    seconds = [second for found in report.values() for second in found["seconds"]]
    x0, x1 = math.floor(math.log10(min(sizes))), math.ceil(math.log10(max(sizes)))
    y0, y1 = math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds)))
    wide, high = WIDTH - LEFT - 190, HEIGHT - TOP - 50

    def at(size: float, second: float) -> str:
        x = LEFT + wide * (math.log10(size) - x0) / (x1 - x0)
        y = TOP + high * (1 - (math.log10(second) - y0) / (y1 - y0))
        return f"{x:.1f} {y:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" '
        'font-size="13">',
        f'<defs><clipPath id="plot"><rect x="{LEFT}" y="{TOP}" width="{wide}" height="{high}"/></clipPath></defs>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<rect x="{LEFT}" y="{TOP}" width="{wide}" height="{high}" fill="none" stroke="#9aa5b1"/>',
    ]
    for power in range(x0, x1 + 1):
        x = at(10.0**power, 10.0**y0).split()[0]
        parts.append(f'<text x="{x}" y="{TOP + high + 18}" text-anchor="middle">{10**power:,}</text>')
    for power in range(y0, y1 + 1):
        y = float(at(10.0**x0, 10.0**power).split()[1])
        label = f"{10.0**power:g} s" if power >= 0 else f"{10.0 ** (power + 3):g} ms"
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    for power in range(y0 - x1, y1 - x0 + 1):
        start, end = at(10.0**x0, 10.0 ** (x0 + power)), at(10.0**x1, 10.0 ** (x1 + power))
        parts.append(f'<path d="M{start}L{end}" stroke="#e4e7eb" clip-path="url(#plot)"/>')
    for k, (colour, (name, found)) in enumerate(zip(COLOURS, report.items(), strict=True)):
        points = [at(*pair) for pair in zip(found["sizes"], found["seconds"], strict=True)]
        parts.append(f'<path d="M{"L".join(points)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{p.split()[0]}" cy="{p.split()[1]}" r="3.5" fill="{colour}"/>' for p in points]
        y = TOP + 16 + 22 * k
        parts.append(f'<text x="{LEFT + wide + 14}" y="{y}" fill="{colour}">{name}, {found["exponent"]:.2f}</text>')
    parts.append(f'<text x="{LEFT + wide / 2}" y="{HEIGHT - 8}" text-anchor="middle">how many</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    """Measure every cost and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("growth"))
    args = parser.parse_args()
    report: dict[str, Any] = {}
    for cost in COSTS:
        runs = 1 if cost.measure is history else RUNS
        seconds = [min(cost.measure(size) for _ in range(runs)) for size in tqdm(cost.sizes, desc=cost.name)]
        slope = exponent([*cost.sizes], seconds)
        report[cost.name] = {"sizes": cost.sizes, "seconds": seconds, "exponent": slope}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "growth.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    (args.out / "growth.svg").write_text(plot(report), "utf-8")
    text = table(report)
    (args.out / "growth.md").write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
