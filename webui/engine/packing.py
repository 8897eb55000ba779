"""Packing: a network's weights in the layout that the processor's kernels read (oneDNN's), once and not at every call.

As torch comes, a convolution or a linear layer on a processor brings its weights into that layout at each call and
throws them away after it: with the networks of Stable Diffusion 1.5 that is half a second and 470,000 page faults of a
call of four seconds. Packed layers keep them, and the plain weights are given up.

The promise: a packed layer computes what the layer computes; only the order of its sums is another, so the last bits
of a picture are others, and ``kernels`` puts that into the fingerprint. Without a processor that has these kernels
nothing is packed. Activations stay in the order NHWC (``channels_last``), in which they are fastest.
"""

import ctypes
import math
import platform
import sys
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import torch
from torch import nn
from torch.nn import functional

_OPS: Final = torch.ops.mkldnn
_LIBC: Final = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
SMALL: Final = 4 << 20
"""Weights of a convolution that is small."""
FEW: Final = 16
"""Cells of an output for which a convolution is a product of matrices."""
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

    A large layer's output of few cells is one product of matrices: reading the weights takes most of the time, and as
    rows they are read a third faster.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        _bare(self, layer)
        self.weight, self.bias = layer.weight, layer.bias
        self._padding = [int(side) for side in layer.padding]
        self._shapes: dict[tuple[int, ...], nn.Parameter] = {}

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Convolve."""
        x = input.contiguous(memory_format=torch.channels_last)
        weight = self._packed(tuple(x.shape))
        if self._is_few(x.shape):
            mixed = _OPS._linear_pointwise(self._windows(x), weight, self.bias, "none", [], "")
            return mixed.permute(0, 3, 1, 2)  # type: ignore[no-any-return]
        geometry = self._padding, self.stride, self.dilation, 1
        return _OPS._convolution_pointwise(x, weight, self.bias, *geometry, "none", [], "")  # type: ignore[no-any-return]

    @property
    def _is_small(self) -> bool:
        return self.out_channels * self.in_channels * math.prod(self.kernel_size) <= SMALL

    def plain(self) -> torch.Tensor:
        """Return the weights as they were before they were packed: (out, in, kernel, kernel)."""
        weight = self.weight.to_dense() if self.weight.is_mkldnn else self.weight.detach()
        if weight.ndim == 4:
            return weight
        return weight.view(self.out_channels, *self.kernel_size, self.in_channels).permute(0, 3, 1, 2).contiguous()

    def _is_few(self, met: Sequence[int]) -> bool:
        """Say whether this is a large layer whose output for an input of this shape has few cells."""
        if self._is_small:
            return False
        seen = zip(met[2:], self._padding, self.kernel_size, self.stride, strict=True)
        return math.prod((side + 2 * pad - kernel) // step + 1 for side, pad, kernel, step in seen) <= FEW

    def _windows(self, x: torch.Tensor) -> torch.Tensor:
        """List what each cell of the output sees of the input: (N, H', W', kernel · kernel · in)."""
        (down, across), kernel, step = self._padding, self.kernel_size, self.stride
        padded = functional.pad(x.permute(0, 2, 3, 1), (0, 0, across, across, down, down))
        windows = padded.unfold(1, kernel[0], step[0]).unfold(2, kernel[1], step[1])
        return windows.permute(0, 1, 2, 4, 5, 3).flatten(3)

    def _packed(self, met: tuple[int, ...]) -> nn.Parameter:
        """Return the weights, packed for an input of this shape."""
        key = met if self._is_small else met[2:]
        if key not in self._shapes:
            plain = self.plain()
            if self._is_few(met):
                rows = plain.permute(0, 2, 3, 1).flatten(1)
                self.weight = _constant(_OPS._reorder_linear_weight(rows.contiguous()))
            else:
                geometry = self._padding, self.stride, self.dilation, 1
                self.weight = _constant(_OPS._reorder_convolution_weight(plain, *geometry, list(met)))
            while len(self._shapes) >= (KEPT if self._is_small else 1):
                del self._shapes[next(iter(self._shapes))]
            self._shapes[key] = self.weight
            if not self._is_small:
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


def lay_out(network: nn.Module, device: str) -> None:
    """Put the weights of convolutions into the order NHWC on cards, whose tensor cores read them so.

    It is what NVIDIA and Intel advise for half precision; this project had no card to measure it on.
    """
    if _has_tensor_cores(device):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _has_tensor_cores(device: str) -> bool:
    return device.partition(":")[0] in ("cuda", "xpu")


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

    On other devices they are the device's own.
    """
    if device != "cpu":
        return "channels_last" if _has_tensor_cores(device) else "plain"
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
    if isinstance(layer.padding, str) or layer.dilation != (1, 1):
        return None
    pointwise = layer.kernel_size == layer.stride == (1, 1) and layer.padding == (0, 0)
    return PackedPointwise(layer) if pointwise else PackedConv2d(layer)


def _bare(packed: nn.Conv2d, layer: nn.Conv2d) -> None:
    """Make a convolution like another one, without weights."""
    geometry = layer.kernel_size, layer.stride, layer.padding, layer.dilation
    nn.Conv2d.__init__(packed, layer.in_channels, layer.out_channels, *geometry, device="meta")  # type: ignore[arg-type]


def _constant(tensor: torch.Tensor) -> nn.Parameter:
    return nn.Parameter(tensor, requires_grad=False)
