"""Errors that are sentences: each names the parameter, the value received, what is allowed and what to do.

    ReseedError                 something a person can read and act on
    ├── BadValue                one parameter has a value that is not allowed
    │   └── NetworkError        …because it names a LoRA or embedding that cannot be had
    ├── BadRecipe               several parameters at once; holds every BadValue
    ├── CheckpointError         a model is missing, damaged, of an unknown kind, or not the one asked for
    ├── EngineError             a picture could not be made
    │   ├── OutOfMemory         …because the device has too little memory; says what would fit
    │   ├── WorkerLost          …because the workers of a cluster died that made it
    │   └── DraftError          …from this draft, because it is of another picture or was made by something else
    ├── PictureError            a file is not a picture, or carries no recipe
    ├── StorageError            a picture or a record could not be written or read
    └── JobError                the queue refuses or has lost a job
        ├── UnknownJob          …because there is none of this id, or it was forgotten
        ├── KeyReused           …because its idempotency key came with another request before
        ├── LimitError          …because a demo gives each visitor only so much
        └── ShuttingDown        …because the program ends

Errors are raised anywhere and caught only at the doors (page, API, command line) and by the worker, which files
them with the job. ``code`` is a stable name for programs; ``str(error)`` is the sentence for people.
"""

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Any, Self


class ReseedError(Exception):
    """Base of every error with a sentence for a person.

    ``exit_status`` is the command line's: 2 for what the person can mend in the command, 1 for the rest.
    """

    code = "error"
    exit_status = 1


class BadValue(ReseedError, ValueError):
    """A parameter got a value that is not allowed.

    ``field`` is the name on ``Recipe`` (or of the option), ``label`` what the person sees, ``value`` what was
    received and ``allowed`` the rule as a phrase that completes "must be …".
    """

    code = "bad_value"
    exit_status = 2

    def __init__(self, field: str, label: str, value: object, allowed: str, hint: str = "") -> None:
        self.field, self.label, self.value, self.allowed, self.hint = field, label, value, allowed, hint
        sentence = f"{label} must be {allowed}; got {shown(value)}."
        super().__init__(f"{sentence} {hint}" if hint else sentence)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes: what is written for the eye does not make the error again."""
        return type(self), (self.field, self.label, self.value, self.allowed, self.hint)

    def at(self, field: str) -> Self:
        """Return the same error under another field's name: a door names its own."""
        return type(self)(field, self.label, self.value, self.allowed, self.hint)


class NetworkError(BadValue):
    """A LoRA or embedding that a recipe uses is not here, cannot be read, or is another file than the one it means."""

    code = "network"


class BadRecipe(ReseedError, ValueError):
    """One or more parameters of a recipe are not allowed; ``errors`` holds a BadValue for each."""

    code = "bad_recipe"
    exit_status = 2

    def __init__(self, errors: Iterable[BadValue]) -> None:
        self.errors = tuple(errors)
        super().__init__(" ".join(str(error) for error in self.errors))

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes, see BadValue."""
        return type(self), (self.errors,)


class CheckpointError(ReseedError):
    """A model cannot be used: missing, damaged, of an unknown kind, or not the one the recipe asks for."""

    code = "checkpoint"
    exit_status = 2


class EngineError(ReseedError):
    """A picture could not be made."""

    code = "engine"


class OutOfMemory(EngineError):
    """The device has too little memory for this picture."""

    code = "out_of_memory"


class WorkerLost(EngineError):
    """The workers of a cluster that made a picture were lost, again and again: it may be what kills them."""

    code = "worker_lost"


class DraftError(EngineError):
    """A draft cannot be finished here: it is of another picture, or something else made it."""

    code = "draft"


class PictureError(ReseedError):
    """A file is not a picture, is damaged, or carries no recipe."""

    code = "picture"
    exit_status = 2


class StorageError(ReseedError):
    """A picture or a record could not be written or read."""

    code = "storage"


class JobError(ReseedError):
    """The queue refuses a job, or does not know it."""

    code = "job"


class UnknownJob(JobError):
    """There is no job of this id: there never was, or it ended long ago and was forgotten."""

    code = "unknown_job"


class KeyReused(JobError):
    """An idempotency key came with another request before."""

    code = "idempotency_key_reused"


class LimitError(JobError):
    """A demo gives no visitor more than this; ``retry_after`` seconds later it may, 0 when it never will."""

    code = "limit"

    def __init__(self, sentence: str, retry_after: int = 0) -> None:
        self.retry_after = retry_after
        super().__init__(sentence)


class ShuttingDown(JobError):
    """The program ends and takes no more jobs."""

    code = "shutting_down"


def shown(value: object, limit: int = 60) -> str:
    """Quote a value for a sentence, on one line and at most ``limit`` characters long.

    >>> shown("abc"), shown(2**64), shown("x" * 99, 10)
    ("'abc'", '18446744073709551616', "'xxxxxxxx…")
    """
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def near(value: str, names: Iterable[str], count: int = 3) -> str:
    """Say which known names are near to a mistyped one, as a sentence, or nothing.

    >>> near("eular", ["Euler", "Euler a", "Heun"])
    'Did you mean Euler or Euler a?'
    """
    known = {name.lower(): name for name in names}
    hits = [known[hit] for hit in get_close_matches(value.lower(), known, n=count, cutoff=0.5)]
    return f"Did you mean {' or '.join(hits)}?" if hits else ""


def one_of(names: Collection[str], listed: int = 12) -> str:
    """Word a rule that only some names are allowed; more than ``listed`` are counted.

    >>> one_of(["Oil", "Calm"]), one_of(["x"] * 150), one_of([])
    ('one of Oil, Calm', 'one of 150 names', 'one of (none are there)')
    """
    if len(names) > listed:
        return f"one of {len(names)} names"
    return f"one of {', '.join(names) or '(none are there)'}"
