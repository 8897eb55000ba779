"""What goes wrong between a client and a server, 89 to 92, at every door: refused, and nothing changes by it."""

import json
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.api.serving import served
from tests.inputs.doors import DEFAULT, JSON, PATHS, House, ask, heard, opened, post
from tests.inputs.protocol import PAGE, REQUESTS, WAYS, Wrong, task
from tests.test_jobs import Gated
from webui.api.gate import UPLOADS
from webui.settings import Door


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Give a house."""
    with opened(tmp_path_factory.mktemp("protocol")) as house:
        yield house


MAKES = ("a key with another body", "a UUID with another task")
"""Before they are wrong, something is right, and made."""


@pytest.mark.parametrize("wrong", REQUESTS, ids=str)
def test_a_request_that_is_wrong_is_refused_and_changes_nothing(house: House, wrong: Wrong) -> None:
    before = house.state()
    answer = wrong.ask(house)
    assert answer.status in wrong.statuses, answer.text[:500]
    assert "Traceback" not in answer.text and "object at 0x" not in answer.text
    assert len(answer.text) < 20_000
    if wrong.door != "page":
        assert answer.sentence, answer.text
    if wrong.what in MAKES:
        assert house.studio.gallery.count() == before["count"] + 1
    else:
        assert house.state() == before


# ---- too much --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Give a demo in which one visitor has asked for as much as there is for one."""
    engine = Gated(at=1, patience=None)
    with opened(tmp_path_factory.mktemp("crowded"), Door(demo=True), engine) as house:
        house.client.get("/healthz")
        small = {"prompt": "x", "size": {"width": 64, "height": 64}, "reseed": {"steps": 4}}
        for _ in range(3):
            assert house.client.post("/v3/images/generate-async", json=small).status_code == 202
        yield house
        engine.gate.set()


@pytest.mark.parametrize("door", WAYS)
def test_no_91_jobs_of_one_client_without_end_are_refused(crowded: House, door: str) -> None:
    jobs = [one.job for one in crowded.studio.jobs.active()]
    for _ in range(100 if door == "firefly" else 20):
        if door == "runware":  # an error in a list of answers
            answer = post(crowded, door, task())
            assert json.loads(answer.text)["errors"][0]["code"] == "limit"
        else:
            answer = ask(crowded, door, "steps", "4")
            assert answer.status == (429 if door != "page" else 422)
        assert "takes 3 jobs of a visitor" in answer.sentence
    assert [one.job for one in crowded.studio.jobs.active()] == jobs


def test_no_91_three_hundred_small_uploads_are_refused(crowded: House) -> None:
    statuses = [
        crowded.client.post("/gradio_api/upload", files={"files": (f"{number}.png", b"x")}).status_code
        for number in range(300)
    ]
    assert statuses == [200] * UPLOADS + [429] * (300 - UPLOADS)


def begun(address: str, path: str, head: str) -> socket.socket:
    """Begin a request and say no more."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    opened = socket.create_connection((host, int(port)), 10)
    opened.sendall(f"{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{head}\r\n".encode())
    return opened


@pytest.mark.parametrize("door", WAYS)
def test_no_91_bodies_that_never_end_keep_nobody_out(house: House, door: str) -> None:
    head = "Content-Type: application/json\r\nContent-Length: 1000\r\n"
    slow: list[socket.socket] = []
    with served(house.studio, house.app) as address:
        try:
            slow = [begun(address, f"POST {WAYS[door]}", head) for _ in range(100)]
            for one in slow:
                one.sendall(b"{")
            if door == "firefly":  # the one that tells of a job while it goes on
                slow += [begun(address, f"GET /v3/events/{'0' * 32}", "") for _ in range(200)]
            refused = httpx.post(f"{address}{PATHS['a1111']}", json={"prompt": "x", "steps": 0}, timeout=20)
            assert refused.status_code == 422
            assert "Steps must be" in heard(refused).sentence
        finally:
            for one in slow:
                one.close()
    assert house.studio.jobs.active() == []


def test_the_page_s_queue_is_where_it_was(house: House) -> None:
    assert house.client.post(PAGE, content=b"{}", headers=JSON).status_code == 422
    assert set(DEFAULT) == {"prompt", "steps", "width", "height"}
