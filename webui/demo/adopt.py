"""Takes an exported model back into a work folder, so that training can go on from landed weights alone.

The promise: what comes out of `export` right after `adopt` is the model that went in. The optimizers' states are not in
an export, so training begins with fresh ones at step 0.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderTiny, UNet2DConditionModel
from torch import nn

from webui.demo.autoencoder import KEPT, LinearEncoder
from webui.demo.denoiser import SIZES
from webui.demo.runs import save_state


def read_linear(network: AutoencoderTiny) -> LinearEncoder:
    """Read the linear encoder out of the network it was written into: the inverse of `autoencoder.build`."""
    convolutions = [layer for layer in network.encoder.layers if isinstance(layer, nn.Conv2d)]
    first, last = convolutions[0], convolutions[-1]
    assert first.bias is not None
    outputs = (*KEPT, int(network.config.latent_channels))
    bases = []
    for convolution, inputs, count in zip(convolutions[1:-1], (3, *KEPT), outputs, strict=True):
        kernel = convolution.weight.detach()[:count, :inputs, 1:, 1:]
        bases.append(kernel.permute(0, 2, 3, 1).reshape(count, 4 * inputs).T.contiguous().numpy())
    gains = torch.diagonal(last.weight.detach()[:, :, 1, 1]).contiguous().numpy()
    return LinearEncoder(-first.bias.detach()[:3].numpy(), tuple(bases), gains)


def size_of(unet: UNet2DConditionModel) -> str:
    """Name the size of a UNet by its widths."""
    for name, plan in SIZES.items():
        if tuple(unet.config.block_out_channels) == plan["block_out_channels"]:
            return name
    raise ValueError(
        f"A UNet of widths {tuple(unet.config.block_out_channels)} is none of the sizes {', '.join(SIZES)}."
    )


def adopt(model: Path, work: Path) -> None:
    """Fill a work folder from an exported model; what is there of an earlier run is replaced."""
    work.mkdir(parents=True, exist_ok=True)
    network = AutoencoderTiny.from_pretrained(model / "vae", torch_dtype=torch.float32)
    read_linear(network).save(work / "linear.npz")
    decoder = network.decoder.state_dict()
    save_state({"decoder": decoder, "average": decoder, "step": 0}, work / "decoder.pt")
    unet = UNet2DConditionModel.from_pretrained(model / "unet", torch_dtype=torch.float32)
    weights = unet.state_dict()
    save_state({"unet": weights, "average": weights, "step": 0, "size": size_of(unet)}, work / "denoiser.pt")
    for part in ("tokenizer", "text_encoder"):
        shutil.rmtree(work / part, ignore_errors=True)
        shutil.copytree(model / part, work / part)
    # Shards hold latents of the encoder they were drawn with: others would be of no use.
    shutil.rmtree(work / "shards", ignore_errors=True)
