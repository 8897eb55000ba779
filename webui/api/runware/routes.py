"""Pictures in Runware's manner: one address, a list of tasks, an answer for each.

The promise: a client that was written for Runware's HTTP interface runs with only the host changed; a task that is
wrong is named with every bad member, and the others run; every picture's seed is in the answer, whoever drew it; a
task can be asked for again by its ``taskUUID`` after a restart.

Runware: https://runware.ai/docs. What differs is in docs/api.md.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import anyio.to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from webui.api import asked, schemas, wire
from webui.api.gate import seen
from webui.api.runware import reading
from webui.api.runware.reading import OUTPUTS, TYPES
from webui.errors import BadValue, ReseedError, UnknownJob, near
from webui.gallery import Record
from webui.journal import Key
from webui.progress import Progress
from webui.studio import Studio

DOOR: Final = "runware"
MOST_TASKS: Final = 20
KINDS: Final = ("imageInference", "getResponse", "authentication", "ping")
_GONE: Final = "The picture's file is gone."


@dataclass
class Task:
    """A task and what came of it; of one that makes pictures, or asks for some, ``job`` is theirs."""

    kind: str
    uuid: str
    job: str = ""
    waits: bool = False
    data: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200

    def refuse(self, error: Exception) -> None:
        """Note what is wrong, an entry for each bad member."""
        refused = wire.Refused.of(error)
        self.status = refused.status
        for one in refused.errors or (None,):
            told = (refused.code, refused.sentence, "") if one is None else (one.code, str(one), one.field)
            self.errors.append(_error(*told, self.kind, self.uuid))


def router(studio: Studio) -> APIRouter:
    """Make the route over a studio; each request sees what its owner may."""
    made = APIRouter(route_class=wire.route(_refusal))

    @made.post("/v1", openapi_extra=schemas.body(reading.schema_of_list(MOST_TASKS)))
    async def tasks(request: Request) -> Response:
        """Do a list of tasks; wait for the pictures of those that are to be delivered at once."""
        found = _listed(await wire.read(request))
        mine = seen(studio, request)
        begun = await anyio.to_thread.run_sync(partial(_begin_all, mine, found))
        for task in begun:
            if task.waits:
                await wire.ended(mine.jobs, task.job, request)
        base = str(request.base_url).rstrip("/")
        return await anyio.to_thread.run_sync(partial(_answer, mine, begun, base))

    return made


def _refusal(request: Request, refused: wire.Refused) -> Response:
    """Answer what is wrong with the whole request in Runware's shape."""
    return JSONResponse({"data": [], "errors": [_error(refused.code, refused.sentence)]}, refused.status)


def _error(code: str, message: str, parameter: str = "", kind: str = "", uuid: str = "") -> dict[str, Any]:
    told = {
        "parameter": parameter, "type": TYPES.get(parameter, ""), "taskType": kind, "taskUUID": uuid,
    }  # fmt: skip
    return {"code": code, "message": message, **{name: value for name, value in told.items() if value}}


def _listed(body: Any) -> list[dict[str, Any]]:
    if not isinstance(body, list) or not all(isinstance(task, dict) for task in body):
        raise wire.Refused(400, "not_tasks", "The body must be a list of tasks, each a JSON object with a taskType.")
    if not 1 <= len(body) <= MOST_TASKS:
        raise wire.Refused(400, "not_tasks", f"A request must have from 1 to {MOST_TASKS} tasks; got {len(body)}.")
    return body


def _begin_all(studio: Studio, found: Sequence[dict[str, Any]]) -> list[Task]:
    return [_begin(studio, task) for task in found]


def _begin(studio: Studio, given: dict[str, Any]) -> Task:
    """Queue what a task asks for, or note what is wrong with it."""
    kind = given.get("taskType")
    task = Task(kind if isinstance(kind, str) else "", "")
    try:
        task.uuid = reading.task_uuid(given)
        if task.kind not in KINDS:
            hint = near(task.kind[:100], KINDS)
            raise BadValue("taskType", "Task type", kind, f"one of {', '.join(KINDS)}", hint)
        _DOINGS[task.kind](studio, given, task)
    except ReseedError as error:
        task.refuse(error)
    return task


def _make(studio: Studio, given: dict[str, Any], task: Task) -> None:
    key = Key(f"{DOOR} {task.uuid.lower()}", asked.digest(given, DOOR))
    progress = studio.jobs.keyed(key)
    if progress is None:
        wanted, delivery = reading.read(given)
        recipes, came = wanted.settle(studio)
        about = asked.keep(DOOR, {**delivery, "taskUUID": task.uuid})
        progress = studio.jobs.submit(recipes, key, came, about=about)
    task.job = progress.job
    task.waits = asked.kept(progress.about, DOOR).get("deliveryMethod") != "async"


def _recall(studio: Studio, given: dict[str, Any], task: Task) -> None:
    """Find the job of a task that was asked for before."""
    if "taskUUID" not in given:
        raise BadValue("taskUUID", "Task UUID", None, "that of the task whose pictures are asked for")
    _only(given, ("taskType", "taskUUID"))
    progress = studio.jobs.keyed(Key(f"{DOOR} {task.uuid.lower()}"))
    if progress is None:
        raise UnknownJob(f"There is no task {task.uuid}. Tasks are kept for a week after they ended.")
    task.job = progress.job


def _authenticate(studio: Studio, given: dict[str, Any], task: Task) -> None:
    """Accept whoever comes: nothing is locked yet, and the key is not looked at."""
    session = given.get("connectionSessionUUID")
    task.data.append(
        {"taskType": task.kind, "connectionSessionUUID": session if isinstance(session, str) else str(uuid.uuid4())}
    )


def _ping(studio: Studio, given: dict[str, Any], task: Task) -> None:
    _only(given, ("taskType", "taskUUID", "ping"))
    task.data.append({"taskType": task.kind, "pong": True})


_DOINGS: Final = {"imageInference": _make, "getResponse": _recall, "authentication": _authenticate, "ping": _ping}


def _only(given: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise BadValue(
                name[:100], "A member of the task", name, f"one of {', '.join(known)}", near(name[:100], known)
            )


def _answer(studio: Studio, tasks: Sequence[Task], base: str) -> Response:
    """Answer all tasks in their order: 200 as soon as one has something to say."""
    for task in tasks:
        if task.job:
            _deliver(studio, task, base)
    data = [one for task in tasks for one in task.data]
    errors = [one for task in tasks for one in task.errors]
    status = 200 if data else next((task.status for task in tasks if task.errors), 200)
    return JSONResponse({"data": data, **({"errors": errors} if errors else {})}, status)


def _deliver(studio: Studio, task: Task, base: str) -> None:
    """Give what there is of a task's pictures, and say what is still at work or has failed."""
    progress = studio.jobs.progress(task.job)
    wanted = asked.kept(progress.about, DOOR)
    for number, record in progress.made:
        try:
            task.data.append(_picture(progress, number, record, wanted, base))
        except OSError:
            task.errors.append(_error("picture", _GONE, "", KINDS[0], task.uuid))
            task.status = 500
    made = dict(progress.made)
    for number, recipe in enumerate(progress.recipes):
        if not progress.done and number not in made:
            state = {"status": "processing", "seed": recipe.seed, "seedText": str(recipe.seed)}
            task.data.append({"taskType": KINDS[0], "taskUUID": wanted.get("taskUUID", task.uuid), **state})
    if progress.status in ("failed", "canceled"):
        sentence = progress.error or "The job was canceled."
        error = _error(progress.code or progress.status, sentence, "", KINDS[0], task.uuid)
        task.errors.append({**error, "status": "error"})
        task.status = 409 if progress.status == "canceled" else 500


def _picture(progress: Progress, number: int, record: Record, wanted: Mapping[str, Any], base: str) -> dict[str, Any]:
    """Return a finished picture, given as it was wanted."""
    kind = wanted.get("outputType", "URL")
    if kind == "URL":
        content = f"{base}/pictures/{record.id}.png"
    else:
        data = wire.contents([record])[0]
        content = data if kind == "base64Data" else f"data:image/png;base64,{data}"
    seed = record.recipe.seed
    told = {
        "taskType": KINDS[0],
        "taskUUID": wanted.get("taskUUID", ""),
        "status": "success",
        "imageUUID": str(uuid.UUID(hex=record.id)),
        OUTPUTS[kind]: content,
        "seed": seed,
        "seedText": str(seed),
        "model": record.recipe.model,
        "pixelsSha256": record.pixels_sha256,
    }
    return {**told, "cost": 0} if wanted.get("includeCost") else told
