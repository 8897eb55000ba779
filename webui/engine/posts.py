"""Posts: the places of a cluster's workers, how each stands, and what is said of one in a sentence."""

import re
from dataclasses import dataclass, field, replace
from typing import Any

from webui.engine import Standing
from webui.engine.worker import About, compare
from webui.errors import CheckpointError, ReseedError
from webui.fingerprint import Fingerprint

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(eq=False)
class Post:
    """The place of a worker: when its process is lost, the next one takes it.

    ``said`` is what it states of each model, None while it was only asked; ``made`` and ``lost`` count pictures and
    processes, ``seconds`` is how long the last picture took; ``trouble`` is the last thing that went wrong.
    """

    number: int
    actor: Any = None
    about: About | None = None
    is_busy: bool = False
    model: str = ""
    free_since: float = 0.0
    said: dict[str, Fingerprint | ReseedError | None] = field(default_factory=dict)
    made: int = 0
    lost: int = 0
    seconds: float = 0.0
    trouble: str = ""

    @property
    def state(self) -> str:
        """Say how it is: ``starting``, ``idle`` or ``busy``."""
        return "starting" if self.about is None else "busy" if self.is_busy else "idle"

    def standing(self, left_out: tuple[str, ...]) -> Standing:
        """Say how it is to those who look after the machines."""
        where = str(self.about or "")
        return Standing(
            self.number, self.state, where, self.model, self.made, self.lost, self.seconds, self.trouble, left_out
        )

    def __str__(self) -> str:
        return f"worker {self.number}" if self.about is None else f"worker {self.number} ({self.about})"


def refusal(post: Post, model: str, chosen: Fingerprint | None, digest: str) -> str:
    """Say why a worker may not make a model's pictures."""
    said = post.said.get(model)
    if not isinstance(said, Fingerprint):
        return f"{begin(str(post))}: {said}"
    wanted = chosen or replace(said, model_hash=digest)
    try:
        compare(said, wanted, str(post))
    except CheckpointError as error:
        return str(error)
    return f"{begin(str(post))} is alike."


def why(error: Exception) -> str:
    """Say in plain words why a worker is gone."""
    text = str(error)
    if "node has died" in text or "node was terminated" in text:
        return "its machine is gone."
    if "low on memory" in text or type(error).__name__ == "OutOfMemoryError":
        return "its machine had too little memory."
    return "its process ended."


def cause(error: BaseException) -> str:
    """Give the line of an error of Ray's that says what was wrong: the last, below the calls that led to it."""
    lines = _COLOUR.sub("", str(error)).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__


def begin(words: str) -> str:
    """Begin a sentence."""
    return words[:1].upper() + words[1:]
