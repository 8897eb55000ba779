"""The board: where the jobs of this process stand, in memory and in the journal, and every change of that.

The promise: a job takes an edge in the journal first; two who try cannot both. Whoever calls anything here holds
``changed``, and whoever waits for it is told. Every change of a job raises its ``seq``.
"""

import threading
from functools import partial
from typing import Final

from webui.errors import ReseedError
from webui.gallery import Gallery
from webui.journal import ENDED, OPEN, Entry, Item, Journal, Status
from webui.line import Line
from webui.progress import Pace, State
from webui.tally import Tally

MAX_ATTEMPTS: Final = 2
"""A picture at which the process died this often is not tried again: it may be what kills it."""
LEAP: Final = 1_000_000
"""What a restart adds to ``seq``: more than the steps since it was last written down."""


class Board:
    """The jobs, their line, how fast they go and what was made."""

    def __init__(self, journal: Journal, gallery: Gallery) -> None:
        self.journal, self.gallery = journal, gallery
        self.changed = threading.Condition()
        self.line = Line()
        self.pace = Pace()
        self.tally = Tally()

    def touch(self, state: State) -> None:
        """Tell those who watch that a job has changed."""
        state.seq += 1
        self.changed.notify_all()

    def move(self, state: State, target: Status, *sources: Status, error: str = "", code: str = "") -> bool:
        """Take a job along one edge, in the journal first if it is there; False when it is in none of ``sources``."""
        write = partial(self.journal.move_job, state.job, sources, target, seq=state.seq + 1, error=error, code=code)
        if not (write() if state.compare is None else state.status in sources):
            return False
        self.moved(state, target, error, code)
        return True

    def moved(self, state: State, target: Status, error: str, code: str) -> None:
        """Note that a job has taken an edge."""
        state.status, state.error, state.code = target, error, code
        if target in ENDED:
            state.preview = state.compare = None  # what it holds is not needed any more
            self.line.leave(state)
            self.line.remember(state)
            self.tally.ended(target)
        self.touch(state)

    def hold(self, full: bool) -> None:
        """Note that a full disk holds the line up, or no longer, and tell those who wait."""
        if full != self.line.full:
            self.line.full = full
            for state in self.line.of(""):
                self.touch(state)

    def recover(self) -> None:
        """Take up unfinished jobs in their order; those accepted before the start are in the line already."""
        left = [job for job in self.journal.unfinished() if job not in self.line.queue]
        entries = [entry for job in left if (entry := self.journal.load(job))]
        if any(item.status == "running" for entry in entries for item in entry.items):
            self.gallery.refresh()
        for entry in entries:
            try:
                self._take_up(entry)
            except ReseedError as error:
                sentence, seq = f"The job cannot be taken up again. {error}", entry.seq + LEAP
                self.journal.move_job(entry.id, OPEN, "failed", seq=seq, error=sentence, code=error.code)

    def _take_up(self, entry: Entry) -> None:
        """Settle the pictures that were at work when the process died, queue the rest."""
        state = State.of(entry, self.gallery.get)
        state.seq += LEAP
        lost = not all(self._found_again(state, item) for item in entry.items if item.status == "running")
        if not state.left:
            self.move(state, "succeeded", *OPEN)
        elif entry.status == "canceling":
            self.move(state, "canceled", "canceling")
        elif lost:
            sentence = (
                f"The program was stopped {MAX_ATTEMPTS} times while it made picture {state.left[0] + 1}, so it is "
                "not tried again. A smaller size or fewer steps may help; else send the log with a report."
            )
            self.move(state, "failed", "running", error=sentence, code="worker_lost")
        elif entry.status == "running":
            self.move(state, "pending", "running")
        if state.status in OPEN:
            self.line.join(state)
            self.line.first = self.line.first or (state.job if entry.seq > 1 else "")

    def _found_again(self, state: State, item: Item) -> bool:
        """Settle a picture that was saved when the process died, or let it be made again; False when it may not be."""
        if record := self.gallery.find_origin(item.origin):
            self.journal.finish_item(state.job, item.number, record.id, record.pixels_sha256)
            state.settle(item.number, record)
        elif item.attempt < MAX_ATTEMPTS:
            self.journal.release_item(state.job, item.number, counted=True)
        else:
            return False
        return True
