"""Checks: a saved picture verified while the program serves: its file at once, then made again in its turn.

The promise: nothing bypasses the queue and nothing is saved; what is on disk is only read. A check is of a picture, not
of whoever asked for it: everybody who looks at the picture sees it, closing a page touches nothing, and to ask again
while one is open gives that one. The newest checks are remembered until the program ends.
"""

import copy
import threading
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, Self

from PIL import Image

from webui import reproduce, verify
from webui.engine.checkpoints import Catalog
from webui.errors import JobError
from webui.fingerprint import Fingerprint
from webui.gallery import Record
from webui.jobs import Jobs
from webui.progress import Progress
from webui.reproduce import Remake, Result
from webui.settings import Settings
from webui.verify import Problem

REMEMBERED: Final = 20
"""Checks in memory; one that found a difference holds the pixels of both pictures."""


@dataclass(eq=False)
class Check:
    """A check of a picture: what is wrong with its file, and what came of making it again.

    ``job`` is empty when it cannot be made again, and ``result`` says why; else ``result`` is None until it is made.
    """

    record: Record
    problems: tuple[Problem, ...]
    result: Result | None = None
    job: str = ""

    def compare(self, remake: Remake, made: Image.Image, by: Fingerprint) -> None:
        """Take in the picture that was made again."""
        result = remake.compare(made, by)
        self.result = replace(result, kept=None, made=None) if result.outcome == "identical" else result


class Checks:
    """Starts checks and finds them again. Any thread may use it."""

    def __init__(self, settings: Settings, catalog: Catalog, jobs: Jobs) -> None:
        self._settings, self._catalog, self._jobs = settings, catalog, jobs
        self._known: dict[str, Check] = {}
        self._starting = threading.Lock()

    def of_owner(self, jobs: Jobs) -> Self:
        """Return the same checks as an owner sees them, whose jobs are given: others' checks are not there."""
        seen = copy.copy(self)
        seen._jobs = jobs
        return seen

    def start(self, record: Record) -> Check:
        """Check a picture's file, then queue it to be made again; while a check of it is open, return that one.

        Raises BadValue when the file is gone, JobError when the program is shutting down.
        """
        with self._starting:
            known = self.of(record.id)
            if known is not None and self.open(known):
                return known
            check = Check(record, self.file(record.path))
            ready = reproduce.prepared(record.path, self._catalog)
            if isinstance(ready, Result):
                check.result = ready
            else:
                check.job = self._jobs.remake(ready.recipe, partial(check.compare, ready)).job
            self._known.pop(record.id, None)
            self._known[record.id] = check
            while len(self._known) > REMEMBERED:
                del self._known[next(iter(self._known))]
            return check

    def file(self, path: Path) -> tuple[Problem, ...]:
        """Say what is wrong with a PNG, its pixels decoded too; raise BadValue when it is gone."""
        return verify.verify(self._settings, [path], 1.0).problems

    def of(self, id: str) -> Check | None:
        """Return the newest check of a picture by its record's id."""
        found = self._known.get(id)
        return found if found is not None and self._ours(found) else None

    def _ours(self, check: Check) -> bool:
        return self._jobs.owner in ("", check.record.lineage.owner)

    def progress(self, check: Check) -> Progress | None:
        """Say where making it again stands; None when it is not to be made, or so long ago that it is forgotten."""
        try:
            return self._jobs.progress(check.job) if check.job else None
        except JobError:
            return None

    def open(self, check: Check) -> bool:
        """Say whether a check has not ended."""
        progress = self.progress(check)
        return progress is not None and not progress.done

    def difference(self, job: str) -> bytes | None:
        """Draw the difference that a check found, by its job, as a PNG; None when there is none to draw."""
        for check in list(self._known.values()):
            if job and check.job == job and check.result is not None and self._ours(check):
                drawn = reproduce.difference_picture(check.result)
                return None if drawn is None else drawn[0]
        return None
