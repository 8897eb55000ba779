"""Firefly's manner: a job is followed to its end, by asking, by waiting and by events, and can be canceled."""

import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.test_app import ADDRESS, opened
from tests.api.test_firefly import GENERATE, SMALL, fields, made
from webui.api import wire
from webui.api.app import create
from webui.api.firefly import answers
from webui.engine.checkpoints import Catalog
from webui.engine.fake import FakeEngine
from webui.settings import Settings
from webui.studio import Studio


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Studio]:
    """A studio whose steps take long enough to look at."""
    studio = Studio(Settings(data_dir=tmp_path / "slow"), FakeEngine(delay=0.05), Catalog(tmp_path / "models"))
    studio.start()
    yield studio
    studio.close()


def events(text: str) -> list[tuple[str, str, Any]]:
    """Read a stream of events as (kind, id, data)."""
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            found.append((lines["event"], lines.get("id", ""), json.loads(lines["data"])))
    return found


# ---- following ---------------------------------------------------------------------------------------------


def test_a_job_is_found_by_its_urn_and_by_its_bare_id(client: TestClient) -> None:
    job = made(client)["jobId"]
    bare = job.rpartition(":")[2]
    assert client.get(f"/v3/status/{bare}").json() == client.get(f"/v3/status/{job}").json()
    assert client.get(f"/v3/status/{bare}").json()["jobId"] == job


@pytest.mark.parametrize(
    "job", ["0" * 32, "urn:ff:jobs:reseed:" + "0" * 32, "x", "urn:ff:jobs:other:" + "0" * 32, "%00", "' OR 1", "A" * 32]
)
def test_an_unknown_job_is_not_found(client: TestClient, job: str) -> None:
    for ask in (client.get(f"/v3/status/{job}"), client.put(f"/v3/cancel/{job}"), client.get(f"/v3/events/{job}")):
        assert (ask.status_code, ask.json()["code"]) == (404, "unknown_job")
        assert "There is no job" in ask.json()["detail"]


def test_a_job_that_was_pruned_is_not_found(client: TestClient, studio: Studio) -> None:
    job, folder = made(client)["jobId"], studio.settings.data_dir
    studio.jobs._journal.prune(10**12)
    studio.close()
    later = opened(folder)
    answer = TestClient(create(later), base_url=ADDRESS).get(f"/v3/status/{job}")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_job")
    later.close()


def test_a_job_at_work_says_how_far_it_is(slow: Studio) -> None:
    client = TestClient(create(slow), base_url=ADDRESS)
    first = client.post(GENERATE, json={**SMALL, "seeds": [1, 2], "reseed": {"steps": 8}}).json()
    seen, seq = [], -1
    while True:
        found = client.get(first["statusUrl"], params={"wait": 20}).json()
        if found["status"] == "succeeded":
            break
        seen.append(found)
        assert found["seq"] > seq
        seq = found["seq"]
        assert "result" not in found
    running = [one for one in seen if one["status"] == "running"]
    assert {one["steps"] for one in running if one["step"]} == {8}
    assert [one["progress"] for one in running] == sorted(one["progress"] for one in running)
    assert running[-1]["progress"] > 80
    assert any(len(one["outputs"]) == 1 for one in running)
    assert {"position", "eta"} <= set(running[0])


def test_a_long_poll_ends_when_its_time_is_up(slow: Studio) -> None:
    client = TestClient(create(slow), base_url=ADDRESS)
    client.post(GENERATE, json={**SMALL, "reseed": {"steps": 60}})
    waiting = client.post(GENERATE, json=SMALL).json()
    answer = client.get(waiting["statusUrl"], params={"wait": "0.2"})
    assert (answer.status_code, answer.json()["status"], answer.json()["position"]) == (200, "pending", 0)
    etag = answer.headers["etag"]
    same = client.get(waiting["statusUrl"], params={"wait": "0.1"}, headers={"if-none-match": etag})
    assert (same.status_code, same.headers["etag"], same.content) == (304, etag, b"")


def test_an_etag_is_the_seq(client: TestClient) -> None:
    found = made(client)
    etag = f'"{found["seq"]}"'
    url = f"/v3/status/{found['jobId']}"
    assert client.get(url).headers["etag"] == etag
    for seen in (etag, f"W/{etag}"):
        assert client.get(url, params={"wait": 30}, headers={"if-none-match": seen}).status_code == 304
    assert client.get(url, headers={"if-none-match": '"1"'}).status_code == 200


@pytest.mark.parametrize("wait", ["-1", "61", "nan", "1e999", "soon", "", "1_0"])
def test_a_wait_that_is_none_is_refused(client: TestClient, wait: str) -> None:
    answer = client.get(f"/v3/status/{made(client)['jobId']}", params={"wait": wait})
    assert (answer.status_code, fields(answer)) == (422, ["wait"])


def test_many_who_wait_leave_room_for_others(slow: Studio) -> None:
    """Sixty long polls are more than the threads that answer: each other request is answered all the same."""
    with TestClient(create(slow), base_url=ADDRESS) as client:
        client.post(GENERATE, json={**SMALL, "reseed": {"steps": 60}})
        url = client.post(GENERATE, json=SMALL).json()["statusUrl"]
        found: list[int] = []

        def poll() -> None:
            found.append(client.get(url, params={"wait": "1"}).status_code)

        threads = [threading.Thread(target=poll) for _ in range(60)]
        for thread in threads:
            thread.start()
        assert client.get(f"/thumbnails/{'0' * 32}").status_code == 404
        assert len(found) < 60
        for thread in threads:
            thread.join()
        assert found == [200] * 60


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_job_is_canceled_and_keeps_what_is_finished(slow: Studio, method: str) -> None:
    client = TestClient(create(slow), base_url=ADDRESS)
    first = client.post(GENERATE, json={**SMALL, "seeds": [1, 2, 3], "reseed": {"steps": 10}}).json()
    waiting = client.post(GENERATE, json=SMALL).json()
    while not client.get(first["statusUrl"], params={"wait": 20}).json()["outputs"]:
        pass
    for _ in range(2):
        canceled = client.request(method, waiting["cancelUrl"])
        assert (canceled.status_code, canceled.json()["status"]) == (200, "canceled")
    answer = client.request(method, first["cancelUrl"])
    assert (answer.status_code, answer.json()["status"]) == (202, "cancel_pending")
    while (found := client.get(first["statusUrl"], params={"wait": 20}).json())["status"] == "cancel_pending":
        pass
    assert (found["status"], "result" in found, "error" in found) == ("canceled", False, False)
    assert 1 <= len(found["outputs"]) < 3
    assert client.request(method, first["cancelUrl"]).status_code == 200


def test_a_job_that_fails_says_why(client: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("webui.gallery.shutil.disk_usage", full)
    found = made(client)
    assert (found["status"], found["error"]["code"]) == ("failed", "storage")
    assert "disk" in found["error"]["message"]
    answer = client.post("/v3/images/generate", json=SMALL)
    assert (answer.status_code, answer.json()["code"]) == (500, "storage")
    assert answer.json()["jobId"].startswith("urn:ff:jobs:reseed:")


def test_a_canceled_job_ends_the_wait_for_its_pictures(slow: Studio) -> None:
    client = TestClient(create(slow), base_url=ADDRESS)
    heard: list[Any] = []
    body = {**SMALL, "reseed": {"steps": 100}}
    thread = threading.Thread(target=lambda: heard.append(client.post("/v3/images/generate", json=body)))
    thread.start()
    while not (active := slow.jobs.active()):
        pass
    client.put(f"/v3/cancel/{active[0].job}")
    thread.join()
    assert (heard[0].status_code, heard[0].json()["code"]) == (409, "canceled")


def test_who_waits_is_told_that_the_program_ends(slow: Studio) -> None:
    client = TestClient(create(slow), base_url=ADDRESS)
    heard: list[Any] = []
    first = client.post(GENERATE, json={**SMALL, "reseed": {"steps": 150}}).json()
    threads = [
        threading.Thread(target=lambda: heard.append(client.post("/v3/images/generate", json=SMALL))),
        threading.Thread(target=lambda: heard.append(client.get(first["eventsUrl"]))),
    ]
    for thread in threads:
        thread.start()
    while len(slow.jobs.active()) < 2:
        pass
    slow.close()
    for thread in threads:
        thread.join(10)
    assert {answer.status_code for answer in heard} == {200, 503}
    refused = next(answer for answer in heard if answer.status_code == 503)
    assert (refused.json()["code"], "when it is back" in refused.json()["detail"]) == ("shutting_down", True)
    again = client.post(GENERATE, json=SMALL)
    assert (again.status_code, again.json()["code"]) == (503, "shutting_down")


# ---- events ------------------------------------------------------------------------------------------------


def test_the_events_tell_a_job_from_its_beginning_to_its_end(slow: Studio) -> None:
    client = TestClient(create(slow), base_url=ADDRESS)
    first = client.post(GENERATE, json={**SMALL, "seeds": [1, 2], "reseed": {"steps": 4}}).json()
    answer = client.get(first["eventsUrl"])
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    found = events(answer.text)
    kinds = [kind for kind, _, _ in found]
    assert (kinds[0], kinds[-1], kinds.count("end")) == ("status", "end", 1)
    assert set(kinds) == {"status", "step", "preview", "output", "end"}
    assert found[0][2]["jobId"] == first["jobId"]
    assert [data["seed"] for kind, _, data in found if kind == "output"] == [1, 2]
    assert all(data["image"].startswith("data:image/jpeg;base64,") for kind, _, data in found if kind == "preview")
    ids = [int(id) for _, id, _ in found if id]
    assert ids == sorted(set(ids))
    assert found[-1][2] == client.get(first["statusUrl"]).json()
    assert int(found[-1][1]) == found[-1][2]["seq"]


def test_who_comes_back_begins_where_it_was(slow: Studio) -> None:
    client = TestClient(create(slow), base_url=ADDRESS)
    first = client.post(GENERATE, json={**SMALL, "reseed": {"steps": 20}}).json()
    seen = client.get(first["statusUrl"], params={"wait": 20}).json()
    found = events(client.get(first["eventsUrl"], headers={"last-event-id": str(seen["seq"])}).text)
    ids = [int(id) for _, id, _ in found if id]
    assert ids[0] > seen["seq"]
    behind = events(client.get(first["eventsUrl"], headers={"last-event-id": "1"}).text)
    assert [kind for kind, _, _ in behind] == ["status", "end"]
    for last in ("nonsense", "", "-1"):
        assert events(client.get(first["eventsUrl"], headers={"last-event-id": last}).text)[-1][0] == "end"
    assert client.get(first["eventsUrl"], headers={"last-event-id": str(ids[-1])}).status_code == 204


def test_a_silent_stream_says_that_it_is_there(slow: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "HEARTBEAT", 0.1)
    monkeypatch.setattr(wire, "SLICE", 0.1)
    client = TestClient(create(slow), base_url=ADDRESS)
    client.post(GENERATE, json={**SMALL, "reseed": {"steps": 12}})
    waiting = client.post(GENERATE, json=SMALL).json()
    text = client.get(waiting["eventsUrl"]).text
    assert ": nothing new\n\n" in text
    assert events(text)[-1][0] == "end"


def test_the_page_of_a_program_in_a_folder_is_named_with_it(studio: Studio) -> None:
    client = TestClient(create(studio), base_url=ADDRESS, root_path="/reseed")
    body = client.post(GENERATE, json=SMALL).json()
    assert body["statusUrl"] == f"{ADDRESS}/reseed/v3/status/{body['jobId']}"


def test_the_percentage_never_falls_and_never_says_a_hundred_too_early(studio: Studio) -> None:
    job = studio.submit({"prompt": "a lake", "width": 64, "height": 64, "steps": 3}, "1-3")
    seen = [answers.percent(progress) for progress in studio.jobs.watch(job.job)]
    assert seen[-1] == 100
    assert all(before <= after for before, after in itertools.pairwise(seen))
    assert max(seen[:-1], default=0) < 100
