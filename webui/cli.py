"""The command line: serve the page, make pictures, read what made a picture, prove that they are what they say.

``webui`` serves; ``webui make PROMPT`` makes pictures through the same queue, ``webui sweep PROMPT`` a grid of them;
``webui info FILE`` reads a picture's recipe; ``webui verify`` checks the pictures on disk; ``webui reproduce FILE``
makes one again and compares. Bad input is one sentence on standard error and exit status 2.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

from webui import __version__, cli_make
from webui.cli_door import add_door, door_of
from webui.cli_options import add_data_dir, add_engine, add_ray, add_words, ray_settings, settings_of, word_settings
from webui.errors import BadValue, ReseedError
from webui.recipe import PARAMS
from webui.settings import DEFAULT_PORT, Settings, default_data_dir

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


COMMANDS: Final = ("serve", "make", "sweep", "info", "verify", "reproduce")


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
    cli_make.add_make(commands.add_parser("make", help="make pictures from a prompt"))
    cli_make.add_sweep(commands.add_parser("sweep", help="make a grid of pictures along one to three axes"))
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


def _add_serve(parser: argparse.ArgumentParser) -> None:
    add_engine(parser)
    add_ray(parser)
    add_words(parser)
    parser.add_argument(
        "--model", metavar="NAME", help="the model that the form begins with (default: the bundled one)"
    )
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, metavar="N", help="default: %(default)s")
    add_door(parser)
    parser.set_defaults(command=_serve)


def _add_info(parser: argparse.ArgumentParser) -> None:
    add_engine(parser)
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="a picture: PNG, JPEG or WebP; also by its name below outputs"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=_info)


def _add_verify(parser: argparse.ArgumentParser) -> None:
    add_data_dir(parser)
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
    add_engine(parser)
    parser.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help="pictures; also by their names below outputs"
    )
    parser.add_argument(
        "--difference", type=Path, metavar="PNG", help="write the difference of one FILE, brightened, to a new file"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a picture")
    parser.set_defaults(command=_reproduce)


def _serve(arguments: argparse.Namespace) -> int:
    from webui.serve import serve

    if not 0 <= arguments.port <= 65535:
        raise BadValue("port", "--port", arguments.port, "a whole number from 0 to 65535, 0 for any free one")
    more = {**word_settings(arguments), **door_of(arguments), **ray_settings(arguments)}
    return serve(settings_of(arguments, model=arguments.model, port=arguments.port, **more))


def _picture(named: Path, outputs: Path) -> Path:
    """Find the file: as it is named, else below the outputs of the data folder."""
    named = named.expanduser()
    kept = outputs / named
    return kept if not named.exists() and kept.is_file() else named


def _info(arguments: argparse.Namespace) -> int:
    from webui import infotext, png, reproduce, verdict
    from webui.studio import catalog

    settings = settings_of(arguments)
    path = _picture(arguments.file, settings.outputs)
    found = png.read(path)
    judged = reproduce.expected(found, catalog(settings), verdict.present(settings.device, settings.dtype))
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
        data |= {"lineage": found.lineage.to_dict()}
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
    from webui.engine.diffusion import DiffusionEngine
    from webui.studio import catalog

    settings, target = settings_of(arguments), arguments.difference
    if target is not None and (len(arguments.files) > 1 or target.exists() or not target.absolute().parent.is_dir()):
        rule = "a new file in a folder that is there, and given with one FILE only"
        raise BadValue("difference", "--difference", str(target), rule)
    here = catalog(settings)
    engine = DiffusionEngine(here, settings.device, settings.dtype)
    statuses = []
    for named in arguments.files:
        result = reproduce.reproduce(_picture(named, settings.outputs), engine, here)
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
