"""Measure how near the UNet's operators come to what the processor can do, kind by kind.

    python scripts/measure_operators.py [--size 256x256 512x512] [--dtype float32 bfloat16] [--calls 5] [--cache DIR]

Takes the architecture of Stable Diffusion 1.5 with random weights (see benchmark.py), loaded as the program loads it,
and times every layer in calls of the UNet with two rows (CFG). The ceilings are what the same processor does in the
same run with a product of large matrices, and with a large convolution, over packed weights in the same number type.
Of each layer the fastest of some calls counts, so that a neighbour's load does not. Multiplications and additions are
two operations.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from torch import nn

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from benchmark import build_sd15, processor  # noqa: E402 — the same network as there

from webui.engine import packing  # noqa: E402
from webui.engine.checkpoints import Catalog  # noqa: E402
from webui.engine.diffusion import DiffusionEngine  # noqa: E402

SIDE = 2048
"""Rows and columns of the matrices whose product is the ceiling."""
MAP = (2, 640, 32, 32)
"""The input of the 3 × 3 convolution whose rate is the other ceiling; its output is alike."""


def fastest(work: Callable[[], Any], seconds: float = 0.7) -> float:
    """Return the shortest time of some work, tried again and again for so long."""
    best, end = float("inf"), time.perf_counter() + seconds
    work()
    while (began := time.perf_counter()) < end:
        work()
        best = min(best, time.perf_counter() - began)
    return best


def ceilings(dtype: torch.dtype) -> dict[str, float]:
    """Measure what the processor can do: operations a second of a linear layer and of a convolution."""
    net = nn.Sequential(nn.Linear(SIDE, SIDE), nn.Conv2d(MAP[1], MAP[1], 3, padding=1)).to(dtype).eval()
    if packing.can_pack("cpu", dtype):
        packing.pack(net)
    rows = torch.randn(SIDE, SIDE).to(dtype)
    picture = torch.randn(MAP).to(dtype).contiguous(memory_format=torch.channels_last)
    return {
        "linear": 2 * SIDE**3 / fastest(lambda: net[0](rows)),
        "convolution": 2 * 9 * MAP[1] * picture.numel() / fastest(lambda: net[1](picture)),
    }


class Clock:
    """Notes the time of every layer and of what attends between the layers of an attention."""

    def __init__(self, unet: nn.Module) -> None:
        self.taken: dict[str, list[float]] = defaultdict(list)
        self.work: dict[str, tuple[str, float]] = {}
        self._began: dict[str, float] = {}
        for name, layer in unet.named_modules():
            if isinstance(layer, packing.Layer | Attention):
                layer.register_forward_pre_hook(self._begin(name), with_kwargs=True)
                layer.register_forward_hook(self._end(name), with_kwargs=True)

    def _begin(self, name: str) -> Callable[..., None]:
        def begin(*_: Any) -> None:
            self._began[name] = time.perf_counter()

        return begin

    def _end(self, name: str) -> Callable[..., None]:
        def end(layer: nn.Module, given: tuple[Any, ...], named: dict[str, Any], out: torch.Tensor) -> None:
            self.taken[name].append(time.perf_counter() - self._began[name])
            self.work[name] = told(layer, given, named, out)

        return end


def told(layer: nn.Module, given: tuple[Any, ...], named: dict[str, Any], out: torch.Tensor) -> tuple[str, float]:
    """Name the kind of a layer and count its operations."""
    if isinstance(layer, nn.Linear):
        return "linear", 2 * out.numel() * layer.in_features
    if isinstance(layer, nn.Conv2d):
        across, down = layer.kernel_size
        point = across == down == 1  # which is a linear layer over pixels
        kind = "linear, 1 × 1 convolutions" if point else f"convolution 3 × 3, {out.shape[-1]} × {out.shape[-2]}"
        return kind, 2 * out.numel() * layer.in_channels * across * down
    context = named.get("encoder_hidden_states")
    rows, read = given[0].shape[1], (given[0] if context is None else context).shape[1]
    kind = "attention to the prompt" if context is not None else f"attention, {rows} cells"
    return kind, 4 * len(out) * rows * read * layer.to_q.out_features


def measured(unet: nn.Module, width: int, height: int, calls: int) -> tuple[dict[str, list[float]], float]:
    """Return kind → [operations, seconds] of one call, and the seconds of the whole call."""
    clock = Clock(unet)
    latent = torch.randn(2, 4, height // 8, width // 8).to(unet.dtype)
    words = torch.randn(2, 77, unet.config.cross_attention_dim).to(unet.dtype)
    whole = []
    with torch.inference_mode():
        unet(latent, 500, words)  # weights are packed for the size
        clock.taken.clear()
        for _ in range(calls):
            began = time.perf_counter()
            unet(latent, 500, words)
            whole.append(time.perf_counter() - began)
    seconds = {name: min(taken) for name, taken in clock.taken.items()}
    found: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for name, (kind, operations) in clock.work.items():
        inner = 0.0
        if kind.startswith("attention"):  # without its linear layers, which count for themselves
            inner = sum(taken for other, taken in seconds.items() if other.startswith(f"{name}."))
        found[kind][0] += operations
        found[kind][1] += seconds[name] - inner
    return found, statistics.median(whole)


def table(found: dict[str, list[float]], whole: float, ceiling: dict[str, float]) -> Iterator[str]:
    """Write the rows of a table."""
    yield "| operator | GFLOP | ms | GFLOP/s | of the ceiling |"
    yield "|---|---|---|---|---|"
    sums: dict[str, list[float]] = {name: [0.0, 0.0] for name in ceiling}
    for kind, (operations, seconds) in sorted(found.items()):
        of = next((name for name in ceiling if kind.startswith(name)), "")
        if of:
            sums[of] = [sums[of][0] + operations, sums[of][1] + seconds]
        share = f"{operations / seconds / ceiling[of]:.0%}" if of else ""
        yield f"| {kind} | {operations / 1e9:.0f} | {1000 * seconds:.0f} | {operations / seconds / 1e9:.0f} | {share} |"
    for name, (operations, seconds) in sums.items():
        rate = operations / seconds
        shown = f"{operations / 1e9:.0f} | {1000 * seconds:.0f} | {rate / 1e9:.0f} | {rate / ceiling[name]:.0%}"
        yield f"| **every {name}** | {shown} |"
    operations, seconds = (sum(part[k] for part in sums.values()) for k in (0, 1))
    least = sum(part[0] / ceiling[name] for name, part in sums.items())
    shown = f"{operations / 1e9:.0f} | {1000 * seconds:.0f} | {operations / seconds / 1e9:.0f} | {least / seconds:.0%}"
    yield f"| **both** | {shown} |"
    rest = whole - sum(part[1] for part in found.values())
    yield f"| norms, activations and the rest | | {1000 * rest:.0f} | | |"
    yield f"| a call (median) | | {1000 * whole:.0f} | | |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", nargs="+", default=["256x256", "512x512"])
    parser.add_argument("--dtype", nargs="+", default=["float32", "bfloat16"], choices=("float32", "bfloat16"))
    parser.add_argument("--calls", type=int, default=5)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "reseed-benchmark")
    args = parser.parse_args()
    model = build_sd15(args.cache)
    for name in args.dtype:
        engine = DiffusionEngine(Catalog(bundled=model.resolve()), "cpu", name)
        engine.warm("reseed")
        unet: Any = engine._model("reseed", "").family.pipe.unet
        for size in args.size:
            width, _, height = size.partition("x")
            before = ceilings(unet.dtype)
            found, whole = measured(unet, int(width), int(height), args.calls)
            after = ceilings(unet.dtype)
            ceiling = {kind: max(before[kind], after[kind]) for kind in before}
            rates = ", ".join(f"{kind} {rate / 1e9:.0f} GFLOP/s" for kind, rate in ceiling.items())
            print(
                f"\n{processor()}, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}; {name}, {size}; "
            )
            print(f"ceilings: {rates}\n")
            print("\n".join(table(found, whole, ceiling)), flush=True)
            for layer in unet.modules():
                layer._forward_hooks.clear()
                layer._forward_pre_hooks.clear()


if __name__ == "__main__":
    main()
