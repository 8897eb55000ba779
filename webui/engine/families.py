"""Families: how each kind of model is asked for its denoised estimate. All that differs between SD, SDXL, SD3 and Flux.

The promise: a family adapts the components of a diffusers pipeline to one interface (levels, shape, denoiser, decode)
and keeps no state of a picture, so nothing is left behind by one that is cancelled. Networks run in their own dtype;
the latent that goes in and the estimate that comes out are float32. The layout of guided calls is fixed, as it is in
diffusers: one call with the rows (negative, positive), or two calls for Flux and for prompts of very unequal lengths;
at CFG scale 1 there is one row, and the negative prompt is not read. Prompts joined by AND are further rows, two a
call. A denoiser counts its calls, since prompts may change from step to step: each picture asks for its own.
"""

import math
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
import torch

from webui import prompt, samplers
from webui.engine import profiles, schedules
from webui.engine import script as scripts
from webui.engine.checkpoints import check_size
from webui.engine.conditioning import CACHED, PLAIN, ClipReader, Embedding, Words, match, variants
from webui.engine.schedules import Levels
from webui.engine.script import Script
from webui.errors import CheckpointError
from webui.recipe import Recipe

Denoiser: TypeAlias = Callable[[torch.Tensor, float], torch.Tensor]
"""Takes x (1, C, H, W) and sigma; returns the denoised estimate, float32."""
T = TypeVar("T")


LONGEST = 12 * 77
"""Tokens. Prompts whose least common length is more than this go through the network one by one: repeating 66 and 67
chunks to 4,422 would fill any memory."""


class Family(Protocol):
    """One kind of model, loaded."""

    pipe: Any
    flow: bool

    def shape(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return the latent's shape (1, C, H, W) for a size in pixels; raise BadValue when the size is impossible."""
        ...

    def sigmas(self, recipe: Recipe) -> tuple[float, ...]:
        """Return the sigmas of a picture, falling to 0."""
        ...

    def unit(self, recipe: Recipe, sigmas: Sequence[float]) -> bool:
        """Say whether the latent starts at unit variance in the scale in which the model was trained."""
        ...

    def denoiser(self, recipe: Recipe, begin: int = 0) -> Denoiser:
        """Read the prompts and return the function that samplers ask, for one picture after ``begin`` calls."""
        ...

    def wear(self, words: Words) -> None:
        """Read words so from now on: for LoRAs that were put on the text encoders, and embeddings."""
        ...

    def text_widths(self) -> tuple[int, ...]:
        """Return how many numbers each text encoder that reads embeddings has a token; none where none does."""
        ...

    def count(self, text: str, embeddings: Mapping[str, int]) -> tuple[int, int]:
        """Count a prompt's tokens and the room for them; ``embeddings``: how many vectors stand for a name."""
        ...


def build(pipe: Any, family: str) -> Family:
    """Choose the adapter for a loaded pipeline."""
    if family in ("sd1", "sd2", "sdxl"):
        return UNetFamily(pipe)
    return Sd3Family(pipe) if family == "sd3" else FluxFamily(pipe)


class UNetFamily:
    """SD 1.x, SD 2.x and SDXL: a UNet that predicts noise, velocity or the picture itself."""

    flow = False

    def __init__(self, pipe: Any) -> None:
        self.pipe = pipe
        self._place = pipe.unet.device, pipe.unet.dtype  # diffusers looks through all weights for each: once
        config = pipe.scheduler.config
        self.prediction = str(config.get("prediction_type", "epsilon"))
        if self.prediction not in ("epsilon", "v_prediction", "sample"):
            raise CheckpointError(f"The model predicts {self.prediction!r}, which this program does not know.")
        self.levels = schedules.from_config(config)
        self.channels = int(pipe.unet.config.in_channels)
        if self.channels != pipe.vae.config.latent_channels:
            raise CheckpointError(
                f"The model's network reads {self.channels} channels and its autoencoder has "
                f"{pipe.vae.config.latent_channels}: it is for inpainting or editing, not for text-to-image."
            )
        self.xl = getattr(pipe, "text_encoder_2", None) is not None
        both = [(pipe.tokenizer, pipe.text_encoder)] + ([(pipe.tokenizer_2, pipe.text_encoder_2)] if self.xl else [])
        self.reader = ClipReader([pair[0] for pair in both], [pair[1] for pair in both], penultimate=self.xl)

    def shape(self, width: int, height: int) -> tuple[int, int, int, int]:
        factor = _fitting(width, height, int(self.pipe.vae_scale_factor), 1)
        return 1, self.channels, height // factor, width // factor

    def sigmas(self, recipe: Recipe) -> tuple[float, ...]:
        return profiles.sigmas(self.levels, recipe, self.xl)

    def unit(self, recipe: Recipe, sigmas: Sequence[float]) -> bool:
        return profiles.unit(self.levels, recipe, sigmas)

    def wear(self, words: Words) -> None:
        self.reader.words = words

    def text_widths(self) -> tuple[int, ...]:
        return tuple(encoder.get_input_embeddings().weight.shape[1] for encoder in self.reader.encoders)

    def count(self, text: str, embeddings: Mapping[str, int]) -> tuple[int, int]:
        return self.reader.count(text, embeddings)

    def denoiser(self, recipe: Recipe, begin: int = 0) -> Denoiser:
        unet, levels = self.pipe.unet, profiles.levels(self.levels, recipe)
        device, dtype = self._place
        nearest, consistent = profiles.nearest(recipe), profiles.consistent(recipe)
        script = scripts.read(recipe)

        def prepare(texts: tuple[str, ...]) -> list[tuple[int, dict[str, Any]]]:
            return [(len(group), self._conditions(recipe, group)) for group in self._groups(recipe, script, texts)]

        calls = script.follow(prepare, begin)

        def denoise(x: torch.Tensor, sigma: float) -> torch.Tensor:
            scaled = (x / math.hypot(sigma, 1)).to(dtype)
            told = levels.timestep(sigma, nearest)
            timestep = torch.tensor(told, dtype=torch.float32, device=device)
            rows = [unet(scaled.repeat(count, 1, 1, 1), timestep, **known)[0] for count, known in calls(sigma)]
            guided = _guided(torch.cat(rows).float(), recipe.cfg_scale, script.weights)
            denoised = self._denoised(x, guided, sigma)
            return profiles.consistency(x, denoised, told) if consistent else denoised

        return denoise

    def _groups(self, recipe: Recipe, script: Script, texts: tuple[str, ...]) -> list[list[Embedding]]:
        """Read the prompts of a step and say which go through the network together: one list is one call."""
        skip, emphasis, profile = recipe.clip_skip, recipe.emphasis, recipe.profile
        read = [
            self.reader.read(text, skip, emphasis, profile, beside)
            for text, beside in zip(texts, script.said[-len(texts) :], strict=True)
        ]
        # SDXL was trained on zeros for no prompt; ComfyUI encodes the empty one
        zeros = self.pipe.config.get("force_zeros_for_empty_prompt") and recipe.profile != "ComfyUI"
        if zeros and len(texts) > len(script.positive) and not script.has_negative():
            read[0] = read[0].zeros()
        groups: list[list[Embedding]] = []
        for pair in _pairs(read):
            if len(pair) == 2 and math.lcm(*(item.tokens.shape[1] for item in pair)) <= LONGEST:
                groups.append(list(match(*pair)))
            else:
                groups += [[item] for item in pair]
        return groups

    def _conditions(self, recipe: Recipe, group: list[Embedding]) -> dict[str, Any]:
        return {
            "encoder_hidden_states": torch.cat([item.tokens for item in group]).to(*self._place),
            "timestep_cond": self._guidance(recipe.cfg_scale),
            "added_cond_kwargs": self._added(recipe, group) if self.xl else None,
            "return_dict": False,
        }

    def _denoised(self, x: torch.Tensor, predicted: torch.Tensor, sigma: float) -> torch.Tensor:
        """Turn a prediction into the estimate of x0 (Salimans and Ho 2022, https://arxiv.org/abs/2202.00512)."""
        if self.prediction == "epsilon":
            return x - predicted * sigma
        if self.prediction == "v_prediction":
            return x / (sigma * sigma + 1) - predicted * (sigma / math.hypot(sigma, 1))
        return predicted

    def _guidance(self, scale: float) -> torch.Tensor | None:
        """Embed the CFG scale for models that read it themselves (LCM): (1, D), else nothing."""
        width = self.pipe.unet.config.time_cond_proj_dim
        if width is None:
            return None
        embedded = self.pipe.get_guidance_scale_embedding(torch.tensor([scale - 1.0]), embedding_dim=width)
        return embedded.to(*self._place)  # type: ignore[no-any-return]

    def _added(self, recipe: Recipe, embeddings: list[Embedding]) -> dict[str, torch.Tensor]:
        """Return SDXL's second conditioning: pooled prompts, and sizes (Podell et al. 2023, section 2.2)."""
        size = (recipe.height, recipe.width)
        pooled = torch.cat([item.pooled for item in embeddings if item.pooled is not None])
        times = self.pipe._get_add_time_ids(
            size, (0, 0), size, dtype=torch.float32, text_encoder_projection_dim=pooled.shape[-1]
        )
        return {
            "text_embeds": pooled.to(*self._place),
            "time_ids": times.to(*self._place).repeat(len(embeddings), 1),
        }


class _FlowFamily:
    """What SD3 and Flux have in common: a transformer that predicts velocity, noise − x0."""

    flow = True

    def __init__(self, pipe: Any) -> None:
        self.pipe = pipe
        self.patch = 2
        self._words = PLAIN
        self._cache: dict[tuple[str, int, Hashable], tuple[torch.Tensor, ...]] = {}
        self._lock = threading.Lock()

    def wear(self, words: Words) -> None:
        self._words = words

    def text_widths(self) -> tuple[int, ...]:
        return ()

    def shape(self, width: int, height: int) -> tuple[int, int, int, int]:
        factor = _fitting(width, height, int(self.pipe.vae_scale_factor), self.patch)
        return 1, int(self.pipe.vae.config.latent_channels), height // factor, width // factor

    def sigmas(self, recipe: Recipe) -> tuple[float, ...]:
        """Automatic and Simple are the model's own spacing; the others are spaced over its shifted levels."""
        from diffusers import FlowMatchEulerDiscreteScheduler

        config = self.pipe.scheduler.config
        _, _, height, width = self.shape(recipe.width, recipe.height)
        mu = _mu(config, (height // self.patch) * (width // self.patch)) if config.get("use_dynamic_shifting") else None
        schedule = samplers.schedule(recipe.schedule)
        if schedule in (samplers.AUTOMATIC, "Simple"):
            scheduler = FlowMatchEulerDiscreteScheduler.from_config(config)
            scheduler.set_timesteps(**self._own(recipe.steps), mu=mu)
            return tuple(float(sigma) for sigma in scheduler.sigmas)
        shift = float(np.exp(mu)) if mu is not None else float(config.get("shift", 1.0))
        levels: Levels = schedules.flow_levels(shift, int(config.get("num_train_timesteps", 1000)))
        discard, ends = profiles.discards(recipe), profiles.ends(recipe)
        return schedules.spaced(levels, schedule, recipe.steps, recipe.profile, discard=discard, ends=ends)

    def unit(self, recipe: Recipe, sigmas: Sequence[float]) -> bool:
        return False

    def _own(self, steps: int) -> dict[str, Any]:
        return {"num_inference_steps": steps}

    def _read(self, text: str, recipe: Recipe) -> tuple[torch.Tensor, ...]:
        """Encode a prompt by the pipeline's own encoders, without weights; remember the last few."""
        words = prompt.plain(text, recipe.emphasis, recipe.profile)
        key = (words, recipe.clip_skip, self._words.key)
        with self._lock:
            if key not in self._cache:
                while len(self._cache) >= CACHED:
                    del self._cache[next(iter(self._cache))]
                self._cache[key] = self._encode(words, recipe.clip_skip)
            return self._cache[key]

    def _count(self, tokenizer: Any, text: str) -> int:
        with self._lock:
            return max(len(tokenizer(prompt.plain(words), verbose=False).input_ids) for words in variants(text))

    def _encode(self, text: str, clip_skip: int) -> tuple[torch.Tensor, ...]:
        raise NotImplementedError

    def _time(self, sigma: float) -> torch.Tensor:
        count = self.pipe.scheduler.config.num_train_timesteps
        return torch.tensor([sigma * count], dtype=torch.float32, device=self.pipe.transformer.device)


class Sd3Family(_FlowFamily):
    """Stable Diffusion 3 and 3.5 (Esser et al. 2024, https://arxiv.org/abs/2403.03206)."""

    def __init__(self, pipe: Any) -> None:
        super().__init__(pipe)
        self.patch = int(pipe.transformer.config.patch_size)

    def count(self, text: str, embeddings: Mapping[str, int]) -> tuple[int, int]:
        """Count for T5 where it is loaded, for CLIP where not: what is longer is cut off by the model."""
        tokenizer, room = (self.pipe.tokenizer_3, 256) if self.pipe.tokenizer_3 else (self.pipe.tokenizer, 77)
        return self._count(tokenizer, text), room

    def denoiser(self, recipe: Recipe, begin: int = 0) -> Denoiser:
        transformer = self.pipe.transformer
        script = scripts.read(recipe)

        def prepare(texts: tuple[str, ...]) -> list[tuple[torch.Tensor, ...]]:
            pairs = _pairs([self._read(text, recipe) for text in texts])
            return [
                tuple(torch.cat(group).to(transformer.device, transformer.dtype) for group in zip(*pair, strict=True))
                for pair in pairs
            ]

        calls = script.follow(prepare, begin)

        def denoise(x: torch.Tensor, sigma: float) -> torch.Tensor:
            velocities = [
                transformer(
                    hidden_states=x.to(transformer.dtype).repeat(len(tokens), 1, 1, 1),
                    timestep=self._time(sigma).expand(len(tokens)),
                    encoder_hidden_states=tokens,
                    pooled_projections=pooled,
                    return_dict=False,
                )[0]
                for tokens, pooled in calls(sigma)
            ]
            return x - _guided(torch.cat(velocities).float(), recipe.cfg_scale, script.weights) * sigma

        return denoise

    def _encode(self, text: str, clip_skip: int) -> tuple[torch.Tensor, ...]:
        tokens, _, pooled, _ = self.pipe.encode_prompt(
            text, None, None, do_classifier_free_guidance=False, clip_skip=clip_skip - 1 if clip_skip > 1 else None
        )
        return tokens, pooled


class FluxFamily(_FlowFamily):
    """Flux.1: dev reads the CFG scale itself (distilled, no negative prompt); others are guided in two calls."""

    def count(self, text: str, embeddings: Mapping[str, int]) -> tuple[int, int]:
        """Count for T5: what is longer than 512 is cut off by the model."""
        return self._count(self.pipe.tokenizer_2, text), 512

    def denoiser(self, recipe: Recipe, begin: int = 0) -> Denoiser:
        transformer, scale = self.pipe.transformer, recipe.cfg_scale
        device, dtype = transformer.device, transformer.dtype
        _, channels, height, width = shape = self.shape(recipe.width, recipe.height)
        places = self.pipe._prepare_latent_image_ids(1, height // 2, width // 2, device, dtype)
        distilled = bool(transformer.config.guidance_embeds)
        script = scripts.read(recipe, guided=not distilled)
        calls = script.follow(lambda texts: [self._read(text, recipe) for text in texts], begin)
        guidance = torch.full([1], scale, device=device, dtype=torch.float32) if distilled else None

        def denoise(x: torch.Tensor, sigma: float) -> torch.Tensor:
            packed = self.pipe._pack_latents(x.to(dtype), 1, channels, height, width)
            velocities = [
                transformer(
                    hidden_states=packed,
                    timestep=(self._time(sigma) / 1000).to(dtype),
                    guidance=guidance,
                    pooled_projections=pooled,
                    encoder_hidden_states=tokens,
                    txt_ids=places_of_text,
                    img_ids=places,
                    return_dict=False,
                )[0]
                for tokens, pooled, places_of_text in calls(sigma)
            ]
            unpacked = _unpack(torch.cat(velocities).float(), shape)
            return x - _guided(unpacked, scale, script.weights) * sigma

        return denoise

    def _encode(self, text: str, clip_skip: int) -> tuple[torch.Tensor, ...]:
        tokens, pooled, places = self.pipe.encode_prompt(text, None)
        return tokens, pooled, places

    def _own(self, steps: int) -> dict[str, Any]:
        return {"num_inference_steps": steps, "sigmas": np.linspace(1.0, 1 / steps, steps)}


def _guided(rows: torch.Tensor, scale: float, weights: Sequence[float]) -> torch.Tensor:
    """Guide rows (negative, positive, …), or leave one row (Ho and Salimans 2022, https://arxiv.org/abs/2207.12598).

    Several positive rows pull each with its own weight (Liu et al. 2022, https://arxiv.org/abs/2206.01714, equation
    11). Nothing is divided by the weights, so they may sum to 0. Where the negative row is left out for a step, the
    first positive one stands for it and the scale is 1, as in A1111.
    """
    if len(rows) == 1:
        return rows
    if len(rows) == len(weights):
        rows, scale = torch.cat([rows[:1], rows]), 1.0
    negative = guided = rows[:1]
    for index, weight in enumerate(weights, 1):
        guided = guided + weight * scale * (rows[index : index + 1] - negative)
    return guided


def _pairs(rows: list[T]) -> list[list[T]]:
    return [rows[begin : begin + 2] for begin in range(0, len(rows), 2)]


def _fitting(width: int, height: int, factor: int, patch: int) -> int:
    """Return ``factor`` if the size is a multiple of a latent cell (or patch of cells); else raise BadRecipe."""
    check_size(width, height, factor * patch)
    return factor


def _unpack(tokens: torch.Tensor, shape: tuple[int, int, int, int]) -> torch.Tensor:
    """Turn Flux's tokens, each a patch of 2 × 2 cells, (N, H/2 · W/2, 4 C), into (N, C, H, W)."""
    _, channels, height, width = shape
    grid = tokens.view(len(tokens), height // 2, width // 2, channels, 2, 2)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(len(tokens), channels, height, width)


def _mu(config: Any, tokens: int) -> float:
    """Return the shift of a flow model with dynamic shifting: linear in the number of tokens, as in diffusers."""
    first, last = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    return float(low + (high - low) * (tokens - first) / (last - first))
