"""A1111's script "X/Y/Z plot" as the API names it: a list of arguments by position, read into the axes of a sweep.

The promise: an argument that this program cannot follow is refused with a sentence. Axes may be given by name, which is
plain, or by number; a number counts in the list of the version that the number of arguments belongs to.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from webui.errors import BadValue
from webui.sweeping import FIELDS

NAME: Final = "x/y/z plot"
NOTHING: Final = "Nothing"
OLDER: Final = (
    NOTHING, "Seed", "Var. seed", "Var. strength", "Steps", "Hires steps", "CFG Scale", "Prompt S/R", "Prompt order",
    "Sampler", "Checkpoint name", "Sigma Churn", "Sigma min", "Sigma max", "Sigma noise", "Eta", "Clip skip",
    "Denoising", "Hires upscaler", "VAE", "Styles",
)  # fmt: skip
"""The axes that a number means beside 14 arguments, as the client webuiapi sends them."""
AXES: Final = (
    NOTHING, "Seed", "Var. seed", "Var. strength", "Steps", "Hires steps", "CFG Scale", "Prompt S/R", "Prompt order",
    "Sampler", "Hires sampler", "Checkpoint name", "Negative Guidance minimum sigma", "Sigma Churn", "Sigma min",
    "Sigma max", "Sigma noise", "Schedule type", "Schedule min sigma", "Schedule max sigma", "Schedule rho",
    "Beta schedule alpha", "Beta schedule beta", "Eta", "Clip skip", "Denoising", "Initial noise multiplier",
    "Extra noise", "Hires upscaler", "VAE", "Styles", "UniPC Order", "Face restore", "Token merging ratio",
    "Token merging ratio high-res", "Always discard next-to-last sigma", "SGM noise multiplier", "Refiner checkpoint",
    "Refiner switch at", "RNG source", "FP8 mode", "Size",
)  # fmt: skip
"""The axes that a number means beside 17 or 18 arguments, as in A1111 1.10."""
_HERE: Final = {
    "sigma min": "Sigma tmin", "sigma max": "Sigma tmax", "negative guidance minimum sigma": "NGMS",
    "always discard next-to-last sigma": "Discard penultimate sigma",
}  # fmt: skip
"""What an axis is called here, where ``webui.axes`` does not know A1111's word."""
_OLDER_TAIL: Final = ("draw_legend", "include_lone_images", "include_sub_grids", "no_fixed_seeds", "margin_size")
_TAIL: Final = (*_OLDER_TAIL[:4], "vary_seeds_x", "vary_seeds_y", "vary_seeds_z", "margin_size", "csv_mode")
_LENGTHS: Final = {9: (), 14: _OLDER_TAIL, 17: _TAIL[:8], 18: _TAIL}
_MUST_BE: Final = {
    "draw_legend": (True, "The grid always has its legend."),
    "include_sub_grids": (False, "There is one grid for all axes."),
    "no_fixed_seeds": (False, "A random seed is drawn once for all cells. Take the axis Seed for more."),
    "vary_seeds_x": (False, "Take the axis Seed."),
    "vary_seeds_y": (False, "Take the axis Seed."),
    "vary_seeds_z": (False, "Take the axis Seed."),
}
ARGUMENTS: Final[dict[str, Any]] = {
    **{f"{axis} {part}": value for axis in "XYZ" for part, value in (("type", NOTHING), ("values", ""), ("list", []))},
    **dict.fromkeys(_TAIL, False),
    "draw_legend": True,
    "margin_size": 0,
}
"""The arguments of A1111 1.10 in their order, each with what it is when nothing is chosen."""


@dataclass(frozen=True)
class Plot:
    """A sweep: label and values of its axes, and whether its pictures come beside the grid."""

    axes: tuple[tuple[str, str], ...]
    lone: bool = False


def read(args: object) -> Plot:
    """Read the arguments of the script; raise BadValue for the first that is not allowed."""
    if not isinstance(args, list) or len(args) not in _LENGTHS:
        given = f"{len(args)} values" if isinstance(args, list) else args
        rule = "a list of 14, 17 or 18 values, nine of them for the axes"
        raise BadValue("script_args", "script_args", given, rule, "GET script-info names them.")
    names = _LENGTHS[len(args)]
    told = {name: _switch(name, value) for name, value in zip(names, args[9:], strict=True) if name != "margin_size"}
    if "margin_size" in names:
        _margin(args[9 + names.index("margin_size")])
    known = AXES if len(args) > 14 else OLDER
    by_list = not told.get("csv_mode", False)
    axes = [_axis(field, args[at : at + 3], known, by_list) for at, field in zip((0, 3, 6), FIELDS, strict=True)]
    return Plot(tuple(axes), told.get("include_lone_images", False))


def _switch(name: str, value: object) -> bool:
    """Read true or false, which clients also write as the texts "True" and "False"."""
    found = {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise BadValue(name, name, value, "true or false")
    must, why = _MUST_BE.get(name, (found, ""))
    if found != must:
        raise BadValue(name, name, value, str(must).lower(), why)
    return found


def _margin(value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 500:
        raise BadValue("margin_size", "margin_size", value, "a whole number from 0 to 500")


def _axis(field: str, given: Sequence[Any], known: Sequence[str], by_list: bool) -> tuple[str, str]:
    """Read an axis: its type, its values as text, and as a list, which counts where both are given."""
    kind, text, listed = given
    if isinstance(kind, int) and not isinstance(kind, bool) and 0 <= kind < len(known):
        kind = known[kind]
    if not isinstance(kind, str):
        raise BadValue(field, "An axis", kind, f"a name, or a number from 0 to {len(known) - 1}")
    if kind in ("", NOTHING):
        return "", ""
    if listed and by_list:
        if not isinstance(listed, list | str) or not all(isinstance(one, str) for one in listed):
            raise BadValue(field, kind, listed, "a list of texts")
        text = listed if isinstance(listed, str) else _joined(listed)
    if not isinstance(text, str):
        raise BadValue(field, kind, text, "a text of values divided by commas")
    return _HERE.get(kind.strip().lower(), kind), text


def _joined(values: Sequence[str]) -> str:
    """Write values divided by commas, in quotes where one holds a comma."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()
