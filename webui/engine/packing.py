"""Packing: a network's weights in the layout that the processor's kernels read (oneDNN's), once and not at every call.

As torch comes, a convolution or a linear layer on a processor brings its weights into that layout at each call and
throws them away after it: with the networks of Stable Diffusion 1.5 that is half a second and 470,000 page faults of a
call of four seconds. Packed layers keep them, and the plain weights are given up.

The promise: a packed layer computes what the layer computes; only the order of its sums is another, so the last bits
of a picture are others, and ``kernels`` puts that into the fingerprint. Without a processor that has these kernels
nothing is packed. Activations stay in the order NHWC (``channels_last``), in which they are fastest.
"""

import ctypes
import platform
import sys
from collections.abc import Iterable
from typing import Final, TypeAlias

import torch
from torch import nn

_OPS: Final = torch.ops.mkldnn
_LIBC: Final = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
SMALL: Final = 4 << 20
"""Weights of a convolution that is small."""
KEPT: Final = 4
"""Shapes of inputs for which a small convolution is packed at a time."""
Layer: TypeAlias = nn.Linear | nn.Conv2d


class PackedLinear(nn.Linear):
    """A linear layer over packed weights: (…, in) to (…, out)."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__(layer.in_features, layer.out_features, device="meta")
        self.weight = _constant(_OPS._reorder_linear_weight(layer.weight.detach()))
        self.bias = layer.bias

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Multiply and add."""
        return _OPS._linear_pointwise(input, self.weight, self.bias, "none", [], "")  # type: ignore[no-any-return]


class PackedConv2d(nn.Conv2d):
    """A convolution over packed weights: (N, in, H, W) to (N, out, H', W'), both ``channels_last``.

    The layout depends on the size of the input for some numbers of channels, and with another one a call takes up to a
    hundred times as long, so weights are packed when a size is met: the plain ones at the first, others from those that
    are packed. A small layer keeps them for several shapes; a large one for its last size, which costs a second or two
    when pictures of another size are made, and asks nothing of the number of rows, since that can change every step.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        _bare(self, layer)
        self.weight, self.bias = layer.weight, layer.bias
        self._shapes: dict[tuple[int, ...], nn.Parameter] = {}

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Convolve."""
        x = input.contiguous(memory_format=torch.channels_last)
        geometry = self.padding, self.stride, self.dilation, self.groups
        weight = self._packed(tuple(x.shape))
        return _OPS._convolution_pointwise(x, weight, self.bias, *geometry, "none", [], "")  # type: ignore[no-any-return]

    def _packed(self, met: tuple[int, ...]) -> nn.Parameter:
        """Return the weights, packed for an input of this shape."""
        small = self.weight.numel() <= SMALL
        key = met if small else met[2:]
        if key not in self._shapes:
            plain = self.weight.to_dense() if self.weight.is_mkldnn else self.weight.detach()
            geometry = map(list, (self.padding, self.stride, self.dilation))
            self.weight = _constant(_OPS._reorder_convolution_weight(plain, *geometry, 1, list(met)))
            while len(self._shapes) >= (KEPT if small else 1):
                del self._shapes[next(iter(self._shapes))]
            self._shapes[key] = self.weight
            if not small:
                del plain
                give_back()
        return self._shapes[key]


class PackedPointwise(nn.Conv2d):
    """A convolution of 1 × 1, which is a linear layer over the channels of each pixel, whatever their number."""

    def __init__(self, layer: nn.Conv2d) -> None:
        _bare(self, layer)
        self.weight = _constant(_OPS._reorder_linear_weight(layer.weight.detach().flatten(1)))
        self.bias = layer.bias

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Multiply and add, pixel by pixel."""
        pixels = input.permute(0, 2, 3, 1).contiguous()
        mixed = _OPS._linear_pointwise(pixels, self.weight, self.bias, "none", [], "")
        return mixed.permute(0, 3, 1, 2)  # type: ignore[no-any-return]


def pack(network: nn.Module) -> None:
    """Replace a network's layers by packed ones, each plain one given up before the next; others stay as they are."""
    for name in [name for name, _ in network.named_children()]:
        layer = network.get_submodule(name)
        if (packed := _packed(layer)) is None:
            pack(layer)
        else:
            setattr(network, name, packed.eval())


def can_pack(device: str, dtype: torch.dtype) -> bool:
    """Say whether a device has the kernels for a number type."""
    if device != "cpu" or platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    if not torch._C._has_mkldnn:
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and bool(_OPS._is_mkldnn_bf16_supported()))


def multiplies_halves() -> bool:
    """Say whether the processor has instructions that multiply matrices in bfloat16: AVX512-BF16 or AMX."""
    found = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return bool(found) and can_pack("cpu", torch.bfloat16)


def kernels(device: str, dtype: torch.dtype) -> str:
    """Name what decides the order of sums on a processor: packed weights or not, and its widest instructions.

    Empty on other devices.
    """
    if device != "cpu":
        return ""
    wide = str(torch.backends.cpu.get_cpu_capability())
    tiles = "+AMX" if dtype == torch.bfloat16 and torch.cpu._is_amx_tile_supported() else ""
    return f"{'packed' if can_pack(device, dtype) else 'plain'} {wide}{tiles}"


def shape(layer: Layer) -> tuple[int, ...]:
    """Return the shape of a layer's weights, packed or not: (out, in) or (out, in / groups, kernel, kernel)."""
    if isinstance(layer, nn.Linear):
        return layer.out_features, layer.in_features
    return layer.out_channels, layer.in_channels // layer.groups, *layer.kernel_size


def give_back() -> None:
    """Have memory that was freed given back to the system; glibc keeps it: after packing half of the network's size."""
    trim = getattr(_LIBC, "malloc_trim", None)
    if trim is not None:
        trim(0)


def own_memory(tensors: Iterable[torch.Tensor]) -> None:
    """Move tensors to memory of their own: where a memory-mapped one begins moves the last bits of a result."""
    for tensor in tensors:
        if not tensor.is_mkldnn:  # packed ones have it
            tensor.data = tensor.data.clone()


def _packed(layer: nn.Module) -> nn.Module | None:
    if type(layer) is nn.Linear:
        return PackedLinear(layer)
    if type(layer) is not nn.Conv2d or layer.groups != 1 or layer.padding_mode != "zeros":
        return None
    if isinstance(layer.padding, str):
        return None
    pointwise = layer.kernel_size == layer.stride == (1, 1) and layer.padding == (0, 0)
    return PackedPointwise(layer) if pointwise else PackedConv2d(layer)


def _bare(packed: nn.Conv2d, layer: nn.Conv2d) -> None:
    """Make a convolution like another one, without weights."""
    geometry = layer.kernel_size, layer.stride, layer.padding, layer.dilation
    nn.Conv2d.__init__(packed, layer.in_channels, layer.out_channels, *geometry, device="meta")  # type: ignore[arg-type]


def _constant(tensor: torch.Tensor) -> nn.Parameter:
    return nn.Parameter(tensor, requires_grad=False)
