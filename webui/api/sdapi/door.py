"""What the door for A1111's clients remembers while the program runs: what it asked the queue for, and set options.

The promise: what is interrupted, skipped or reported is this door's own, the newest that has not ended; jobs of the
page and of other programs are neither seen nor touched. Who hangs up stops nothing.
"""

import re
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from starlette.requests import Request

from webui.api.gate import seen
from webui.api.sdapi import txt2img
from webui.api.sdapi.txt2img import Asked
from webui.api.wire import Refused
from webui.errors import BadValue, near, one_of
from webui.lineage import Lineage
from webui.progress import Progress
from webui.recipe import Recipe
from webui.studio import Studio

REMEMBERED: Final = 1000
"""Owners whose door is remembered."""
_TITLE = re.compile(r"(.{1,255}?)\s*\[([0-9a-fA-F]{8,64})\]")
"""A model's title with its hash, as A1111 writes it."""


@dataclass
class Run:
    """What one request asked for. Of its jobs the last is at work: what a skip leaves goes on in another."""

    asked: Asked
    recipes: tuple[Recipe, ...]
    lineage: Lineage
    jobs: list[str]
    stamp: str
    skipped: bool = False
    interrupted: bool = False


@dataclass
class Door:
    """The state of an owner's door. Any thread may use it."""

    studio: Studio
    _settings: dict[str, Any] = field(default_factory=dict)
    _runs: list[Run] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _skipping: threading.Lock = field(default_factory=threading.Lock)

    @property
    def settings(self) -> dict[str, Any]:
        """The values that later requests begin with, and the model."""
        with self._lock:
            return {"model": self.studio.model, **self._settings}

    def keep(self, settings: dict[str, Any]) -> None:
        """Let later requests begin with some values."""
        with self._lock:
            self._settings |= settings

    def find_model(self, text: str) -> str:
        """Find a model that is here by its name or title, its file's ending or not; raise BadValue."""
        names = [*dict.fromkeys((*self.studio.models(), self.studio.model))]
        titled = _TITLE.fullmatch(text.strip())
        plain = (titled[1] if titled else text.strip()).removesuffix(".safetensors").lower()
        for name in names:
            if name.removesuffix(".safetensors").lower() == plain:
                if titled:
                    self.studio.catalog.check(self.studio.about(name), titled[2])
                return name
        raise BadValue("sd_model_checkpoint", "sd_model_checkpoint", text, one_of(names), near(text, names))

    def begin(self, body: dict[str, Any]) -> Run:
        """Read a request and queue it; raises Refused, BadRecipe and what the studio does."""
        asked = txt2img.read(body, self.settings, self.find_model)
        styles = Lineage(styles=asked.styles)
        if asked.plot is not None:
            planned = self.studio.plan(asked.plot.axes, asked.values, asked.seed, styles)
            progress = self.studio.sweep(planned)
        else:
            progress = self.studio.submit(asked.values, asked.seed, asked.count, lineage=styles)
        if asked.keep:
            self.keep(dict(asked.keep))
        stamp = datetime.now().strftime("%Y%m%d%H%M%S")
        run = Run(asked, progress.recipes, progress.lineage, [progress.job], stamp)
        with self._lock:
            open_ones = [one for one in self._runs if not self._last(one).done]
            self._runs = [*open_ones, run]
        return run

    def _last(self, run: Run) -> Progress:
        return self.studio.jobs.progress(run.jobs[-1])

    def newest(self) -> tuple[Run, Progress] | None:
        """Return the newest that has not ended; of those that have, the last."""
        with self._lock:
            found = [(run, self._last(run)) for run in self._runs]
        at_work = [pair for pair in found if not pair[1].done]
        return next(reversed(at_work or found), None)

    def interrupt(self) -> None:
        """Stop the newest that has not ended, within a step; finished pictures stay."""
        found = self.newest()
        if found is not None and not found[1].done:
            found[0].interrupted = True
            self.studio.jobs.cancel(found[1].job)

    def skip(self) -> None:
        """Abandon the picture at work and go on with the next; raises Refused for a sweep."""
        found = self.newest()
        if found is None or found[1].status != "running":
            return
        run, progress = found
        if progress.kind == "sweep":
            raise Refused(501, "not_here", "A picture of a plot cannot be skipped. Interrupt stops the plot.")
        run.skipped = True
        with self._skipping:
            stopped = self.studio.jobs.cancel(progress.job)  # no other picture of it begins from here on
            settled = {stopped.index, *(number for number, _ in stopped.made)}
            rest = [recipe for number, recipe in enumerate(stopped.recipes) if number not in settled]
            if rest:
                run.jobs.append(self.studio.jobs.submit(rest, None, run.lineage).job)

    def goes_on(self, run: Run, ended: int) -> bool:
        """Say whether there is more to wait for when so many jobs of a run have ended: a skip adds one."""
        with self._skipping:
            return ended < len(run.jobs)

    def finished(self, run: Run) -> list[Progress]:
        """Return where the jobs of a run stand."""
        return [self.studio.jobs.progress(job) for job in run.jobs]


class Doors:
    """A door for each owner. Any thread may use it; of many, the one that was used least lately is forgotten."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._doors: OrderedDict[str, Door] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, request: Request) -> Door:
        """Return the door of whoever asks."""
        mine = seen(self._studio, request)
        with self._lock:
            door = self._doors.setdefault(mine.jobs.owner, Door(mine))
            self._doors.move_to_end(mine.jobs.owner)
            while len(self._doors) > REMEMBERED:
                self._doors.popitem(last=False)
        return door
