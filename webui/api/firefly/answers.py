"""Answers in Firefly's manner: where a job stands, as JSON and as server-sent events.

The promise: every seed stands as a number and, for readers that round above 2^53, as text; every picture with its
address and the hash of its pixels; ``result`` only when all are there, ``outputs`` from the first on.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any, Final

from webui.api import asked
from webui.gallery import Record
from webui.progress import Progress

DOOR: Final = "firefly"
URN: Final = "urn:ff:jobs:reseed:"
HEARTBEAT: Final = 15.0
"""Seconds after which a stream without news says that it is still there."""
_STATUSES: Final = {"canceling": "cancel_pending"}
"""What Firefly calls a status otherwise than we do."""
_UNREAD: Final = "changes no picture here: it is given back as it came."


def accepted(progress: Progress, base: str) -> dict[str, Any]:
    """Answer that a job is in the queue, with every seed and where it can be followed."""
    notes = [f"{name} {_UNREAD}" for name in asked.kept(progress.about, DOOR)]
    more = {"position": progress.position, "eta": progress.eta, **({"notes": notes} if notes else {})}
    return {**_addresses(progress, base), "status": _status(progress), **_seeds(progress), **more}


def status(progress: Progress, base: str) -> dict[str, Any]:
    """Say where a job stands, with the pictures so far, and the result when it is there."""
    told = {"status": _status(progress), "progress": percent(progress), "seq": progress.seq}
    body = {**_addresses(progress, base), **told, **_seeds(progress)}
    if not progress.done:
        body |= _step(progress) | {"position": progress.position, "eta": progress.eta}
    body["outputs"] = outputs(progress, base)
    if progress.status == "succeeded":
        body["result"] = result(progress, base)
    if progress.error is not None:
        body["error"] = {"code": progress.code or "error", "message": progress.error}
    return body


def result(progress: Progress, base: str) -> dict[str, Any]:
    """Return the pictures of a job that has succeeded, and what of the request is only given back."""
    first = progress.recipes[0] if progress.recipes else None
    made = {"size": {"width": first.width, "height": first.height}, "model": first.model} if first else {}
    return {**made, "outputs": outputs(progress, base), **asked.kept(progress.about, DOOR)}


def outputs(progress: Progress, base: str) -> list[dict[str, Any]]:
    """Return the finished pictures in order."""
    return [output(number, record, base) for number, record in progress.made]


def output(number: int, record: Record, base: str) -> dict[str, Any]:
    """Return a finished picture: its number in the job, its seed, where it is."""
    seed = record.recipe.seed
    image = {"url": f"{base}/pictures/{record.id}.png", "id": record.id}
    return {"index": number, "seed": seed, "seedText": str(seed), "image": image, "pixelsSha256": record.pixels_sha256}


def percent(progress: Progress) -> int:
    """Return how much of a job is done, in whole percent; 100 only when it has succeeded."""
    if progress.status == "succeeded":
        return 100
    ended = {number for number, _ in (*progress.made, *progress.drafts, *progress.failed)}
    begun = progress.step / progress.steps if progress.steps and progress.index not in ended else 0.0
    return min(99, int(100 * (len(ended) + begun) / max(1, progress.count)))


def events(before: Progress | None, now: Progress, base: str) -> Iterator[str]:
    """Yield the events between two looks at a job; only the last has an id, so that none is lost in between.

    Without a look ``before``, the first event is all that is known.
    """
    found = list(_events(before, now, base))
    for number, (kind, data) in enumerate(found):
        id = f"id: {now.seq}\n" if number == len(found) - 1 else ""
        yield f"event: {kind}\n{id}data: {json.dumps(data)}\n\n"


def _events(before: Progress | None, now: Progress, base: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if before is None or before.status != now.status:
        yield "status", status(now, base)
    if before is not None:
        known = dict(before.made)
        for number, record in now.made:
            if number not in known:
                yield "output", output(number, record, base)
    if now.preview is not None and (before is None or before.preview != now.preview):
        data = base64.b64encode(now.preview).decode()
        yield "preview", {**_step(now), "image": f"data:{now.preview_type};base64,{data}"}
    if now.done:
        yield "end", status(now, base)
    else:
        yield "step", {**_step(now), "progress": percent(now), "position": now.position, "eta": now.eta}


def _status(progress: Progress) -> str:
    return _STATUSES.get(progress.status, progress.status)


def _addresses(progress: Progress, base: str) -> dict[str, Any]:
    id = URN + progress.job
    urls = {f"{name}Url": f"{base}/v3/{name}/{id}" for name in ("status", "cancel", "events")}
    return {"jobId": id, **urls}


def _seeds(progress: Progress) -> dict[str, Any]:
    seeds = [recipe.seed for recipe in progress.recipes]
    return {"seeds": seeds, "seedTexts": [str(seed) for seed in seeds]}


def _step(progress: Progress) -> dict[str, Any]:
    """Say how far the picture at work is."""
    seed = str(progress.recipes[progress.index].seed) if progress.index < len(progress.recipes) else ""
    return {"index": progress.index, "seedText": seed, "step": progress.step, "steps": progress.steps}
