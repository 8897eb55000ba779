"""The command line: serve the page, make pictures, read what made a picture.

``webui`` serves; ``webui make PROMPT`` makes pictures through the same queue; ``webui info FILE`` reads a picture's
recipe. Bad input is one sentence on standard error and exit status 2. Parameters of the recipe become options from
their one declaration.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NoReturn

from webui import __version__, presets, seeds
from webui.errors import BadRecipe, BadValue, JobError, ReseedError
from webui.recipe import PARAMS, Choice, Param
from webui.settings import DEFAULT_PORT, DEVICES, DTYPES, Settings, default_data_dir

USAGE: Final = 2
FAILED: Final = 1


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
    arguments = parser.parse_args(_with_command(list(sys.argv[1:] if argv is None else argv)))
    try:
        command: Callable[[argparse.Namespace], int] = arguments.command
        return command(arguments)
    except ReseedError as error:
        print(f"webui: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 130


COMMANDS: Final = ("serve", "make", "info")


def _with_command(argv: list[str]) -> list[str]:
    """``webui`` alone serves: put the command in where none is named."""
    asks = {"-h", "--help", "--version"}
    if any(word in COMMANDS for word in argv[:1]) or (argv and argv[0] in asks):
        return argv
    return ["serve", *argv]


def _parser() -> Parser:
    parser = Parser(prog="webui", description="Reseed: a text-to-image web UI whose seeds you can trust.")
    parser.add_argument("--version", action="version", version=f"reseed {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="{serve,make,info}", parser_class=Parser)
    _add_serve(commands.add_parser("serve", help="serve the page (also what `webui` alone does)"))
    _add_make(commands.add_parser("make", help="make pictures from a prompt"))
    _add_info(commands.add_parser("info", help="read what made a picture"))
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
    _add_data_dir(parser)
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="a picture: PNG, JPEG or WebP; also by its name below outputs"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=_info)


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


def _picture(arguments: argparse.Namespace) -> Path:
    """Find the file: as it is named, else below the outputs of the data folder."""
    named: Path = arguments.file.expanduser()
    data_dir = (arguments.data_dir or default_data_dir()).expanduser().resolve()
    kept = Settings(data_dir=data_dir).outputs / named
    return kept if not named.exists() and kept.is_file() else named


def _info(arguments: argparse.Namespace) -> int:
    from webui import png

    path = _picture(arguments)
    found = png.read(path)
    if not arguments.json:
        print(found.infotext)
        return 0
    data: dict[str, Any] = {"path": str(path.resolve()), "source": found.source}
    if found.recipe is not None:
        data |= {"seed": str(found.recipe.seed), "recipe": found.recipe.to_dict()}
    if found.fingerprint is not None:
        data |= {"fingerprint": found.fingerprint.to_dict(), "pixels_sha256": found.pixels_sha256}
    if found.reading is not None:
        values = {name: str(value) if name == "seed" else value for name, value in found.reading.values.items()}
        data |= {"values": values, "rest": found.reading.rest, "problems": [str(one) for one in found.reading.problems]}
    print(json.dumps(data, ensure_ascii=False, indent=2))
    return 0
