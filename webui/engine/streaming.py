"""Streaming: the largest network of a model from its files a piece at a time, so that it is never in memory twice.

Weights files are mapped into memory, and what was read of a mapping stays until all of it goes: with a network of two
gigabytes that are four. Here a file is mapped afresh after every piece.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch
from accelerate import init_empty_weights
from accelerate.utils import set_module_tensor_to_device
from safetensors import safe_open

PIECE: Final = 64 << 20
"""Numbers of a file that are read from one mapping: 128 megabytes in half precision."""
_NAME: Final = "diffusion_pytorch_model.safetensors"


def read_network(kind: Any, folder: Path, dtype: torch.dtype) -> torch.nn.Module | None:
    """Read a network of diffusers, a class of its models, from its folder, into memory of its own.

    Returns None where that takes more than putting each tensor to its name: parts that stay in float32, names of older
    versions, weights that are missing. diffusers knows what to do about these, or what to say. Raises SafetensorError
    over a damaged file.
    """
    files = _files(folder)
    if not files or kind._keep_in_fp32_modules:
        return None
    with init_empty_weights():
        network: torch.nn.Module = kind.from_config(kind.load_config(folder))
    sizes = {path: _sizes(path) for path in files}
    if sorted(name for part in sizes.values() for name in part) != sorted(network.state_dict()):
        return None
    for path, part in sizes.items():
        for names in _pieces(part):
            with safe_open(path, "pt") as opened:
                for name in names:
                    tensor = opened.get_tensor(name)
                    kept = tensor.to(dtype if tensor.is_floating_point() else tensor.dtype, copy=True)
                    set_module_tensor_to_device(network, name, "cpu", kept, kept.dtype)
    return network


def _files(folder: Path) -> list[Path]:
    """List the files of a network's weights: one, or those that an index names."""
    if (folder / _NAME).is_file():
        return [folder / _NAME]
    index = folder / f"{_NAME}.index.json"
    if not index.is_file():
        return []
    found = [folder / str(name) for name in sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))]
    return found if all(path.is_file() for path in found) else []


def _sizes(path: Path) -> dict[str, int]:
    """Return how many numbers each tensor of a file has, in the order of the file."""
    with safe_open(path, "pt") as opened:
        return {name: math.prod(opened.get_slice(name).get_shape()) for name in opened.offset_keys()}


def _pieces(sizes: dict[str, int]) -> Iterator[list[str]]:
    """Put names together up to the size of a piece; at least one each."""
    names: list[str] = []
    total = 0
    for name, size in sizes.items():
        if names and total + size > PIECE:
            yield names
            names, total = [], 0
        names.append(name)
        total += size
    if names:
        yield names
