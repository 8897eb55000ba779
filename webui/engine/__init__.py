"""The engine: what turns a recipe into a picture, one step at a time.

``generate`` is a generator: previews and progress are the steps it yields, the last of which carries the image; to
cancel, stop iterating (close the generator). A picture may also be stopped on the way and finished later: see
``webui.engine.draft``. Whoever makes pictures, in this process or on another machine, keeps to this protocol, and no
other file knows which engine it is. This module imports neither torch nor diffusers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from webui.engine.draft import Draft
from webui.fingerprint import Fingerprint
from webui.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Step:
    """One event of making a picture.

    ``index`` of ``total`` model evaluations are done (0 before the first). ``preview`` is the denoised estimate at
    latent size, a few pixels for each latent cell, when there is one. The last step carries ``image`` (RGB, at the
    recipe's size) and ``fingerprint``; or ``draft``, when one was asked for. ``note`` is a sentence for whoever watches
    when something happened on the way, such as that the picture had to be begun again; ``index`` may go back then.
    """

    index: int
    total: int
    preview: Image.Image | None = None
    image: Image.Image | None = None
    fingerprint: Fingerprint | None = None
    draft: Draft | None = None
    note: str = ""


@dataclass(frozen=True)
class Standing:
    """How a worker of an engine stands, for those who look after the machines.

    ``state`` is ``starting``, ``idle`` or ``busy``; ``lost`` counts processes that ended unasked, ``seconds`` is what
    the last picture took, and ``left_out`` says of which models it may make none, and why.
    """

    number: int
    state: str
    where: str
    model: str
    made: int
    lost: int
    seconds: float
    trouble: str
    left_out: tuple[str, ...] = ()


class Engine(Protocol):
    """Makes pictures, ``workers`` of them at a time: so many threads of the queue may be in ``generate`` at once."""

    @property
    def workers(self) -> int:
        """How many pictures it makes at a time."""
        ...

    @property
    def told(self) -> Sequence[str]:
        """Sentences for whoever starts the program, about what makes the pictures beside it."""
        ...

    def standings(self) -> Sequence[Standing]:
        """Say how the workers stand; none where this process makes the pictures."""
        ...

    def generate(self, recipe: Recipe, draft: Draft | None = None, stop: int | None = None) -> Iterator[Step]:
        """Yield the steps of making one picture, the last with the image.

        With ``draft`` it goes on from there, and the pixels are those it would have had. With ``stop`` the last step
        carries a draft instead of the image, after that many model calls, or after all when there are fewer (or as
        many as ``draft`` has, when those are more).

        Raises CheckpointError, OutOfMemory, DraftError or EngineError. After any of them, or when closed early, the
        engine stays usable and the next picture is unaffected.
        """
        ...

    def warm(self, model: str) -> None:
        """Import what is slow and load a model's weights, so that the first picture does not wait for it."""
        ...

    def count_tokens(self, text: str, model: str) -> tuple[int, int] | None:
        """Count a prompt's tokens: (tokens, room in the chunks they fill), or None while the model is not loaded."""
        ...

    def close(self) -> None:
        """Give back what the engine holds outside of this process; after the last picture, once."""
        ...
