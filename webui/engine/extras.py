"""Extras: the LoRAs and embeddings of the picture that is being made, on the one model that is loaded.

The promise: before every call of the network exactly what the picture's recipe uses is on, whatever was made before,
was cancelled or failed, and whatever is made in turns with it. Without any the model is as it was loaded, bit for bit.
"""

from collections.abc import Sequence
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from webui import networks
from webui.engine.conditioning import PLAIN, Words
from webui.engine.families import Family
from webui.engine.lora import Loras, Misfit
from webui.engine.network_files import NetworkFile
from webui.engine.network_headers import embedding_keys
from webui.errors import CheckpointError, NetworkError
from webui.recipe import PARAMS

Worn = Sequence[tuple[NetworkFile, str]]
"""Files that a recipe uses, each with its hash."""

NONE: Final[Worn] = ()


class Extras:
    """Puts LoRAs and embeddings on a loaded model; ``name`` is the model's, for sentences."""

    def __init__(self, family: Family, name: str) -> None:
        self.family, self.name = family, name
        self.loras = Loras(family.pipe)
        self._worn: tuple[tuple[object, ...], ...] = ()

    def wear(self, wanted: Worn) -> None:
        """Put on exactly what is wanted; raise NetworkError, leaving none on, when a file does not fit the model."""
        key = tuple((file.kind, file.name, digest, file.te, file.unet) for file, digest in wanted)
        if key == self._worn:
            return
        self._worn = ()
        self.family.wear(PLAIN)
        self.loras.take_off()
        for file, digest in wanted:  # one by one first, so that the sentence names the one that does not fit
            if file.kind == "LoRA":
                self._try(file, digest)
        self.loras.wear([(file, digest) for file, digest in wanted if file.kind == "LoRA"])
        self.family.wear(self._words(wanted))
        self._worn = key

    def _words(self, wanted: Worn) -> Words:
        """Say what the text encoders read otherwise than without extras."""
        changed = tuple((digest, file.te) for file, digest in wanted if file.kind == "LoRA" and file.te)
        named = [(file, digest) for file, digest in wanted if file.kind == "embedding"]
        if not changed and not named:
            return PLAIN
        key = (*changed, *((file.name, digest) for file, digest in named))
        return Words(key, {networks.spelled(file.name): self._vectors(file) for file, _ in named})

    def _vectors(self, file: NetworkFile) -> tuple[torch.Tensor, ...]:
        """Read an embedding: vectors (count, width) for each text encoder."""
        try:
            tensors = load_file(file.path)
            found = tuple(tensors[key].float().reshape(-1, tensors[key].shape[-1]) for key in embedding_keys(file.path))
        except (OSError, SafetensorError, CheckpointError, LookupError) as error:
            raise _refused(file, file.name, f"{file.path.name} cannot be read: {error}") from None
        widths, known = tuple(part.shape[1] for part in found), self.family.text_widths()
        if widths != known:
            sizes = f"vectors of {_joined(widths)} numbers; the model {self.name} has {_joined(known)}"
            hint = f"{file.path.name} has {sizes}."
            raise _refused(file, file.name, hint)
        return found

    def _try(self, file: NetworkFile, digest: str) -> None:
        try:
            self.loras.read(file, digest)
        except Misfit as misfit:
            hint = f"{file.path.name} {misfit}: it is damaged, or for other models than {self.name}."
            raise _refused(file, f"<lora:{file.name}>", hint) from None


def _refused(file: NetworkFile, value: str, hint: str) -> NetworkError:
    return NetworkError(
        "prompt", PARAMS["prompt"].label, value, f"without {file.kind}s that do not fit the model", hint
    )


def _joined(widths: Sequence[Any]) -> str:
    return " and ".join(map(str, widths)) or "none"
