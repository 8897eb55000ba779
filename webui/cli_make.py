"""Making pictures on the command line: ``webui make`` and ``webui sweep``.

The promise: both go through the same queue as the page's jobs, so the same recipe gives the same picture; standard
output has a line for each picture and nothing else. Parameters of the recipe become options from their one declaration.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from webui import presets, seeds, wildcards, words
from webui.cli_options import add_engine, add_ray, add_words, ray_settings, settings_of, word_settings
from webui.errors import BadRecipe, BadValue, JobError
from webui.lineage import Lineage
from webui.params import Choice, Param
from webui.recipe import PARAMS

if TYPE_CHECKING:
    from webui.gallery import Record
    from webui.progress import Progress
    from webui.studio import Studio
    from webui.sweeping import Layout

FAILED: Final = 1


def add_make(parser: argparse.ArgumentParser) -> None:
    """Add what ``webui make`` takes."""
    _add_wanted(parser, "a seed, −1 for a random one (default), or a list such as 7,9,20-27")
    parser.add_argument("--count", default="1", metavar="N", help="how many pictures (default: 1)")
    parser.add_argument(
        "--numbering", choices=seeds.NUMBERINGS, default="increment", help="seeds of a batch: %(choices)s"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a picture: path, seed, recipe")
    parser.set_defaults(command=_make)


def add_sweep(parser: argparse.ArgumentParser) -> None:
    """Add what ``webui sweep`` takes."""
    _add_wanted(parser, "a seed, −1 for a random one (default); all cells have it that no axis gives another")
    for name, what in (
        ("x", "what changes from column to column"),
        ("y", "from row to row"),
        ("z", "from block to block"),
    ):
        example = ", such as 'CFG scale=3-12'" if name == "x" else ""
        parser.add_argument(f"--{name}", default="", metavar="AXIS=VALUES", help=f"{what}{example}")
    parser.add_argument(
        "--grid", type=Path, metavar="PNG", help="write all pictures as one, with their legends, to a new file"
    )
    parser.set_defaults(command=_sweep)


def _add_wanted(parser: argparse.ArgumentParser, seed: str) -> None:
    """Add what every picture is asked for with; ``seed`` explains what its option takes."""
    add_engine(parser)
    add_ray(parser)
    add_words(parser)
    parser.add_argument(
        "prompt",
        metavar="PROMPT",
        help=PARAMS["prompt"].help + " Wildcards such as {red|blue} and __colour__ are drawn from each picture's seed.",
    )
    parser.add_argument("--literal", action="store_true", help="draw no wildcards: brackets and __ are text")
    parser.add_argument("--seed", default="-1", metavar="N", help=seed)
    parser.add_argument("--preset", action="append", default=[], metavar="NAME", help="apply a preset; may be repeated")
    parser.add_argument("--style", action="append", default=[], metavar="NAME",
                        help="put a style around the prompts: a preset's words or a row of styles.csv; "
                        "may be repeated")  # fmt: skip
    for name, param in PARAMS.items():
        if name not in ("prompt", "seed"):
            names = ["--negative"] if name == "negative_prompt" else []
            default = "by model" if name in ("width", "height", "steps", "cfg_scale", "sampler") else param.default
            note = f" (default: {default})" if default != "" else ""
            parser.add_argument(f"--{name.replace('_', '-')}", *names, dest=name, metavar=_metavar(param),
                                help=(param.help + note).replace("%", "%%"))  # fmt: skip


def _metavar(param: Param) -> str:
    if isinstance(param, Choice):
        return "NAME"
    return "TEXT" if isinstance(param.default, str) else "N"


@contextmanager
def _opened(arguments: argparse.Namespace) -> "Iterator[tuple[Studio, dict[str, Any], Lineage]]":
    """Open a studio that has a queue of its own; give it with what is asked for, presets applied, and its styles."""
    from webui.studio import Studio

    names = [name for name in PARAMS if name != "seed" and getattr(arguments, name, None) is not None]
    values = _parse({name: getattr(arguments, name) for name in names})
    if arguments.literal:
        values |= {name: wildcards.escape(values[name]) for name in words.PROMPTS if name in values}
    with TemporaryDirectory(prefix="reseed-") as folder:  # a server's jobs are not ours to run
        journal = Path(folder) / "jobs.db"
        model = values.get("model")
        more = {**word_settings(arguments), **ray_settings(arguments)}
        studio = Studio.open(settings_of(arguments, model=model, journal_file=journal, **more))
        try:
            known = studio.presets()
            chosen = [presets.find(name, known) for name in arguments.preset]
            for preset in chosen:
                values |= preset.values
            styles = (*(one.name for one in chosen if one.style is not None), *arguments.style)
            yield studio, values, Lineage(styles=styles)
        finally:
            studio.close()


def _make(arguments: argparse.Namespace) -> int:
    from webui.studio import COUNT

    with _opened(arguments) as (studio, values, came):
        count = COUNT.parse(arguments.count)
        recipes, lineage = studio.settle(values, arguments.seed, count, arguments.numbering, came)
        studio.start()

        def told(number: int, record: "Record") -> None:
            print(_json(record) if arguments.json else f"{record.path}  seed {record.recipe.seed}", flush=True)

        progress = _follow(studio, studio.jobs.submit(recipes, lineage=lineage), told)
    return 0 if progress.status == "succeeded" else FAILED


def _sweep(arguments: argparse.Namespace) -> int:
    from webui import grid_picture, sweeping

    target = arguments.grid
    if target is not None and (target.exists() or not target.absolute().parent.is_dir()):
        raise BadValue("grid", "--grid", str(target), "a new file in a folder that is there")
    axes = [_axis(name, getattr(arguments, name)) for name in "xyz"]
    with _opened(arguments) as (studio, values, came):
        planned = studio.plan(axes, values, arguments.seed, came)
        studio.start()

        def told(number: int, record: "Record") -> None:
            print(_json(record, cells=_cells(planned.layout, number)), flush=True)

        progress = _follow(studio, studio.sweep(planned), told)
        places = sweeping.places(planned.layout, progress)
        if target is not None and progress.records:
            grid_picture.write(target, planned.layout, places)
    for place in places:
        if place.record is None:
            print(f"webui: {', '.join(place.captions)}: {place.reason}", file=sys.stderr)
    return 0 if progress.records else FAILED


def _axis(name: str, text: str) -> tuple[str, str]:
    """Divide an axis into its label and its values."""
    label, sign, values = text.partition("=")
    if text and not (sign and label.strip()):
        raise BadValue(name, f"--{name}", text, "an axis and its values, such as 'CFG scale=3-12'")
    return label.strip(), values


def _cells(layout: "Layout", number: int) -> list[tuple[str, ...]]:
    """Return what the axes say of a picture, once for each cell that shows it."""
    return [layout.captions(at) for at, cell in enumerate(layout.cells) if cell == number and not isinstance(cell, str)]


def _parse(given: dict[str, str]) -> dict[str, Any]:
    """Read the options' texts, naming everything that is wrong at once."""
    values: dict[str, Any] = {}
    problems = []
    for name, text in given.items():
        try:
            values[name] = PARAMS[name].parse(text)
        except BadValue as problem:
            problems.append(problem)
    if problems:
        raise BadRecipe(problems)
    return values


def _follow(studio: "Studio", job: "Progress", told: "Callable[[int, Record], None]") -> "Progress":
    """Draw a job's progress to its end and tell of each picture with its number; raise JobError when it failed."""
    from tqdm import tqdm

    printed, progress = set[int](), job
    with tqdm(total=1.0, bar_format="{desc} {percentage:3.0f}% |{bar}| {postfix}", leave=False, file=sys.stderr,
              disable=None) as bar:  # fmt: skip
        for progress in studio.jobs.watch(job.job):
            for number, record in progress.made:
                if number not in printed:  # several workers do not finish in order
                    bar.clear()
                    told(number, record)
                    printed.add(number)
            bar.set_description_str(f"picture {min(progress.index + 1, progress.count)} of {progress.count}")
            done = len(printed) + len(progress.failed) + progress.step / max(1, progress.steps)
            bar.n = min(1.0, done / progress.count)
            bar.set_postfix_str("" if progress.eta is None else f"{progress.eta:.0f} s left")
    if progress.error:
        raise JobError(progress.error)
    return progress


def _json(record: "Record", **more: Any) -> str:
    data = {"path": str(record.path), "seed": str(record.recipe.seed), "pixels_sha256": record.pixels_sha256,
            "recipe": record.recipe.to_dict(), "fingerprint": record.fingerprint.to_dict(),
            "lineage": record.lineage.to_dict(), **more}  # fmt: skip
    return json.dumps(data, ensure_ascii=False)
