"""Drafts: pictures that were stopped on the way, and finished later to the very pixels they would have had.

The promise: a finished draft is equal, bit for bit, to the picture made without a stop. A sampler is arithmetic on the
model's answers and on noise that is a function of the recipe, so the answers so far are its whole state: replayed to a
fresh sampler they bring it, and the stream of noise, to where it stopped, with no call of the model. This holds for
every sampler and knows nothing of any. What cannot be finished to the same pixels is refused, never begun again.

Needs neither torch nor diffusers.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from webui.engine import sampling, script
from webui.errors import BadValue, DraftError, shown
from webui.fingerprint import Fingerprint
from webui.recipe import PARAMS, Recipe

SHARE: Final = 0.5
"""The part of a picture's model calls after which a draft shows its composition; measured, see docs/drafts.md."""

_NAMES: Final = {"product": "Reseed", "model_hash": "model hash", "dtype": "number type", "loras": "LoRAs"}


@dataclass(frozen=True, eq=False, slots=True)
class Draft:
    """A picture after some model calls.

    ``answers``: what the model answered, (calls, C, H, W), float32. ``preview``: the last answer as an RGB picture, a
    few pixels for each latent cell.
    """

    recipe: Recipe
    fingerprint: Fingerprint
    answers: NDArray[np.float32]
    preview: Image.Image

    @property
    def calls(self) -> int:
        """How many model calls were made."""
        return len(self.answers)

    @property
    def key(self) -> str:
        """Name the draft by its picture and how far it is. Another model or machine may have made it: see ``check``."""
        return f"{picture_key(self.recipe)}-{self.calls}"

    def check(self, recipe: Recipe, fingerprint: Fingerprint) -> None:
        """Raise DraftError, naming what differs, unless what is here would finish the draft to its own picture."""
        wanted, mine = _unpinned(recipe).values(), _unpinned(self.recipe).values()
        other = [f"{PARAMS[name].label} {shown(mine[name])}" for name in mine if mine[name] != wanted[name]]
        if other:
            raise DraftError(f"The draft is of another picture: it has {', '.join(other)}. Make a draft of this one.")
        then, now = self.fingerprint.to_dict(), fingerprint.to_dict()
        moved = [
            f"{_NAMES.get(name, name)} {then[name] or 'none'}, here is {now[name] or 'none'}"
            for name in then
            if then[name] != now[name]
        ]
        if moved:
            raise DraftError(
                f"The draft was made with {'; '.join(moved)}: finished here it would be another picture. Make the "
                "draft again."
            )


def picture_key(recipe: Recipe) -> str:
    """Name a picture for its drafts, 40 hex digits: equal names, equal recipes."""
    return _unpinned(recipe).digest()[:40]


def calls(recipe: Recipe, share: float = SHARE) -> int:
    """Return after how many model calls ``share`` of a picture is done, at least one.

    >>> calls(Recipe.of(seed=0, steps=12)), calls(Recipe.of(seed=0, steps=12, sampler="Heun"))
    (6, 12)
    """
    adaptive = recipe.sampler == "DPM adaptive"  # takes no notice of the steps
    total = sampling.ADAPTIVE_CALLS if adaptive else script.total(recipe)
    return max(1, math.ceil(share * total))


def begin(draft: Draft | None, recipe: Recipe, fingerprint: Fingerprint, stop: int | None) -> list[NDArray[np.float32]]:
    """Return the answers that need not be asked for, (C, H, W) each.

    Raises DraftError when the draft is not of this picture, BadValue when ``stop`` is not a number of calls.
    """
    if stop is not None and stop < 1:
        raise BadValue("stop", "Draft after", stop, "at least 1 model call")
    if draft is None:
        return []
    draft.check(recipe, fingerprint)
    return list(draft.answers)


def _unpinned(recipe: Recipe) -> Recipe:
    """Leave out the model's hash: the fingerprint has it, whether the recipe names it or not."""
    return recipe.but(model_hash="")
