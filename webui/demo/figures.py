"""Pictures and text for a report: contact sheets, histograms, and the table of a model card.

The promise: the same figures give the same text and the same bytes; nothing is measured here.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Bytes = NDArray[np.uint8]

LETTER = 6
LINE = 11
MARGIN = 56
BINS = 24


def sheet(cells: Sequence[Sequence[Bytes]], columns: Sequence[str], rows: Sequence[str]) -> Image.Image:
    """Lay pictures of one size out under the columns' names and beside the rows' names."""
    height, width = cells[0][0].shape[:2]
    heads = [textwrap.wrap(text, max(6, width // LETTER)) for text in columns]
    top = 4 + LINE * max(len(lines) for lines in heads)
    image = Image.new("RGB", (MARGIN + width * len(columns), top + height * len(rows)), "white")
    pen = ImageDraw.Draw(image)
    for k, lines in enumerate(heads):
        pen.multiline_text((MARGIN + k * width + 2, 1), "\n".join(lines), fill="black", spacing=0)
    for j, (name, row) in enumerate(zip(rows, cells, strict=True)):
        pen.text((2, top + j * height + height // 2), name, fill="black")
        for k, cell in enumerate(row):
            image.paste(Image.fromarray(cell), (MARGIN + k * width, top + j * height))
    return image


def counts(values: Sequence[float]) -> NDArray[np.int64]:
    """Count numbers of -1 .. 1 in `BINS` even steps."""
    return np.asarray(np.histogram(np.clip(values, -1.0, 1.0), bins=BINS, range=(-1.0, 1.0))[0])


def histogram_text(groups: Mapping[str, Sequence[float]]) -> str:
    """Write histograms over -1 .. 1 as text, one after another."""
    lines = []
    for name, values in groups.items():
        found = counts(values)
        lines.append(
            f"{name}: {len(values)} pairs, mean {np.mean(values):.3f}, from {min(values):.3f} to {max(values):.3f}"
        )
        for k, count in enumerate(found):
            bar = "#" * math.ceil(40 * count / max(1, found.max()))
            lines.append(f"{-1 + 2 * k / BINS:+.2f} {count:4d} {bar}".rstrip())
    return "\n".join(lines) + "\n"


def histogram_picture(groups: Mapping[str, Sequence[float]]) -> Image.Image:
    """Draw histograms over -1 .. 1 above each other, to one scale."""
    wide, tall, colours = 20, 130, ("#3b76c4", "#d9822b", "#4a9d5b", "#9a5bb0")
    image = Image.new("RGB", (BINS * wide + 40, (tall + 34) * len(groups) + 6), "white")
    pen = ImageDraw.Draw(image)
    most = max(int(counts(values).max()) for values in groups.values())
    for j, (name, values) in enumerate(groups.items()):
        foot = (tall + 34) * (j + 1) - 14
        pen.text((20, foot - tall - 14), f"{name}: {len(values)} pairs, mean {np.mean(values):.3f}", fill="black")
        for k, count in enumerate(counts(values)):
            x, y = 20 + k * wide, foot - tall * int(count) // max(1, most)
            pen.rectangle((x + 1, min(y, foot), x + wide - 1, foot), fill=colours[j % len(colours)])
        for value in (-1, 0, 1):
            pen.text((17 + (value + 1) * BINS * wide // 2, foot + 2), str(value), fill="black")
    return image


def table(report: Mapping[str, Any]) -> str:
    """Write a report as markdown: first the table of the issue, then adherence and words at length."""
    parts: Mapping[str, Any] = report["parts"]
    lines = [
        f"Model `{report['model_hash'][:10]}`, {report['width']}x{report['height']}, "
        f"{report['steps']} steps, CFG {report['cfg_scale']:g}, {report['sampler']}.",
        "",
        "| # | what | figure |",
        "|---|---|---|",
    ]
    for name, write in _ROWS.items():
        if name in parts:
            lines += [f"| {number} | {what} | {figure} |" for number, what, figure in write(parts[name])]
    for name, section in (("adherence", _adherence), ("words", _words)):
        if name in parts:
            lines += ["", *section(parts[name])]
    return "\n".join(lines) + "\n"


Rows = list[tuple[int, str, str]]


def _speed(found: Mapping[str, Any]) -> Rows:
    return [
        (
            1,
            f"{run['width']}x{run['height']}, {run['threads']} threads, {run['device']}, {run['dtype']}",
            f"20 steps CFG 5: {run['seconds_20']:.2f} s; 8 steps: {run['seconds_8']:.2f} s; "
            f"peak {run['peak_mb']:.0f} MB (load average {run['load']:.1f})",
        )
        for run in found["runs"]
    ]


def _composition(found: Mapping[str, Any]) -> Rows:
    text = (
        f"AUC {found['auc']:.4f} (drawn scenes {found['auc_drawn']:.4f}); mean {found['mean_same']:.3f} against "
        f"{found['mean_other']:.3f} (drawn {found['mean_same_drawn']:.3f} against {found['mean_other_drawn']:.3f})"
    )
    rows = [(2, f"same seed/other small prompt against other seed/same prompt, {found['pairs']} pairs", text)]
    if "taught" in found:
        taught = found["taught"]
        text = f"AUC {taught['auc']:.4f}; mean {taught['mean_same']:.3f} against {taught['mean_other']:.3f}"
        rows.append((2, "painted against drawn from the layout that its noise carries", text))
    return rows


def _scores(found: Mapping[str, Any]) -> Rows:
    text = ", ".join(f"{name} {score['model']:.0%}" for name, score in found["attributes"].items())
    return [(3, f"named as asked, {found['pictures']} pictures", text)]


def _distance(found: Mapping[str, Any]) -> Rows:
    text = (
        f"{found['distance']:.2f} (as many drawn scenes {found['floor']:.2f}, through the autoencoder "
        f"{found['autoencoder']:.2f}); {found['samples'] or 'unknown'} samples seen"
    )
    return [(4, f"Fréchet distance to {found['reference']} drawn scenes, {found['pictures']} pictures", text)]


def _autoencoder(found: Mapping[str, Any]) -> Rows:
    styles = ", ".join(f"{style} {value:.1f}" for style, value in found["by_style"].items())
    text = f"{found['psnr']:.2f} dB; median picture {found['middle']:.2f}, worst {found['worst']:.2f}; {styles}"
    return [(5, f"autoencoder, {found['pictures']} unseen scenes", text)]


def _contact(found: Mapping[str, Any]) -> Rows:
    return [(6, "contact sheet", f"{found['seeds']} seeds x {found['prompts']} prompts: `{found['file']}`")]


def _words_row(found: Mapping[str, Any]) -> Rows:
    weights = ", ".join(f"{name} {value:.2f}" for name, value in found["weights"].items())
    return [
        (7, "weight: probability that the word shows, by the judge", weights),
        (7, "cases below", f"`{found['file']}`"),
    ]


def _sizes(found: Mapping[str, Any]) -> Rows:
    return [
        (
            8,
            size["size"],
            f"place {size['place']:.0%}, time {size['time']:.0%}, thing {size['thing']:.0%}; "
            f"{size['seconds']:.2f} s a picture: `{size['file']}`",
        )
        for size in found["sizes"]
    ]


_ROWS = {
    "speed": _speed,
    "composition": _composition,
    "adherence": _scores,
    "distance": _distance,
    "autoencoder": _autoencoder,
    "contact": _contact,
    "words": _words_row,
    "sizes": _sizes,
}


def _adherence(found: Mapping[str, Any]) -> list[str]:
    head = ("attribute", "model", "balanced", "drawn, through the autoencoder", "drawn (the judge itself)", "majority")
    lines = [f"| {' | '.join((*head, 'pictures'))} |", "|---" * (len(head) + 1) + "|"]
    for name, score in found["attributes"].items():
        shares = [score[key] for key in ("model", "balanced", "decoded", "drawn", "majority")]
        lines.append(f"| {name} | {' | '.join(f'{share:.1%}' for share in shares)} | {score['asked']} |")
    return lines


def _words(found: Mapping[str, Any]) -> list[str]:
    head = ("case", "watched", "probability", "brightness", "contrast", "changed", "likeness to its base")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for case in found["cases"]:
        numbers = ("probability", "brightness", "contrast", "changed", "likeness")
        lines.append(f"| {case['name']} | {case['watched']} | {' | '.join(f'{case[key]:.2f}' for key in numbers)} |")
    return lines
