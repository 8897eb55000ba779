"""Headers of safetensors files: what kind of model a file holds, told from the names and shapes of its tensors.

The promise: only the header is read (eight bytes of length, then JSON; more than 8 MiB is refused before it is read),
and nothing in the file is run.
"""

import json
import struct
from pathlib import Path
from typing import Any

from webui.errors import CheckpointError

HEADER_LIMIT = 8 * 2**20
"""Bytes. Real checkpoints have some hundred KiB; a header of a million tensors takes seconds and half a GB to read."""

_UNET = "model.diffusion_model."
_PICKLED = (  # zip (torch.save), bare pickles, gzip
    b"PK\x03\x04",
    b"\x80\x02",
    b"\x80\x03",
    b"\x80\x04",
    b"\x80\x05",
    b"\x1f\x8b",
)


def family_of_file(path: Path) -> str:
    """Say which family the checkpoint in a ``.safetensors`` file is of: sd1, sd2 or sdxl.

    Raises CheckpointError, with what to do, for a pickle in disguise, a damaged file, or another kind of file.
    """
    shapes = read_header(path)
    text = shapes.get(f"{_UNET}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight")
    if text is not None and len(text) == 2 and text[1] in (768, 1024):
        family = "sd1" if text[1] == 768 else "sd2"
    elif (
        any(key.startswith("conditioner.embedders.1.") for key in shapes)
        and f"{_UNET}input_blocks.0.0.weight" in shapes
    ):
        family = "sdxl"
    else:
        raise CheckpointError(f"{path.name} {what_else(shapes)}")
    channels = shapes.get(f"{_UNET}input_blocks.0.0.weight", [0, 4])[1]
    if channels != 4:
        raise CheckpointError(
            f"{path.name} is an inpainting or editing model (its network reads {channels} channels, not 4), "
            "which text-to-image cannot use."
        )
    return family


def prediction_of_file(path: Path) -> dict[str, Any]:
    """Return what a file says of its training, as values for a scheduler's configuration; mostly nothing."""
    shapes = read_header(path)
    found: dict[str, Any] = {}
    if "v_pred" in shapes:
        found["prediction_type"] = "v_prediction"
    if "ztsnr" in shapes:
        found["rescale_betas_zero_snr"] = True
    return found


def read_header(path: Path) -> dict[str, list[int]]:
    """Read the shapes of the tensors in a safetensors file, by name; raise CheckpointError when it is not one."""
    return read_notes(path)[0]


def read_notes(path: Path) -> tuple[dict[str, list[int]], dict[str, str]]:
    """Read the shapes of the tensors in a safetensors file, and its notes; raise CheckpointError when it is not one."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= HEADER_LIMIT:
                if start.startswith(_PICKLED):
                    raise CheckpointError(refusal(path))
                raise CheckpointError(
                    f"{path.name} is not a safetensors file: its header would have {length} bytes. "
                    "It is damaged or half downloaded; get it again."
                )
            header = json.loads(file.read(length))
        notes = header.pop("__metadata__", {})
        return {key: list(value["shape"]) for key, value in header.items()}, {
            str(key): str(value) for key, value in notes.items()
        }
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read: {error.strerror or error}.") from None
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        raise CheckpointError(
            f"{path.name} is not a safetensors file: its header cannot be read. It is damaged; get it again."
        ) from None


def refusal(path: Path) -> str:
    """Say why a pickle is not opened and what to do instead."""
    return (
        f"{path.name} is a pickle, which can run programs when it is opened, so it is not. Get the "
        ".safetensors version, or convert it on a computer you can lose: load it with "
        "torch.load(…, weights_only=True) and write its state_dict with safetensors.torch.save_file."
    )


def what_else(shapes: dict[str, list[int]]) -> str:
    """Say what a file holds that is not one of the models that are loaded from one."""
    if any(".joint_blocks." in key or "double_blocks." in key for key in shapes):
        return "is of the SD3 or Flux kind, which is loaded from a diffusers folder or a hub id, not from one file."
    if any("lora" in key for key in shapes):
        return "is a LoRA, not a model: it changes a model and cannot make pictures alone. Put it into the LoRA folder."
    if any(key.startswith(("decoder.", "first_stage_model.")) for key in shapes):
        return "is an autoencoder (VAE), not a whole model."
    return "is not a model that this program knows: from one file it loads SD 1.x, SD 2.x and SDXL."
