"""Several processes that train one network together, one thread each, by averaging their gradients.

Why not threads: on a shared machine the threads of one process wait for each other at every operation; the same step
was measured four to eight times slower. The promise: what is trained on does not depend on the number of processes,
only the order in which gradients are added up does.
"""

from __future__ import annotations

import importlib
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import distributed, nn


@dataclass(frozen=True)
class Ranks:
    """This process among `count`; rank 0 writes logs and files."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Say whether this is the process that writes."""
        return self.rank == 0

    def share(self, size: int) -> slice:
        """Give this process's part of a batch."""
        return slice(self.rank, size, self.count)

    def add_up(self, tensors: list[torch.Tensor]) -> None:
        """Replace every tensor by its sum over the processes."""
        if self.count == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        offset = 0
        for tensor in tensors:
            tensor.copy_(flat[offset : offset + tensor.numel()].view_as(tensor))
            offset += tensor.numel()

    def average_gradients(self, network: nn.Module) -> None:
        """Replace every gradient by its mean over the processes."""
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        self.add_up(gradients)
        for gradient in gradients:
            gradient.div_(self.count)

    def average(self, values: Iterable[float]) -> list[float]:
        """Average a few figures."""
        figures = torch.tensor(list(values), dtype=torch.float64)
        if self.count > 1:
            distributed.all_reduce(figures)
        return [float(x) for x in figures / self.count]


def _follow_parent(parent: int) -> None:
    """End this process when the one that started it is gone, however that ended: no orphan may write a checkpoint."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _join(rank: int, count: int, meeting: str, run: Callable[[Ranks], None]) -> None:
    """Meet the other processes, then work."""
    threading.Thread(target=_follow_parent, args=(os.getppid(),), daemon=True).start()
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=count)
    try:
        run(Ranks(rank, count))
    finally:
        distributed.destroy_process_group()


def launch(count: int, work: Path, run: Callable[[Ranks], None]) -> None:
    """Run a function in `count` processes (in this one, if it is one); `run` must be picklable."""
    if count == 1:
        run(Ranks())
        return
    meeting = work.resolve() / "meeting"
    meeting.unlink(missing_ok=True)
    # The launcher of torch carries no types.
    spawn: Callable[..., object] = importlib.import_module("torch.multiprocessing").spawn
    spawn(_join, (count, str(meeting), run), nprocs=count)
    meeting.unlink(missing_ok=True)
