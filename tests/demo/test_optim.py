"""Muon, averages, schedules and processes: small facts that training rests on."""

from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from webui.demo.optim import Average, Muon, Pair, is_matrix, orthogonal
from webui.demo.ranks import Ranks, launch
from webui.demo.runs import ease, gaussians, load_state, numbers, save_state, words


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", [(8, 8), (6, 20), (20, 6)])
def test_orthogonal_brings_singular_values_near_one(shape: tuple[int, int]):
    values = torch.linalg.svdvals(orthogonal(torch.randn(shape, generator=generator(0)), rounds=8))
    assert float(values.min()) > 0.6 and float(values.max()) < 1.3


def test_muon_and_adam_share_a_network_and_lower_its_loss():
    network = nn.Sequential(nn.Linear(40, 40), nn.Linear(40, 2))
    with torch.no_grad():
        for k, p in enumerate(network.parameters()):
            p.copy_(torch.randn(p.shape, generator=generator(k)) * 0.1)
    pair = Pair(network, lr=3e-3, least=32)
    assert [p.shape for p in pair.muon.param_groups[0]["params"]] == [(40, 40)]
    inputs = torch.randn(64, 40, generator=generator(9))
    targets = inputs[:, :2] * 2
    losses = []
    for _ in range(150):
        loss = (network(inputs) - targets).pow(2).mean()
        loss.backward()
        pair.step(1.0)
        losses.append(loss.item())
    assert losses[-1] < 0.4 * losses[0]


def test_outer_weights_are_not_matrices_to_muon():
    weight = torch.zeros(64, 64, 3, 3)
    assert is_matrix("mid.conv1.weight", weight, 32)
    assert not is_matrix("conv_in.weight", weight, 32)
    assert not is_matrix("mid.conv1.weight", torch.zeros(8, 64, 3, 3), 32)
    assert not is_matrix("mid.norm.bias", torch.zeros(64), 32)


class Halves:
    """Two processes of which the other gives nothing, so that its share of the updates stays zero."""

    rank, count = 0, 2

    def add_up(self, tensors: list[torch.Tensor]) -> None:
        self.seen = len(tensors)


def test_with_two_processes_each_makes_half_of_the_updates():
    parameters = [nn.Parameter(torch.zeros(4, 4)) for _ in range(4)]
    for p in parameters:
        p.grad = torch.eye(4)
    halves = Halves()
    Muon(parameters, lr=1.0, ranks=halves).step()
    assert halves.seen == 4
    assert [bool(p.any()) for p in parameters] == [True, False, True, False]


def test_the_average_follows_quickly_at_first():
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(0.0)
    average = Average(network, 0.999)
    network.weight.data.fill_(1.0)
    average.follow(network, 0)
    assert float(average.weights["weight"]) == pytest.approx(0.9)


def test_ease_warms_up_holds_and_comes_down():
    assert ease(0, 1000, 10, 0.25) == 0.1
    assert ease(500, 1000, 10, 0.25) == 1.0
    assert ease(1000, 1000, 10, 0.25) == 0.0


def test_states_are_written_whole(tmp_path: Path):
    save_state({"step": 3, "x": torch.ones(2)}, tmp_path / "a" / "state.pt")
    state = load_state(tmp_path / "a" / "state.pt")
    assert state is not None and state["step"] == 3
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["state.pt"]
    assert load_state(tmp_path / "none.pt") is None


def test_a_steps_randomness_is_its_own():
    assert torch.equal(gaussians((3,), numbers(1, "x", 2)), gaussians((3,), numbers(1, "x", 2)))
    assert not torch.equal(gaussians((3,), numbers(1, "x", 2)), gaussians((3,), numbers(1, "x", 3)))
    assert not torch.equal(gaussians((3,), numbers(1, "x", 2)), gaussians((3,), numbers(1, "y", 2)))
    assert words(1, "x", 2).random() == words(1, "x", 2).random() != words(2, "x", 2).random()


def test_shares_of_a_batch_are_disjoint_and_whole():
    items = list(range(10))
    parts = [items[Ranks(rank, 3).share(10)] for rank in range(3)]
    assert sorted(x for part in parts for x in part) == items


def _add(folder: Path, ranks: Ranks) -> None:
    network = nn.Linear(2, 1, bias=False)
    network.weight.grad = torch.full((1, 2), float(ranks.rank))
    ranks.average_gradients(network)
    mean = ranks.average([float(ranks.rank)])
    (folder / f"{ranks.rank}.txt").write_text(f"{network.weight.grad.tolist()} {mean}")


def test_one_process_needs_no_meeting(tmp_path: Path):
    launch(1, tmp_path, partial(_add, tmp_path))
    assert (tmp_path / "0.txt").read_text() == "[[0.0, 0.0]] [0.0]"


@pytest.mark.slow
def test_two_processes_average_what_they_found(tmp_path: Path):
    launch(2, tmp_path, partial(_add, tmp_path))
    assert {(tmp_path / f"{rank}.txt").read_text() for rank in range(2)} == {"[[0.5, 0.5]] [0.5]"}
