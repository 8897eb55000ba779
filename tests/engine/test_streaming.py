"""Streaming: a network that is read in pieces is the one that diffusers reads, and what is not plain is left to it."""

import shutil
from pathlib import Path

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.engine import tiny
from webui.engine import streaming
from webui.engine.checkpoints import read_json

NAME = "diffusion_pytorch_model.safetensors"


def large(folder: Path) -> tuple[type, Path]:
    """Give the class and the folder of the network of a tiny model."""
    part = "unet" if (folder / "unet").is_dir() else "transformer"
    return getattr(diffusers, read_json(folder / "model_index.json")[part][1]), folder / part


@pytest.fixture
def unet(models: Path, tmp_path: Path) -> Path:
    """A copy of a tiny UNet, to be changed."""
    return Path(shutil.copytree(models / "sd1" / "unet", tmp_path / "unet"))


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    mine, yours = one.state_dict(), other.state_dict()
    return mine.keys() == yours.keys() and all(torch.equal(mine[name], yours[name]) for name in mine)


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("piece", [1, 5_000, streaming.PIECE])
def test_it_is_what_diffusers_reads(models, monkeypatch, family, dtype, piece) -> None:
    monkeypatch.setattr(streaming, "PIECE", piece)
    kind, folder = large(models / family)
    network = streaming.read_network(kind, folder, dtype)
    assert network is not None
    assert same(network, kind.from_pretrained(folder, torch_dtype=dtype))
    assert {weight.dtype for weight in network.parameters()} == {dtype}
    assert not any(tensor.is_meta for tensor in (*network.parameters(), *network.buffers()))


def test_pieces_go_by_size() -> None:
    pieces = streaming._pieces
    assert list(pieces({})) == []
    size = streaming.PIECE
    assert list(pieces({"a": 2 * size, "b": 1, "c": size - 1, "d": 1})) == [["a"], ["b", "c"], ["d"]]


def test_several_files(unet: Path, tmp_path: Path) -> None:
    net = diffusers.UNet2DConditionModel.from_pretrained(unet)
    net.save_pretrained(tmp_path / "sharded", max_shard_size="200kB")
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 2
    found = streaming.read_network(diffusers.UNet2DConditionModel, tmp_path / "sharded", torch.float32)
    assert found is not None
    assert same(found, net)
    next((tmp_path / "sharded").glob("*.safetensors")).unlink()
    assert streaming.read_network(diffusers.UNet2DConditionModel, tmp_path / "sharded", torch.float32) is None


@pytest.mark.parametrize("change", ["missing", "renamed", "further", "no file"])
def test_what_is_not_plain_is_left_to_diffusers(unet: Path, change: str) -> None:
    tensors = load_file(unet / NAME)
    first = tensors.pop("conv_in.weight")
    if change == "further":
        tensors |= {"conv_in.weight": first, "more": torch.zeros(2)}
    elif change == "renamed":
        tensors["conv_in.kernel"] = first
    (unet / NAME).unlink()
    if change != "no file":
        save_file(tensors, unet / NAME)
    assert streaming.read_network(diffusers.UNet2DConditionModel, unet, torch.float32) is None


def test_parts_that_stay_in_float32_are_left_to_diffusers(unet: Path) -> None:
    kind = type("Kept", (diffusers.UNet2DConditionModel,), {"_keep_in_fp32_modules": ["conv_in"]})
    assert streaming.read_network(kind, unet, torch.bfloat16) is None
