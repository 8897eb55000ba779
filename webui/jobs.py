"""Jobs: pictures that were asked for, made one after the other by one worker thread.

The promise: an accepted job is never lost. After a restart it is finished, or shown as failed with a reason; a
picture that was saved before a crash is not made twice; what is made again has the same pixels. Closing a tab touches
nothing: watchers come and go by the job's id and see the preview that is there. A picture that is only made again to
be compared waits in the same line, but is neither saved nor written down: a restart forgets it. Where people are told
apart, each sees only jobs of their own, and they take turns: see ``webui.line``.

::

            submit            worker               all pictures saved
    (none) -------> pending ---------> running -------------------------> succeeded
                     |  ^ restart, close |  |  \\__ error, attempts used up ---> failed
              cancel |  +----------------+  +----- cancel --> canceling ------> canceled
                     +----------------------------------------------------------^

Every change of a job raises its ``seq``. Durations come from the monotonic clock, the order from the journal.
"""

import copy
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, Self

from PIL import Image

from webui.drafts import Drafts
from webui.engine import Engine, Step
from webui.errors import JobError, ReseedError, ShuttingDown, StorageError, UnknownJob, shown
from webui.fingerprint import Fingerprint
from webui.gallery import Gallery, Record
from webui.journal import ENDED, OPEN, Entry, Item, Journal, Key, Kind, Order, Status
from webui.limits import Limits
from webui.line import Line
from webui.lineage import UNKNOWN, Lineage
from webui.making import Maker, attempt, jpeg
from webui.progress import Pace, Progress, State
from webui.recipe import Recipe

MAX_ATTEMPTS: Final = 2
"""A picture at which the process died this often is not tried again: it may be what kills it."""
LEAP: Final = 1_000_000
"""What a restart adds to ``seq``: more than the steps since it was last written down."""
PAUSE: Final = 2.0
"""Seconds between two looks whether a full disk has room again."""

_log = logging.getLogger(__name__)


class Jobs:
    """Takes jobs, makes their pictures in one thread, and tells how they stand. Any thread may use it."""

    owner = ""
    limits: Limits | None = None

    def __init__(self, journal: Path, engine: Engine, gallery: Gallery, drafts: Drafts) -> None:
        self._journal = Journal(journal)
        self._engine = engine
        self._gallery = gallery
        self._maker = Maker(engine, gallery, drafts)
        self._changed = threading.Condition()
        self._line = Line()
        self._models: list[str] = []
        self.pace = Pace()
        self._worker: threading.Thread | None = None

    def of(self, owner: str) -> Self:
        """Return the same queue as an owner sees it: others' jobs are not known. An empty owner sees all."""
        seen = copy.copy(self)
        seen.owner = owner
        return seen

    def claim(self) -> None:
        """Make sure that no other process works on this queue; raise JobError when one does."""
        self._journal.claim()

    def start(self) -> None:
        """Take up what an earlier run left, then start the worker.

        Raises JobError when another process works on the same journal.
        """
        with self._changed:
            if self._worker is not None or self._line.closing:
                raise JobError("The queue was started already.")
            self._journal.claim()
            self._journal.prune(time.time())
            self._recover()
            self._worker = threading.Thread(target=self._work, name="reseed-worker", daemon=True)
            self._worker.start()

    def submit(
        self,
        recipes: Sequence[Recipe],
        key: Key | None = None,
        lineage: Lineage = UNKNOWN,
        *,
        kind: Kind = "make",
        about: str = "",
    ) -> Progress:
        """Accept a job, a picture for each recipe; when this returns, it survives a crash.

        ``key`` makes it idempotent: the same key for the same gives the same job, for something else KeyReused.
        ``lineage`` is kept with the pictures, ``about`` with the job for whoever shows it. A job that explores makes
        drafts, see ``webui.drafts``; in one that sweeps a picture that cannot be made does not stop the others.
        """
        order = Order(tuple(recipes), replace(lineage, owner=self.owner or lineage.owner), kind, about)
        with self._changed:
            self._must_be_open()
            if key is not None:
                key = replace(key, digest=key.digest or order.digest, owner=self.owner)
                if (found := self._journal.by_key(key)) is not None:
                    return self.progress(found)
            self._must_admit(order.recipes, kind)
            id, left = secrets.token_hex(16), [*range(len(order.recipes))]
            state = State(id, order.recipes, "pending", 1, left, order.lineage, kind, about)
            self._journal.add(state.job, order, key, seq=state.seq)
            return self._line_up(state)

    def remake(self, recipe: Recipe, compare: Callable[[Image.Image, Fingerprint], object]) -> Progress:
        """Make a picture in its turn and give it to ``compare``, in the worker's thread, instead of saving it."""
        with self._changed:
            self._must_be_open()
            self._must_admit([recipe], "make")
            whose = Lineage(owner=self.owner)
            return self._line_up(State(secrets.token_hex(16), (recipe,), "pending", 1, [0], whose, compare=compare))

    def keyed(self, key: Key) -> Progress | None:
        """Return the job accepted with a key, or None; raise KeyReused when its digest is another than the key's."""
        return self.progress(job) if (job := self._journal.by_key(replace(key, owner=self.owner))) else None

    def progress(self, job: str) -> Progress:
        """Say where a job stands; raise UnknownJob when there is none of this id."""
        with self._changed:
            return self._progress(self._state(job))

    def wait(self, job: str, seq: int, timeout: float) -> Progress:
        """Return where a job stands as soon as that is not what ``seq`` was, or after ``timeout`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._state(job).seq != seq or self._line.closing, timeout)
            return self._progress(self._state(job))

    def watch(self, job: str) -> Iterator[Progress]:
        """Yield where a job stands, now and after changes, until it has ended or the program shuts down."""
        progress = self.progress(job)
        yield progress
        while not progress.done and not self._line.closing:
            newer = self.wait(job, progress.seq, 30.0)
            if newer.seq != progress.seq:
                yield newer
            progress = newer

    def cancel(self, job: str) -> Progress:
        """Stop a job: a waiting one at once, a running one within a step. Finished pictures stay; ended jobs do too."""
        with self._changed:
            state = self._state(job)
            if not self._move(state, "canceled", "pending"):
                self._move(state, "canceling", "running")
            return self._progress(state)

    def active(self) -> list[Progress]:
        """Return the jobs that have not ended, as they came."""
        with self._changed:
            return [self._progress(state) for state in self._line.of(self.owner)]

    def warm(self, model: str) -> None:
        """Ask the worker to load a model before the next job or between two."""
        with self._changed:
            if model not in self._models:
                self._models.append(model)
                self._changed.notify_all()

    def close(self, timeout: float = 10.0) -> None:
        """Stop within a step: the picture at work goes back into the queue for the next start.

        An engine that hangs for longer than ``timeout`` seconds is left behind; the next start takes up its job.
        """
        with self._changed:
            self._line.closing = True
            self._changed.notify_all()
        if self._worker is None:
            return self._journal.close()
        self._worker.join(timeout)
        if self._worker.is_alive():
            _log.warning("The engine did not stop within %g s; its job is taken up at the next start.", timeout)

    @property
    def closing(self) -> bool:
        """Say whether the program ends: no job changes any more."""
        return self._line.closing

    # What follows is called with the condition held.

    def _must_be_open(self) -> None:
        if self._line.closing:
            raise ShuttingDown("The program is shutting down and takes no more jobs. Try again when it is back.")

    def _must_admit(self, recipes: Sequence[Recipe], kind: Kind) -> None:
        """Hold a visitor of a demo to its limits, while nobody else can join the line."""
        if self.limits is not None and self.owner:
            self.limits.check(recipes, kind == "explore")
            self.limits.admit(len(self._line.of(self.owner)), self._line.waiting)

    def _line_up(self, state: State) -> Progress:
        self._line.join(state)
        self._changed.notify_all()
        return self._progress(state)

    def _state(self, job: str) -> State:
        state = self._line.known.get(job)
        if state is None and (entry := self._journal.load(job) if job.isascii() else None):
            state = State.of(entry, self._gallery.get)
            self._line.remember(state)
        if state is None or self.owner not in ("", state.owner):
            raise UnknownJob(f"There is no job {shown(job)}. Ended jobs are kept for a week.")
        return state

    def _progress(self, state: State) -> Progress:
        line = self._line.until(state)
        ahead = sum(one.status == "pending" for one in line[:-1])
        return state.progress(ahead, self.pace.seconds(line), self._line.full)

    def _touch(self, state: State) -> None:
        state.seq += 1
        self._changed.notify_all()

    def _move(self, state: State, target: Status, *sources: Status, error: str = "", code: str = "") -> bool:
        """Take a job along one edge, in the journal first if it is there; False when it is in none of ``sources``."""
        write = partial(self._journal.move_job, state.job, sources, target, seq=state.seq + 1, error=error, code=code)
        if not (write() if state.compare is None else state.status in sources):
            return False
        self._moved(state, target, error, code)
        return True

    def _moved(self, state: State, target: Status, error: str, code: str) -> None:
        state.status, state.error, state.code = target, error, code
        if target in ENDED:
            state.preview = state.compare = None  # what it holds is not needed any more
            self._line.leave(state)
            self._line.remember(state)
        self._touch(state)

    def _recover(self) -> None:
        """Take up unfinished jobs in their order."""
        entries = [entry for job in self._journal.unfinished() if (entry := self._journal.load(job))]
        if any(item.status == "running" for entry in entries for item in entry.items):
            self._gallery.refresh()
        for entry in entries:
            try:
                self._take_up(entry)
            except ReseedError as error:
                sentence, seq = f"The job cannot be taken up again. {error}", entry.seq + LEAP
                self._journal.move_job(entry.id, OPEN, "failed", seq=seq, error=sentence, code=error.code)

    def _take_up(self, entry: Entry) -> None:
        """Settle the pictures that were at work when the process died, queue the rest."""
        state = State.of(entry, self._gallery.get)
        state.seq += LEAP
        lost = not all(self._found_again(state, item) for item in entry.items if item.status == "running")
        if not state.left:
            self._move(state, "succeeded", *OPEN)
        elif entry.status == "canceling":
            self._move(state, "canceled", "canceling")
        elif lost:
            sentence = (
                f"The program was stopped {MAX_ATTEMPTS} times while it made picture {state.left[0] + 1}, so it is "
                "not tried again. A smaller size or fewer steps may help; else send the log with a report."
            )
            self._move(state, "failed", "running", error=sentence, code="worker_lost")
        elif entry.status == "running":
            self._move(state, "pending", "running")
        if state.status in OPEN:
            self._line.join(state)
            self._line.first = self._line.first or (state.job if entry.seq > 1 else "")

    def _found_again(self, state: State, item: Item) -> bool:
        """Settle a picture that was saved when the process died, or let it be made again; False when it may not be."""
        if record := self._gallery.find_origin(item.origin):
            self._journal.finish_item(state.job, item.number, record.id, record.pixels_sha256)
            state.settle(item.number, record)
        elif item.attempt < MAX_ATTEMPTS:
            self._journal.release_item(state.job, item.number, counted=True)
        else:
            return False
        return True

    # The worker's thread

    def _work(self) -> None:
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._line.closing or self._models or self._line.queue)
                    if self._line.closing:
                        return
                    if self._line.full:
                        self._hold(not self._gallery.has_room())
                    if self._line.full:
                        self._changed.wait(PAUSE)
                        continue
                    model = self._models.pop(0) if self._models else None
                    state = self._line.order()[0] if model is None and self._line.queue else None
                if model is not None:
                    attempt(partial(self._engine.warm, model))
                elif state is not None:
                    self._run(state)
        finally:
            self._journal.close()

    def _run(self, state: State) -> None:
        """Make the pictures of the job whose turn it is and end it, whatever happens."""
        error = attempt(partial(self._begin, state)) or self._make_all(state)
        error = error or attempt(partial(self._finish, state))
        with self._changed:
            if self._line.closing or (error is None and state.status in ENDED):
                return  # what a closing program leaves is taken up at the next start
            error = error or JobError("The job was lost: the journal no longer knows it.")
            attempt(partial(self._move, state, "failed", *OPEN, error=str(error), code=error.code))
            if state.status in OPEN:  # the journal cannot be written: say it all the same
                self._moved(state, "failed", str(error), error.code)
            self._hold(isinstance(error, StorageError) and not self._gallery.has_room())

    def _hold(self, full: bool) -> None:
        """Note that a full disk holds the line up, or no longer, and tell those who wait."""
        if full != self._line.full:
            self._line.full = full
            for state in self._line.of(""):
                self._touch(state)

    def _begin(self, state: State) -> None:
        with self._changed:
            self._line.begin(state)
            self._move(state, "running", "pending")

    def _make_all(self, state: State) -> ReseedError | None:
        """Make what is left of a job; return the error that ends it. In a sweep one that is lost leaves its place."""
        for number in tuple(state.left):
            error = attempt(partial(self._make, state, number))
            if error is not None and state.kind == "sweep" and len(state.recipes) > 1:
                error = attempt(partial(self._spare, state, number, error))
            if error is not None or number in state.left:
                return error
        return None

    def _spare(self, state: State, number: int, error: ReseedError) -> None:
        with self._changed:
            self._journal.fail_item(state.job, number, str(error))
            state.fail(number, str(error))
            self._touch(state)

    def _make(self, state: State, number: int) -> None:
        """Make one picture and keep it; it stays among what is left when the job is to stop before it is finished."""
        with self._changed:
            if self._line.closing or state.status != "running":
                return
            if state.compare is None:
                self._journal.begin_item(state.job, number)
            state.index, state.step, state.steps = number, 0, 0
            self.pace.begin()
            self._touch(state)
        recipe, last = state.recipes[number], None
        with closing(self._maker.steps(state, recipe)) as steps:
            for step in steps:
                if not self._saw(state, recipe, step):
                    return
                last = step
        made = self._maker.keep(state, number, last)
        with self._changed:
            self.pace.finished(recipe.width * recipe.height, time.monotonic())
            state.settle(number, made)
            self._touch(state)
            if isinstance(made, Record):
                self._journal.finish_item(state.job, number, made.id, made.pixels_sha256)
            elif made is not None:
                self._journal.finish_item(state.job, number, made, "")

    def _saw(self, state: State, recipe: Recipe, step: Step) -> bool:
        """Tell those who watch of a step; False when the job is to stop here."""
        preview = jpeg(step.preview) if step.preview is not None else None
        with self._changed:
            if step.image is None and (self._line.closing or state.status != "running"):
                return False
            self.pace.saw(step.index, recipe.width * recipe.height, time.monotonic())
            state.step, state.steps = step.index, min(step.total, state.stop(recipe) or step.total)
            state.preview = preview or state.preview
            self._touch(state)
        return True

    def _finish(self, state: State) -> None:
        with self._changed:
            if not state.left:
                self._move(state, "succeeded", "running", "canceling")
            elif state.status == "canceling":
                self._move(state, "canceled", "canceling")
            elif state.status == "running":  # the program shuts down
                self._journal.release_item(state.job, state.index, counted=False)
                self._move(state, "pending", "running")
