"""The diffusion engine: makes pictures with the networks of diffusers and our own noise, schedules and samplers.

The promise: a picture is a function of its recipe and the fingerprint. One image at a time, one stream of noise, one
pass; no global generator is read or moved. torch and diffusers are imported when the first model is loaded, not before.
"""

import gc
import os
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from webui import __version__, samplers
from webui.engine import Standing, Step
from webui.engine import draft as drafts
from webui.engine.checkpoints import Catalog, Checkpoint
from webui.engine.draft import Draft
from webui.engine.network_files import hashes_of
from webui.errors import OutOfMemory
from webui.fingerprint import Fingerprint
from webui.recipe import Recipe

if TYPE_CHECKING:
    import torch

    from webui.engine.extras import Worn
    from webui.engine.loading import Model


class DiffusionEngine:
    """Makes pictures with one model at a time; the one before stays in memory while there is room.

    ``device``: cuda, xpu, mps or cpu, and ``dtype``: exact, fast, float32, float16 or bfloat16; None chooses the best
    there is.
    """

    workers = 1
    told = ()

    def __init__(self, checkpoints: Catalog, device: str | None = None, dtype: str | None = None) -> None:
        # Threads that spin while they wait make a picture six times slower on a busy machine, and gain nothing on a
        # quiet one. OpenMP reads this when torch loads it; it moves no result. A person's own choice is kept.
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
        self.checkpoints = checkpoints
        self.device, self.dtype = device, dtype
        self._loaded: list[Model] = []  # the one used last is the last
        self._lock = threading.Lock()

    def generate(self, recipe: Recipe, draft: Draft | None = None, stop: int | None = None) -> Iterator[Step]:
        """Yield the steps of making one picture, the last with the image or a draft; see ``webui.engine.Engine``."""
        model = self._model(recipe.model, recipe.model_hash)
        try:
            yield from self._steps(model, recipe, draft, stop)
            return
        except (RuntimeError, MemoryError) as error:
            if not _is_memory(error):
                raise
        # Outside of ``except``: there the error's frames would still hold on to the tensors that did not fit.
        self._leave(model)
        raise OutOfMemory(_too_large(recipe, model.device))

    def warm(self, model: str) -> None:
        """Import torch and diffusers and load a model, so that the first picture does not wait for it."""
        self._model(model, "")

    def count_tokens(self, text: str, model: str) -> tuple[int, int] | None:
        """Count a prompt's tokens and the room in the chunks they fill; None while the model is not loaded."""
        loaded = next((one for one in reversed(self._loaded) if one.checkpoint.name == model), None)
        if loaded is None:
            return None
        return loaded.family.count(text, self.checkpoints.networks.vectors(text))

    def fingerprint(self, model: "Model", worn: "Worn" = ()) -> Fingerprint:
        """Say what makes the pictures of a loaded model, with the LoRAs and embeddings that a picture uses."""
        return _fingerprint(model.checkpoint.name, model.digest, model.device, model.dtype, worn)

    def states(self, recipe: Recipe) -> Fingerprint:
        """Say what would make a picture here, without loading weights; raises like ``generate``."""
        from webui.engine import loading

        checkpoint, digest = self._found(recipe.model, recipe.model_hash)
        device = loading.choose_device(self.device)
        dtype = loading.choose_dtype(self.dtype, device, checkpoint.family)
        return _fingerprint(checkpoint.name, digest, device, dtype, self.checkpoints.worn(recipe, checkpoint))

    def standings(self) -> Sequence[Standing]:
        """Give nothing: there are no workers beside this process."""
        return ()

    def close(self) -> None:
        """Do nothing: what is loaded goes with the process."""

    def _steps(self, model: "Model", recipe: Recipe, draft: Draft | None, stop: int | None) -> Iterator[Step]:
        from webui.engine import sampling
        from webui.engine.picture_noise import PictureNoise

        worn = self.checkpoints.worn(recipe, model.checkpoint)
        family, fingerprint = model.family, self.fingerprint(model, worn)
        answers = drafts.begin(draft, recipe, fingerprint, stop)
        shape = family.shape(recipe.width, recipe.height)
        sigmas = family.sigmas(recipe)
        denoise = model.denoiser(recipe, worn, begin=len(answers))
        options = {name: getattr(recipe, name) for name in samplers.options(recipe.sampler)}
        total = len(sampling.plan(recipe.sampler, sigmas, family.flow, options))
        noise = PictureNoise(recipe, shape, recipe.width // shape[3])

        path = noise.path(sigmas)

        def draw() -> "torch.Tensor":
            return noise.step().to(model.device)

        def brownian(sigma: float, following: float) -> "torch.Tensor":
            return path(sigma, following).to(model.device)

        first = noise.start().to(model.device)
        unit = family.unit(recipe, sigmas)
        run = sampling.start(
            recipe.sampler, first, sigmas, draw, family.flow, brownian=brownian, unit=unit, options=options
        )
        index, preview = len(answers), draft.preview if draft else None
        yield Step(index, max(index, total), preview)
        x, sigma = next(run)
        for answer in answers:
            x, sigma = model.replay(run, answer)
        # sigma is 0 at the end: an adaptive sampler may end before the plan or after it
        while sigma > 0 and (stop is None or index < stop):
            denoised, x, sigma = model.advance(run, denoise, x, sigma)
            if stop is not None:
                answers.append(denoised[0].cpu().numpy().copy())
            index, total, preview = index + 1, max(total, index + 1), model.preview.picture(denoised)
            yield Step(index, total, preview)
        if stop is None:
            image, made_by = model.image(x, fingerprint)
            yield Step(index, index, image=image, fingerprint=made_by)
        else:
            assert preview is not None
            yield Step(index, total, preview, draft=Draft(recipe, fingerprint, np.stack(answers), preview))

    def _model(self, name: str, model_hash: str) -> "Model":
        """Return the model, loaded; those that were loaded before are given up for it when memory is short."""
        with self._lock:
            from webui.engine import loading, memory

            checkpoint, digest = self._found(name, model_hash)
            # No loop: its variable would hold on to a model that is given up below.
            wanted = [one for one in self._loaded if (one.checkpoint.name, one.digest) == (name, digest)]
            if wanted:
                self._loaded = [*(one for one in self._loaded if one is not wanted[0]), *wanted]
                return wanted[0]
            device = loading.choose_device(self.device)
            dtype = loading.choose_dtype(self.dtype, device, checkpoint.family)
            assert checkpoint.path is not None
            if self._loaded:
                self._leave(self._loaded[-1])
                if not memory.has_room(device, memory.files(checkpoint.path)):
                    self._leave(None)
            while True:
                try:
                    self._loaded = [*self._loaded, loading.load(checkpoint, digest, device, dtype)]
                    gc.freeze()  # torch and a model: the collector would stop every request to look through them
                    return self._loaded[-1]
                except (RuntimeError, MemoryError) as error:
                    if not _is_memory(error):
                        raise
                alone = not self._loaded
                self._leave(None)
                if alone:
                    break
            raise OutOfMemory(
                f"The {device} has too little memory to load the model {name}. Close other programs, choose a smaller "
                "model, or start with --dtype fast."
            )

    def _found(self, name: str, model_hash: str) -> "tuple[Checkpoint, str]":
        """Find a model, downloading it if need be, and its hash; raise CheckpointError when that is another."""
        from webui.engine import loading

        checkpoint = self.checkpoints.find(name)
        if checkpoint.kind == "hub":
            resident = next((one.checkpoint for one in self._loaded if one.checkpoint.name == name), None)
            checkpoint = resident or loading.fetch(checkpoint)
        if model_hash:
            self.checkpoints.check(checkpoint, model_hash)
        return checkpoint, self.checkpoints.hash(checkpoint)

    def _leave(self, model: "Model | None") -> None:
        """Give up all models but one, or all, and give memory that is no longer needed back to the device."""
        import torch

        from webui.engine.packing import give_back

        self._loaded = [one for one in self._loaded if one is model]
        gc.unfreeze()
        gc.collect()
        for device in (torch.cuda, torch.xpu, torch.mps):
            if getattr(device, "is_available", torch.backends.mps.is_available)():
                device.empty_cache()
        give_back()


def _fingerprint(model: str, digest: str, device: str, dtype: "torch.dtype", worn: "Worn") -> Fingerprint:
    import diffusers
    import torch

    from webui.engine.packing import kernels

    return Fingerprint(
        product=__version__,
        torch=torch.__version__,
        diffusers=diffusers.__version__,
        model=model,
        model_hash=digest,
        device=device.partition(":")[0],
        dtype=str(dtype).removeprefix("torch."),
        **hashes_of(worn),
        # Measured: 1, 2 and 3 threads give three pictures that differ in the last bits.
        threads=str(torch.get_num_threads()) if device == "cpu" else "",
        kernels=kernels(device, dtype),
    )


def _is_memory(error: Exception) -> bool:
    from webui.engine.loading import is_memory

    return is_memory(error)


def _too_large(recipe: Recipe, device: str) -> str:
    """Word the sentence; the size it names has about half the pixels, and so needs about half the memory."""
    width, height = (max(64, int(side * 0.5**0.5) // 64 * 64) for side in (recipe.width, recipe.height))
    return (
        f"The {device} has too little memory for {recipe.width} × {recipe.height} pixels. "
        f"{width} × {height} needs about half as much and should fit; or close other programs."
    )
