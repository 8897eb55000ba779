"""The line: the jobs that the process knows, and in whose order those that wait are made.

The promise: owners take turns. The next job is the oldest of the owner who has waited longest for a turn, so nobody
waits behind all of another's jobs; with one owner, or none, jobs are made in the order in which they came. Whoever
joins stands behind those who wait and before the one who is served, so nobody is passed for ever.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Final

from webui.journal import ENDED
from webui.progress import State

REMEMBERED: Final = 100
"""Ended jobs in memory; the journal holds the others."""


@dataclass
class Line:
    """Jobs by id, and those that have not ended, as they came. Whoever uses it holds a lock.

    ``first`` was begun before a restart and is taken up before the others; ``closing`` when the program ends, ``full``
    while a full disk holds all of them up.
    """

    known: dict[str, State] = field(default_factory=dict)
    queue: list[str] = field(default_factory=list)
    first: str = ""
    closing: bool = False
    full: bool = False
    _ring: list[str] = field(default_factory=list)

    def join(self, state: State) -> None:
        """Put a job at the end of its owner's."""
        self.known[state.job] = state
        self.queue.append(state.job)

    def begin(self, state: State) -> None:
        """Note that a job is taken up: its owner's turn is over with it."""
        self.first = ""
        if state.owner in self._ring:
            self._ring.remove(state.owner)

    def leave(self, state: State) -> None:
        """Take a job that has ended out of the line."""
        if state.job in self.queue:
            self.queue.remove(state.job)

    def remember(self, state: State) -> None:
        """Keep a job in memory as the newest, and of the ended ones only the newest."""
        self.known.pop(state.job, None)
        self.known[state.job] = state
        ended = [job for job, known in self.known.items() if known.status in ENDED]
        for job in ended[: max(0, len(ended) - REMEMBERED)]:
            del self.known[job]

    def order(self) -> list[State]:
        """Return the jobs that have not ended in the order in which they will be made, if no others come."""
        states = [self.known[job] for job in self.queue]
        begun = [state for state in states if state.status != "pending" or state.job == self.first]
        waiting: dict[str, list[State]] = {}
        for state in states:
            if state not in begun:
                waiting.setdefault(state.owner, []).append(state)
        served = {state.owner for state in begun}
        self._ring = [owner for owner in self._ring if owner in waiting and owner not in served]
        self._ring += [owner for owner in waiting if owner not in self._ring and owner not in served]
        rounds: Iterable[tuple[State | None, ...]] = zip_longest(
            *(waiting[owner] for owner in [*self._ring, *(owner for owner in waiting if owner in served)])
        )
        return begun + [state for turn in rounds for state in turn if state is not None]

    def next(self) -> tuple[State, int | None] | None:
        """Return whose turn it is at a worker that is free: a job and its next picture, None where it only has to end.

        With several workers the owner is served for whom the fewest of them work; with one the order is what counts.
        """
        serving = Counter(state.owner for state in map(self.known.__getitem__, self.queue) for _ in state.taken)
        open_ = [state for state in self.order() if state.next is not None or (state.is_over and not state.taken)]
        if not open_:
            return None
        state = min(open_, key=lambda one: serving[one.owner])
        return state, state.next

    @property
    def is_working(self) -> bool:
        """Say whether a job is begun and not ended."""
        return any(self.known[job].status in ("running", "canceling") for job in self.queue)

    def until(self, state: State) -> list[State]:
        """Return the jobs that end before this one does, and itself; nothing when it is not in the line."""
        if state.job not in self.queue:
            return []
        order = self.order()
        return order[: order.index(state) + 1]

    @property
    def waiting(self) -> int:
        """Count the jobs that wait."""
        return sum(self.known[job].status == "pending" for job in self.queue)

    def of(self, owner: str) -> list[State]:
        """Return the jobs of an owner that have not ended, as they came; all of them for none."""
        return [state for state in map(self.known.__getitem__, self.queue) if not owner or state.owner == owner]
