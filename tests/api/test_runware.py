"""Runware's manner: a list of tasks, an answer for each, seeds always told, what is wrong named by its member."""

import base64
import json
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.test_app import ADDRESS, opened
from webui import png
from webui.api.app import create
from webui.engine.checkpoints import Catalog
from webui.engine.fake import FakeEngine
from webui.settings import Settings
from webui.studio import Studio

ID = "39d7207a-87ef-4c93-8082-1431f9c1dc97"
OTHER = "39d7207a-87ef-4c93-8082-1431f9c1dc98"
TASK: dict[str, Any] = {
    "taskType": "imageInference", "positivePrompt": "a lake", "steps": 2, "width": 64, "height": 64,
}  # fmt: skip


def ask(client: TestClient, *tasks: Any) -> tuple[int, list[Any], list[Any]]:
    """Send tasks; return status, data and errors."""
    answer = client.post("/v1", json=list(tasks))
    body = answer.json()
    return answer.status_code, body["data"], body.get("errors", [])


def bytes_of(client: TestClient, picture: dict[str, Any]) -> bytes:
    """Return the file of a picture, however it was given."""
    if "imageURL" in picture:
        return client.get(picture["imageURL"]).content
    if "imageBase64Data" in picture:
        return base64.b64decode(picture["imageBase64Data"])
    head, _, data = picture["imageDataURI"].partition(",")
    assert head == "data:image/png;base64"
    return base64.b64decode(data)


# ---- pictures ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["URL", "base64Data", "dataURI", ["URL"]])
def test_a_picture_comes_as_it_was_wanted_with_its_seed(client: TestClient, studio: Studio, kind: Any) -> None:
    task = {**TASK, "taskUUID": ID, "seed": 2**64 - 1, "outputType": kind, "outputFormat": "PNG", "includeCost": True}
    status, (picture,), errors = ask(client, task)
    text = png.read(bytes_of(client, picture))
    assert (status, errors) == (200, [])
    assert text.recipe is not None
    assert (text.recipe.seed, picture["seed"], picture["seedText"]) == (2**64 - 1, 2**64 - 1, "18446744073709551615")
    assert (picture["taskType"], picture["taskUUID"], picture["cost"]) == ("imageInference", ID, 0)
    assert (picture["model"], picture["pixelsSha256"]) == ("reseed", text.pixels_sha256)
    assert studio.gallery.get(uuid.UUID(picture["imageUUID"]).hex) is not None


def test_a_batch_has_sequential_seeds(client: TestClient) -> None:
    _, data, _ = ask(client, {**TASK, "seed": 42, "numberResults": 3})
    assert [picture["seed"] for picture in data] == [42, 43, 44]
    _, drawn, _ = ask(client, {**TASK, "numberResults": 3})
    first = drawn[0]["seed"]
    assert [picture["seed"] for picture in drawn] == [first, first + 1, first + 2]


@pytest.mark.parametrize("more", [{}, {"seed": None}, {"seed": -1}, {"seed": "-1"}])
def test_a_seed_that_is_not_given_is_drawn_and_told(client: TestClient, more: dict[str, Any]) -> None:
    _, (picture,), _ = ask(client, {**TASK, **more})
    text = png.read(bytes_of(client, picture))
    assert text.recipe is not None
    assert text.recipe.seed == picture["seed"] >= 0
    assert "cost" not in picture


@pytest.mark.parametrize(
    ("scheduler", "sampler", "schedule"),
    [
        ("DPM++ 2M Karras", "DPM++ 2M", "Karras"),
        ("DPM++ 2M", "DPM++ 2M", "Uniform"),
        ("Euler", "Euler", "Automatic"),
        ("Euler a", "Euler a", "Automatic"),
        ("Euler Karras", "Euler", "Karras"),
        ("DPM++ 2M SDE Karras", "DPM++ 2M SDE", "Karras"),
        ("DPM++ SDE Exponential", "DPM++ SDE", "Exponential"),
        ("DDIM", "DDIM", "Automatic"),
        ("UniPC", "UniPC", "Automatic"),
        ("LMS Karras", "LMS", "Karras"),
        ("Heun Karras", "Heun", "Karras"),
        ("LCM", "LCM", "Automatic"),
    ],
)
def test_a_scheduler_is_a_sampler_with_its_schedule(
    client: TestClient, scheduler: str, sampler: str, schedule: str
) -> None:
    _, (picture,), _ = ask(client, {**TASK, "scheduler": scheduler})
    text = png.read(bytes_of(client, picture))
    assert text.recipe is not None
    assert (text.recipe.sampler, text.recipe.schedule) == (sampler, schedule)


def test_the_default_scheduler_is_the_models(client: TestClient, studio: Studio) -> None:
    _, (picture,), _ = ask(client, {**TASK, "scheduler": "Default", "CFGScale": 3.5, "negativePrompt": "rain"})
    text = png.read(bytes_of(client, picture))
    assert text.recipe is not None
    assert text.recipe.sampler == studio.defaults()["sampler"]
    assert (text.recipe.cfg_scale, text.recipe.negative_prompt) == (3.5, "rain")


def test_the_model_of_the_guides_is_the_servers_own_and_the_answer_says_which(client: TestClient) -> None:
    _, (picture,), _ = ask(client, {**TASK, "model": "runware:101@1"})
    assert picture["model"] == "reseed"
    status, data, (error,) = ask(client, {**TASK, "model": "runware:100@1"})
    assert (status, data, error["parameter"]) == (422, [], "model")
    assert "There is no model 'runware:100@1'. Here are: reseed." in error["message"]


def test_every_field_of_the_recipe_is_taken_under_reseed(client: TestClient) -> None:
    _, (picture,), _ = ask(client, {**TASK, "scheduler": "Euler", "reseed": {"schedule": "Karras", "rng": "CPU"}})
    text = png.read(bytes_of(client, picture))
    assert text.recipe is not None
    assert (text.recipe.sampler, text.recipe.schedule, text.recipe.rng) == ("Euler", "Karras", "CPU")


# ---- tasks -------------------------------------------------------------------------------------------------


def test_of_several_tasks_a_bad_one_is_named_and_the_others_run(client: TestClient) -> None:
    bad = {**TASK, "taskUUID": OTHER, "steps": 0, "width": "64", "sede": 7}
    status, data, errors = ask(client, bad, {**TASK, "taskUUID": ID, "seed": 7}, {"taskType": "ping"})
    assert status == 200
    assert [one["taskType"] for one in data] == ["imageInference", "ping"]
    assert data[0]["seed"] == 7
    assert sorted(error["parameter"] for error in errors) == ["sede", "steps", "width"]
    steps = next(error for error in errors if error["parameter"] == "steps")
    assert steps == {
        "code": "bad_value",
        "message": "Steps must be a whole number from 1 to 150; got 0.",
        "parameter": "steps",
        "type": "integer",
        "taskType": "imageInference",
        "taskUUID": OTHER,
    }


def test_who_comes_is_let_in_and_a_ping_is_answered(client: TestClient) -> None:
    status, data, _ = ask(client, {"taskType": "authentication", "apiKey": "any"}, {"taskType": "ping", "ping": True})
    assert (status, data[1]) == (200, {"taskType": "ping", "pong": True})
    assert uuid.UUID(data[0]["connectionSessionUUID"]).version == 4


def test_a_task_is_asked_for_again_by_its_uuid(client: TestClient, studio: Studio) -> None:
    task = {**TASK, "taskUUID": ID, "deliveryMethod": "async", "numberResults": 2, "outputType": "base64Data"}
    status, data, errors = ask(client, task)
    assert (status, errors, [one["taskUUID"] for one in data]) == (200, [], [ID, ID])
    seeds = [one["seed"] for one in data]
    while any(one["status"] == "processing" for one in data):
        _, data, _ = ask(client, {"taskType": "getResponse", "taskUUID": ID.upper()})
        assert [one["seed"] for one in data] == seeds
    folder = studio.settings.data_dir
    studio.close()
    later = opened(folder)
    _, again, _ = ask(TestClient(create(later), base_url=ADDRESS), {"taskType": "getResponse", "taskUUID": ID})
    assert (again, [one["taskUUID"] for one in again]) == (data, [ID, ID])
    assert all("imageBase64Data" in one for one in again)
    later.close()


def test_one_uuid_is_one_task(client: TestClient, studio: Studio) -> None:
    _, first, _ = ask(client, {**TASK, "taskUUID": ID})
    _, again, _ = ask(client, {**TASK, "taskUUID": ID})
    status, data, (error,) = ask(client, {**TASK, "taskUUID": ID, "steps": 3})
    assert first == again
    assert (status, data, error["code"], error["taskUUID"]) == (422, [], "idempotency_key_reused", ID)
    assert studio.gallery.count() == 1


def test_a_task_without_uuid_gets_one(client: TestClient) -> None:
    _, (one, two), _ = ask(client, TASK, TASK)
    assert one["taskUUID"] != two["taskUUID"]
    assert ask(client, {"taskType": "getResponse", "taskUUID": one["taskUUID"]})[1] == [one]


def test_pictures_come_as_they_are_ready(tmp_path: Path) -> None:
    slow = Studio(Settings(data_dir=tmp_path), FakeEngine(delay=0.05), Catalog(tmp_path / "models"))
    slow.start()
    client = TestClient(create(slow), base_url=ADDRESS)
    ask(client, {**TASK, "taskUUID": ID, "deliveryMethod": "async", "numberResults": 3, "steps": 6})
    seen = []
    while not seen or "processing" in seen[-1]:
        _, data, _ = ask(client, {"taskType": "getResponse", "taskUUID": ID})
        seen.append([one["status"] for one in data])
    slow.close()
    assert ["success", "processing", "processing"] in seen
    assert seen[-1] == ["success"] * 3


def test_a_job_that_is_canceled_meanwhile_is_an_error_beside_its_pictures(tmp_path: Path) -> None:
    slow = Studio(Settings(data_dir=tmp_path), FakeEngine(delay=0.05), Catalog(tmp_path / "models"))
    slow.start()
    client = TestClient(create(slow), base_url=ADDRESS)
    answers: list[Any] = []
    task = {**TASK, "taskUUID": ID, "numberResults": 3, "steps": 6}
    thread = threading.Thread(target=lambda: answers.append(ask(client, task)))
    thread.start()
    while not ((active := slow.jobs.active()) and active[0].made):
        pass
    slow.jobs.cancel(active[0].job)
    thread.join()
    slow.close()
    ((status, data, (error,)),) = answers
    assert (status, error["code"], error["status"], error["taskUUID"]) == (200, "canceled", "error", ID)
    assert 1 <= len(data) < 3


def test_a_picture_that_is_gone_is_an_error(client: TestClient, studio: Studio) -> None:
    _, (picture,), _ = ask(client, {**TASK, "taskUUID": ID, "outputType": "base64Data"})
    record = studio.gallery.get(uuid.UUID(picture["imageUUID"]).hex)
    assert record is not None
    record.path.unlink()
    status, data, (error,) = ask(client, {"taskType": "getResponse", "taskUUID": ID})
    assert (status, data, error["message"]) == (500, [], "The picture's file is gone.")


# ---- refusing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        ({"positivePrompt": None}, ["positivePrompt"]),
        ({"negativePrompt": ["rain"]}, ["negativePrompt"]),
        ({"model": 7}, ["model"]),
        ({"seed": 1.5}, ["seed"]),
        ({"seed": True}, ["seed"]),
        ({"seed": "7, 9"}, ["seed"]),
        ({"seed": 2**64 - 1, "numberResults": 2}, ["seed"]),
        ({"steps": "20", "height": 63, "CFGScale": "7"}, ["steps", "height", "CFGScale"]),
        ({"scheduler": "Eular"}, ["scheduler"]),
        ({"scheduler": 7}, ["scheduler"]),
        ({"numberResults": 0}, ["numberResults"]),
        ({"numberResults": "2"}, ["numberResults"]),
        ({"outputType": "file"}, ["outputType"]),
        ({"outputType": ["URL", "dataURI"]}, ["outputType"]),
        ({"outputFormat": "JPG"}, ["outputFormat"]),
        ({"outputFormat": "WEBP", "outputQuality": 101}, ["outputFormat", "outputQuality"]),
        ({"deliveryMethod": "later"}, ["deliveryMethod"]),
        ({"includeCost": 1}, ["includeCost"]),
        ({"seedImage": "x", "lora": []}, ["seedImage", "lora"]),
        ({"reseed": {"steps": 3}}, ["reseed.steps"]),
        ({"reseed": {"eta": 2}}, ["reseed.eta"]),
        ({"reseed": 7}, ["reseed"]),
        ({"taskUUID": "one"}, ["taskUUID"]),
        ({"taskUUID": None}, ["taskUUID"]),
        ({"taskType": "imageUpscale"}, ["taskType"]),
        ({"taskType": None}, ["taskType"]),
        ({"taskType": ["ping"]}, ["taskType"]),
        ({"taskType": "getResponse"}, ["taskUUID"]),
        ({"taskType": "getResponse", "taskUUID": ID}, ["positivePrompt"]),
        ({"taskType": "ping"}, ["positivePrompt"]),
    ],
)
def test_every_bad_member_is_named(client: TestClient, studio: Studio, more: dict[str, Any], wrong: list[str]) -> None:
    status, data, errors = ask(client, {**TASK, **more})
    assert (status, data) == (422, [])
    assert sorted(error["parameter"] for error in errors) == sorted(wrong)
    assert all(error["message"].endswith((".", "?")) for error in errors)
    assert (studio.jobs.active(), studio.gallery.count()) == ([], 0)


def test_a_task_needs_a_prompt_and_an_unknown_one_is_not_found(client: TestClient) -> None:
    status, _, errors = ask(client, {"taskType": "imageInference"})
    assert (status, [error["parameter"] for error in errors]) == (422, ["positivePrompt"])
    status, _, errors = ask(client, {"taskType": "getResponse", "taskUUID": OTHER})
    assert (status, errors[0]["code"]) == (404, "unknown_job")


@pytest.mark.parametrize("body", [{}, TASK, [], [[]], [7], [None], "x", 7, None, [TASK] * 21])
def test_what_is_no_list_of_tasks_is_refused(client: TestClient, studio: Studio, body: Any) -> None:
    answer = client.post("/v1", content=json.dumps(body), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["data"]) == (400, [])
    assert answer.json()["errors"][0]["code"] == "not_tasks"
    assert studio.jobs.active() == []
