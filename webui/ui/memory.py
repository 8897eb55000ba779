"""What a browser remembers: the ids of the jobs that it started, the newest last.

The promise: nothing else is kept in it, so pictures and drafts outlive a reload and a restart, and whatever stands in
its storage instead counts as nothing.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from webui.errors import JobError
from webui.jobs import Jobs
from webui.progress import Progress

REMEMBERED: Final = 20
"""Jobs that a browser remembers having started, beside those of the contact sheet that it shows."""


def ids(memory: Any) -> list[str]:
    """Read what a browser remembers.

    >>> ids(["9f3c", 7, "x" * 65]), ids({"jobs": 1}), ids(None)
    (['9f3c'], [], [])
    """
    return [id for id in memory if isinstance(id, str) and len(id) <= 64] if isinstance(memory, list) else []


def known(queue: Jobs, memory: Any, ended: dict[str, Progress] | None = None) -> list[Progress]:
    """Return the jobs that a browser started, in order; those in ``ended`` are not asked for again."""
    ended = {} if ended is None else ended
    found: list[Progress] = []
    for id in ids(memory):
        try:
            job = ended.get(id) or queue.progress(id)
        except JobError:  # forgotten with a data folder: the pictures, if any, are in the history
            continue
        if job.done:
            ended[id] = job
        made = tuple(one for one in job.made if one[1].path.is_file())
        if made or not (job.made and job.done):  # a job whose pictures were all deleted is not looked at any more
            found.append(replace(job, made=made))
    return found


def remember(queue: Jobs, memory: Any, *new: str) -> list[str]:
    """Add jobs to what a browser remembers and forget the oldest that belong to no contact sheet on its page."""
    jobs = [*ids(memory), *new]
    old = len(jobs) - REMEMBERED
    if old <= 0:
        return jobs
    kept = {job.job for job in sheet(known(queue, jobs))}
    return [job for number, job in enumerate(jobs) if number >= old or job in kept]


def sheet(jobs: Sequence[Progress]) -> list[Progress]:
    """Return the jobs of the newest contact sheet, in order: those that draw it and those that finish some of it."""
    newest = next((job for job in reversed(jobs) if job.kind == "explore"), None)
    return [] if newest is None else [job for job in jobs if first(job) == first(newest)]


def first(job: Progress) -> str:
    """Return the first job of the contact sheet that a job belongs to; see ``Studio.explore``."""
    return job.about.partition(":")[0] or job.job
