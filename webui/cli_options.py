"""Options that more than one command has, and the settings they stand for."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from webui.errors import BadValue
from webui.settings import DEVICES, DTYPES, Settings, default_data_dir


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where everything is kept."""
    where = "where pictures and records live (default: the checkout, else the user data folder)"
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help=where)


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Add the options of whoever makes pictures: folders, device and number type."""
    add_data_dir(parser)
    parser.add_argument(
        "--models-dir", type=Path, metavar="DIR", help="where models are (default: models in the data folder)"
    )
    for name, what in (("loras", "LoRAs"), ("embeddings", "embeddings (textual inversions)")):
        where = f"where {what} are (default: {name} in the models folder)"
        parser.add_argument(f"--{name}-dir", type=Path, metavar="DIR", help=where)
    parser.add_argument("--device", choices=DEVICES, help="where the networks run (default: the best there is)")
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        help="the networks' number type: exact is float32, fast what the "
        "device computes faster in (default: exact on a processor, fast on others)",
    )


def add_ray(parser: argparse.ArgumentParser) -> None:
    """Add the options of whoever lets a Ray cluster make the pictures."""
    parser.add_argument(
        "--ray",
        default="",
        metavar="CLUSTER",
        help="let a Ray cluster make the pictures: local[:N] starts a private one with N workers, auto or an address "
        "joins one that you started with token authentication",
    )
    parser.add_argument(
        "--ray-workers",
        type=int,
        default=0,
        metavar="N",
        help="how many workers to ask the cluster for (default: one for each accelerator that it has)",
    )


def ray_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of the cluster; raise BadValue for what is none."""
    from webui.engine.cluster import MOST, asked

    if not 0 <= arguments.ray_workers <= MOST or (arguments.ray_workers and not arguments.ray):
        rule = f"a whole number from 1 to {MOST}, and given with --ray"
        raise BadValue("ray_workers", "--ray-workers", arguments.ray_workers, rule)
    if arguments.ray:
        asked(arguments.ray)
    return {"ray": arguments.ray, "ray_workers": arguments.ray_workers}


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where wildcards and styles are."""
    parser.add_argument(
        "--wildcards",
        type=Path,
        metavar="DIR",
        help="where lists for wildcards are (default: wildcards in the data folder)",
    )
    parser.add_argument(
        "--styles", type=Path, metavar="FILE", help="the table of styles (default: styles.csv in the data folder)"
    )


def settings_of(arguments: argparse.Namespace, **more: Any) -> Settings:
    """Return the settings that the options of ``add_engine`` ask for, and ``more``."""
    data_dir = (arguments.data_dir or default_data_dir()).expanduser().resolve()
    folders = {name: getattr(arguments, name) for name in ("models_dir", "loras_dir", "embeddings_dir")}
    given = {name: folder.expanduser().resolve() for name, folder in folders.items() if folder}
    return Settings(data_dir=data_dir, device=arguments.device, dtype=arguments.dtype, **given, **more)


def word_settings(arguments: argparse.Namespace) -> dict[str, Path | None]:
    """Return the settings of wildcards and styles."""
    return {
        "wildcards_dir": _there("wildcards", arguments.wildcards, Path.is_dir, "a folder that is there"),
        "styles_file": _there("styles", arguments.styles, Path.is_file, "a file that is there"),
    }


def _there(name: str, path: Path | None, is_there: Callable[[Path], bool], rule: str) -> Path | None:
    """Resolve a path that was named; raise BadValue when nothing of its kind is there."""
    found = path.expanduser().resolve() if path is not None else None
    if found is not None and not is_there(found):
        raise BadValue(name, f"--{name}", str(path), rule)
    return found
