"""LoRA: small matrices that change a network's layers while it runs (Hu et al. 2021, https://arxiv.org/abs/2106.09685).

The promise: the network's own weights are never touched. Each layer that a LoRA changes gets a hook that adds
weight · alpha / rank · up(down(x)) to what the layer gives, and without the hook the layer is what it was, bit for bit.
A file is checked whole before the first hook is set, and every tensor in it must belong somewhere.

Layers are found by name, dots and underscores alike, so that the names of diffusers, of PEFT and of kohya's trainers
(A1111's) are read by one table; kohya's SDXL names are those of the original UNet.
"""

import json
import math
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.nn import functional

from webui.engine.headers import read_notes
from webui.engine.network_files import SCALES, NetworkFile
from webui.engine.packing import Layer, shape

KEPT: Final = 4
"""LoRAs that are kept in memory beside those in use."""
COMPONENTS: Final = ("unet", "transformer", "text_encoder", "text_encoder_2", "text_encoder_3")

Place: TypeAlias = tuple[str, str]
"""A component of the pipeline and the name of a layer in it."""

_PREFIXES: Final = {
    "lora_unet_": "unet",
    "lora_te_": "text_encoder",
    "lora_te1_": "text_encoder",
    "lora_te2_": "text_encoder_2",
    "text_encoder_2_": "text_encoder_2",
    "text_encoder_": "text_encoder",
    "transformer_": "transformer",
    "unet_": "unet",
    "base_model_model_": "unet",
}
_TENSOR: Final = re.compile(
    r"(?P<layer>.+?)[._](?:lora[._](?:(?P<down>down|A)|(?P<up>up|B))|lora_linear_layer\.(?:(?P<first>down)|(?P<last>up)))"
    r"(?:\.[\w-]+)?\.weight\Z|(?P<scaled>.+)\.alpha\Z"
)
_OLD: Final = (
    (re.compile(r"_processor_to_([qkv])\Z"), r"_to_\1"),
    (re.compile(r"_processor_to_out\Z"), "_to_out_0"),
    (re.compile(r"_self_attn_to_(q|k|v|out)\Z"), r"_self_attn_\1_proj"),
)
"""Names of layers in the first files of diffusers."""


@dataclass(frozen=True, eq=False)
class Delta:
    """What is added to a layer: scale · up(down(x))."""

    down: torch.Tensor
    up: torch.Tensor
    scale: float

    def of(self, layer: Layer, x: torch.Tensor) -> torch.Tensor:
        """Return what is added for the input ``x`` of the layer."""
        if isinstance(layer, torch.nn.Linear):
            return functional.linear(functional.linear(x, self.down), self.up)
        inner = functional.conv2d(x, self.down, None, layer.stride, layer.padding, layer.dilation)
        return functional.conv2d(inner, self.up)


@dataclass
class _Parts:
    """The tensors of one layer in a file, as they are found."""

    down: torch.Tensor | None = None
    up: torch.Tensor | None = None
    alpha: float | None = None


class Misfit(Exception):
    """A LoRA does not fit the networks that are loaded; the text completes "it …"."""


@dataclass
class Loras:
    """The LoRAs of one pipeline: those in memory, and the hooks of those that are on."""

    pipe: Any
    _layers: Mapping[str, Place] = field(default_factory=dict)
    _hooks: list[Any] = field(default_factory=list)
    _read: "OrderedDict[str, dict[Place, Delta]]" = field(default_factory=OrderedDict)

    def wear(self, wanted: Sequence[tuple[NetworkFile, str]]) -> None:
        """Put on exactly these LoRAs, each with its hash; raise Misfit and leave none on.

        One whose weights are 0 is read and checked, and does nothing.
        """
        self.take_off()
        added: dict[Place, list[tuple[Delta, float]]] = {}
        for file, digest in wanted:
            for place, delta in self.read(file, digest).items():
                if weight := file.te if place[0].startswith("text_encoder") else file.unet:
                    added.setdefault(place, []).append((delta, weight * delta.scale))
        for (component, name), deltas in added.items():
            layer = getattr(self.pipe, component).get_submodule(name)
            self._hooks.append(layer.register_forward_hook(_adding(deltas)))
        while len(self._read) > max(KEPT, len(wanted)):
            self._read.popitem(last=False)

    def take_off(self) -> None:
        """Leave every layer as it was loaded."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def read(self, file: NetworkFile, digest: str) -> dict[Place, Delta]:
        """Read a LoRA, or find it in memory; raise Misfit when it does not fit."""
        if digest not in self._read:
            self._layers = self._layers or dict(_layers(self.pipe))
            self._read[digest] = self._fitted(file.path)
        self._read.move_to_end(digest)
        return self._read[digest]

    def _fitted(self, path: Path) -> dict[Place, Delta]:
        """Read a file and give every tensor its layer."""
        try:
            tensors = load_file(path)
        except (OSError, SafetensorError) as error:
            raise Misfit(f"cannot be read: {error}") from None
        if not hasattr(self.pipe, "unet") and any(".lora_down." in key for key in tensors):
            tensors = _translated(self.pipe, tensors)
        notes = _notes(path)
        parts: dict[str, _Parts] = {}
        for key, tensor in tensors.items():
            _sort(key, tensor, parts)
        found: dict[Place, Delta] = {}
        for name, part in parts.items():
            place = self._layers.get(name)
            if place is None:
                raise Misfit(f"changes a layer that is not in this model, {name}, of {len(parts)} that it changes")
            if part.down is None or part.up is None:
                raise Misfit(f"lacks one of two matrices for the layer {name}")
            layer = getattr(self.pipe, place[0]).get_submodule(place[1])
            found[place] = _delta(layer, part, _scale(part, place, notes), name)
        if not found:
            raise Misfit("changes nothing")
        return found


def _adding(deltas: Sequence[tuple[Delta, float]]) -> Callable[[Any, tuple[Any, ...], Any], Any]:
    def add(layer: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        for delta, weight in deltas:
            output = output + delta.of(layer, inputs[0]) * weight
        return output

    return add


def _sort(key: str, tensor: torch.Tensor, parts: dict[str, _Parts]) -> None:
    """Put a tensor of a file to its layer's."""
    match = _TENSOR.match(key)
    if match is None:
        raise Misfit(f"holds a tensor whose name is not known, {key}")
    part = parts.setdefault(_plain(match["layer"] or match["scaled"]), _Parts())
    if match["scaled"]:
        part.alpha = float(tensor.flatten()[0]) if tensor.numel() == 1 else None
    elif match["down"] or match["first"]:
        part.down = tensor
    else:
        part.up = tensor


def _plain(name: str) -> str:
    """Return a layer's name as the table has it: its component, then underscores only."""
    text = name.replace(".", "_")
    for pattern, new in _OLD:
        text = pattern.sub(new, text)
    prefix = next((prefix for prefix in _PREFIXES if text.startswith(prefix)), "")
    return f"{_PREFIXES.get(prefix, 'unet')}:{text.removeprefix(prefix)}"


def _layers(pipe: Any) -> Iterator[tuple[str, Place]]:
    """Name every layer of a pipeline that a LoRA can change, by each name that it has in files."""
    for component in COMPONENTS:
        network = getattr(pipe, component, None)
        for name, module in network.named_modules() if network is not None else ():
            if isinstance(module, Layer):
                plain = name.replace(".", "_")
                yield f"{component}:{plain}", (component, name)
                if component.startswith("text_encoder"):  # transformers 5 calls the inner model no longer by name
                    yield f"{component}:text_model_{plain}", (component, name)
        if component == "unet" and network is not None:
            for original, name in _original(network):
                yield f"unet:{original}", ("unet", name)


def _original(unet: Any) -> Iterator[tuple[str, str]]:
    """Name the layers of a UNet as in the original code of latent diffusion (Rombach et al. 2022), which has no
    blocks: one row of inputs, a middle and one row of outputs.
    """
    places: dict[str, str] = {"time_embed_0": "time_embedding.linear_1", "time_embed_2": "time_embedding.linear_2"}
    places |= {"label_emb_0_0": "add_embedding.linear_1", "label_emb_0_2": "add_embedding.linear_2"}
    places |= {"input_blocks_0_0": "conv_in", "out_2": "conv_out"}
    places |= {"middle_block_0": "mid_block.resnets.0", "middle_block_1": "mid_block.attentions.0"}
    places |= {"middle_block_2": "mid_block.resnets.1"}
    for side, begin, blocks in (("down", 1, unet.down_blocks), ("up", 0, unet.up_blocks)):
        row, number = "input_blocks" if side == "down" else "output_blocks", begin
        for at, block in enumerate(blocks):
            own, attends = f"{side}_blocks.{at}", hasattr(block, "attentions")
            for layer in range(len(block.resnets)):
                places[f"{row}_{number}_0"] = f"{own}.resnets.{layer}"
                if attends:
                    places[f"{row}_{number}_1"] = f"{own}.attentions.{layer}"
                number += 1
            if side == "down" and block.downsamplers:
                places[f"{row}_{number}_0_op"] = f"{own}.downsamplers.0.conv"
                number += 1
            elif side == "up" and block.upsamplers:
                places[f"{row}_{number - 1}_{1 + attends}_conv"] = f"{own}.upsamplers.0.conv"
    inner = {"in_layers_2": "conv1", "out_layers_3": "conv2", "emb_layers_1": "time_emb_proj",
             "skip_connection": "conv_shortcut"}  # fmt: skip
    layers = [name for name, module in unet.named_modules() if isinstance(module, Layer)]
    for original, place in places.items():
        for name in layers:
            if name == place:
                yield original, name
            elif name.startswith(f"{place}."):
                rest = name.removeprefix(f"{place}.")
                here = next((old for old, new in inner.items() if new == rest), rest.replace(".", "_"))
                yield f"{original}_{here}", name


def _delta(layer: Layer, part: _Parts, scale: float, name: str) -> Delta:
    """Check that a layer's matrices fit it, and move them to it."""
    assert part.down is not None and part.up is not None
    down, up, own = part.down, part.up, shape(layer)
    if isinstance(layer, torch.nn.Linear):  # trained where this layer is a convolution of 1 × 1, or the other way round
        down, up = (tensor.flatten(1) if tensor.shape[2:] == (1, 1) else tensor for tensor in (down, up))
    else:
        down, up = (tensor[..., None, None] if tensor.ndim == 2 else tensor for tensor in (down, up))
    fitting = (down.shape[0], *own[1:]), (own[0], down.shape[0], *[1] * (len(own) - 2))
    if (down.shape, up.shape) != fitting:
        shapes = [" × ".join(map(str, sides)) for sides in (part.up.shape, part.down.shape, own)]
        raise Misfit(f"has matrices of {shapes[0]} and {shapes[1]} for the layer {name}, which has {shapes[2]}")
    device, dtype = layer.weight.device, layer.weight.dtype
    return Delta(down.to(device, dtype), up.to(device, dtype), scale)


def _scale(part: _Parts, place: Place, notes: Mapping[str, Any]) -> float:
    """Return alpha / rank: the file's own alpha, that of its notes, or the rank itself.

    With ``use_rslora`` it is alpha / √rank (Kalajdzievski 2023, https://arxiv.org/abs/2312.03732).
    """
    assert part.down is not None
    (component, name), rank = place, part.down.shape[0]
    if part.alpha is not None:
        return part.alpha / rank
    own = notes.get(f"{component}.alpha_pattern") or {}
    patterns = ((pattern.removeprefix("^").removeprefix("text_model."), alpha) for pattern, alpha in own.items())
    alpha = next((alpha for end, alpha in patterns if f".{name}".endswith(f".{end}")),
                 notes.get(f"{component}.lora_alpha", rank))  # fmt: skip
    return float(alpha) / (math.sqrt(rank) if notes.get(f"{component}.use_rslora") else rank)


def _notes(path: Path) -> dict[str, Any]:
    """Read what diffusers and PEFT note of a LoRA's training, if anything."""
    try:
        notes = json.loads(read_notes(path)[1].get(SCALES, "{}"))
    except (ValueError, RecursionError):
        notes = None
    if not isinstance(notes, dict):
        raise Misfit("has notes on its training that cannot be read")
    return notes


def _translated(pipe: Any, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Give the tensors of a transformer's LoRA the names of diffusers, which knows those of several trainers."""
    try:
        return dict(pipe.lora_state_dict(dict(tensors)))
    except (ValueError, LookupError, RuntimeError, TypeError) as error:
        raise Misfit(f"has names that diffusers does not know: {error}") from None
