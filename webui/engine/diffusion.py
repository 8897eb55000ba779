"""The diffusion engine: makes pictures with the networks of diffusers and our own noise, schedules and samplers.

The promise: a picture is a function of its recipe and the fingerprint. One image at a time, one stream of noise, one
pass; no global generator is read or moved. torch and diffusers are imported when the first model is loaded, not before.
"""

import gc
import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from webui import __version__
from webui.engine import Step
from webui.engine.checkpoints import Catalog
from webui.errors import OutOfMemory
from webui.fingerprint import Fingerprint
from webui.recipe import Recipe

if TYPE_CHECKING:
    import torch

    from webui.engine.loading import Model


class DiffusionEngine:
    """Makes pictures with one model in memory at a time.

    ``device``: cuda, xpu, mps or cpu, and ``dtype``: float32, float16 or bfloat16; None chooses the best there is.
    """

    def __init__(self, checkpoints: Catalog, device: str | None = None, dtype: str | None = None) -> None:
        # Threads that spin while they wait make a picture six times slower on a busy machine, and gain nothing on a
        # quiet one. OpenMP reads this when torch loads it; it moves no result. A person's own choice is kept.
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
        self.checkpoints = checkpoints
        self.device, self.dtype = device, dtype
        self._loaded: Model | None = None
        self._lock = threading.Lock()

    def generate(self, recipe: Recipe) -> Iterator[Step]:
        """Yield the steps of making one picture, the last with the image; see ``webui.engine.Engine``."""
        model = self._model(recipe.model, recipe.model_hash)
        try:
            yield from self._steps(model, recipe)
            return
        except (RuntimeError, MemoryError) as error:
            if not _is_memory(error):
                raise
        # Outside of ``except``: there the error's frames would still hold on to the tensors that did not fit.
        self._free()
        raise OutOfMemory(_too_large(recipe, model.device))

    def warm(self, model: str) -> None:
        """Import torch and diffusers and load a model, so that the first picture does not wait for it."""
        self._model(model, "")

    def count_tokens(self, text: str, model: str) -> tuple[int, int] | None:
        """Count a prompt's tokens and the room in the chunks they fill; None while the model is not loaded."""
        loaded = self._loaded
        if loaded is None or loaded.checkpoint.name != model:
            return None
        return loaded.family.count(text)

    def fingerprint(self, model: "Model") -> Fingerprint:
        """Say what makes the pictures of a loaded model."""
        import diffusers
        import torch

        return Fingerprint(
            product=__version__,
            torch=torch.__version__,
            diffusers=diffusers.__version__,
            model=model.checkpoint.name,
            model_hash=model.digest,
            device=model.device.split(":")[0],
            dtype=str(model.dtype).removeprefix("torch."),
        )

    def _steps(self, model: "Model", recipe: Recipe) -> Iterator[Step]:
        from webui.engine import sampling
        from webui.engine.picture_noise import PictureNoise

        family = model.family
        shape = family.shape(recipe.width, recipe.height)
        sigmas = family.sigmas(recipe)
        denoise = model.denoiser(recipe)
        total = len(sampling.plan(recipe.sampler, sigmas, family.flow))
        noise = PictureNoise(recipe, shape, recipe.width // shape[3])

        path = noise.path(sigmas)

        def draw() -> "torch.Tensor":
            return noise.step().to(model.device)

        def brownian(sigma: float, following: float) -> "torch.Tensor":
            return path(sigma, following).to(model.device)

        first = noise.start().to(model.device)
        run = sampling.start(recipe.sampler, first, sigmas, draw, family.flow, brownian=brownian)
        yield Step(0, total)
        x, sigma = next(run)
        index = 0
        while sigma > 0:  # 0 at the end: an adaptive sampler may end before the plan or after it
            denoised, x, sigma = model.advance(run, denoise, x, sigma)
            index, total = index + 1, max(total, index + 1)
            yield Step(index, total, preview=model.preview.picture(denoised))
        yield Step(index, index, image=model.image(x), fingerprint=self.fingerprint(model))

    def _model(self, name: str, model_hash: str) -> "Model":
        """Return the model, loaded; the one that was loaded before is given up for another."""
        with self._lock:
            from webui.engine import loading

            checkpoint = self.checkpoints.find(name)
            loaded = self._loaded
            if checkpoint.kind == "hub":
                resident = loaded is not None and loaded.checkpoint.name == name
                checkpoint = loaded.checkpoint if loaded is not None and resident else loading.fetch(checkpoint)
            if model_hash:
                self.checkpoints.check(checkpoint, model_hash)
            digest = self.checkpoints.hash(checkpoint)
            if loaded is not None and (loaded.checkpoint.name, loaded.digest) == (name, digest):
                return loaded
            self._loaded = loaded = None
            self._free()
            device = loading.choose_device(self.device)
            dtype = loading.choose_dtype(self.dtype, device, checkpoint.family)
            try:
                self._loaded = loading.load(checkpoint, digest, device, dtype)
                return self._loaded
            except (RuntimeError, MemoryError) as error:
                if not _is_memory(error):
                    raise
            self._free()
            raise OutOfMemory(
                f"The {device} has too little memory to load the model {name}. Close other programs, choose a smaller "
                "model, or start with --dtype float16."
            )

    def _free(self) -> None:
        """Give memory that is no longer needed back to the device."""
        import torch

        gc.collect()
        for device in (torch.cuda, torch.xpu, torch.mps):
            if getattr(device, "is_available", torch.backends.mps.is_available)():
                device.empty_cache()


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
