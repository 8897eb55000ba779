"""An engine without networks: pictures are coloured noise that depends on the recipe. For tests and for the page.

The promise: it keeps the protocol of ``webui.engine`` to the letter (equal recipes give equal pixels, other seeds
other pixels, a pinned model hash the same ones, previews, drafts, early close) and costs milliseconds.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from webui import __version__
from webui.engine import Standing, Step
from webui.engine import draft as drafts
from webui.engine.draft import Draft
from webui.engine.philox import randn
from webui.errors import CheckpointError, shown
from webui.fingerprint import Fingerprint
from webui.recipe import Recipe

HASH = hashlib.sha256(b"fake").hexdigest()


class FakeEngine:
    """Makes pictures of smooth noise; ``delay`` seconds pass at each step, ``model_hash`` is named as the model's."""

    workers = 1
    told = ()

    def __init__(self, delay: float = 0.0, model_hash: str = HASH) -> None:
        self.delay, self.model_hash = delay, model_hash

    def generate(self, recipe: Recipe, draft: Draft | None = None, stop: int | None = None) -> Iterator[Step]:
        """Yield ``recipe.steps`` steps with previews, then the image or a draft."""
        total, fingerprint = recipe.steps, self.fingerprint(recipe.model)
        answers = drafts.begin(draft, recipe, fingerprint, stop)
        words = int.from_bytes(hashlib.sha256(recipe.but(seed=0, model_hash="").digest().encode()).digest()[:4])
        composition = randn(recipe.seed, 0, (1, 8, 8))
        tint = np.array([words & 255, words >> 8 & 255, words >> 16 & 255], np.float32) / 255
        for index in range(len(answers), min(total, stop or total)):
            answers.append(composition * np.float32((index + 1) / total))
            yield Step(index, total, preview=_picture(answers[-1], tint, (16, 16)))
            time.sleep(self.delay)
        if stop is None:
            image = _picture(answers[-1], tint, (recipe.width, recipe.height))
            yield Step(total, total, image=image, fingerprint=fingerprint)
        else:
            preview = _picture(answers[-1], tint, (16, 16))
            made = Draft(recipe, fingerprint, np.stack(answers), preview)
            yield Step(made.calls, total, preview, draft=made)

    def fingerprint(self, model: str) -> Fingerprint:
        """Say what makes the pictures."""
        return Fingerprint(__version__, "none", "none", model, self.model_hash, "fake", "uint8")

    def states(self, recipe: Recipe) -> Fingerprint:
        """Say what would make a picture; raise CheckpointError when that is another model than the recipe names."""
        if not self.model_hash.startswith(recipe.model_hash.lower()):
            raise CheckpointError(
                f"The recipe asks for the model {recipe.model} with the hash {shown(recipe.model_hash)}, but the one "
                f"here has {self.model_hash[:10]}."
            )
        return self.fingerprint(recipe.model)

    def standings(self) -> Sequence[Standing]:
        """Give nothing: there are no workers beside this process."""
        return ()

    def close(self) -> None:
        """Do nothing: there is nothing to give back."""

    def warm(self, model: str) -> None:
        """Do nothing: there is nothing to load."""

    def count_tokens(self, text: str, model: str) -> tuple[int, int] | None:
        """Count words as tokens."""
        count = len(text.split())
        return count, max(1, -(-count // 75)) * 75


def _picture(answer: np.ndarray, tint: np.ndarray, size: tuple[int, int]) -> Image.Image:
    shade = 1 / (1 + np.exp(-answer[0] * 1.5))
    pixels = (shade[..., None] * (0.35 + 0.65 * tint) * 255).round().astype(np.uint8)
    return Image.fromarray(pixels, "RGB").resize(size, Image.Resampling.BICUBIC)
