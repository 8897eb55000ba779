"""Muon: momentum whose matrix updates are made orthogonal, with AdamW for everything that is not a matrix.

Keller Jordan, "Muon: an optimizer for hidden layers in neural networks" (2024); the scale that lets both parts share
one learning rate is that of Liu et al. 2025, arXiv:2502.16982, section 2.2. For these small networks it needs about a
third of the steps that AdamW needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import nn

from webui.demo.runs import half_precision


def orthogonal(matrix: torch.Tensor, rounds: int = 5) -> torch.Tensor:
    """Bring all singular values of a matrix near one by the quintic Newton-Schulz iteration."""
    x = matrix / (matrix.norm() + 1e-7)
    x = x.bfloat16() if half_precision(x.device) else x  # the iteration forgives rounding
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(rounds):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return torch.as_tensor(x.T if tall else x).to(matrix.dtype)


def is_matrix(name: str, parameter: torch.Tensor, least: int) -> bool:
    """Say whether Muon moves a parameter: inner weights of at least `least` rows and columns, seen as (out, in)."""
    outer = "conv_in" in name or "conv_out" in name or "time_emb" in name
    return parameter.ndim >= 2 and not outer and min(parameter.shape[0], parameter[0].numel()) >= least


ADAM_SHARE = 0.5
"""AdamW's part of the learning rate; what it moves (norms, first and last layers) bears less than the matrices do."""


class Divided(Protocol):
    """Processes that can divide work on tensors among them; `webui.demo.ranks.Ranks` is one."""

    @property
    def rank(self) -> int:
        """This process's place among them."""

    @property
    def count(self) -> int:
        """How many there are."""

    def add_up(self, tensors: list[torch.Tensor]) -> None:
        """Replace every tensor by its sum over the processes."""


class Muon(torch.optim.Optimizer):
    """Muon for the matrices of a network, to be used beside AdamW for the rest.

    With several processes, each makes its part of the updates orthogonal and gives it to the others.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        ranks: Divided | None = None,
    ) -> None:
        super().__init__(list(parameters), {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.ranks = ranks

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one step along the orthogonalised momentum."""
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            for parameter, update in zip(parameters, self._updates(parameters, group["momentum"]), strict=True):
                scale = 0.2 * max(update.shape) ** 0.5
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update.view_as(parameter), alpha=-group["lr"] * scale)

    def _updates(self, parameters: list[nn.Parameter], keep: float) -> list[torch.Tensor]:
        """Move the momenta and give the orthogonal update of every parameter, as a matrix."""
        rank, count = (self.ranks.rank, self.ranks.count) if self.ranks else (0, 1)
        updates = []
        for place, parameter in enumerate(parameters):
            gradient = parameter.grad
            assert gradient is not None
            state = self.state[parameter]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(parameter)
            momentum = state["momentum"].mul_(keep).add_(gradient)
            flat = (gradient + keep * momentum).flatten(1)
            updates.append(orthogonal(flat) if place % count == rank else torch.zeros_like(flat))
        if self.ranks and count > 1:
            self.ranks.add_up(updates)
        return updates


class Pair:
    """Both optimizers of one network behind one learning rate."""

    def __init__(
        self, network: nn.Module, lr: float, least: int, weight_decay: float = 0.0, ranks: Divided | None = None
    ) -> None:
        named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
        self.lr = lr
        self.muon = Muon([p for n, p in named if is_matrix(n, p, least)], lr, weight_decay=weight_decay, ranks=ranks)
        self.rest = [p for n, p in named if not is_matrix(n, p, least)]
        self.adam = torch.optim.AdamW(self.rest, lr, betas=(0.9, 0.98), weight_decay=0.0)

    def step(self, factor: float) -> None:
        """Take one step at a part of the learning rate and forget the gradients."""
        torch.nn.utils.clip_grad_norm_(self.rest, 1.0)
        for optimizer, share in ((self.muon, 1.0), (self.adam, ADAM_SHARE)):
            for group in optimizer.param_groups:
                group["lr"] = self.lr * factor * share
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, object]:
        """Give the state of both."""
        return {"muon": self.muon.state_dict(), "adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict[str, dict[str, object]]) -> None:
        """Take up the state of both."""
        self.muon.load_state_dict(state["muon"])
        self.adam.load_state_dict(state["adam"])


class Average:
    """An exponential moving average of a network's weights, quick at first and slow later."""

    def __init__(self, network: nn.Module, slowest: float) -> None:
        self.slowest = slowest
        self.weights = {k: v.detach().clone() for k, v in network.state_dict().items()}

    @torch.no_grad()
    def follow(self, network: nn.Module, step: int) -> None:
        """Move the average after a step."""
        keep = min(self.slowest, (1 + step) / (10 + step))
        now = {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
        torch._foreach_lerp_([self.weights[name] for name in now], list(now.values()), 1 - keep)
