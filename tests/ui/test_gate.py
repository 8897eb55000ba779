"""The whole application behind the gate: gradio's own queue tells handlers whose request they answer."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.ui.test_wiring import arguments, call
from webui.engine.checkpoints import Catalog
from webui.engine.fake import FakeEngine
from webui.gallery import Record
from webui.limits import Limits
from webui.serve import application
from webui.settings import Door, Settings
from webui.studio import Studio

ONE, OTHER = "1" * 32, "2" * 32
PAGE = {"accept": "text/html"}


@pytest.fixture
def door() -> Door:
    """Say who may come in: everybody, as visitors."""
    return Door(demo=True)


@pytest.fixture
def studio(tmp_path: Path, door: Door) -> Iterator[Studio]:
    """Give a working studio."""
    opened = Studio(Settings(data_dir=tmp_path, door=door), FakeEngine(), Catalog(tmp_path / "models"))
    opened.start()
    yield opened
    opened.close()


@pytest.fixture
def client(studio: Studio) -> Iterator[TestClient]:
    """Give a client of the whole application."""
    with TestClient(application(studio), base_url="http://127.0.0.1:7860", follow_redirects=False) as opened:
        yield opened


def become(client: TestClient, visitor: str) -> None:
    """Go on as another visitor, of the same session as gradio names it."""
    client.cookies.clear()
    client.cookies.set("reseed_visitor", visitor)


def make(client: TestClient, studio: Studio, seed: str) -> tuple[str, Record]:
    success, output = call(client, studio, "go", arguments(studio, seed))
    assert success, output
    job = output["data"][0][0]
    return job, list(studio.jobs.watch(job))[-1].records[0]


def test_a_click_is_its_visitor_s_and_another_sees_nothing_of_it(client: TestClient, studio: Studio) -> None:
    become(client, ONE)
    _, record = make(client, studio, "7")
    assert len(record.lineage.owner) == 32
    become(client, OTHER)
    _, other = make(client, studio, "9")
    assert other.lineage.owner not in ("", record.lineage.owner)
    assert client.get(f"/pictures/{record.id}.png").status_code == 404
    assert client.get(f"/pictures/{other.id}.png").status_code == 200
    drawn = str(call(client, studio, "find", [""], "change"))
    assert other.id in drawn and record.id not in drawn
    become(client, ONE)
    drawn = str(call(client, studio, "find", [""], "change"))
    assert record.id in drawn and other.id not in drawn


def test_the_limits_of_a_demo_are_a_sentence_and_nothing_is_queued(client: TestClient, studio: Studio) -> None:
    become(client, ONE)
    values = arguments(studio, "7-12")
    answer = str(call(client, studio, "go", values))
    assert f"at most {Limits().pictures} pictures at once; got 6" in answer
    assert studio.jobs.active() == []


def test_what_is_everybody_s_stands_still_in_a_demo(client: TestClient, studio: Studio) -> None:
    become(client, ONE)
    config = client.get("/config").json()
    (fold,) = [part for part in config["components"] if part["props"].get("elem_id") == "presets"]
    assert fold["props"]["visible"] is False
    values = [None, "Mine", "oil", "", False, [], "reseed", 2, "Euler", "Automatic", 7, 64, 64]
    answer = str(call(client, studio, "preset-save", values))
    assert "Keeping presets is not possible in this demo" in answer
    assert not studio.settings.presets.exists()
    assert "A demo: this browser sees only its own pictures" in client.get("/", headers=PAGE).text


@pytest.mark.parametrize("door", [Door(users=(("ann", "secret"),))])
def test_gradio_s_own_routes_are_behind_the_gate(client: TestClient, studio: Studio) -> None:
    assert client.get("/", headers=PAGE).headers["location"] == "/login"
    for path in (
        "/config",
        "/gradio_api/info",
        "/theme.css",
        "/manifest.json",
        "/gradio_api/heartbeat/x",
        "/assets/x.js",
    ):
        assert client.get(path).status_code == 401, path
    for path in ("/gradio_api/queue/join", "/gradio_api/upload", "/gradio_api/run/predict", "/gradio_api/cancel"):
        assert client.post(path, content=b"{}").status_code == 401, path
    assert client.post("/login", data={"user": "ann", "password": "secret"}).status_code == 303
    _, record = make(client, studio, "7")
    assert studio.of(record.lineage.owner).gallery.recent() == [record]
    drawn = client.get("/", headers=PAGE)
    assert drawn.status_code == 200
    assert 'action=\\"logout\\"' in drawn.text or 'action="logout"' in json.loads(json.dumps(drawn.text))


@pytest.mark.parametrize("door", [Door(), Door(demo=True)])
@pytest.mark.parametrize("origin", ["http://127.0.0.1:9999", "http://localhost:3000", "http://evil.example", "null"])
def test_no_other_website_is_let_read_the_answers(client: TestClient, origin: str) -> None:
    asked = {"origin": origin, "access-control-request-method": "POST"}
    for path in ("/config", "/gradio_api/info", "/gradio_api/queue/data?session_hash=", "/healthz", "/theme.css"):
        for method in ("GET", "OPTIONS") if "queue" not in path else ("OPTIONS",):
            answer = client.request(method, path, headers=asked)
            assert not [name for name in answer.headers if name.startswith("access-control")], (method, path)


@pytest.mark.parametrize("door", [Door()])
def test_without_a_gate_pictures_are_nobody_s(client: TestClient, studio: Studio) -> None:
    values: list[Any] = arguments(studio, "7")
    success, output = call(client, studio, "go", values)
    assert success
    assert list(studio.jobs.watch(output["data"][0][0]))[-1].records[0].lineage.owner == ""
    assert "logout" not in client.get("/", headers=PAGE).text
