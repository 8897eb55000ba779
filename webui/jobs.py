"""Jobs: pictures that were asked for, made one after the other, or as many at once as the engine has workers.

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

Durations come from the monotonic clock, the order from the journal. The changes of a job are in ``webui.board``, the
making of its pictures in ``webui.working``.
"""

import copy
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, Self

from PIL import Image

from webui.board import Board
from webui.drafts import Drafts
from webui.engine import Engine
from webui.errors import JobError, ShuttingDown, UnknownJob, shown
from webui.fingerprint import Fingerprint
from webui.gallery import Gallery
from webui.journal import Journal, Key, Kind, Order
from webui.limits import Limits
from webui.lineage import UNKNOWN, Lineage
from webui.making import attempt
from webui.progress import Progress, State
from webui.recipe import Recipe
from webui.working import Working

PAUSE: Final = 2.0
"""Seconds between two looks whether a full disk has room again."""

_log = logging.getLogger(__name__)


class Jobs:
    """Takes jobs, makes their pictures in threads of its own, and tells how they stand. Any thread may use it."""

    owner = ""
    limits: Limits | None = None

    def __init__(self, journal: Path, engine: Engine, gallery: Gallery, drafts: Drafts) -> None:
        self._journal = Journal(journal)
        self._engine = engine
        self._gallery = gallery
        self._board = Board(self._journal, gallery)
        self._changed, self._line = self._board.changed, self._board.line
        self._working = Working(self._board, engine, drafts)
        self._models: list[str] = []
        self.pace, self.tally = self._board.pace, self._board.tally
        self._workers: list[threading.Thread] = []
        self._open = 0

    def of(self, owner: str) -> Self:
        """Return the same queue as an owner sees it: others' jobs are not known. An empty owner sees all."""
        seen = copy.copy(self)
        seen.owner = owner
        return seen

    def claim(self) -> None:
        """Make sure that no other process works on this queue; raise JobError when one does."""
        self._journal.claim()

    def start(self) -> None:
        """Take up what an earlier run left, then start to work.

        Raises JobError when another process works on the same journal.
        """
        with self._changed:
            if self._workers or self._line.closing:
                raise JobError("The queue was started already.")
            self._journal.claim()
            self._journal.prune(time.time())
            self._board.recover()
            self._open = self.pace.workers = self._engine.workers
            for number in range(self._open):
                name = f"reseed-worker-{number + 1}" if number else "reseed-worker"
                self._workers.append(threading.Thread(target=self._work, args=(number,), name=name, daemon=True))
            for worker in self._workers:
                worker.start()

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
            if not self._board.move(state, "canceled", "pending"):
                self._board.move(state, "canceling", "running")
            return self._progress(state)

    def active(self) -> list[Progress]:
        """Return the jobs that have not ended, as they came."""
        with self._changed:
            return [self._progress(state) for state in self._line.of(self.owner)]

    def counts(self) -> dict[str, int]:
        """Count the jobs of everybody that wait and that are begun, the pictures that are left, those at work."""
        with self._changed:
            states = self._line.of("")
            return {
                "waiting": self._line.waiting,
                "running": len(states) - self._line.waiting,
                "pictures_left": sum(len(state.left) for state in states),
                "pictures_at_work": sum(len(state.taken) for state in states),
                "held": int(self._line.full),
            }

    def warm(self, model: str) -> None:
        """Have a model loaded before the next job or between two."""
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
        if not self._workers:
            return self._journal.close()
        until = time.monotonic() + timeout
        for worker in self._workers:
            worker.join(max(0.0, until - time.monotonic()))
        if any(worker.is_alive() for worker in self._workers):
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

    # The threads that make pictures

    def _work(self, worker: int) -> None:
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._line.closing or self._model_waits() or self._line.next())
                    if self._line.closing:
                        return
                    if self._line.full:
                        self._board.hold(not self._gallery.has_room())
                    if self._line.full:
                        self._changed.wait(PAUSE)
                        continue
                    model = self._models.pop(0) if self._model_waits() else None
                    found = self._line.next() if model is None else None
                    if found is not None and found[1] is not None:
                        found[0].taken.add(found[1])
                if model is not None:
                    attempt(partial(self._engine.warm, model))
                elif found is not None and found[1] is not None:
                    self._working.picture(worker, found[0], found[1])
                elif found is not None:
                    self._working.end(found[0])
        finally:
            self._leave()

    def _model_waits(self) -> bool:
        """Say whether a model is to be loaded and no job is begun, which may use another."""
        return bool(self._models) and not self._line.is_working

    def _leave(self) -> None:
        """Leave everything in order; the last thread closes the journal."""
        with self._changed:
            self._open -= 1
            if self._open == 0:
                for state in self._line.of(""):
                    attempt(partial(self._working.end, state))
                self._journal.close()
