"""Measures the demo model: `python -m webui.demo.evaluate PART --work DIR --model FOLDER`.

`judge` trains the classifier that the other parts ask; `all` then measures everything. Each part can be run alone:
`speed`, `composition`, `adherence`, `distance`, `autoencoder`, `contact` (sheets), `words` (odd prompts, weights) and
`sizes`; `structure` calibrates the measure of composition on drawn scenes and needs no model. Figures go to
DIR/evaluation (or --out): one JSON, a markdown table for the model card, pictures; and the distance to DIR/curve.jsonl.

The promise: the same command on the same machine gives the same figures, but for seconds and memory; parts run one by
one fill the same report as `all`, as long as the model and its settings are the same.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from webui.demo import figures
from webui.demo.judge import JudgePlan, train_judge
from webui.demo.measures import (
    Evaluation,
    Painter,
    Plan,
    measure_adherence,
    measure_autoencoder,
    measure_composition,
    measure_distance,
    measure_drawn,
    plan_of,
    settings_of,
)
from webui.demo.runs import pick_device
from webui.demo.trials import clock, measure_contact, measure_sizes, measure_speed, measure_words

Arguments = argparse.Namespace
Parser = argparse.ArgumentParser

MEASURES: dict[str, tuple[Callable[[Evaluation], dict[str, Any]], str]] = {
    "composition": (measure_composition, "row 2: seeds rule composition"),
    "adherence": (measure_adherence, "row 3: what was asked for shows"),
    "distance": (measure_distance, "row 4: distance to drawn scenes"),
    "autoencoder": (measure_autoencoder, "row 5: PSNR of the autoencoder"),
    "contact": (measure_contact, "row 6: contact sheet"),
    "words": (measure_words, "row 7: odd prompts, weights, negative prompts"),
    "sizes": (measure_sizes, "row 8: other sizes"),
}


def run_judge(args: Arguments) -> None:
    """Train the judge, or go on training it."""
    plan = JudgePlan(**_given(args, [field.name for field in fields(JudgePlan)]))
    args.work.mkdir(parents=True, exist_ok=True)
    train_judge(args.work, plan, pick_device(args.device), args.processes)
    print((args.work / "judge.jsonl").read_text("utf-8").splitlines()[-1])


def plan_from(args: Arguments) -> Plan:
    """Read how much to measure."""
    given = _given(args, Plan._fields)
    return Plan(**{**given, "out": args.out or args.work / "evaluation", "sizes": tuple(args.sizes)})


def _given(args: Arguments, names: Iterable[str]) -> dict[str, Any]:
    """Take what the command line says of these names."""
    return {name: getattr(args, name) for name in names if hasattr(args, name)}


def run_structure(args: Arguments) -> None:
    """Calibrate the measure of structure on drawn scenes."""
    found = measure_drawn(plan_from(args))
    print(json.dumps(found, indent=2))


def run_clock(args: Arguments) -> None:
    """Time one number type in this process and print the figures."""
    painter = Painter(args.model, args.device, args.dtype)
    print(json.dumps(clock(painter, args.threads, args.repeats)))


def run_parts(args: Arguments) -> None:
    """Measure the chosen part, or all of them, and write the report after each."""
    plan = plan_from(args)
    painter = Painter(args.model, args.device, args.dtype, args.steps)
    evaluation = Evaluation(painter, plan, args.device)
    wanted = ["speed", *MEASURES] if args.part == "all" else [args.part]
    wanted = [name for name in wanted if name not in args.skip]
    path: Path = args.json or plan.out / "evaluation.json"
    for name in tqdm(wanted, desc="parts"):
        found = (
            measure_speed(args.model, args.device, args.threads, args.dtypes)
            if name == "speed"
            else MEASURES[name][0](evaluation)
        )
        report = _merged(path, settings_of(painter), name, {**found, "plan": plan_of(plan)})
        path.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
        (plan.out / "evaluation.md").write_text(figures.table(report), "utf-8")
    print((plan.out / "evaluation.md").read_text("utf-8"))


def _merged(path: Path, settings: dict[str, Any], name: str, found: dict[str, Any]) -> dict[str, Any]:
    """Put a part into the report that is there; one of another model or of other settings is begun anew."""
    report = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if {key: report.get(key) for key in settings} != settings:
        report = {}
    return {**settings, "parts": {**report.get("parts", {}), name: found}}


def size(text: str) -> tuple[int, int]:
    """Read a size such as 384x256.

    >>> size("384x256")
    (384, 256)
    """
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"a size is written as 384x256, not {text!r}")
    return int(width), int(height)


def _common(part: Parser) -> None:
    """Add what every part understands."""
    part.add_argument("--work", type=Path, required=True, help="folder of the judge and of the report")
    part.add_argument("--seed", type=int, default=1, help="seed of the scenes and of the training")
    part.add_argument("--device", default="auto", help="auto, cpu or cuda")
    part.add_argument("--processes", type=int, default=1, help="processes that draw")
    part.add_argument("--threads", type=int, default=2, help="threads for a picture")


def _judge_options(part: Parser) -> None:
    """Add what the judge's training understands."""
    part.add_argument("--minutes", type=float, default=math.inf, help="stop after so many minutes, to go on later")
    part.add_argument("--steps", type=int, default=JudgePlan.steps)
    part.add_argument("--pictures", type=int, default=JudgePlan.pictures, help="pictures to learn from")
    part.add_argument("--held", type=int, default=JudgePlan.held, help="unseen pictures to be measured on")
    part.add_argument("--batch", type=int, default=JudgePlan.batch)
    part.add_argument("--width", type=int, default=JudgePlan.width, help="channels of the first layer")
    part.add_argument("--every", type=int, default=JudgePlan.every, help="steps between checkpoints")


def _amounts(part: Parser) -> None:
    """Add how much is measured."""
    plan = Plan._field_defaults
    part.add_argument("--out", type=Path, help="folder of the report; DIR/evaluation unless given")
    part.add_argument("--json", type=Path, help="file of the figures; evaluation.json in that folder unless given")
    part.add_argument("--pairs", type=int, default=plan["pairs"], help="pairs for composition")
    part.add_argument("--pictures", type=int, default=plan["pictures"], help="pictures for adherence and distance")
    part.add_argument("--reference", type=int, default=plan["reference"], help="drawn scenes to measure distance to")
    part.add_argument("--seeds", type=int, default=plan["seeds"], help="seeds of the sheets")
    part.add_argument("--samples", type=int, default=0, help="samples seen; read from DIR/denoiser.jsonl unless given")
    part.add_argument("--sizes", type=size, nargs="+", default=plan["sizes"], help="sizes such as 384x256")


def _model_options(part: Parser) -> None:
    """Add which model is measured, and how it is run."""
    part.add_argument("--model", type=Path, required=True, help="folder of the model")
    part.add_argument("--dtype", default="auto", help="auto, float32, float16 or bfloat16")
    part.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"], help="number types to time")
    part.add_argument("--steps", type=int, default=0, help="steps of a picture; the model's own unless given")
    part.add_argument("--skip", nargs="*", default=[], help="parts to leave out of all")


def make_parser() -> Parser:
    """Build the command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="python -m webui.demo.evaluate", description=__doc__, formatter_class=form)
    parts = parser.add_subparsers(dest="part", required=True)
    judge = parts.add_parser("judge", help="train the classifier, or go on training it")
    _common(judge)
    _judge_options(judge)
    judge.set_defaults(run=run_judge)
    structure = parts.add_parser("structure", help="calibrate the measure of composition on drawn scenes")
    _common(structure)
    _amounts(structure)
    structure.set_defaults(run=run_structure)
    clocked = parts.add_parser("clock", help="time one number type in this process")
    clocked.add_argument("--model", type=Path, required=True)
    clocked.add_argument("--device", default="auto")
    clocked.add_argument("--dtype", default="float32")
    clocked.add_argument("--threads", type=int, default=2)
    clocked.add_argument("--repeats", type=int, default=3, help="pictures after the first, of which the median counts")
    clocked.set_defaults(run=run_clock)
    abouts = {"all": "every row", "speed": "row 1: seconds and memory"} | {k: v[1] for k, v in MEASURES.items()}
    for name, about in abouts.items():
        part = parts.add_parser(name, help=about)
        _common(part)
        _amounts(part)
        _model_options(part)
        part.set_defaults(run=run_parts)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run one part."""
    args = make_parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    args.run(args)


if __name__ == "__main__":
    main()
