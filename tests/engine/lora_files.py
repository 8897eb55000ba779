"""Tiny LoRAs in every spelling that files have, and what they mean: the same matrices fused by hand into a copy.

Each layer has a rank and an alpha of its own, so that no file can be read right by taking one of them for all.
"""

import copy
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from webui.engine import loading
from webui.engine.diffusion import DiffusionEngine
from webui.engine.noise import Stream

ORIGINAL = {
    "down_blocks.0.resnets.0.conv1": "input_blocks_1_0_in_layers_2",
    "down_blocks.0.resnets.0.time_emb_proj": "input_blocks_1_0_emb_layers_1",
    "down_blocks.0.downsamplers.0.conv": "input_blocks_2_0_op",
    "down_blocks.1.attentions.0.proj_in": "input_blocks_3_1_proj_in",
    "down_blocks.1.attentions.0.transformer_blocks.1.attn2.to_k": "input_blocks_3_1_transformer_blocks_1_attn2_to_k",
    "mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj": "middle_block_1_transformer_blocks_0_ff_net_0_proj",
    "mid_block.resnets.1.conv2": "middle_block_2_out_layers_3",
    "up_blocks.0.attentions.1.transformer_blocks.0.ff.net.2": "output_blocks_1_1_transformer_blocks_0_ff_net_2",
    "up_blocks.0.upsamplers.0.conv": "output_blocks_1_2_conv",
    "up_blocks.1.resnets.0.conv_shortcut": "output_blocks_2_0_skip_connection",
    "up_blocks.1.resnets.1.conv2": "output_blocks_3_0_out_layers_3",
    "conv_in": "input_blocks_0_0",
    "conv_out": "out_2",
    "time_embedding.linear_2": "time_embed_2",
    "add_embedding.linear_1": "label_emb_0_0",
}  # fmt: skip
"""Layers of the tiny SDXL's UNet, and what the original code calls them, written down by hand."""
_PLAIN: dict[Path, Any] = {}
KOHYA = {"unet": "lora_unet_", "text_encoder": "lora_te_", "text_encoder_2": "lora_te2_"}


@dataclass
class Made:
    """A LoRA as numbers: (down, up, alpha) by component and layer."""

    parts: dict[tuple[str, str], tuple[torch.Tensor, torch.Tensor, float]] = field(default_factory=dict)

    def fused(self, pipe: Any, te: float = 1.0, unet: float = 1.0) -> Any:
        """Return a copy of a pipeline with the LoRA added to its weights."""
        found = copy.copy(pipe)
        for component in {component for component, _ in self.parts}:
            setattr(found, component, copy.deepcopy(getattr(pipe, component)))
        for (component, name), (down, up, alpha) in self.parts.items():
            weight = getattr(found, component).get_submodule(name).weight
            factor = alpha / len(down) * (te if component.startswith("text") else unet)
            change = up.flatten(1).double() @ down.flatten(1).double()
            weight.data = (weight.double() + factor * change.view(weight.shape)).float()
        return found

    def kohya(self, path: Path, original: bool = False) -> Path:
        """Write A1111's spelling; ``original``: SDXL, whose UNet kohya's trainer names as the original code does."""
        tensors = {}
        for (component, name), (down, up, alpha) in self.parts.items():
            start = "lora_te1_" if original and component == "text_encoder" else KOHYA[component]
            inner = ORIGINAL[name] if original and component == "unet" else name.replace(".", "_")
            full = start + ("text_model_" if start.startswith("lora_te") and name != "text_projection" else "") + inner
            tensors |= {f"{full}.lora_down.weight": down, f"{full}.lora_up.weight": up}
            tensors[f"{full}.alpha"] = torch.tensor(alpha)
        return written(path, tensors)

    def diffusers(self, path: Path, text_model: bool = True, **notes: Any) -> Path:
        """Write the spelling of diffusers and PEFT, whose alphas are in the notes."""
        tensors = {}
        for (component, name), (down, up, alpha) in self.parts.items():
            inner = f"text_model.{name}" if text_model and component.startswith("text") else name
            tensors |= {f"{component}.{inner}.lora_A.weight": down, f"{component}.{inner}.lora_B.weight": up}
            notes.setdefault(f"{component}.lora_alpha", 1.0)
            notes.setdefault(f"{component}.alpha_pattern", {})[inner] = alpha
        return written(path, tensors, {"lora_adapter_metadata": json.dumps(notes)})

    def old_diffusers(self, path: Path) -> Path:
        """Write the first spelling of diffusers, which knows attention only and no alpha."""
        tensors = {}
        for (component, name), (down, up, _) in self.parts.items():
            if component == "unet":
                layer, _, part = name.removesuffix(".0").rpartition(".")
                full = f"unet.{layer}.processor.{part}_lora"
            else:
                layer, _, part = name.rpartition(".")
                full = f"{component}.text_model.{layer}.to_{part.removesuffix('_proj')}_lora"
            tensors |= {f"{full}.down.weight": down, f"{full}.up.weight": up}
        return written(path, tensors)


def plain(engine: DiffusionEngine, name: str) -> Any:
    """Return a model's pipeline with its weights as they are in its files, which a copy of can be changed."""
    model = engine._model(name, "")
    path = model.checkpoint.path
    assert path is not None
    if path not in _PLAIN:
        with loading.quiet():
            _PLAIN[path] = loading._from_folder(model.checkpoint, model.dtype)
    return _PLAIN[path]


def made(pipe: Any, layers: Iterable[tuple[str, str]], seed: int = 1, alphas: bool = True) -> Made:
    """Draw a LoRA for some layers; without ``alphas`` each is its rank."""
    found = Made()
    for number, (component, name) in enumerate(layers):
        weight = getattr(pipe, component).get_submodule(name).weight
        rank = (2, 4, 3)[number % 3]
        tail = weight.shape[2:]
        down, up = (0.3 * Stream(100 * seed + number, "NV", shape).normal() for shape in (
            (rank, weight.shape[1], *tail), (weight.shape[0], rank, *[1] * len(tail))))  # fmt: skip
        found.parts[component, name] = (down, up, (1.0, 4.0, 2.0, 5.0)[number % 4] if alphas else float(rank))
    return found


def attention(pipe: Any, component: str = "unet") -> list[tuple[str, str]]:
    """Name the layers of a component's attention."""
    ends = ("to_q", "to_k", "to_v", "to_out.0", "q_proj", "k_proj", "v_proj", "out_proj")
    return [(component, name) for name, _ in getattr(pipe, component).named_modules() if name.endswith(ends)]


def everything(pipe: Any) -> list[tuple[str, str]]:
    """Name every layer that a LoRA can change: linear ones and convolutions, of the UNet and the text encoders."""
    return [
        (component, name)
        for component in ("unet", "text_encoder", "text_encoder_2")
        for name, module in (getattr(pipe, component, None) or torch.nn.Module()).named_modules()
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d)
    ]


def written(path: Path, tensors: dict[str, torch.Tensor], notes: dict[str, str] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, notes)
    return path


def apart(first: torch.Tensor, second: torch.Tensor) -> float:
    """Return the relative difference: the norm of the difference over that of the second."""
    return float((first - second).norm() / second.norm())
