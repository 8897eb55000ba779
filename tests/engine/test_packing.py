"""Packed layers and sliced attention: the same numbers but for rounding, the same ones at every call, and no copy."""

import copy
import platform
import weakref

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import nn
from torch.nn import functional

from tests.engine import tiny
from webui.engine import attention, packing
from webui.engine.attention import Sliced, attend, slice_attention
from webui.engine.noise import Stream

PACKS = packing.can_pack("cpu", torch.float32)
HALF = packing.can_pack("cpu", torch.bfloat16)
LAYERS = {
    "linear": (lambda: nn.Linear(24, 40), (2, 7, 24)),
    "linear without bias": (lambda: nn.Linear(24, 40, bias=False), (3, 24)),
    "3 × 3": (lambda: nn.Conv2d(8, 16, 3, padding=1), (2, 8, 9, 5)),
    "3 × 3, every second": (lambda: nn.Conv2d(8, 16, 3, stride=2, padding=1), (1, 8, 9, 5)),
    "3 × 3, no bias": (lambda: nn.Conv2d(8, 16, 3, padding=2, bias=False), (2, 8, 9, 5)),
    "3 × 3, few cells": (lambda: nn.Conv2d(8, 16, 3, padding=1), (2, 8, 4, 3)),
    "3 × 3, every second of few": (lambda: nn.Conv2d(8, 16, 3, stride=2, padding=1), (1, 8, 7, 8)),
    "3 × 2, uneven steps, few": (lambda: nn.Conv2d(8, 16, (3, 2), (1, 2), (1, 0), bias=False), (2, 8, 3, 6)),
    "1 × 1": (lambda: nn.Conv2d(8, 16, 1), (2, 8, 9, 5)),
    "1 × 1, every second": (lambda: nn.Conv2d(8, 16, 1, stride=2), (2, 8, 9, 5)),
    "1 × 1, padded": (lambda: nn.Conv2d(8, 16, 1, padding=1), (2, 8, 9, 5)),
    "3 × 1": (lambda: nn.Conv2d(8, 16, (3, 1), padding=(1, 0)), (2, 8, 9, 5)),
}
LEFT = {
    "groups": lambda: nn.Conv2d(8, 16, 3, groups=2),
    "reflected": lambda: nn.Conv2d(8, 16, 3, padding=1, padding_mode="reflect"),
    "padding by name": lambda: nn.Conv2d(8, 16, 3, padding="same"),
    "a kind of its own": lambda: type("Own", (nn.Linear,), {})(8, 8),
    "spread": lambda: nn.Conv2d(8, 16, 3, dilation=2),
    "backwards": lambda: nn.ConvTranspose2d(8, 16, 3),
}
packs = pytest.mark.skipif(not PACKS, reason="this processor has no kernels for packed weights")
halves = pytest.mark.skipif(not HALF, reason="this processor has no kernels for bfloat16")


def drawn(number: int, *shape: int) -> torch.Tensor:
    return Stream(number, "NV", shape).normal()


def filled(layer: nn.Module) -> nn.Module:
    """Draw the weights."""
    with torch.inference_mode():
        for number, weight in enumerate(layer.parameters()):
            weight.copy_(drawn(number, *weight.shape))
    return layer.requires_grad_(False).eval()


def test_the_processors_that_this_project_is_tested_on_pack() -> None:
    """What is skipped elsewhere in this file is skipped on other processors only."""
    assert PACKS is (platform.machine().lower() in ("x86_64", "amd64"))


@packs
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("small", [packing.SMALL, 0])
@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.bfloat16, marks=halves)])
def test_a_packed_layer_computes_what_the_layer_does(monkeypatch, name, small, dtype) -> None:
    monkeypatch.setattr(packing, "SMALL", small)
    make, shape = LAYERS[name]
    plain = nn.Sequential(filled(make())).to(dtype)
    net = copy.deepcopy(plain)
    packing.pack(net)
    assert type(net[0]).__module__ == packing.__name__
    x = drawn(9, *shape).to(dtype)
    with torch.inference_mode():
        expected, found, again = plain(x), net(x), net(x.clone())
    assert net[0].weight.is_mkldnn
    assert found.shape == expected.shape
    assert torch.equal(found, again)
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    assert torch.allclose(found.float(), expected.float(), rtol=tolerance, atol=tolerance * expected.abs().max().item())


@packs
def test_how_the_input_lies_in_memory_moves_no_bit() -> None:
    net = nn.Sequential(filled(nn.Conv2d(8, 16, 3, padding=1)), filled(nn.Conv2d(16, 8, 1)))
    packing.pack(net)
    x = drawn(1, 2, 8, 9, 5)
    with torch.inference_mode():
        assert torch.equal(net(x), net(x.contiguous(memory_format=torch.channels_last)))


@packs
@pytest.mark.parametrize(("small", "kept"), [(packing.SMALL, packing.KEPT), (0, 1)])
def test_sizes_may_change_and_no_bit_does(monkeypatch, small, kept) -> None:
    """Weights are packed anew for another size, from the packed ones; what was met before comes out as before."""
    monkeypatch.setattr(packing, "SMALL", small)
    plain = filled(nn.Conv2d(96, 96, 3, padding=1))
    net = nn.Sequential(copy.deepcopy(plain))
    packing.pack(net)
    inputs = [drawn(n, *shape) for n, shape in enumerate([(2, 96, 4, 4), (1, 96, 4, 4), (2, 96, 16, 16), (2, 96, 5, 9),
                                                          (2, 96, 3, 3), (1, 96, 2, 2)])]  # fmt: skip
    with torch.inference_mode():
        first = [net(x) for x in inputs]
        assert len(net[0]._shapes) == kept
        assert all(torch.equal(net(x), found) for x, found in zip(reversed(inputs), reversed(first), strict=True))
        assert all(torch.allclose(plain(x), found, atol=1e-4) for x, found in zip(inputs, first, strict=True))
    assert torch.equal(net[0].plain(), plain.weight)


@packs
def test_plain_weights_go_before_the_next_layer_is_packed(monkeypatch) -> None:
    """There is no second copy of a network, not even for a moment."""
    net = nn.Sequential(*(nn.Sequential(nn.Linear(8, 8)) for _ in range(3)))
    plain = [weakref.ref(layer[0].weight) for layer in net]
    alive = []
    packed = packing._packed

    def counting(layer: nn.Module) -> nn.Module | None:
        if isinstance(layer, nn.Linear):
            alive.append(sum(one() is not None for one in plain))
        return packed(layer)

    monkeypatch.setattr(packing, "_packed", counting)
    packing.pack(net)
    assert alive == [3, 2, 1]


@packs
@pytest.mark.parametrize("name", LEFT)
def test_what_has_no_packed_kernel_is_left(name) -> None:
    net = nn.Sequential(LEFT[name]())
    layer = net[0]
    packing.pack(net)
    assert net[0] is layer


@packs
def test_a_packed_network_keeps_its_shapes_and_names(models) -> None:
    net = UNet2DConditionModel.from_pretrained(models / "sd1" / "unet")
    shapes = {
        name: tuple(layer.weight.shape) for name, layer in net.named_modules() if isinstance(layer, packing.Layer)
    }
    packing.pack(net)
    layers = {name: layer for name, layer in net.named_modules() if isinstance(layer, packing.Layer)}
    assert {name: packing.shape(layer) for name, layer in layers.items()} == shapes
    with torch.inference_mode():
        net(drawn(1, 2, 4, 8, 8), 500, drawn(2, 2, 77, net.config.cross_attention_dim))
    assert {name: packing.shape(layer) for name, layer in layers.items()} == shapes
    assert all(layer.weight.is_mkldnn for layer in layers.values())
    assert (net.dtype, net.device) == (torch.float32, torch.device("cpu"))


def test_kernels_are_named(monkeypatch) -> None:
    assert packing.kernels("cuda:0", torch.float16) == "channels_last"
    assert packing.kernels("mps", torch.float16) == "plain"
    assert packing.kernels("cpu", torch.float32).split()[0] == ("packed" if PACKS else "plain")
    assert packing.kernels("cpu", torch.float16).startswith("plain ")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert packing.kernels("cpu", torch.float32).startswith("plain ")


def test_pictures_say_the_kernels(engine, recipe) -> None:
    *_, last = engine.generate(recipe)
    assert last.fingerprint.kernels == packing.kernels("cpu", torch.float32)
    assert last.fingerprint == engine.states(recipe)


@pytest.mark.parametrize(("device", "laid"), [("cpu", False), ("mps", False), ("cuda:1", True), ("xpu", True)])
def test_on_cards_convolutions_lie_as_tensor_cores_read_them(models, device, laid) -> None:
    """Exercised on the processor, where it moves no value beyond rounding."""
    net = UNet2DConditionModel.from_pretrained(models / "sd1" / "unet").eval()
    x, text = drawn(1, 2, 4, 8, 8), drawn(2, 2, 77, net.config.cross_attention_dim)
    with torch.inference_mode():
        expected = net(x, 500, text)[0]
        packing.lay_out(net, device)
        found = net(x, 500, text)[0]
    weights = [layer.weight for layer in net.modules() if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) is laid for weight in weights)
    assert torch.allclose(found, expected, atol=1e-5)


# ---- attention -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("batch", "length", "read"), [(2, 5, 3), (3, 64, 64), (2, 100, 7)])
@pytest.mark.parametrize("scores", [1, 3 * 64 * 32, 1 << 20])
def test_attention_in_slices_is_attention(monkeypatch, batch, length, read, scores) -> None:
    monkeypatch.setattr(attention, "SCORES", scores)
    query, key, value = drawn(1, batch, length, 8), drawn(2, batch, read, 8), drawn(3, batch, read, 8)
    expected = functional.scaled_dot_product_attention(query.double(), key.double(), value.double())
    assert torch.allclose(attend(query, key, value).double(), expected, atol=1e-6)


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_unet_that_attends_in_slices_gives_the_same(models, family) -> None:
    net = UNet2DConditionModel.from_pretrained(models / family / "unet").eval()
    sliced = copy.deepcopy(net)
    slice_attention(sliced)
    layers = [layer for layer in sliced.modules() if isinstance(layer, Attention)]
    assert layers
    assert all(isinstance(layer.processor, Sliced) for layer in layers)
    x, text = drawn(1, 2, 4, 8, 8), drawn(2, 2, 77, net.config.cross_attention_dim)
    more = {"text_embeds": drawn(3, 2, tiny.WIDTH), "time_ids": drawn(4, 2, 6)} if family == "sdxl" else None
    with torch.inference_mode():
        expected, found = (one(x, 500, text, added_cond_kwargs=more)[0] for one in (net, sliced))
    assert torch.allclose(found, expected, atol=1e-5)


def test_layers_with_more_than_that_are_left() -> None:
    for changed in ({"residual_connection": True}, {"norm_num_groups": 2}, {"qk_norm": "layer_norm"}):
        net = nn.Sequential(Attention(8, heads=2, dim_head=4, **changed))
        slice_attention(net)
        assert type(net[0].processor) is AttnProcessor2_0, changed
