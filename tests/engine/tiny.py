"""Tiny random pipelines of every family, built in code: a few thousand parameters each, never trained.

Layer norms of the text encoders get random weights and offsets: with the identity that a fresh CLIP has, the mean of
its features is 0 and emphasis has no mean to restore.
"""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
)

from webui.engine.checkpoints import BUNDLED

FAMILIES = ("sd1", "sd2", "sdxl", "sd3", "flux")
WIDTH = 32


def save(family: str, folder: Path) -> None:
    """Build the tiny pipeline of a family and write it as a diffusers folder."""
    with torch.random.fork_rng():
        torch.manual_seed(20 + FAMILIES.index(family))
        _BUILDERS[family]().save_pretrained(folder, safe_serialization=True)


def _tokenizer() -> Any:
    return CLIPTokenizer.from_pretrained(BUNDLED / "tokenizer", local_files_only=True)


def _clip(projected: bool) -> Any:
    config = CLIPTextConfig(
        vocab_size=1093, hidden_size=WIDTH, intermediate_size=37, num_hidden_layers=4, num_attention_heads=4,
        max_position_embeddings=77, projection_dim=WIDTH, bos_token_id=1091, eos_token_id=1092, pad_token_id=1092,
    )  # fmt: skip
    return _shaken((CLIPTextModelWithProjection if projected else CLIPTextModel)(config))


def _shaken(encoder: torch.nn.Module) -> torch.nn.Module:
    for module in encoder.modules():
        if isinstance(module, torch.nn.LayerNorm):
            torch.nn.init.normal_(module.weight, 1.0, 0.2)
            torch.nn.init.normal_(module.bias, 0.3, 0.2)
        elif isinstance(module, torch.nn.Embedding | torch.nn.Linear):
            torch.nn.init.normal_(module.weight, 0.0, 0.25)
    return encoder.eval()


def _vae(**options: Any) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 8, 8, 8), norm_num_groups=4, latent_channels=4, sample_size=64,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=1,
        **options,
    )  # fmt: skip


def _unet(**options: Any) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        block_out_channels=(16, 32), layers_per_block=1, sample_size=8, in_channels=4, out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=8, **{"cross_attention_dim": WIDTH, "attention_head_dim": 4, **options},
    )  # fmt: skip


_BETAS = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


def _sd(unet: UNet2DConditionModel, scheduler: Any) -> StableDiffusionPipeline:
    return StableDiffusionPipeline(
        vae=_vae(), text_encoder=_clip(False), tokenizer=_tokenizer(), unet=unet, scheduler=scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def _sd1() -> StableDiffusionPipeline:
    return _sd(_unet(), EulerDiscreteScheduler(timestep_spacing="linspace", steps_offset=1, **_BETAS))


def _sd2() -> StableDiffusionPipeline:
    """Velocity prediction and zero terminal SNR, as in the models that came after SD 2.1."""
    return _sd(
        _unet(),
        DDIMScheduler(
            prediction_type="v_prediction", steps_offset=1, clip_sample=False, rescale_betas_zero_snr=True, **_BETAS
        ),
    )


def _sdxl() -> StableDiffusionXLPipeline:
    unet = _unet(
        cross_attention_dim=2 * WIDTH, attention_head_dim=(2, 4), use_linear_projection=True,
        addition_embed_type="text_time", addition_time_embed_dim=8, transformer_layers_per_block=(1, 2),
        projection_class_embeddings_input_dim=6 * 8 + WIDTH,
    )  # fmt: skip
    return StableDiffusionXLPipeline(
        vae=_vae(), text_encoder=_clip(False), text_encoder_2=_clip(True), tokenizer=_tokenizer(),
        tokenizer_2=_tokenizer(), unet=unet, scheduler=EulerDiscreteScheduler(timestep_spacing="leading", **_BETAS),
        add_watermarker=False,
    )  # fmt: skip


def _sd3() -> StableDiffusion3Pipeline:
    transformer = SD3Transformer2DModel(
        sample_size=32, patch_size=2, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=8,
        num_attention_heads=4, caption_projection_dim=32, joint_attention_dim=2 * WIDTH,
        pooled_projection_dim=2 * WIDTH,
    )  # fmt: skip
    return StableDiffusion3Pipeline(
        transformer=transformer, scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=_vae(scaling_factor=1.5, shift_factor=0.06), text_encoder=_clip(True), tokenizer=_tokenizer(),
        text_encoder_2=_clip(True), tokenizer_2=_tokenizer(), text_encoder_3=None, tokenizer_3=None,
    )  # fmt: skip


def _flux() -> FluxPipeline:
    transformer = FluxTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=WIDTH, pooled_projection_dim=WIDTH, axes_dims_rope=(4, 4, 8), guidance_embeds=False,
    )  # fmt: skip
    t5 = T5EncoderModel(T5Config(vocab_size=1093, d_model=WIDTH, d_kv=8, d_ff=37, num_layers=2, num_heads=4))
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True), vae=_vae(shift_factor=0.1),
        text_encoder=_clip(False), tokenizer=_tokenizer(), text_encoder_2=t5, tokenizer_2=_tokenizer(),
        transformer=transformer,
    )  # fmt: skip


_BUILDERS = {"sd1": _sd1, "sd2": _sd2, "sdxl": _sdxl, "sd3": _sd3, "flux": _flux}
