"""Working: the pictures of jobs, made one by one by as many threads as the engine has workers.

The promise: a picture is taken by one thread and filed under its number, so a job's pictures may be made at once and
by different workers. A job ends when nobody works on it any more: one that fails or is stopped keeps what is finished
until then. Whatever goes wrong, the thread lives on.
"""

import time
from contextlib import closing
from functools import partial

from webui.board import Board
from webui.drafts import Drafts
from webui.engine import Engine, Step
from webui.errors import JobError, ReseedError, StorageError
from webui.gallery import Record
from webui.journal import ENDED, OPEN
from webui.making import Maker, attempt, jpeg
from webui.progress import State


class Working:
    """Makes pictures of jobs and ends them. Any thread of the queue may use it."""

    def __init__(self, board: Board, engine: Engine, drafts: Drafts) -> None:
        self._board = board
        self._maker = Maker(engine, board.gallery, drafts)

    def picture(self, worker: int, state: State, number: int) -> None:
        """Make a picture that was taken from a job, by the thread ``worker``; end the job after its last."""
        error = attempt(partial(self._begin, state)) or attempt(partial(self._make, worker, state, number))
        if error is not None and state.kind == "sweep" and len(state.recipes) > 1:
            error = attempt(partial(self._spare, state, number, error))
        with self._board.changed:
            state.taken.discard(number)
            if self._board.line.closing and state.status == "running" and number in state.left:
                error = attempt(partial(self._board.journal.release_item, state.job, number, counted=False))
            state.failing = state.failing or error
            self.end(state)

    def end(self, state: State) -> None:
        """End a job, whatever happens, if nobody works on it and there is nothing left to do."""
        board = self._board
        with board.changed:
            if state.taken or state.status in ENDED or not (state.is_over or board.line.closing):
                return
            error = state.failing or attempt(partial(self._finish, state))
            if board.line.closing or (error is None and state.status in ENDED):
                return  # what a closing program leaves is taken up at the next start
            error = error or JobError("The job was lost: the journal no longer knows it.")
            attempt(partial(board.move, state, "failed", *OPEN, error=str(error), code=error.code))
            if state.status in OPEN:  # the journal cannot be written: say it all the same
                board.moved(state, "failed", str(error), error.code)
            board.hold(isinstance(error, StorageError) and not board.gallery.has_room())

    def _begin(self, state: State) -> None:
        with self._board.changed:
            if state.status == "pending":
                self._board.line.begin(state)
                if not self._board.move(state, "running", "pending"):
                    raise JobError("The job was lost: the journal no longer knows it.")

    def _spare(self, state: State, number: int, error: ReseedError) -> None:
        """Leave the place of a sweep's picture empty that could not be made."""
        with self._board.changed:
            self._board.journal.fail_item(state.job, number, str(error))
            state.fail(number, str(error))
            self._board.tally.failed += 1
            self._board.touch(state)

    def _make(self, worker: int, state: State, number: int) -> None:
        """Make one picture and keep it; it stays among what is left when the job is to stop before it is finished."""
        board, began = self._board, time.monotonic()
        with board.changed:
            if board.line.closing or state.status != "running":
                return
            if state.compare is None:
                board.journal.begin_item(state.job, number)
            if number == min(state.taken):
                state.index, state.step, state.steps = number, 0, 0
            board.pace.begin(worker)
            board.touch(state)
        recipe, last = state.recipes[number], None
        with closing(self._maker.steps(state, recipe)) as steps:
            for step in steps:
                if not self._saw(worker, state, number, step):
                    return
                last = step
        made = self._maker.keep(state, number, last)
        with board.changed:
            board.pace.finished(recipe.width * recipe.height, time.monotonic(), worker)
            board.tally.made(recipe.model, time.monotonic() - began)
            state.settle(number, made)
            board.touch(state)
            if isinstance(made, Record):
                board.journal.finish_item(state.job, number, made.id, made.pixels_sha256)
            elif made is not None:
                board.journal.finish_item(state.job, number, made, "")

    def _saw(self, worker: int, state: State, number: int, step: Step) -> bool:
        """Tell those who watch of a step; False when the job is to stop here."""
        board, recipe = self._board, state.recipes[number]
        leads = number == min(state.taken)  # of several at once, the first is shown
        preview = jpeg(step.preview) if step.preview is not None and leads else None
        with board.changed:
            if step.image is None and (board.line.closing or state.status != "running"):
                return False
            board.pace.saw(step.index, recipe.width * recipe.height, time.monotonic(), worker)
            if leads:
                state.index, state.step = number, step.index
                state.steps = min(step.total, state.stop(recipe) or step.total)
                state.preview = preview or state.preview
            if leads or step.note:
                state.note = step.note
            board.touch(state)
        return True

    def _finish(self, state: State) -> None:
        if not state.left:
            self._board.move(state, "succeeded", "running", "canceling")
        elif state.status == "canceling":
            self._board.move(state, "canceled", "canceling")
        elif state.status == "running":  # the program shuts down
            self._board.move(state, "pending", "running")
