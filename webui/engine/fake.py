"""An engine without networks: pictures are coloured noise that depends on the recipe. For tests and for the page.

The promise: it keeps the protocol of ``webui.engine`` to the letter (equal recipes give equal pixels, other seeds
other pixels, previews, early close) and costs milliseconds.
"""

import hashlib
import time
from collections.abc import Iterator

import numpy as np
from PIL import Image

from webui import __version__
from webui.engine import Step
from webui.engine.philox import randn
from webui.fingerprint import Fingerprint
from webui.recipe import Recipe

HASH = hashlib.sha256(b"fake").hexdigest()


class FakeEngine:
    """Makes pictures of smooth noise; ``delay`` seconds pass at each step."""

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay

    def generate(self, recipe: Recipe) -> Iterator[Step]:
        """Yield ``recipe.steps`` steps with previews, then the image."""
        words = int.from_bytes(hashlib.sha256(recipe.but(seed=0).digest().encode()).digest()[:4])
        composition = randn(recipe.seed, 0, (1, 8, 8))[0]
        tint = np.array([words & 255, words >> 8 & 255, words >> 16 & 255], np.float32) / 255
        for index in range(recipe.steps):
            yield Step(index, recipe.steps, preview=_picture(composition, tint, (index + 1) / recipe.steps, (16, 16)))
            time.sleep(self.delay)
        image = _picture(composition, tint, 1.0, (recipe.width, recipe.height))
        yield Step(recipe.steps, recipe.steps, image=image, fingerprint=self.fingerprint(recipe.model))

    def fingerprint(self, model: str) -> Fingerprint:
        """Say what makes the pictures."""
        return Fingerprint(__version__, "none", "none", model, HASH, "fake", "uint8")

    def warm(self, model: str) -> None:
        """Do nothing: there is nothing to load."""

    def count_tokens(self, text: str, model: str) -> tuple[int, int] | None:
        """Count words as tokens."""
        count = len(text.split())
        return count, max(1, -(-count // 75)) * 75


def _picture(composition: np.ndarray, tint: np.ndarray, contrast: float, size: tuple[int, int]) -> Image.Image:
    shade = 1 / (1 + np.exp(-composition * 1.5 * contrast))
    pixels = (shade[..., None] * (0.35 + 0.65 * tint) * 255).round().astype(np.uint8)
    return Image.fromarray(pixels, "RGB").resize(size, Image.Resampling.BICUBIC)
