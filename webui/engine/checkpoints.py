"""Checkpoints: which models there are, of what family, and their hashes. Imports neither torch nor diffusers.

The promise: a model is recognised by its content, never by its name; pickles are never opened; a model that is missing
or is not the one a recipe names is an error, and no other model takes its place.

A model is one of: the folder that comes with the program (``reseed``), a diffusers folder (it holds
``model_index.json``) or a single ``.safetensors`` file below the models folder, or a hub id (``owner/name``).
A folder may hold ``reseed.json``: ``{"about": …, "defaults": {…}, "examples": […], "vocabulary": {group: [words]}}``.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from webui import samplers
from webui.engine.hashes import Hashes, read_json
from webui.engine.headers import family_of_file, refusal
from webui.engine.network_files import NetworkFile, NetworkFiles
from webui.errors import BadRecipe, BadValue, CheckpointError, near, shown
from webui.recipe import Recipe

Kind = Literal["folder", "file", "hub"]

BUNDLED = Path(__file__).parent.parent / "demo" / "model"
BUNDLED_NAME = "reseed"

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}\Z", re.ASCII)
_PICKLES = (".ckpt", ".pt", ".pth", ".bin")

FAMILIES = {
    "StableDiffusionPipeline": "sd1",
    "StableDiffusionXLPipeline": "sdxl",
    "StableDiffusion3Pipeline": "sd3",
    "FluxPipeline": "flux",
}
"""Pipelines that the engine drives, by class name. ``sd2`` is told from ``sd1`` by the width of its text."""

FLOW = ("sd3", "flux")
"""Families of flow models."""
_PATCH = {"sd3": 2, "flux": 2}
"""Latent cells on a side of what a transformer reads as one token."""
_NATIVE = {"sd1": 512, "sd2": 768, "sdxl": 1024, "sd3": 1024, "flux": 1024}
_TEXT_WIDTHS = {"sd1": 768, "sd2": 1024, "sdxl": 2048}
_SUGGESTED: dict[str, dict[str, Any]] = {
    "sdxl": {"cfg_scale": 5.0},
    "sd3": {"cfg_scale": 5.0, "sampler": "Euler", "steps": 28},
    "flux": {"cfg_scale": 3.5, "sampler": "Euler"},
}


@dataclass(frozen=True)
class Checkpoint:
    """A model that can be used. ``path`` is None while a hub id is not downloaded.

    ``examples`` are prompts that it draws well; ``vocabulary``, for a small model, the words that it knows, by group.

    ``width`` and ``height`` are what it was trained on, in pixels, and every side is a multiple of ``multiple``;
    ``defaults`` are suggested values of a recipe; ``text_width`` is how many numbers a UNet reads of each token, 0
    where there is no UNet or that is not known yet.
    """

    name: str
    path: Path | None
    kind: Kind
    family: str
    width: int
    height: int
    defaults: dict[str, Any] = field(default_factory=dict, hash=False)
    about: str = ""
    examples: tuple[str, ...] = ()
    vocabulary: dict[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    multiple: int = 8
    text_width: int = 0

    @property
    def flow(self) -> bool:
        """Whether it is a flow model, for which some samplers and schedules have no form."""
        return self.family in FLOW

    def check(self, recipe: Recipe) -> None:
        """Raise BadRecipe that names everything in a recipe which this model cannot do.

        That is a side that is not a multiple of what it makes, or a sampler or schedule without a form for flow models.
        """
        problems = _bad_sides(recipe.width, recipe.height, self.multiple)
        if self.flow:
            found = (samplers.without_flow(recipe.sampler), samplers.schedule_without_flow(recipe.schedule))
            problems += [problem for problem in found if problem is not None]
        if problems:
            raise BadRecipe(problems)


class Catalog:
    """The models that are here, and in ``networks`` the LoRA and embedding files.

    ``hashes`` is a JSON file in which hashes are remembered; it may be thrown away. Without ``hub`` a name of a model
    elsewhere is none: nothing is downloaded.
    """

    hub = True

    def __init__(
        self,
        models: Path | None = None,
        *,
        hashes: Path | None = None,
        bundled: Path = BUNDLED,
        loras: Path | None = None,
        embeddings: Path | None = None,
    ) -> None:
        self.models, self.bundled = models, bundled
        self._hashes = Hashes(hashes)
        self.networks = NetworkFiles(loras, embeddings, self._hashes)

    def all(self) -> list[Checkpoint]:
        """List every model that can be used, the bundled one first."""
        found = [self._bundled()] if (self.bundled / "model_index.json").is_file() else []
        for name, path in self._candidates():
            try:
                found.append(_describe(name, path))
            except CheckpointError:
                continue  # ``find`` and ``refused`` say why
        return found

    def names(self) -> list[str]:
        """List the names of ``all``."""
        return [checkpoint.name for checkpoint in self.all()]

    def refused(self) -> dict[str, str]:
        """Say of each file or folder that looks like a model but cannot be used why not, by name."""
        reasons = {}
        for name, path in (*self._candidates(), *self._pickles()):
            try:
                _describe(name, path)
            except CheckpointError as error:
                reasons[name] = str(error)
        return reasons

    def find(self, name: str, model_hash: str = "") -> Checkpoint:
        """Find a model by name; with ``model_hash`` (its first digits will do) only if it is that very one.

        Raises CheckpointError when it is missing (naming what is here), refused, or another file of the same name.
        """
        if name == BUNDLED_NAME and (self.bundled / "model_index.json").is_file():
            found = self._bundled()
        else:
            path = dict((*self._pickles(), *self._candidates())).get(name)
            found = self._elsewhere(name) if path is None else _describe(name, path)
        if model_hash:
            self.check(found, model_hash)
        return found

    def hash(self, checkpoint: Checkpoint) -> str:
        """Return the SHA-256 of a model, 64 hexadecimal digits; remembered by path, size and time of change.

        A file's is that of its bytes, as in A1111. A folder's is that of the sorted list of its weights and
        configurations with the hash of each.
        """
        if checkpoint.path is None:
            raise CheckpointError(f"The model {checkpoint.name} is not downloaded, so it has no hash yet.")
        if checkpoint.path.is_file():
            return self._hashes.file(checkpoint.path)
        total = hashlib.sha256()
        for relative, path in sorted(_parts(checkpoint.path)):
            total.update(f"{relative} {self._hashes.file(path)}\n".encode())
        return total.hexdigest()

    def worn(self, recipe: Recipe, checkpoint: Checkpoint) -> list[tuple[NetworkFile, str]]:
        """Find the LoRAs and embeddings that a picture uses, each with its hash; raises like ``networks.used``."""
        return [(file, self.networks.digest(file)) for file in self.networks.used(recipe, checkpoint)]

    def check(self, checkpoint: Checkpoint, wanted: str) -> None:
        """Raise CheckpointError unless the model's hash begins with ``wanted``; naming both."""
        digest = self.hash(checkpoint)
        if not digest.startswith(wanted.lower()):
            raise CheckpointError(
                f"The recipe asks for the model {checkpoint.name} with the hash {shown(wanted)}, but the one here has "
                f"{digest[: max(10, min(len(wanted), 64))]}: it would give another picture. Get that model, or empty "
                "Model hash to use this one."
            )

    def _elsewhere(self, name: str) -> Checkpoint:
        if self.hub and _HUB_ID.match(name):
            return Checkpoint(name, None, "hub", "", 512, 512)
        here = self.names()
        listed = ", ".join(here) if here else "none"
        raise CheckpointError(f"There is no model {shown(name)}. Here are: {listed}. {near(name, here)}".rstrip())

    def _bundled(self) -> Checkpoint:
        return _describe(BUNDLED_NAME, self.bundled)

    def _walk(self) -> Iterator[tuple[str, Path]]:
        """Walk over the files below the models folder, and its diffusers folders without what is in them."""
        if self.models is None or not self.models.is_dir():
            return
        for folder, inner, files in os.walk(self.models, followlinks=False):
            here = Path(folder)
            if "model_index.json" in files and here != self.models:
                inner.clear()
                yield here.relative_to(self.models).as_posix(), here
                continue
            inner[:] = sorted(name for name in inner if not name.startswith(".") and not self._is_networks(here / name))
            yield from (
                (here.relative_to(self.models).joinpath(file).as_posix(), here / file) for file in sorted(files)
            )

    def _candidates(self) -> list[tuple[str, Path]]:
        """Name what may be a model: folders by their name, files by their stem (with its ending if that is taken)."""
        pairs = list(self._walk())
        found = {relative: path for relative, path in pairs if path.is_dir()}
        for relative, path in pairs:
            if path.suffix == ".safetensors" and path.is_file():
                stem = relative.removesuffix(".safetensors")
                found[relative if stem in found or stem == BUNDLED_NAME else stem] = path
        return sorted(found.items())

    def _pickles(self) -> list[tuple[str, Path]]:
        files = [(relative, path) for relative, path in self._walk() if path.suffix in _PICKLES]
        return [pair for relative, path in files for pair in ((relative, path), (relative[: -len(path.suffix)], path))]

    def _is_networks(self, folder: Path) -> bool:
        return folder in (self.networks.folders["LoRA"], self.networks.folders["embedding"])


def describe_folder(name: str, folder: Path, kind: Kind = "folder") -> Checkpoint:
    """Describe a diffusers folder; raise CheckpointError when the engine does not drive its pipeline."""
    index = read_json(folder / "model_index.json")
    class_name = index.get("_class_name")
    family = FAMILIES.get(str(class_name))
    if family is None:
        raise CheckpointError(
            f"The model {name} is for {shown(class_name)}, which this program does not drive. "
            f"It drives {', '.join(FAMILIES)}."
        )
    network = read_json(folder / ("unet" if family in ("sd1", "sdxl") else "transformer") / "config.json")
    text_width = network.get("cross_attention_dim")
    text_width = text_width if isinstance(text_width, int) else 0
    if family == "sd1" and text_width == 1024:
        family = "sd2"
    factor = _factor(folder)
    width, height = _native_size(factor, family, network)
    extra = read_json(folder / "reseed.json")
    defaults = extra.get("defaults")
    return Checkpoint(
        name,
        folder,
        kind,
        family,
        width,
        height,
        {**_SUGGESTED.get(family, {}), **(defaults if isinstance(defaults, dict) else {})},
        str(extra.get("about", "")),
        tuple(str(example) for example in extra.get("examples", ())),
        {str(group): tuple(map(str, words)) for group, words in extra.get("vocabulary", {}).items()},
        factor * _PATCH.get(family, 1),
        text_width,
    )


def _describe(name: str, path: Path) -> Checkpoint:
    if path.is_dir():
        return describe_folder(name, path)
    if path.suffix != ".safetensors":
        raise CheckpointError(refusal(path))
    family = family_of_file(path)
    native = _NATIVE[family]
    suggested = dict(_SUGGESTED.get(family, {}))
    return Checkpoint(name, path, "file", family, native, native, suggested, text_width=_TEXT_WIDTHS[family])


def check_size(width: int, height: int, multiple: int) -> None:
    """Raise BadRecipe that names each side which is not a multiple of what a model can make."""
    if problems := _bad_sides(width, height, multiple):
        raise BadRecipe(problems)


def _bad_sides(width: int, height: int, multiple: int) -> list[BadValue]:
    problems = []
    for name, side in (("width", width), ("height", height)):
        if side % multiple:
            below = max(side - side % multiple, multiple)
            hint = f"Nearest: {below} or {below + multiple}."
            problems.append(BadValue(name, name.capitalize(), side, f"a multiple of {multiple} for this model", hint))
    return problems


def _factor(folder: Path) -> int:
    """Return how many pixels a latent cell is wide, from the autoencoder's configuration."""
    blocks = read_json(folder / "vae" / "config.json").get("block_out_channels")
    return 2 ** (len(blocks) - 1) if isinstance(blocks, list) and blocks else 8


def _native_size(factor: int, family: str, network: dict[str, Any]) -> tuple[int, int]:
    """Work out (width, height) in pixels: the network's sample size times the autoencoder's factor."""
    size = network.get("sample_size") or _NATIVE[family] // factor
    height, width = size if isinstance(size, list) and len(size) == 2 else (size, size)
    return int(width) * factor, int(height) * factor


def _parts(folder: Path) -> Iterator[tuple[str, Path]]:
    """List what a folder's pictures depend on: weights, configurations and tokenizers, with relative names."""
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        if (
            path.is_file()
            and path.suffix in (".safetensors", ".json", ".txt", ".model")
            and relative.name != "reseed.json"
        ):
            yield relative.as_posix(), path
