"""Loading: from a checkpoint to a pipeline on a device, and what one loaded model can do.

The promise: weights come from safetensors files only, nothing is fetched except a hub id's own files, no safety checker
or watermark touches a picture, and the bits do not depend on how the file was read (parameters are copied to memory
of their own: where a memory-mapped tensor begins changes the last bits of a convolution).
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError

from webui.engine import families, packing, streaming
from webui.engine.attention import slice_attention
from webui.engine.checkpoints import Checkpoint, describe_folder
from webui.engine.extras import NONE, Extras, Worn
from webui.engine.families import Denoiser, Family
from webui.engine.headers import prediction_of_file
from webui.engine.preview import Preview
from webui.engine.sampling import Run
from webui.errors import CheckpointError, EngineError, ReseedError, shown
from webui.fingerprint import Fingerprint
from webui.recipe import Recipe

CONFIGS = Path(__file__).parent / "configs"
"""Configurations and the tokenizer for single files, which carry none: ``sd1``, ``sd2``, ``sdxl``, ``clip``."""

DTYPES = {
    "exact": torch.float32,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}

TILED = "tiled VAE"
"""What is added to the kernels of a picture whose latent was decoded tile by tile."""

FAULTS = (OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, SafetensorError, httpx.HTTPError)
"""What the libraries raise over files that are damaged, incomplete or of another kind, and over a lost connection."""
_TEXT_ENCODERS = ("CLIPTextModel", "CLIPTextModelWithProjection", "T5EncoderModel")
_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "failed to allocate", "invalid buffer size")


@dataclass(frozen=True, eq=False)
class Model:
    """A checkpoint that is loaded: its family's adapter, its hash and its map for previews."""

    checkpoint: Checkpoint
    digest: str
    family: Family
    preview: Preview
    device: str
    dtype: torch.dtype
    extras: Extras

    def denoiser(self, recipe: Recipe, worn: Worn = NONE, begin: int = 0) -> Denoiser:
        """Read the recipe's prompts, with the LoRAs and embeddings that it uses.

        Returns the function that samplers ask, as it is after ``begin`` calls.
        """
        with torch.inference_mode():
            self.extras.wear(worn)
            denoise = self.family.denoiser(recipe, begin)

        def dressed(x: torch.Tensor, sigma: float) -> torch.Tensor:
            self.extras.wear(worn)  # another picture may have been begun meanwhile
            return denoise(x, sigma)

        return dressed

    def advance(
        self, run: Run, denoise: Denoiser, x: torch.Tensor, sigma: float
    ) -> tuple[torch.Tensor, torch.Tensor, float]:
        """Ask the model once and let the sampler go on.

        Returns the denoised estimate, and the x and sigma that the sampler asks next: at its end the finished latent
        and 0.
        """
        with torch.inference_mode():
            denoised = denoise(x, sigma).contiguous()  # as one that is replayed: strides choose kernels, and so bits
            return denoised, *_send(run, denoised)

    def replay(self, run: Run, answer: NDArray[np.float32]) -> tuple[torch.Tensor, float]:
        """Let the sampler go on with an answer (C, H, W) that was given before; return what ``advance`` does of it."""
        with torch.inference_mode():
            return _send(run, torch.tensor(answer, device=self.device)[None])

    def image(self, latent: torch.Tensor, by: Fingerprint) -> tuple[Image.Image, Fingerprint]:
        """Decode a latent (1, C, H, W) into an RGB picture, rounded as diffusers does; raise EngineError on NaN.

        Where the memory is too small for that, it is decoded tile by tile, and the fingerprint, else as given, says so.
        """
        picture, tiled = latent, False
        if bool(torch.isfinite(latent).all()):
            picture, tiled = decode_anyhow(self.family.pipe.vae, latent)
        if not bool(torch.isfinite(picture).all()):
            raise EngineError(
                f"The model {self.checkpoint.name} gave values that are not numbers (NaN) in {_name(self.dtype)}. "
                "Start with --dtype float32, or lower CFG scale."
            )
        values = (picture[0] / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).cpu().numpy()
        image = Image.fromarray((values * 255).round().astype(np.uint8), "RGB")
        return image, replace(by, kernels=f"{by.kernels}, {TILED}") if tiled else by


def _send(run: Run, denoised: torch.Tensor) -> tuple[torch.Tensor, float]:
    try:
        return run.send(denoised)
    except StopIteration as end:
        return end.value, 0.0


@torch.inference_mode()
def decode(vae: Any, latent: torch.Tensor) -> torch.Tensor:
    """Decode a latent (1, C, H, W) with an autoencoder of any kind: float32 (1, 3, 8 H, 8 W) or so, in −1…1."""
    config = vae.config
    mean, spread = config.get("latents_mean"), config.get("latents_std")
    if mean is not None and spread is not None:
        scale, shift = (torch.tensor(item, device=latent.device).view(1, -1, 1, 1) for item in (spread, mean))
        scaled = latent * scale / config.scaling_factor + shift
    else:
        scaled = latent / config.scaling_factor + (config.get("shift_factor") or 0.0)
    return vae.decode(scaled.to(vae.device, vae.dtype), return_dict=False)[0].float()  # type: ignore[no-any-return]


def decode_anyhow(vae: Any, latent: torch.Tensor) -> tuple[torch.Tensor, bool]:
    """Decode whole, or where that does not fit into memory tile by tile; return the picture, and whether in tiles.

    Tiles overlap and are blended, so a picture differs a little along their seams. Raises what ``decode`` does when a
    tile does not fit either.
    """
    try:
        return decode(vae, latent), False
    except (RuntimeError, MemoryError) as error:
        if not is_memory(error) or not hasattr(vae, "enable_tiling"):
            raise
    # Outside of ``except``: there the error's frames would still hold on to the tensors that did not fit.
    if latent.is_cuda:
        torch.cuda.empty_cache()
    vae.enable_tiling()
    try:
        return decode(vae, latent), True
    finally:
        vae.disable_tiling()


def load(checkpoint: Checkpoint, digest: str, device: str, dtype: torch.dtype) -> Model:
    """Load a model's weights; raise CheckpointError when they are damaged or of another kind."""
    assert checkpoint.path is not None
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False  # the same kernels every time
    with quiet(), _explained(checkpoint.name):
        pipe = _from_file(checkpoint, dtype) if checkpoint.kind == "file" else _from_folder(checkpoint, dtype)
        for module in pipe.components.values():
            if isinstance(module, torch.nn.Module):
                _settle(module, device, dtype)
        if dtype == torch.float16 and pipe.vae.config.get("force_upcast"):
            pipe.vae.to(torch.float32)  # its values pass the largest float16
        if packing.can_pack(device, dtype) and dtype == torch.bfloat16 and hasattr(pipe, "unet"):
            slice_attention(pipe.unet)
        family = families.build(pipe, checkpoint.family)
        large = sum(weight.numel() for weight in pipe.vae.parameters()) > 5_000_000
        channels = int(pipe.vae.config.latent_channels)
        preview = Preview.fit(
            lambda latent: decode(pipe.vae, latent.to(device)), channels, samples=1 if large and device == "cpu" else 8
        )
    return Model(checkpoint, digest, family, preview, device, dtype, Extras(family, checkpoint.name))


def fetch(checkpoint: Checkpoint) -> Checkpoint:
    """Download a hub id's files, safetensors only, or find them where they were downloaded before."""
    from diffusers import DiffusionPipeline

    with quiet():
        try:
            folder = DiffusionPipeline.download(checkpoint.name, use_safetensors=True)
        except FAULTS as error:
            raise CheckpointError(
                f"The model {checkpoint.name} is not here and could not be fetched from the hub: "
                f"{shown(str(error), 200)} "
                "Check the id and the connection, or put the model into the models folder."
            ) from None
    return describe_folder(checkpoint.name, Path(folder), "hub")


def choose_device(wanted: str | None) -> str:
    """Choose cuda > xpu > mps > cpu, or check the one that is wanted; raise EngineError when it is not here."""
    here = {
        "cuda": torch.cuda.is_available(),
        "xpu": torch.xpu.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted is None or wanted == "auto":
        return next(name for name, available in here.items() if available)
    if not here.get(wanted.split(":")[0], False):
        names = ", ".join(name for name, available in here.items() if available)
        raise EngineError(f"Device must be one that this computer has: {names}; got {shown(wanted)}.")
    return wanted


def choose_dtype(wanted: str | None, device: str, family: str) -> torch.dtype:
    """Choose the number type of the networks, or check the one wanted.

    ``exact`` is float32. ``fast`` is bfloat16 on a processor that multiplies in it, float32 on others, and elsewhere
    float16 for SD and bfloat16 for flow models. None is exact on a processor, fast elsewhere.
    """
    if wanted is None or wanted == "auto":
        wanted = "exact" if device == "cpu" else "fast"
    if wanted == "fast" and device == "cpu":
        return torch.bfloat16 if packing.multiplies_halves() else torch.float32
    if wanted == "fast":
        return torch.float16 if family in ("sd1", "sd2", "sdxl") else torch.bfloat16
    if wanted not in DTYPES:
        raise EngineError(f"Dtype must be one of fast, {', '.join(DTYPES)}; got {shown(wanted)}.")
    return DTYPES[wanted]


def _from_folder(checkpoint: Checkpoint, dtype: torch.dtype) -> Any:
    from diffusers import DiffusionPipeline

    assert checkpoint.path is not None
    index = json.loads((checkpoint.path / "model_index.json").read_text("utf-8"))
    options: dict[str, Any] = {name: None for name, value in index.items() if value == [None, None]}  # SD3 without T5
    for part, value in index.items():
        if (
            isinstance(value, list)
            and value[0] == "transformers"
            and (checkpoint.path / part / "config.json").is_file()
        ):
            options[part] = _text_encoder(checkpoint.path / part, str(value[1]), dtype)
    if checkpoint.family in ("sd1", "sd2"):
        options |= {"safety_checker": None, "requires_safety_checker": False}
    elif checkpoint.family == "sdxl":
        options |= {"add_watermarker": False}  # else pixels depend on whether a package is installed
    large = "unet" if "unet" in index else "transformer"
    if (network := _streamed(checkpoint.path / large, str(index[large][1]), dtype)) is not None:
        options[large] = network
    return DiffusionPipeline.from_pretrained(
        str(checkpoint.path), dtype=dtype, use_safetensors=True, local_files_only=True, **options
    )


def _streamed(folder: Path, class_name: str, dtype: torch.dtype) -> torch.nn.Module | None:
    import diffusers

    kind = getattr(diffusers, class_name, None)
    return streaming.read_network(kind, folder, dtype) if hasattr(kind, "load_config") else None


def _text_encoder(folder: Path, class_name: str, dtype: torch.dtype) -> Any:
    """Load a text encoder; raise CheckpointError when weights are missing, which transformers would draw at random."""
    import transformers

    encoder, report = getattr(transformers, class_name).from_pretrained(
        folder, dtype=dtype, use_safetensors=True, local_files_only=True, output_loading_info=True
    )
    if missing := sorted(report["missing_keys"]):
        raise CheckpointError(
            f"The {folder.name} of the model {folder.parent.name} lacks {len(missing)} of its weights, "
            f"{missing[0]} first: it is damaged or incomplete; get it again."
        )
    return encoder


def _from_file(checkpoint: Checkpoint, dtype: torch.dtype, configs: Path = CONFIGS) -> Any:
    """Load one file, with configurations that come with this program: nothing is asked of the hub."""
    import diffusers

    path = checkpoint.path
    assert path is not None
    if checkpoint.family == "sdxl":
        pipeline = diffusers.StableDiffusionXLPipeline
        options = {"tokenizer": clip_tokenizer(), "tokenizer_2": clip_tokenizer(pad="!"), "add_watermarker": False}
    else:
        pipeline = diffusers.StableDiffusionPipeline
        tokenizer = clip_tokenizer() if checkpoint.family == "sd1" else clip_tokenizer(pad="!")
        options = {"tokenizer": tokenizer, "safety_checker": None, "requires_safety_checker": False}
    pipe = pipeline.from_single_file(
        str(path), config=str(configs / checkpoint.family), local_files_only=True, dtype=dtype, **options
    )
    marks = prediction_of_file(path)
    if marks:
        pipe.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config, **marks)
    return pipe


def clip_tokenizer(pad: str = "<|endoftext|>") -> Any:
    """Build CLIP's tokenizer from its merges (MIT licence, OpenAI); OpenCLIP's text encoders pad with ``!``.

    The vocabulary follows from the merges: the 256 bytes, the same at the end of a word, the merges, two marks.
    """
    from transformers import CLIPTokenizer

    merges = [tuple(line.split()) for line in (CONFIGS / "clip" / "merges.txt").read_text("utf-8").splitlines()[1:]]
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    letters = [chr(byte) for byte in visible] + [chr(256 + number) for number in range(256 - len(visible))]
    words = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(pair) for pair in merges)]
    vocabulary = {word: number for number, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, pad_token=pad, model_max_length=77)


def _settle(module: torch.nn.Module, device: str, dtype: torch.dtype) -> None:
    """Move a network to its device, into memory of its own, for inference only."""
    module.to(device)
    module.eval().requires_grad_(False)
    packing.lay_out(module, device)
    if packing.can_pack(device, dtype):
        packing.pack(module)
    packing.own_memory((*module.parameters(), *module.buffers()))
    packing.give_back()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the remarks and progress bars of diffusers and transformers: errors are ours to word."""
    import diffusers
    import transformers

    for library in (diffusers.utils.logging, transformers.utils.logging):
        library.set_verbosity_error()
        library.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    yield


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn what goes wrong with damaged or incomplete files into a sentence; memory errors pass."""
    try:
        yield
    except ReseedError:
        raise
    except FAULTS as error:
        if is_memory(error):
            raise
        raise CheckpointError(
            f"The model {name} could not be loaded: {shown(str(error), 300)} "
            "It may be damaged, incomplete, or hold pickles instead of safetensors."
        ) from error


def is_memory(error: Exception) -> bool:
    """Say whether an error means that memory ran out, in the words of any device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error).lower() for phrase in _MEMORY)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
