"""A worker: an engine in a process of its own, on this machine or another, that gets recipes from a server.

The promise: a worker makes a picture only when what would make it here is what the server expects, to the hash; it
says so by name otherwise, and puts nothing in its place. Errors with a sentence travel as values: they arrive as they
were raised. Ray is imported inside functions only; where it runs, it calls the methods of ``Worker``.
"""

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from webui.engine import Engine, Step
from webui.engine.draft import Draft
from webui.errors import CheckpointError, ReseedError
from webui.fingerprint import Fingerprint
from webui.recipe import Recipe

_NAMES: Final = {
    "product": "Reseed",
    "torch": "torch",
    "diffusers": "diffusers",
    "device": "device",
    "dtype": "number type",
    "threads": "threads",
    "kernels": "kernels",
    "loras": "LoRAs",
    "embeddings": "embeddings",
}


class Stating(Engine, Protocol):
    """An engine that can say what would make a picture before it makes one."""

    def states(self, recipe: Recipe) -> Fingerprint:
        """Say it; raise CheckpointError or NetworkError for what is not here, or is not what the recipe names."""
        ...


Make = Callable[[int], Stating]
"""Makes the engine of a worker, which is given its number, from 1. It is pickled: a function or a class of a module."""


@dataclass(frozen=True)
class Diffusion:
    """Makes a diffusion engine over folders that every machine has at the same place.

    ``threads`` of the processor are a worker's, so that all have as many.
    """

    models: Path
    loras: Path
    embeddings: Path
    cache: Path
    device: str | None
    dtype: str | None
    threads: int
    hub: bool = True

    def __call__(self, number: int) -> Stating:
        """Make the engine; torch is not loaded yet, and reads the number of threads when it is."""
        from webui.engine.checkpoints import Catalog
        from webui.engine.diffusion import DiffusionEngine

        os.environ["OMP_NUM_THREADS"] = str(self.threads)
        # A file for each: machines that share the folder remember their own files by path and time.
        hashes = self.cache / f"hashes-{socket.gethostname()}-{number}.json"
        catalog = Catalog(self.models, hashes=hashes, loras=self.loras, embeddings=self.embeddings)
        catalog.hub = self.hub
        return DiffusionEngine(catalog, self.device, self.dtype)


@dataclass(frozen=True)
class About:
    """Where a worker is."""

    host: str
    pid: int

    def __str__(self) -> str:
        return f"{self.host}, process {self.pid}"


class Worker:
    """What runs beside the engine in a worker's process."""

    def __init__(self, make: Make, number: int) -> None:
        self._number = number
        self._engine = make(number)

    def about(self) -> About:
        """Say where this is."""
        return About(socket.gethostname(), os.getpid())

    def states(self, recipe: Recipe) -> Fingerprint | ReseedError:
        """Say what would make a picture here, or why none can be made."""
        try:
            return self._engine.states(recipe)
        except ReseedError as error:
            return error

    def warm(self, model: str) -> ReseedError | None:
        """Load a model; return what went wrong."""
        try:
            self._engine.warm(model)
        except ReseedError as error:
            return error
        return None

    def count_tokens(self, text: str, model: str) -> tuple[int, int] | None:
        """Count a prompt's tokens, see ``webui.engine.Engine``."""
        return self._engine.count_tokens(text, model)

    def generate(
        self, recipe: Recipe, draft: Draft | None, stop: int | None, wanted: Fingerprint
    ) -> Iterator[Step | ReseedError]:
        """Yield the steps of a picture, or at the end the error that stopped it; end early when it is canceled."""
        import ray

        here = ray.get_runtime_context()
        try:
            compare(self._engine.states(recipe), wanted, f"worker {self._number} ({self.about()})")
            for step in self._engine.generate(recipe, draft, stop):
                yield step
                if here.is_canceled():
                    return
        except ReseedError as error:
            yield error


def compare(mine: Fingerprint, wanted: Fingerprint, who: str) -> None:
    """Raise CheckpointError, naming what differs, unless what is here makes the very picture that is wanted."""
    if mine.model_hash != wanted.model_hash:
        raise CheckpointError(
            f"The model {wanted.model} with the hash {wanted.model_hash[:10]} is wanted, but the one of this name at "
            f"{who} has {mine.model_hash[:10]}: it would give another picture. Put the same file there."
        )
    moved = [
        f"{words} {getattr(wanted, name) or 'none'} is wanted, there is {getattr(mine, name) or 'none'}"
        for name, words in _NAMES.items()
        if getattr(mine, name) != getattr(wanted, name)
    ]
    if moved:
        raise CheckpointError(f"At {who} it would be another picture: {'; '.join(moved)}. Make the machines alike.")


def bare(fingerprint: Fingerprint) -> Fingerprint:
    """Leave out what differs from picture to picture of one model."""
    return replace(fingerprint, loras="", embeddings="")
