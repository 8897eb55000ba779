"""The command line: serve the page, make pictures, read what made a picture, prove that they are what they say.

``webui`` serves; ``webui make PROMPT`` makes pictures through the same queue; ``webui info FILE`` reads a picture's
recipe; ``webui verify`` checks the pictures on disk; ``webui reproduce FILE`` makes one again and compares. Bad input
is one sentence on standard error and exit status 2. Parameters of the recipe become options from their one declaration.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NoReturn

from webui import __version__, presets, seeds
from webui.errors import BadRecipe, BadValue, JobError, ReseedError
from webui.params import Choice, Param
from webui.recipe import PARAMS
from webui.settings import DEFAULT_PORT, DEVICES, DTYPES, Settings, default_data_dir

USAGE: Final = 2
FAILED: Final = 1
NOTHING: Final = 10


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence on standard error, with exit status 2. Options are not abbreviated."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Print the sentence and leave."""
        sentence = message[:1].upper() + message[1:]
        print(f"webui: {sentence.rstrip('.')}. See: {self.prog} --help", file=sys.stderr)
        raise SystemExit(USAGE)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = _parser()
    arguments = parser.parse_args(_settled(list(sys.argv[1:] if argv is None else argv)))
    try:
        command: Callable[[argparse.Namespace], int] = arguments.command
        return command(arguments)
    except ReseedError as error:
        print(f"webui: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 130


COMMANDS: Final = ("serve", "make", "info", "verify", "reproduce")


def _settled(argv: list[str]) -> list[str]:
    """``webui`` alone serves: put the command in where none is named. A path after ``--read-data`` is no share."""
    asks = {"-h", "--help", "--version"}
    if argv[:1] == ["verify"]:
        return ["--read-data=100%" if word == "--read-data" else word for word in argv]
    if any(word in COMMANDS for word in argv[:1]) or (argv and argv[0] in asks):
        return argv
    return ["serve", *argv]


def _parser() -> Parser:
    parser = Parser(prog="webui", description="Reseed: a text-to-image web UI whose seeds you can trust.")
    parser.add_argument("--version", action="version", version=f"reseed {__version__}")
    commands = parser.add_subparsers(title="commands", metavar=f"{{{','.join(COMMANDS)}}}", parser_class=Parser)
    _add_serve(commands.add_parser("serve", help="serve the page (also what `webui` alone does)"))
    _add_make(commands.add_parser("make", help="make pictures from a prompt"))
    _add_info(commands.add_parser("info", help="read what made a picture, and whether it will come back equal"))
    _add_verify(commands.add_parser("verify", help="check that pictures are whole and are what they say"))
    _add_reproduce(commands.add_parser("reproduce", help="make pictures again from what they say, and compare"))
    return parser


def option_tables() -> dict[str, list[tuple[str, str]]]:
    """Return each command's options and what they do, for the documentation."""
    actions = [action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction)]
    commands: dict[str, argparse.ArgumentParser] = dict(actions[0].choices)
    return {f"webui {name}": [_described(action) for action in command._actions] for name, command in commands.items()}


def _described(action: argparse.Action) -> tuple[str, str]:
    value = "" if action.nargs == 0 else action.metavar or "|".join(str(choice) for choice in action.choices or ())
    flags = ", ".join(action.option_strings)
    explained = (action.help or "") % {"default": action.default, "choices": ", ".join(map(str, action.choices or ()))}
    return " ".join(part for part in (flags, str(value)) if part), explained


def _add_data_dir(parser: argparse.ArgumentParser) -> None:
    where = "where pictures and records live (default: the checkout, else the user data folder)"
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help=where)


def _add_engine(parser: argparse.ArgumentParser) -> None:
    _add_data_dir(parser)
    parser.add_argument(
        "--models-dir", type=Path, metavar="DIR", help="where models are (default: models in the data folder)"
    )
    parser.add_argument("--device", choices=DEVICES, help="where the networks run (default: the best there is)")
    parser.add_argument("--dtype", choices=DTYPES, help="the networks' number type (default: by device)")


def _add_serve(parser: argparse.ArgumentParser) -> None:
    _add_engine(parser)
    parser.add_argument(
        "--model", metavar="NAME", help="the model that the form begins with (default: the bundled one)"
    )
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, metavar="N", help="default: %(default)s")
    parser.add_argument("--listen", action="store_true", help="answer other machines too, not only this one")
    parser.set_defaults(command=_serve)


def _add_make(parser: argparse.ArgumentParser) -> None:
    _add_engine(parser)
    parser.add_argument("prompt", metavar="PROMPT", help=PARAMS["prompt"].help)
    parser.add_argument("--seed", default="-1", metavar="N",
                        help="a seed, −1 for a random one (default), or a list such as 7,9,20-27")  # fmt: skip
    parser.add_argument("--count", default="1", metavar="N", help="how many pictures (default: 1)")
    parser.add_argument(
        "--numbering", choices=seeds.NUMBERINGS, default="increment", help="seeds of a batch: %(choices)s"
    )
    parser.add_argument("--preset", action="append", default=[], metavar="NAME", help="apply a preset; may be repeated")
    for name, param in PARAMS.items():
        if name not in ("prompt", "seed"):
            names = ["--negative"] if name == "negative_prompt" else []
            default = "by model" if name in ("width", "height", "steps", "cfg_scale", "sampler") else param.default
            note = f" (default: {default})" if default != "" else ""
            parser.add_argument(f"--{name.replace('_', '-')}", *names, dest=name, metavar=_metavar(param),
                                help=(param.help + note).replace("%", "%%"))  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object a picture: path, seed, recipe")
    parser.set_defaults(command=_make)


def _metavar(param: Param) -> str:
    if isinstance(param, Choice):
        return "NAME"
    return "TEXT" if isinstance(param.default, str) else "N"


def _add_info(parser: argparse.ArgumentParser) -> None:
    _add_engine(parser)
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="a picture: PNG, JPEG or WebP; also by its name below outputs"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=_info)


def _add_verify(parser: argparse.ArgumentParser) -> None:
    _add_data_dir(parser)
    parser.add_argument(
        "paths",
        type=Path,
        nargs="*",
        metavar="PATH",
        help="files and folders (default: the outputs of the data folder)",
    )
    parser.add_argument("--read-data", nargs="?", const="100%", metavar="[=5%]",
                        help="decode the pixels too and compare their hash: of all pictures, or of a share of them, "
                        "the same ones each time".replace("%", "%%"))  # fmt: skip
    parser.add_argument(
        "--rebuild-index", action="store_true", help="first build the index again from the files; else nothing changes"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(command=_verify)


def _add_reproduce(parser: argparse.ArgumentParser) -> None:
    _add_engine(parser)
    parser.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help="pictures; also by their names below outputs"
    )
    parser.add_argument(
        "--difference", type=Path, metavar="PNG", help="write the difference of one FILE, brightened, to a new file"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a picture")
    parser.set_defaults(command=_reproduce)


def _settings(arguments: argparse.Namespace, **more: Any) -> Settings:
    data_dir = (arguments.data_dir or default_data_dir()).expanduser().resolve()
    models_dir = arguments.models_dir.expanduser().resolve() if arguments.models_dir else None
    return Settings(data_dir=data_dir, models_dir=models_dir, device=arguments.device, dtype=arguments.dtype, **more)


def _serve(arguments: argparse.Namespace) -> int:
    from webui.serve import serve

    if not 0 <= arguments.port <= 65535:
        raise BadValue("port", "--port", arguments.port, "a whole number from 0 to 65535, 0 for any free one")
    host = "0.0.0.0" if arguments.listen else "127.0.0.1"
    return serve(_settings(arguments, model=arguments.model, host=host, port=arguments.port))


def _make(arguments: argparse.Namespace) -> int:
    from webui.studio import COUNT, Studio

    given = {
        name: getattr(arguments, name)
        for name in PARAMS
        if getattr(arguments, name, None) is not None and name != "seed"
    }
    values = _parse(given)
    with TemporaryDirectory(prefix="reseed-") as folder:  # a queue of its own: a server's jobs are not ours to run
        settings = _settings(arguments, model=values.get("model"), journal_file=Path(folder) / "jobs.db")
        studio = Studio.open(settings)
        try:
            known = studio.presets()
            for name in arguments.preset:
                values = presets.find(name, known).apply(values)
            recipes = studio.recipes(values, arguments.seed, COUNT.parse(arguments.count), arguments.numbering)
            studio.start()
            return _follow(studio, studio.jobs.submit(recipes).job, arguments.json)
        finally:
            studio.close()


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


def _follow(studio: Any, job: str, as_json: bool) -> int:
    from tqdm import tqdm

    printed = 0
    with tqdm(total=1.0, bar_format="{desc} {percentage:3.0f}% |{bar}| {postfix}", leave=False, file=sys.stderr,
              disable=None) as bar:  # fmt: skip
        for progress in studio.jobs.watch(job):
            for record in progress.records[printed:]:
                bar.clear()
                _print_record(record, as_json)
            printed = len(progress.records)
            bar.set_description_str(f"picture {min(progress.index + 1, progress.count)} of {progress.count}")
            bar.n = min(1.0, (printed + progress.step / max(1, progress.steps)) / progress.count)
            bar.set_postfix_str("" if progress.eta is None else f"{progress.eta:.0f} s left")
    if progress.error:
        raise JobError(progress.error)
    return 0 if progress.status == "succeeded" else FAILED


def _print_record(record: Any, as_json: bool) -> None:
    if as_json:
        data = {"path": str(record.path), "seed": str(record.recipe.seed), "pixels_sha256": record.pixels_sha256,
                "recipe": record.recipe.to_dict(), "fingerprint": record.fingerprint.to_dict()}  # fmt: skip
        print(json.dumps(data, ensure_ascii=False), flush=True)
    else:
        print(f"{record.path}  seed {record.recipe.seed}", flush=True)


def _picture(named: Path, outputs: Path) -> Path:
    """Find the file: as it is named, else below the outputs of the data folder."""
    named = named.expanduser()
    kept = outputs / named
    return kept if not named.exists() and kept.is_file() else named


def _info(arguments: argparse.Namespace) -> int:
    from webui import infotext, png, reproduce, verdict
    from webui.engine.checkpoints import Catalog

    settings = _settings(arguments)
    path = _picture(arguments.file, settings.outputs)
    found = png.read(path)
    catalog = Catalog(settings.models, hashes=settings.cache / "hashes.json")
    judged = reproduce.expected(found, catalog, verdict.present(settings.device, settings.dtype))
    values = found.reading.values if found.reading is not None else {}
    if not arguments.json:
        ours = infotext.format(found.recipe) if found.recipe is not None else ""
        read = "\n".join(f"{PARAMS[name].label}: {value}" for name, value in values.items())
        told = found.infotext or ours
        print(read if not told or told.startswith("{") else told, judged, sep="\n\n")  # "{": another program's JSON
        return 0
    data: dict[str, Any] = {"path": str(path.resolve()), "source": found.source}
    if found.recipe is not None:
        data |= {"seed": str(found.recipe.seed), "recipe": found.recipe.to_dict()}
    if found.fingerprint is not None:
        data |= {"fingerprint": found.fingerprint.to_dict(), "pixels_sha256": found.pixels_sha256}
    if found.reading is not None:
        values = {name: str(value) if name == "seed" else value for name, value in values.items()}
        data |= {"values": values, "rest": found.reading.rest, "problems": [str(one) for one in found.reading.problems]}
        data["notes"] = list(found.reading.notes)
    print(json.dumps(data | {"verdict": judged.to_dict()}, ensure_ascii=False, indent=2))
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from webui import verify

    part = 0.0 if arguments.read_data is None else verify.share(arguments.read_data)
    settings = Settings(data_dir=(arguments.data_dir or default_data_dir()).expanduser().resolve())
    rebuilt = verify.rebuild(settings) if arguments.rebuild_index and settings.outputs.is_dir() else None
    bar = partial(tqdm, unit="file", leave=False, file=sys.stderr, disable=None)
    report = verify.verify(settings, arguments.paths, part, bar)
    if arguments.json:
        index = None if rebuilt is None else {"added": rebuilt.added, "removed": rebuilt.removed}
        print(json.dumps({**report.to_dict(), "rebuilt": index}, ensure_ascii=False, indent=2))
    else:
        for problem in report.problems:
            print(f"{problem.path}: {problem.kind}: {problem.sentence}")
        print(report)
    return {"clean": 0, "problems": FAILED, "nothing": NOTHING}[report.status]


def _reproduce(arguments: argparse.Namespace) -> int:
    from webui import reproduce
    from webui.engine.checkpoints import Catalog
    from webui.engine.diffusion import DiffusionEngine

    settings, target = _settings(arguments), arguments.difference
    if target is not None and (len(arguments.files) > 1 or target.exists() or not target.absolute().parent.is_dir()):
        rule = "a new file in a folder that is there, and given with one FILE only"
        raise BadValue("difference", "--difference", str(target), rule)
    catalog = Catalog(settings.models, hashes=settings.cache / "hashes.json")
    engine = DiffusionEngine(catalog, settings.device, settings.dtype)
    statuses = []
    for named in arguments.files:
        result = reproduce.reproduce(_picture(named, settings.outputs), engine, catalog)
        factor = reproduce.write_difference(result, target) if target is not None else None
        if arguments.json:
            drawn = None if factor is None else {"path": str(target.absolute()), "factor": factor}
            print(json.dumps({**result.to_dict(), "difference_picture": drawn}, ensure_ascii=False), flush=True)
        else:
            reasons = result.verdict.reasons[1:] if result.verdict is not None else ()
            drawn_to = [f"The difference, times {factor}, is in {target}."] if factor is not None else []
            print(f"{result.to_dict()['path']}: {result.sentence}", *reasons, *drawn_to, sep="\n  ", flush=True)
        statuses.append(reproduce.EXIT[result.outcome])
    return min(filter(None, statuses), default=0)
