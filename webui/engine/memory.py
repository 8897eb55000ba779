"""Memory: how much of it a device has left, for a second model that stays loaded beside the one that is used."""

from pathlib import Path
from typing import Final

import torch

RESERVE: Final = 2 << 30
"""Bytes that are left to the pictures themselves and to other programs."""
_MEMINFO: Final = Path("/proc/meminfo")
_GROUP: Final = Path("/sys/fs/cgroup")


def has_room(device: str, weights: int) -> bool:
    """Say whether a model whose files have ``weights`` bytes fits beside what is loaded.

    Weights that are stored in half precision may become twice as large. Where nothing is known there is no room.
    """
    return free(device) >= 2 * weights + RESERVE


def free(device: str) -> int:
    """Return the free bytes of a device, 0 where that is not known."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    return min(_available(), _left_of_group()) if device == "cpu" else 0


def files(path: Path) -> int:
    """Return the bytes of the weights in a file or folder."""
    parts = path.rglob("*.safetensors") if path.is_dir() else [path]
    return sum(part.stat().st_size for part in parts)


def _available() -> int:
    """Read what the kernel of Linux holds to be available without swapping, in bytes."""
    try:
        lines = _MEMINFO.read_text("utf-8").splitlines()
    except OSError:
        return 0
    found = next((line.split() for line in lines if line.startswith("MemAvailable:")), ["", "0"])
    return int(found[1]) * 1024


def _left_of_group() -> int:
    """Return what a container's limit leaves, in bytes; more than any machine has where there is none."""
    try:
        most, now = ((_GROUP / f"memory.{name}").read_text("utf-8").strip() for name in ("max", "current"))
    except OSError:
        return 1 << 62
    return int(most) - int(now) if most.isdigit() and now.isdigit() else 1 << 62
