"""LoRA and embedding files: which are here, which of them a recipe uses, and whether they are those that it means.

The promise: a file is what its header says, never what its name says; pickles are never opened; what a prompt names
and cannot be had is an error before anything is queued, and no other file takes its place. No torch is loaded.

A LoRA is named by its file's name without the ending, in whichever folder below the LoRA folder it lies; where two
have one name, by its path.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from webui import networks
from webui.engine import script as scripts
from webui.engine.hashes import Hashes
from webui.engine.headers import read_notes, refusal
from webui.engine.network_headers import embedding_header, for_width, lora_header
from webui.errors import CheckpointError, NetworkError
from webui.networks import Kind
from webui.recipe import PARAMS, Recipe

if TYPE_CHECKING:
    from webui.engine.checkpoints import Checkpoint

SCALES: Final = "lora_adapter_metadata"
"""The note in which diffusers keeps what a LoRA's weights are multiplied by."""
_PICKLES: Final = (".pt", ".ckpt", ".bin", ".pth")
_FIELDS: Final[dict[Kind, str]] = {"LoRA": "lora_hashes", "embedding": "embedding_hashes"}
_TRANSFORMERS: Final = {"sd3": "SD3", "flux": "Flux"}


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """A file that a recipe uses; ``te`` and ``unet`` are a LoRA's weights."""

    kind: Kind
    name: str
    path: Path
    te: float = 1.0
    unet: float = 1.0


class NetworkFiles:
    """The LoRA and embedding files below two folders, which need not exist."""

    def __init__(self, loras: Path | None, embeddings: Path | None, hashes: Hashes) -> None:
        self.folders: dict[Kind, Path | None] = {"LoRA": loras, "embedding": embeddings}
        self._hashes = hashes

    def names(self, kind: Kind) -> list[str]:
        """List the names of what is here."""
        return [*self._files(kind)]

    def used(self, recipe: Recipe, checkpoint: "Checkpoint") -> tuple[NetworkFile, ...]:
        """Find what a recipe uses with a model, LoRAs in the prompt's order, then embeddings.

        Raises NetworkError for the first that is not here, cannot be read, is for other models, or is another file
        than the recipe means.
        """
        found = (*self._loras(recipe, checkpoint), *self._embeddings(recipe, checkpoint))
        for file in found:
            self._check_hash(file, recipe)
        return found

    def digest(self, file: NetworkFile) -> str:
        """Return the SHA-256 that a network is known by.

        A LoRA's is A1111's, of its tensors without the header, unless the header tells what they are multiplied by;
        an embedding's is the file's.
        """
        return self._hash(file.kind, file.path)

    def here(self, kind: Kind, wanted: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return every hash of those files of some names that are here and can be read."""
        found = {}
        for name in wanted:
            path = self._words().get(networks.spelled(name)) if kind == "embedding" else self._lora(name)
            if path is not None and path.suffix == ".safetensors":
                with suppress(CheckpointError):
                    found[name] = tuple(dict.fromkeys((self._hash(kind, path), self._hashes.file(path))))
        return found

    def named(self, recipe: Recipe) -> list[str]:
        """List the embeddings that a recipe's prompts name, whether they fit its model or not."""
        read = scripts.read(recipe).texts()
        texts = [text for texts in read.values() for text in texts]
        return networks.embeddings(texts, self._words(), recipe.emphasis, recipe.profile)

    def vectors(self, text: str) -> dict[str, int]:
        """Say how many vectors each embedding has that a text names and that can be read, to count tokens."""
        known, counts = self._words(), {}
        for name in networks.embeddings([text], known):
            with suppress(CheckpointError):  # it is refused when a picture is asked for
                counts[name] = embedding_header(known[name])[0]
        return counts

    def _loras(self, recipe: Recipe, checkpoint: "Checkpoint") -> Iterator[NetworkFile]:
        for lora in scripts.read(recipe).loras:
            path = self._lora(lora.name)
            if path is None:
                raise _refused("prompt", str(lora), "without LoRAs that are not here", self._missing(lora.name))
            try:
                header = lora_header(path)
            except CheckpointError as error:
                raise _refused("prompt", str(lora), "without LoRAs that cannot be used", str(error)) from None
            drawn_by = "" if not checkpoint.family else "transformer" if checkpoint.family in _TRANSFORMERS else "unet"
            if any(len({*pair} - {"", 0}) > 1 for pair in (
                (header.network, drawn_by), (header.text_width, checkpoint.text_width)
            )):  # fmt: skip
                hint = f"{path.name} is for {header}; {_model(checkpoint)}."
                raise _refused("prompt", str(lora), "without LoRAs for other models", hint)
            yield NetworkFile("LoRA", lora.name, path, lora.te, lora.unet)

    def _embeddings(self, recipe: Recipe, checkpoint: "Checkpoint") -> Iterator[NetworkFile]:
        known = self._words()
        seen: set[str] = set()
        for field, texts in scripts.read(recipe).texts().items():
            for name in networks.embeddings(texts, known, recipe.emphasis, recipe.profile):
                if name not in seen:
                    self._check_embedding(field, name, known[name], checkpoint)
                    yield NetworkFile("embedding", name, known[name])
                seen.add(name)

    def _check_embedding(self, field: str, name: str, path: Path, checkpoint: "Checkpoint") -> None:
        try:
            if path.suffix != ".safetensors":
                raise CheckpointError(refusal(path))
            _, widths = embedding_header(path)
        except CheckpointError as error:
            raise _refused(field, name, "without embeddings that cannot be used", str(error)) from None
        other = checkpoint.text_width and sum(widths) != checkpoint.text_width
        if other or checkpoint.family in _TRANSFORMERS:
            hint = f"{path.name} is for {for_width(sum(widths))}; {_model(checkpoint)}."
            raise _refused(field, name, "without embeddings for other models", hint)

    def _check_hash(self, file: NetworkFile, recipe: Recipe) -> None:
        field = _FIELDS[file.kind]
        wanted = {
            networks.spelled(name): digest for name, digest in networks.read_hashes(getattr(recipe, field)).items()
        }
        digest = wanted.get(networks.spelled(file.name), "")
        if digest and not networks.is_one_of(digest, (self.digest(file), self._hashes.file(file.path))):
            label = PARAMS[field].label
            here = f"The one here has {self.digest(file)[: networks.SHORT]} and would give another picture."
            hint = f"{here} Get that file, or empty {label} to use this one."
            raise NetworkError(field, label, f"{file.name}: {digest}", "those of the files here", hint)

    def _hash(self, kind: Kind, path: Path) -> str:
        if kind == "embedding" or SCALES in read_notes(path)[1]:
            return self._hashes.file(path)
        return self._hashes.tensors(path)

    def _missing(self, name: str) -> str:
        pickled = self._files("LoRA", _PICKLES).get(name)
        return refusal(pickled) if pickled is not None else networks.missing("LoRA", name, self.names("LoRA"))

    def _lora(self, name: str) -> Path | None:
        """Find a LoRA by its name, or by its path below the folder."""
        known, folder = self._files("LoRA"), self.folders["LoRA"]
        by_path = (path for path in known.values() if folder and _relative(path, folder) == name)
        return known.get(name) or next(by_path, None)

    def _words(self) -> dict[str, Path]:
        """Return the embeddings by the words that they stand for; those that are pickles too, to refuse them."""
        found = {**self._files("embedding", _PICKLES), **self._files("embedding")}
        return {networks.spelled(name): path for name, path in found.items()}

    def _files(self, kind: Kind, endings: Sequence[str] = (".safetensors",)) -> dict[str, Path]:
        """Name the files of some endings; where two have one name, by their paths."""
        folder = self.folders[kind]
        found: dict[str, list[Path]] = {}
        for inner, folders, files in os.walk(folder) if folder is not None else ():
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for path in (Path(inner, name) for name in sorted(files)):
                if path.suffix in endings and path.stem.isprintable() and path.is_file():
                    found.setdefault(path.stem, []).append(path)
        pairs = ((stem, path, len(paths) > 1) for stem, paths in found.items() for path in paths)
        return dict(
            sorted((_relative(path, folder) if shared and folder else stem, path) for stem, path, shared in pairs)
        )


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


def _refused(field: str, value: str, rule: str, hint: str) -> NetworkError:
    return NetworkError(field, PARAMS[field].label, value, rule, hint)


def _model(checkpoint: "Checkpoint") -> str:
    if checkpoint.family in _TRANSFORMERS:
        return f"the model {checkpoint.name} is of the {_TRANSFORMERS[checkpoint.family]} kind"
    return f"the model {checkpoint.name} reads text of {checkpoint.text_width} numbers a token"


def hashes_of(worn: Sequence[tuple[NetworkFile, str]]) -> dict[str, str]:
    """Write what a picture uses as the fields of a fingerprint that say it."""
    return {
        field: networks.write_hashes({file.name: digest for file, digest in worn if file.kind == kind})
        for field, kind in (("loras", "LoRA"), ("embeddings", "embedding"))
    }
