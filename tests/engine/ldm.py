"""Writes a tiny pipeline the way checkpoints of one file are written (the names of the LDM and SGM code bases).

Written from the layouts of those code bases, as an independent check of the reading side. SD 1 and SDXL.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline
from diffusers import UNet2DConditionModel as UNet
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from tests.engine.tiny import _shaken
from webui.engine.loading import CONFIGS, clip_tokenizer

_SMALL: dict[str, dict[str, Any]] = {
    "text_encoder": {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 1},
    "text_encoder_2": {"hidden_size": 128, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2,
                       "projection_dim": 128},
    "vae": {"block_out_channels": [8, 8, 8, 8], "norm_num_groups": 4},
}  # fmt: skip
_SMALL_UNET = {
    "sd1": {"block_out_channels": [32, 32, 32, 32], "attention_head_dim": 2, "cross_attention_dim": 64},
    "sdxl": {"block_out_channels": [32, 64, 64], "attention_head_dim": [2, 2, 2], "cross_attention_dim": 192,
             "transformer_layers_per_block": [1, 1, 2], "projection_class_embeddings_input_dim": 128 + 6 * 256},
}  # fmt: skip


def small_configs(family: str, folder: Path) -> Path:
    """Copy the shipped configurations of a family with smaller widths."""
    shutil.copytree(CONFIGS / family, folder / family)
    for part, changes in {**_SMALL, "unet": _SMALL_UNET[family]}.items():
        path = folder / family / part / "config.json"
        if path.is_file():
            path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


def pipeline(family: str, configs: Path) -> Any:
    """Build a random pipeline from these configurations."""

    def config(part: str) -> dict[str, Any]:
        return json.loads((configs / family / part / "config.json").read_text())

    with torch.random.fork_rng():
        torch.manual_seed(3)
        parts = {
            "unet": UNet.from_config(config("unet")),
            "vae": AutoencoderKL.from_config(config("vae")),
            "text_encoder": _shaken(CLIPTextModel(CLIPTextConfig(**config("text_encoder")))),
            "tokenizer": clip_tokenizer(),
            "scheduler": EulerDiscreteScheduler.from_pretrained(configs / family / "scheduler"),
        }
        if family == "sd1":
            return StableDiffusionPipeline(
                **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
            )
        second = _shaken(CLIPTextModelWithProjection(CLIPTextConfig(**config("text_encoder_2"))))
        return StableDiffusionXLPipeline(
            **parts, text_encoder_2=second, tokenizer_2=clip_tokenizer(pad="!"), add_watermarker=False
        )


def write(pipe: Any, path: Path) -> None:
    """Write the pipeline's weights as one LDM or SGM checkpoint."""
    xl = hasattr(pipe, "text_encoder_2")
    blocks = len(pipe.unet.config.block_out_channels)
    weights = {f"model.diffusion_model.{_unet(name, blocks)}": value for name, value in pipe.unet.state_dict().items()}
    for name, value in pipe.vae.state_dict().items():
        renamed = _vae(name)
        conv = re.search(r"mid\.attn_1\.(q|k|v|proj_out)\.weight", renamed)
        weights[f"first_stage_model.{renamed}"] = value[..., None, None] if conv else value
    clip = "conditioner.embedders.0.transformer.text_model." if xl else "cond_stage_model.transformer.text_model."
    weights |= {
        clip + name.removeprefix("text_model."): value for name, value in pipe.text_encoder.state_dict().items()
    }
    if xl:
        weights |= {f"conditioner.embedders.1.model.{name}": value for name, value in _open_clip(pipe.text_encoder_2)}
    save_file({name: value.contiguous() for name, value in weights.items()}, path)


_RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "norm2": "out_layers.0", "conv2": "out_layers.3",
           "time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection"}  # fmt: skip
_ENDS = {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
         "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
         "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2"}  # fmt: skip


def _unet(name: str, blocks: int) -> str:
    for old, new in _ENDS.items():
        if name.startswith(old):
            return name.replace(old, new)
    if found := re.match(r"mid_block\.(resnets|attentions)\.(\d)\.(.*)", name):
        kind, number, rest = found.groups()
        return f"middle_block.{2 * int(number) if kind == 'resnets' else 1}.{_within(kind, rest)}"
    if found := re.match(r"(down|up)_blocks\.(\d)\.(resnets|attentions)\.(\d)\.(.*)", name):
        side, block, kind, layer, rest = found.groups()
        at = 3 * int(block) + int(layer) + (side == "down")
        return (
            f"{'input' if side == 'down' else 'output'}_blocks.{at}.{int(kind == 'attentions')}.{_within(kind, rest)}"
        )
    if found := re.match(r"down_blocks\.(\d)\.downsamplers\.0\.conv\.(.*)", name):
        return f"input_blocks.{3 * (int(found[1]) + 1)}.0.op.{found[2]}"
    found = re.match(r"up_blocks\.(\d)\.upsamplers\.0\.(.*)", name)
    assert found is not None, name
    first_is_plain = blocks == 4 and found[1] == "0"  # SD 1's first way up has no attention
    return f"output_blocks.{3 * int(found[1]) + 2}.{1 if first_is_plain else 2}.{found[2]}"


def _within(kind: str, rest: str) -> str:
    if kind == "attentions":
        return rest
    head, _, tail = rest.partition(".")
    return f"{_RESNET[head]}.{tail}"


def _vae(name: str) -> str:
    name = re.sub(r"encoder\.down_blocks\.(\d)\.resnets\.", r"encoder.down.\1.block.", name)
    name = re.sub(r"encoder\.down_blocks\.(\d)\.downsamplers\.0\.", r"encoder.down.\1.downsample.", name)
    name = re.sub(r"decoder\.up_blocks\.(\d)\.resnets\.", lambda m: f"decoder.up.{3 - int(m[1])}.block.", name)
    name = re.sub(r"decoder\.up_blocks\.(\d)\.upsamplers\.0\.", lambda m: f"decoder.up.{3 - int(m[1])}.upsample.", name)
    name = re.sub(r"mid_block\.resnets\.(\d)\.", lambda m: f"mid.block_{int(m[1]) + 1}.", name)
    name = name.replace("mid_block.attentions.0.", "mid.attn_1.").replace("conv_norm_out", "norm_out")
    for old, new in (
        ("group_norm.", "norm."),
        ("to_q.", "q."),
        ("to_k.", "k."),
        ("to_v.", "v."),
        ("to_out.0.", "proj_out."),
    ):
        name = name.replace(old, new)
    return name.replace("conv_shortcut", "nin_shortcut")


def _open_clip(encoder: Any) -> list[tuple[str, torch.Tensor]]:
    state = {name.removeprefix("text_model."): value for name, value in encoder.state_dict().items()}
    found = [
        ("positional_embedding", state["embeddings.position_embedding.weight"]),
        ("token_embedding.weight", state["embeddings.token_embedding.weight"]),
        ("text_projection", state["text_projection.weight"].T),
        ("ln_final.weight", state["final_layer_norm.weight"]),
        ("ln_final.bias", state["final_layer_norm.bias"]),
    ]
    renamed = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "self_attn.out_proj": "attn.out_proj",
               "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}  # fmt: skip
    for layer in range(encoder.config.num_hidden_layers):
        old, new = f"encoder.layers.{layer}.", f"transformer.resblocks.{layer}."
        for kind in ("weight", "bias"):
            rows = torch.cat([state[f"{old}self_attn.{part}_proj.{kind}"] for part in "qkv"])
            found.append((f"{new}attn.in_proj_{kind}", rows))
            found += [(f"{new}{after}.{kind}", state[f"{old}{before}.{kind}"]) for before, after in renamed.items()]
    return found
