"""The judge: its distance on known Gaussians, what it is asked, and that it learns and goes on bit for bit."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.demo.conftest import CPU, same
from webui.demo.data import draw_picture
from webui.demo.judge import (
    FEATURES,
    FIRST,
    NOT_ASKED,
    SIDE,
    UNSEEN,
    JudgePlan,
    Score,
    Verdicts,
    answers,
    contents_of,
    frechet,
    load_judge,
    look,
    make_judge,
    questions,
    score,
    shrink,
    soften,
    to_input,
    train_judge,
)
from webui.demo.runs import numbers
from webui.demo.words import CHOICES, Content

PLAN = JudgePlan(seed=3, steps=28, pictures=160, held=48, batch=32, lr=4e-3, width=8, every=14)
TIME = list(CHOICES).index("time")


def lend_pictures(work: Path, other: Path) -> None:
    """Let another folder use the pictures that were drawn for this one."""
    name = f"judge-pictures-{PLAN.seed}-{PLAN.pictures}.npy"
    (other / name).symlink_to(work / name)


@pytest.fixture(scope="module")
def judge_work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a judge that was trained for a few seconds."""
    work = tmp_path_factory.mktemp("judge")
    train_judge(work, PLAN, CPU)
    return work


def lines(work: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (work / "judge.jsonl").read_text("utf-8").splitlines()]


def test_learns(judge_work):
    first, last = lines(judge_work)
    assert (first["step"], last["step"]) == (14, 28)
    assert last["loss"] < first["loss"]
    held = answers(contents_of(PLAN.seed, range(UNSEEN, UNSEEN + PLAN.held)))
    commonest = np.bincount(held[:, TIME]).max() / len(held)
    assert last["time"] > commonest + 0.05


def test_what_is_saved_is_what_was_trained(judge_work):
    judge = load_judge(judge_work, CPU)
    pictures = [draw_picture(PLAN.seed, UNSEEN + k) for k in range(PLAN.held)]
    found = score(look(judge, pictures), answers(contents_of(PLAN.seed, range(UNSEEN, UNSEEN + PLAN.held))))
    assert round(found["time"].accuracy, 4) == lines(judge_work)[-1]["time"]


def test_goes_on_bit_for_bit(judge_work, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
        lend_pictures(judge_work, folder)
    short = replace(PLAN, steps=4, held=2)
    train_judge(whole, short, CPU)
    train_judge(parts, replace(short, steps=2), CPU)
    train_judge(parts, replace(short, minutes=0.0), CPU)
    assert not same(load_file(parts / "judge.safetensors"), load_file(whole / "judge.safetensors"))
    train_judge(parts, short, CPU)
    assert same(load_file(parts / "judge.safetensors"), load_file(whole / "judge.safetensors"))


def test_minutes_stop_a_run(judge_work, tmp_path):
    lend_pictures(judge_work, tmp_path)
    train_judge(tmp_path, replace(PLAN, minutes=0.0, held=4), CPU)
    assert [line["step"] for line in lines(tmp_path)] == [1]


def test_missing_judge_is_a_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="evaluate judge"):
        load_judge(tmp_path, CPU)


def test_looks_at_pictures_of_any_size():
    judge = make_judge(1, 8).eval()
    wide = draw_picture(1, 5)
    found = look(judge, [wide, wide[::2, ::2], shrink(wide)])
    assert found.features.shape == (3, FEATURES)
    assert np.array_equal(look(judge, [wide]).features, look(judge, [shrink(wide)]).features)
    assert all(np.allclose(part.sum(1), 1.0) for part in found.probabilities.values())
    assert found.classes().shape == (3, len(CHOICES))


def test_colour_of_nothing_and_seasons_of_the_sea_are_not_asked():
    asked = dict(zip(CHOICES, questions(Content(place="sea")), strict=True))
    assert (asked["colour"], asked["season"], asked["thing"]) == (NOT_ASKED, NOT_ASKED, 0)
    assert NOT_ASKED not in questions(Content(thing="house"))


def test_score_by_hand():
    wanted = np.zeros((4, len(CHOICES)), np.int64)
    wanted[:, TIME] = (0, 0, 0, 1)
    probabilities = {name: np.eye(len(values))[[0, 0, 0, 0]] for name, values in CHOICES.items()}
    probabilities["time"] = np.eye(4)[[0, 0, 2, 1]]
    wanted[:, 0] = NOT_ASKED
    found = score(Verdicts(probabilities, np.zeros((4, FEATURES))), wanted)
    assert found["time"] == Score(0.75, pytest.approx((2 / 3 + 1) / 2), 0.75, 4)
    assert found["weather"] == Score(1.0, 1.0, 1.0, 4)
    assert found["place"].asked == 0


def test_softening_keeps_shape_and_is_a_function_of_its_numbers():
    batch = to_input(np.stack([shrink(draw_picture(1, FIRST + k)) for k in range(5)]))
    a, b, c = (soften(batch, numbers(1, "test", step)) for step in (0, 0, 1))
    assert a.shape == batch.shape == (5, 3, SIDE, SIDE)
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_building_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    make_judge(5, 8)
    assert torch.equal(before, torch.get_rng_state())


def gaussian(n: int, mean: np.ndarray, root: np.ndarray, seed: int) -> np.ndarray:
    """Draw n vectors whose mean and covariance are exactly `mean` and `root root'`."""
    raw = np.random.default_rng(seed).standard_normal((n, len(mean)))
    raw -= raw.mean(0)
    raw = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw, rowvar=False))).T
    return raw @ root.T + mean


def test_frechet_of_known_gaussians():
    zero, one = np.zeros(3), np.ones(3)
    unit = gaussian(50, zero, np.eye(3), 1)
    assert frechet(unit, unit) == pytest.approx(0.0, abs=1e-9)
    assert frechet(unit, gaussian(60, 2 * one, np.eye(3), 2)) == pytest.approx(12.0)
    # Independent axes: the squared differences of the spreads add up.
    wide = gaussian(70, zero, np.diag([2.0, 3.0, 1.0]), 3)
    assert frechet(unit, wide) == pytest.approx(1.0 + 4.0)
    assert frechet(wide, unit) == pytest.approx(frechet(unit, wide))


def test_frechet_of_covariances_that_do_not_commute():
    a, b = np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [1.5, 1.0]])
    first, second = gaussian(40, np.zeros(2), a, 1), gaussian(40, np.zeros(2), b, 2)
    # For 2 x 2 matrices tr sqrt(M) = sqrt(tr M + 2 sqrt(det M)).
    product = (a @ a.T) @ (b @ b.T)
    cross = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    assert frechet(first, second) == pytest.approx(np.trace(a @ a.T) + np.trace(b @ b.T) - 2 * cross)


def test_frechet_with_fewer_pictures_than_features():
    few = np.random.default_rng(1).standard_normal((5, 20))
    assert frechet(few, few) == pytest.approx(0.0, abs=1e-6)
