"""Limits: what one visitor of a demo may ask of a machine that others wait for too.

The promise: each limit is one number here, checked before anything is queued, and a refusal says in a sentence what
the limit is and when to try again. Without a demo nothing is limited.
"""

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from webui.errors import LimitError
from webui.recipe import Recipe

RETRY: Final = 15
"""Seconds after which it makes sense to ask again when the line is full."""
REMEMBERED: Final = 10_000
"""Visitors whose uploads are counted; those that came longest ago go first."""


@dataclass(frozen=True)
class Limits:
    """The limits of a demo: of each visitor's jobs, of all that wait, and of one job.

    ``open`` are jobs of a visitor, one at work and the others waiting; ``waiting`` are jobs of all visitors.
    ``pictures`` are in a job, ``drafts`` in one that explores; ``pixels`` are width times height.
    """

    open: int = 3
    waiting: int = 20
    pixels: int = 1024 * 1024
    steps: int = 50
    pictures: int = 4
    drafts: int = 12

    def check(self, recipes: Sequence[Recipe], explores: bool = False) -> None:
        """Raise LimitError when a job is too large."""
        most, what = (self.drafts, "drafts") if explores else (self.pictures, "pictures")
        if len(recipes) > most:
            raise LimitError(f"This demo makes at most {most} {what} at once; got {len(recipes)}.")
        for recipe in recipes:
            if recipe.steps > self.steps:
                raise LimitError(f"Steps must be at most {self.steps} in this demo; got {recipe.steps}.")
            if recipe.width * recipe.height > self.pixels:
                raise LimitError(
                    f"Width × height must be at most {self.pixels} pixels in this demo, such as 1024 × 1024; "
                    f"got {recipe.width} × {recipe.height}."
                )

    def admit(self, mine: int, waiting: int) -> None:
        """Raise LimitError when a visitor has ``mine`` jobs open, or ``waiting`` of all wait, and one more is asked."""
        if mine >= self.open:
            raise LimitError(
                f"This demo takes {self.open} jobs of a visitor at a time, one at work and {self.open - 1} waiting. "
                "Wait until one is done, or stop one.",
                RETRY,
            )
        if waiting >= self.waiting:
            raise LimitError(
                f"The line is full: {waiting} jobs wait for this demo. Try again in {RETRY} seconds.", RETRY
            )


class Rate:
    """Allows each visitor so many of something in so many seconds."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.most, self.seconds, self._clock = most, seconds, clock
        self._taken: OrderedDict[str, deque[float]] = OrderedDict()

    def take(self, who: str) -> int:
        """Take one, and return 0; or, when there is none left, after how many seconds there is."""
        now = self._clock()
        taken = self._taken.setdefault(who, deque(maxlen=self.most))
        self._taken.move_to_end(who)
        while len(self._taken) > REMEMBERED:
            self._taken.popitem(last=False)
        if len(taken) == self.most and now - taken[0] < self.seconds:
            return max(1, math.ceil(self.seconds - (now - taken[0])))
        taken.append(now)
        return 0
