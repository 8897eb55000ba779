"""The page put on the application: what its configuration says, and the main job through gradio's own queue."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from webui.serve import application
from webui.studio import Studio
from webui.ui import form
from webui.ui.page import build


@pytest.fixture
def client(studio: Studio) -> Iterator[TestClient]:
    """Give a client of the whole application."""
    with TestClient(application(studio), base_url="http://127.0.0.1:7860") as opened:
        yield opened


def call(client: TestClient, studio: Studio, target: str, data: list[Any], trigger: str = "click") -> list[Any]:
    """Press a button as a browser does: join the queue, read the stream to the end; return the outputs."""
    config = client.get("/config").json()
    ids = {part["props"].get("elem_id"): part["id"] for part in config["components"]}
    event = next(one for one in config["dependencies"] if [ids[target], trigger] in one["targets"])
    body = {"data": data, "fn_index": event["id"], "session_hash": "tab", "trigger_id": ids[target]}
    joined = client.post("/gradio_api/queue/join", json=body)
    if joined.status_code != 200:
        return [joined.status_code, joined.json()]
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": "tab"}) as stream:
        for line in stream.iter_lines():
            message = json.loads(line.removeprefix("data: ")) if line else {}
            if message.get("msg") == "process_completed":
                return [message["success"], message["output"]]
    raise AssertionError("the stream ended without an answer")


def arguments(studio: Studio, seed: str) -> list[Any]:
    extra = {"seed": seed, "count": 1, "numbering": "increment", "styles": [], "parent": "", "share": 0}
    first = {**studio.defaults(), "steps": 2, "prompt": "a lake", **extra}
    return [[], "", *(first[name] for name in [*form.NAMES, *form.EXTRA])]


def test_a_click_on_generate_makes_a_picture(client: TestClient, studio: Studio) -> None:
    success, output = call(client, studio, "go", arguments(studio, "18446744073709551615"))
    assert success
    job = list(studio.jobs.watch(output["data"][0][0]))[-1]
    assert job.records[0].recipe.seed == 2**64 - 1


def test_a_style_that_is_not_there_is_refused_before_the_queue(client: TestClient, studio: Studio) -> None:
    data = arguments(studio, "7")
    data[2 + [*form.NAMES, *form.EXTRA].index("styles")] = ["Gone"]
    status, answer = call(client, studio, "go", data)
    assert status == 422
    assert f"Styles must be one of {len(studio.styles()[0])} names; got 'Gone'." in json.dumps(answer)
    assert studio.jobs.active() == []


def test_a_bad_seed_is_refused_before_the_queue(client: TestClient, studio: Studio) -> None:
    status, answer = call(client, studio, "go", arguments(studio, "1e3"))
    assert status == 422
    assert "Seed must be" in json.dumps(answer, ensure_ascii=False)
    assert studio.jobs.active() == []


def test_nothing_is_public_and_nothing_bypasses_the_queue(client: TestClient, studio: Studio) -> None:
    config = build(studio).config
    assert [one["api_name"] for one in config["dependencies"] if one["api_visibility"] == "public"] == []
    assert client.post("/gradio_api/run/submit", json={"data": []}).status_code == 404


def test_the_page_has_what_people_and_tests_look_for(studio: Studio) -> None:
    parts = {part["props"].get("elem_id") for part in build(studio).config["components"]}
    names = {
        "go",
        "go-new",
        "go-same",
        "stop",
        "stage",
        "status",
        "strip",
        "sweep",
        "go-sweep",
        "history",
        "details",
        "drop",
        "found",
    }
    assert names | set(form.NAMES) | set(form.EXTRA) <= parts


def test_the_page_names_nothing_outside(client: TestClient) -> None:
    page = client.get("/").text
    assert "fonts.googleapis" not in page
    assert "window.reseed = " in page


def test_the_scripts_cannot_be_broken_out_of(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    from webui.ui import page

    monkeypatch.setattr(studio, "models", lambda: ["</script><script>alert(1)</script>"])
    assert "</script><script>alert" not in page._head(studio)


def test_what_the_server_is_asked_by_itself_takes_no_sentence_away(client: TestClient) -> None:
    # gradio takes the sentences away from an event's inputs when the server begins with it
    config = client.get("/config").json()
    names = {*form.NAMES, *form.EXTRA, "axis_x", "axis_y", "axis_z"} - {"parent"}  # which nobody sees
    fields = {part["id"]: part["props"]["elem_id"] for part in config["components"]
              if part["props"].get("elem_id") in names}  # fmt: skip
    assert {"prompt", "seed", "model", "axis_x"} <= {*fields.values()}
    asked = [one for one in config["dependencies"]
             if one["backend_fn"] and {trigger for _, trigger in one["targets"]} & {"change", "then"}]  # fmt: skip
    assert len(asked) > 5
    read = [[fields[id] for id in one["inputs"] if id in fields] for one in asked]
    # when a page arrives nobody has been told anything yet
    assert [names for names in read if names] == [["styles", "model"]]
