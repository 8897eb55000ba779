"""The JSON doors behind the gate: tokens in Adobe's manner, each owner's jobs their own, and the limits of a demo."""

import uuid
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.test_app import ADDRESS
from tests.api.test_gate import USERS, House, basic, demo, house
from tests.browser.steps import STILL
from webui.limits import RETRY

__all__ = ["demo", "house"]
SMALL: dict[str, Any] = {"prompt": "a lake", "size": {"width": 64, "height": 64}, "reseed": {"steps": 4}}
TASK: dict[str, Any] = {"taskType": "imageInference", "positivePrompt": "a lake", "width": 64, "height": 64, "steps": 4}
A1111: dict[str, Any] = {"prompt": "a lake", "width": 64, "height": 64, "steps": 4}
ANN, BOB = ({"client_id": user, "client_secret": password} for user, password in USERS)


def bearer(client: TestClient, secret: dict[str, str]) -> dict[str, str]:
    answer = client.post("/ims/token/v3", data={**secret, "grant_type": "client_credentials"})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["token_type"], answer.headers["cache-control"]) == ("bearer", "no-store")
    return {"authorization": f"Bearer {body['access_token']}", "x-api-key": secret["client_id"]}


def slow(house: House) -> None:
    house.studio.engine.delay = STILL  # type: ignore[attr-defined]


def test_a_token_is_given_for_a_form_or_json_and_names_the_user(house: House) -> None:
    client = house.client()
    by_form, by_json = bearer(client, ANN), client.post("/ims/token/v3", json=ANN).json()["access_token"]
    assert by_form["authorization"] != f"Bearer {by_json}"
    owner = house.owner(client, **basic(":".join(USERS[0])))
    assert owner == house.owner(client, **by_form) == house.owner(client, authorization=f"Bearer {by_json}")
    assert owner != house.owner(client, **bearer(client, BOB))


@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [
        ({"json": {**ANN, "client_secret": "wrong"}}, 401, "The name or the password is wrong."),
        ({"data": {"client_id": "ann"}}, 400, "client_secret"),
        ({"json": {"client_id": ["ann"], "client_secret": 7}}, 400, "client_id and client_secret"),
        ({"params": ANN}, 415, "application/json"),
        ({"content": b"client_id=%ff", "headers": {"content-type": "application/x-www-form-urlencoded"}}, 400, "UTF-8"),
        ({"data": {"client_id": "x" * 20_000}}, 413, "at most"),
    ],
)
def test_what_gives_no_token_says_why(house: House, sent: dict[str, Any], status: int, said: str) -> None:
    answer = house.client().post("/ims/token/v3", **sent)
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text


def test_guessing_for_a_token_is_slowed_like_at_the_login_page(house: House) -> None:
    client = house.client()
    wrong = {**ANN, "client_secret": "wrong"}
    assert [client.post("/ims/token/v3", json=wrong).status_code for _ in range(6)] == [401] * 5 + [429]
    refused = client.post("/login", data={"user": "ann", "password": USERS[0][1]})
    assert refused.status_code == 429
    assert int(client.post("/ims/token/v3", json=ANN).headers["retry-after"]) > 0


@pytest.mark.parametrize("path", ["/v3/images/generate", "/v3/images/generate-async", "/v1", "/sdapi/v1/txt2img"])
def test_without_a_login_no_door_opens(house: House, path: str) -> None:
    answer = house.client().post(path, json=SMALL)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Basic realm="Reseed"')
    assert house.studio.of(house.owner(house.logged_in(*USERS[0]))).jobs.active() == []


def test_a_job_in_fireflys_manner_is_its_owner_s(house: House) -> None:
    client = house.client()
    ann, bob = bearer(client, ANN), bearer(client, BOB)
    slow(house)
    key = {"idempotency-key": "one"}
    job = client.post("/v3/images/generate-async", json=SMALL, headers={**ann, **key}).json()
    again = client.post("/v3/images/generate-async", json=SMALL, headers={**ann, **key}).json()
    other = client.post("/v3/images/generate-async", json=SMALL, headers={**bob, **key}).json()
    assert job["jobId"] == again["jobId"] != other["jobId"]
    for ask in (client.get, client.put):
        url = job["statusUrl"] if ask == client.get else job["cancelUrl"]
        assert ask(url, headers=bob).status_code == 404
    assert client.get(job["eventsUrl"], headers=bob).status_code == 404
    assert client.put(job["cancelUrl"], headers=ann).status_code in (200, 202)
    assert client.get(other["statusUrl"], headers=bob).json()["status"] in ("pending", "running")


def test_a_task_in_runwares_manner_is_its_owner_s(house: House) -> None:
    client = house.client()
    ann, bob = bearer(client, ANN), bearer(client, BOB)
    task = {**TASK, "taskUUID": str(uuid.uuid4())}
    made = client.post("/v1", json=[task], headers=ann).json()["data"][0]
    recall = [{"taskType": "getResponse", "taskUUID": task["taskUUID"]}]
    assert client.post("/v1", json=recall, headers=ann).json()["data"][0]["imageUUID"] == made["imageUUID"]
    refused = client.post("/v1", json=recall, headers=bob).json()
    assert refused["errors"][0]["code"] == "unknown_job"
    assert client.get(made["imageURL"], headers=ann).status_code == 200
    assert client.get(made["imageURL"], headers=bob).status_code == 404


def test_the_door_for_a1111_is_one_for_each_owner(house: House) -> None:
    client = house.client()
    ann, bob = (basic(":".join(user)) for user in USERS)
    assert client.post("/sdapi/v1/options", json={"CLIP_stop_at_last_layers": 2}, headers=ann).status_code == 200
    stops = [client.get("/sdapi/v1/options", headers=who).json()["CLIP_stop_at_last_layers"] for who in (ann, bob)]
    assert stops == [2, 1]
    made = client.post("/sdapi/v1/txt2img", json=A1111, headers=ann)
    assert made.status_code == 200
    assert client.post("/sdapi/v1/interrupt", headers=bob).json() == {}
    counts = [client.get("/sdapi/v1/progress", headers=who).json()["state"]["job_count"] for who in (ann, bob)]
    assert counts == [0, 0]
    owners = [house.studio.of(house.owner(client, **who)) for who in (ann, bob)]
    assert [own.gallery.count() for own in owners] == [1, 0]


def test_a_demo_knows_a_program_by_its_token(demo: House) -> None:
    client = TestClient(demo.app, base_url=ADDRESS, cookies={})
    one, other = (
        {"authorization": f"Bearer {demo.client().post('/ims/token/v3').json()['access_token']}"} for _ in "ab"
    )
    job = client.post("/v3/images/generate-async", json=SMALL, headers=one).json()
    assert demo.client().get(job["statusUrl"], headers=one).status_code == 200
    assert demo.client().get(job["statusUrl"], headers=other).status_code == 404
    assert demo.client().get(job["statusUrl"]).status_code == 404


def test_a_demo_s_limits_are_told_at_every_door(demo: House) -> None:
    slow(demo)
    client = demo.client()
    large = {**SMALL, "reseed": {"steps": 51}}
    refused = client.post("/v3/images/generate-async", json=large)
    assert (refused.status_code, refused.json()["code"]) == (422, "limit")
    assert "Steps must be at most 50 in this demo; got 51." in refused.json()["detail"]
    for _ in range(3):
        assert client.post("/v3/images/generate-async", json=SMALL).status_code == 202
    full = client.post("/v3/images/generate-async", json=SMALL)
    assert (full.status_code, full.headers["retry-after"]) == (429, str(RETRY))
    full = client.post("/sdapi/v1/txt2img", json=A1111)
    assert (full.status_code, full.headers["retry-after"]) == (429, str(RETRY))
    told = client.post("/v1", json=[{**TASK, "taskUUID": str(uuid.uuid4())}]).json()
    assert told["errors"][0]["code"] == "limit"
    assert demo.client().post("/v3/images/generate-async", json=SMALL).status_code == 202
