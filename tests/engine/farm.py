"""What the workers of test clusters are made of. In a module of its own: a worker's process imports it by name."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from webui.engine import Step
from webui.engine.checkpoints import Catalog
from webui.engine.cluster import Cluster
from webui.engine.diffusion import DiffusionEngine
from webui.engine.draft import Draft
from webui.engine.fake import HASH, FakeEngine
from webui.engine.worker import Stating
from webui.errors import OutOfMemory
from webui.recipe import Recipe

SLOW = 0.1
"""Seconds that a step takes where the prompt has the word slow."""


@dataclass(frozen=True)
class Fakes:
    """Makes fake engines; ``hashes`` are the models' hashes at some workers."""

    hashes: dict[int, str] = field(default_factory=dict, hash=False)

    def __call__(self, number: int) -> Stating:
        return Wilful(number, self.hashes.get(number, HASH))


class Wilful(FakeEngine):
    """Does what the prompt says: is slow, has a fault, has too little memory at worker 1 or at every worker."""

    def __init__(self, number: int, model_hash: str) -> None:
        super().__init__(0.0, model_hash)
        self.number = number

    def generate(self, recipe: Recipe, draft: Draft | None = None, stop: int | None = None) -> Iterator[Step]:
        small = "small everywhere" in recipe.prompt or ("small" in recipe.prompt and self.number == 1)
        for step in super().generate(recipe, draft, stop):
            if "slow" in recipe.prompt and step.image is None:
                time.sleep(SLOW)
            if "fault" in recipe.prompt and step.index == 2:
                raise LookupError("a bug")
            if small and step.index == 2:
                raise OutOfMemory("The cpu has too little memory for this picture.")
            yield step


@dataclass(frozen=True)
class Bundled:
    """Makes diffusion engines with the bundled model, on one thread each."""

    def __call__(self, number: int) -> Stating:
        return DiffusionEngine(Catalog(), device="cpu")


@dataclass(frozen=True)
class Missing:
    """Makes no engine: a machine without what the worker needs."""

    def __call__(self, number: int) -> Stating:
        raise ModuleNotFoundError("No module named 'webui'")


@dataclass(frozen=True)
class Folders:
    """Makes diffusion engines of which each has a models folder of its own: its number below ``models``."""

    models: Path

    def __call__(self, number: int) -> Stating:
        return DiffusionEngine(Catalog(self.models / str(number)), device="cpu")


class Kept(Cluster):
    """A cluster that outlives the engines that use it, one after the other."""

    def close(self) -> None:
        pass
