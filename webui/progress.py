"""Progress: where jobs stand, for the process that works on them and for those who watch, and how long they take.

The journal holds what must survive a crash; what is here changes with every step and dies with the process.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from PIL import Image

from webui import samplers
from webui.engine import draft as drafts
from webui.errors import ReseedError
from webui.fingerprint import Fingerprint
from webui.gallery import Record
from webui.journal import ENDED, Entry, Kind, Status
from webui.lineage import UNKNOWN, Lineage
from webui.recipe import Recipe


@dataclass(frozen=True)
class Progress:
    """Where a job stands. A later one of the same job has a greater ``seq``.

    ``index`` is the picture being made, from 0; ``step`` of ``steps`` of its model evaluations are done. ``position``
    is the number of waiting jobs ahead: 0 when it is next or running. ``eta`` is in seconds until the job ends, None
    before anything was measured. ``made`` are the finished pictures, ``drafts`` the keys of those that were only begun
    and ``failed`` the sentences of those that could not be made, each with its number in ``recipes``, in order.
    ``lineage`` says where the recipes came from. ``held`` says that a full disk holds the line up. ``left`` are
    the pictures that are neither finished nor given up, ``at_work`` those being made, of which ``index`` is the first;
    ``note`` is a sentence about one of them, when something happened on the way.
    """

    job: str
    status: Status
    seq: int
    count: int
    index: int
    step: int
    steps: int
    position: int
    eta: float | None
    preview: bytes | None
    preview_type: str
    recipes: tuple[Recipe, ...]
    made: tuple[tuple[int, Record], ...]
    error: str | None
    code: str | None
    kind: Kind = "make"
    about: str = ""
    drafts: tuple[tuple[int, str], ...] = ()
    failed: tuple[tuple[int, str], ...] = ()
    lineage: Lineage = UNKNOWN
    held: bool = False
    note: str = ""
    left: tuple[int, ...] = ()
    at_work: tuple[int, ...] = ()

    @property
    def records(self) -> tuple[Record, ...]:
        """The finished pictures in order."""
        return tuple(record for _, record in self.made)

    @property
    def done(self) -> bool:
        """Say whether the job has ended."""
        return self.status in ENDED


class _Lists(NamedTuple):
    """What became of a job's pictures by their numbers, in order."""

    made: tuple[tuple[int, Record], ...]
    drafts: tuple[tuple[int, str], ...]
    failed: tuple[tuple[int, str], ...]
    left: tuple[int, ...]


@dataclass
class State:
    """A job in the memory of the process that works on it."""

    job: str
    recipes: tuple[Recipe, ...]
    status: Status
    seq: int
    left: list[int]
    lineage: Lineage = UNKNOWN
    kind: Kind = "make"
    about: str = ""
    made: dict[int, Record] = field(default_factory=dict)
    drafts: dict[int, str] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    error: str = ""
    code: str = ""
    index: int = 0
    step: int = 0
    steps: int = 0
    preview: bytes | None = None
    note: str = ""
    taken: set[int] = field(default_factory=set)  # the pictures that are being made
    failing: ReseedError | None = None  # ends the job as soon as nobody works on it
    compare: Callable[[Image.Image, Fingerprint], object] | None = None  # instead of saving; then nothing is written
    units: int = 0
    pixels: int = 0
    _lists: "_Lists | None" = None  # put together once for each finished picture, not at each event

    def __post_init__(self) -> None:
        """Count what is left: model evaluations times pixels, and pixels of pictures."""
        self.units = sum(map(self.work, self.recipes))
        self.pixels = sum(recipe.width * recipe.height for recipe in self.recipes)

    @property
    def owner(self) -> str:
        """Whose job it is; empty where people are not told apart."""
        return self.lineage.owner

    @property
    def next(self) -> int | None:
        """The next picture that a worker may take; None when there is none, or the job is to stop."""
        if self.status not in ("pending", "running") or self.failing is not None:
            return None
        return next((number for number in self.left if number not in self.taken), None)

    @property
    def is_over(self) -> bool:
        """Say whether nothing more is to be made of it."""
        return not self.left or self.status == "canceling" or self.failing is not None

    def stop(self, recipe: Recipe) -> int | None:
        """Return after how many model calls a picture stops, or None when it is made whole."""
        return drafts.calls(recipe) if self.kind == "explore" else None

    def work(self, recipe: Recipe) -> int:
        """Count a picture's model evaluations, times its pixels."""
        share = drafts.SHARE if self.kind == "explore" else 1
        evaluations = recipe.steps * samplers.sampler(recipe.sampler).evaluations
        return math.ceil(share * evaluations) * recipe.width * recipe.height

    @classmethod
    def of(cls, entry: Entry, find: Callable[[str], Record | None]) -> Self:
        """Read a job from the journal, its records from the gallery; an ended one may have unreadable recipes."""
        items = entry.items
        try:
            recipes = tuple(Recipe.from_json(item.recipe) for item in items)
            lineage = Lineage.from_json(entry.lineage)
        except ReseedError:
            if entry.status not in ENDED:
                raise
            items, recipes, lineage = (), (), UNKNOWN
        left = [item.number for item in items]
        state = cls(
            entry.id, recipes, entry.status, entry.seq, left, lineage, entry.kind, entry.about, error=entry.error,
            code=entry.code,
        )  # fmt: skip
        for item in items:
            if item.status == "succeeded" and entry.kind == "explore":
                state.settle(item.number, item.record)
            elif item.status == "succeeded":
                state.settle(item.number, find(item.record))
            elif item.status == "failed" and entry.kind == "sweep":
                state.fail(item.number, item.error)
        return state

    def settle(self, number: int, made: Record | str | None) -> None:
        """Note what became of a picture: its record, its draft's key, or None when its file has been deleted since."""
        self._lists = None
        self.left.remove(number)
        self.units -= self.work(self.recipes[number])
        self.pixels -= self.recipes[number].width * self.recipes[number].height
        if isinstance(made, Record):
            self.made[number] = made
        elif made is not None:
            self.drafts[number] = made

    def fail(self, number: int, error: str) -> None:
        """Note that a picture could not be made, and that the others are."""
        self.settle(number, None)
        self.failed[number] = error

    def _told(self) -> "_Lists":
        if self._lists is None:
            made, drawn = tuple(sorted(self.made.items())), tuple(sorted(self.drafts.items()))
            self._lists = _Lists(made, drawn, tuple(sorted(self.failed.items())), tuple(self.left))
        return self._lists

    def progress(self, position: int, eta: float | None, held: bool = False) -> Progress:
        """Tell those who watch where the job stands; ``position``, ``eta`` and ``held`` are the line's."""
        lists = self._told()
        return Progress(
            job=self.job,
            status=self.status,
            seq=self.seq,
            count=len(self.recipes),
            index=self.index,
            step=self.step,
            steps=self.steps,
            position=position,
            eta=eta,
            preview=self.preview,
            preview_type="image/jpeg" if self.preview else "",
            recipes=self.recipes,
            made=lists.made,
            error=self.error or None,
            code=self.code or None,
            kind=self.kind,
            about=self.about,
            drafts=lists.drafts,
            failed=lists.failed,
            lineage=self.lineage,
            held=held and self.status == "pending",
            note="" if self.status in ENDED else self.note,
            left=lists.left,
            at_work=tuple(sorted(self.taken)),
        )


@dataclass
class Pace:
    """Seconds per model evaluation and pixel, and per pixel of finishing a picture, as measured in this run.

    ``workers`` pictures are made at a time.
    """

    evaluation: float | None = None
    finish: float = 0.0
    workers: int = 1
    _last: dict[int, tuple[int, float]] = field(default_factory=dict)

    def begin(self, worker: int = 0) -> None:
        """A picture begins at a worker: what came before it is not a step."""
        self._last.pop(worker, None)

    def saw(self, step: int, pixels: int, now: float, worker: int = 0) -> None:
        """Take in that ``step`` evaluations were done at ``now`` on the monotonic clock."""
        before = self._last.get(worker)
        if before and step > before[0]:
            taken = max(0.0, now - before[1]) / (step - before[0]) / pixels
            self.evaluation = taken if self.evaluation is None else 0.7 * self.evaluation + 0.3 * taken
        self._last[worker] = (step, now)

    def finished(self, pixels: int, now: float, worker: int = 0) -> None:
        """Take in that a picture was saved at ``now``: decoding and saving come after the last evaluation."""
        if before := self._last.get(worker):
            self.finish = max(0.0, now - before[1]) / pixels

    def seconds(self, line: Sequence[State]) -> float | None:
        """Estimate how long the jobs of a line take, one after the other; None before anything was measured.

        Several workers share them as well as they can.
        """
        if self.evaluation is None or not line:
            return None
        alone = sum(_units_left(state) * self.evaluation + state.pixels * self.finish for state in line)
        return alone / self.workers

    def estimate(self, recipes: Sequence[Recipe]) -> float | None:
        """Estimate how many seconds pictures take that are not in the queue; None before anything was measured."""
        return self.seconds([State("", tuple(recipes), "pending", 0, [])])


def _units_left(state: State) -> int:
    """Count what is left of a job, with the true number of evaluations for the picture at work."""
    if not state.steps or state.index not in state.left:
        return state.units
    recipe = state.recipes[state.index]
    return state.units - state.work(recipe) + max(0, state.steps - state.step) * recipe.width * recipe.height
