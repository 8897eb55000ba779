"""What the JSON doors share: bodies that are not plain JSON are refused, errors become one answer, jobs are awaited."""

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.testclient import TestClient

from webui.api import wire
from webui.errors import BadRecipe, BadValue, EngineError
from webui.recipe import Recipe
from webui.studio import Studio


@pytest.fixture
def client(studio: Studio) -> TestClient:
    router = APIRouter(route_class=wire.route(lambda request, refused: wire.problem(refused)))

    @router.post("/echo")
    async def echo(request: Request) -> Any:
        """Give back what was read."""
        return wire.an_object(await wire.read(request, 1000))

    @router.post("/large")
    async def large(request: Request) -> Any:
        """Give back what was read of a body of the usual size."""
        return await wire.read(request)

    @router.get("/fail/{kind}")
    def fail(kind: str) -> None:
        """Raise an error."""
        one, two = (BadValue(name, name.title(), 99, "smaller") for name in ("steps", "width"))
        raise {"one": one, "two": BadRecipe([one, two]), "engine": EngineError("It broke.")}.get(kind, KeyError(kind))

    @router.get("/ended/{job}")
    async def ended(job: str, request: Request) -> Any:
        """Wait for a job."""
        progress = await wire.ended(studio.jobs, job, request, 20)
        return {"status": progress.status, "files": wire.contents(progress.records)}

    app = FastAPI()
    app.include_router(router)
    return TestClient(app, raise_server_exceptions=False)


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("content", "headers", "status", "said"),
    [
        (b'{"seed": 18446744073709551615}', JSON, 200, "18446744073709551615"),
        (b'{"seed": 1}', {"content-type": "application/vnd.api+json; charset=utf-8"}, 200, "1"),
        (b'{"seed": 1}', {"content-type": "text/plain"}, 415, "must be application/json; got text/plain."),
        (b"", JSON, 400, "cannot be read as JSON"),
        (b"{", JSON, 400, "cannot be read as JSON"),
        (b"[1]", JSON, 400, "must be a JSON object; got a list."),
        (b"null", JSON, 400, "got null."),
        (b'{"cfg": NaN}', JSON, 400, "NaN is not JSON"),
        (b'{"cfg": -Infinity}', JSON, 400, "-Infinity is not JSON"),
        (b'{"cfg": 1e999}', JSON, 400, "cannot be read as JSON"),
        (b'{"prompt": "\\ud800"}', JSON, 400, "unpaired surrogate"),
        (b'{"prompt": "\xff"}', JSON, 400, "must be UTF-8"),
        (b'{"seed": ' + b"9" * 5000 + b"}", JSON, 413, "at most 1000 bytes"),
        (b"[" * 999, JSON, 400, "cannot be read as JSON"),
        (b" " * 1001, JSON, 413, "at most 1000 bytes"),
    ],
)  # fmt: skip
def test_a_body_is_plain_json_or_refused(
    client: TestClient, content: bytes, headers: dict[str, str], status: int, said: str
) -> None:
    answer = client.post("/echo", content=content, headers=headers)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text


def test_a_number_with_more_digits_than_python_reads_is_refused(client: TestClient) -> None:
    answer = client.post("/large", content=b'{"seed": ' + b"9" * 5000 + b"}", headers=JSON)
    assert (answer.status_code, "cannot be read as JSON" in answer.text) == (400, True), answer.text


@pytest.mark.parametrize(
    ("kind", "status", "fields"),
    [("one", 422, ["steps"]), ("two", 422, ["steps", "width"]), ("engine", 500, [])],
)
def test_an_error_names_every_bad_field(client: TestClient, kind: str, status: int, fields: list[str]) -> None:
    answer = client.get(f"/fail/{kind}")
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, body["status"]) == (status, status)
    assert [one["field"] for one in body.get("errors", [])] == fields
    assert not fields or "Steps must be smaller; got 99." in body["detail"]


def test_what_is_no_sentence_is_no_answer_of_ours(client: TestClient) -> None:
    answer = client.get("/fail/other")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")


def test_a_job_is_awaited_and_its_files_come_as_they_were_saved(client: TestClient, studio: Studio) -> None:
    job = studio.jobs.submit([Recipe.of(prompt="a lake", seed=7, steps=2, width=64, height=64)]).job
    body = client.get(f"/ended/{job}").json()
    record = studio.jobs.progress(job).records[0]
    assert body == {"status": "succeeded", "files": wire.contents([record])}
    assert client.get("/ended/nothing").status_code == 404
