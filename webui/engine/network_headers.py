"""Headers of LoRA and embedding files: of what kind they are and for which models, from names and shapes alone.

The promise: as in ``webui.engine.headers``, nothing but the header is read, and what is not read here is refused with
a sentence that names the file and the kind.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from webui.engine.headers import read_header
from webui.errors import CheckpointError

MOST_VECTORS: Final = 75
"""An embedding's vectors stay together in one chunk of a prompt."""

_OTHER_KINDS: Final = {
    "hada_": "a LoHa (LyCORIS)",
    "lokr_": "a LoKr (LyCORIS)",
    "oft_": "an OFT (LyCORIS)",
    "on_input": "an (IA)³ (LyCORIS)",
    ".a1.weight": "a GLoRA (LyCORIS)",
    "lora_mid": "a LoCon in Tucker form (LyCORIS)",
    "dora_scale": "a DoRA",
    "lora_magnitude": "a DoRA",
    ".diff": "a full difference of weights (LyCORIS)",
    "w_norm": "a difference of norms (LyCORIS)",
}
_TRANSFORMERS: Final = ("double_blocks", "single_blocks", "joint_blocks", "single_transformer_blocks")
_TO_KEY: Final = re.compile(r"attn2[._](?:processor\.)?to_k(?:_lora|\.lora)?\.(?:lora_)?(?:down|A)\.")
_KNOWN_WIDTHS: Final = {768: "SD 1.x", 1024: "SD 2.x", 1280: "SDXL's refiner", 2048: "SDXL"}
_BOTH: Final = ("clip_l", "clip_g")


@dataclass(frozen=True, slots=True)
class LoraHeader:
    """What a LoRA is for: a ``unet`` or ``transformer``, and how many numbers a UNet reads of each token.

    Where the file changes text encoders only, they are empty and 0.
    """

    network: str
    text_width: int = 0

    def __str__(self) -> str:
        return "SD3 or Flux" if self.network == "transformer" else for_width(self.text_width)


def lora_header(path: Path) -> LoraHeader:
    """Say what a LoRA is for; raise CheckpointError for other kinds of networks and other files."""
    shapes = read_header(path)
    for mark, kind in _OTHER_KINDS.items():
        if any(mark in key for key in shapes):
            raise CheckpointError(f"{path.name} is {kind}, which is not read: only plain LoRA is, LoCon included.")
    if not any("lora" in key for key in shapes):
        raise CheckpointError(f"{path.name} is not a LoRA: none of its tensors is named so.")
    widths = {shape[1] for key, shape in shapes.items() if _TO_KEY.search(key) and len(shape) > 1}
    if any(key.startswith("transformer.") or any(mark in key for mark in _TRANSFORMERS) for key in shapes):
        return LoraHeader("transformer")
    return LoraHeader("unet" if widths or any("unet" in key for key in shapes) else "", min(widths, default=0))


def embedding_header(path: Path) -> tuple[int, tuple[int, ...]]:
    """Return how many vectors an embedding has, and their width for each text encoder; or raise CheckpointError."""
    shapes = read_header(path)
    vectors = [[1, *shape][-2:] for shape in map(shapes.__getitem__, embedding_keys(path))]
    count = vectors[0][0]
    if any(len(shapes[key]) not in (1, 2) for key in embedding_keys(path)) or {count} != {part[0] for part in vectors}:
        raise CheckpointError(f"{path.name} is a damaged embedding: its tensors have shapes that do not go together.")
    if not 1 <= count <= MOST_VECTORS:
        raise CheckpointError(f"{path.name} has {count} vectors; an embedding must have from 1 to {MOST_VECTORS}.")
    return count, tuple(part[1] for part in vectors)


def embedding_keys(path: Path) -> tuple[str, ...]:
    """Name the tensors of an embedding, one for each text encoder; raise CheckpointError for another file."""
    keys = [*read_header(path)]
    if set(keys) == set(_BOTH):
        return _BOTH
    parameters = [key for key in keys if key == "emb_params" or key.startswith("string_to_param")]
    if len(parameters) == 1:
        return (parameters[0],)
    if len(keys) == 1:  # diffusers names its only tensor by the word
        return (keys[0],)
    raise CheckpointError(
        f"{path.name} is not an embedding that is read: it holds {len(keys)} tensors; one is expected, emb_params, or "
        "clip_l and clip_g."
    )


def for_width(width: int) -> str:
    """Name the models that read so many numbers of each token."""
    if not width:
        return "SD 1.x, SD 2.x or SDXL"
    return _KNOWN_WIDTHS.get(width) or f"a model that reads text of {width} numbers a token"
