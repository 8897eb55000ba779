"""Bad input at every JSON door: an answer that begins with 4, a sentence, and nothing in the queue."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from tests.api.test_app import ADDRESS, opened
from webui.api import asked, wire
from webui.api.app import create
from webui.studio import Studio

JSON = {"content-type": "application/json"}
DOORS = ["/v3/images/generate-async", "/v3/images/generate", "/v1"]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    studio = opened(tmp_path_factory.mktemp("doors"))
    yield studio
    studio.close()


@pytest.fixture(scope="module")
def client(studio: Studio) -> TestClient:
    return TestClient(create(studio), base_url=ADDRESS)


@pytest.fixture(autouse=True)
def nothing_comes_of_it(studio: Studio) -> Iterator[None]:
    yield
    assert studio.jobs.active() == []
    assert studio.gallery.count() == 0


NAMES = {"seed": "seed", "steps": "steps", "width": "width", "prompt": "positivePrompt", "count": "numberResults"}
MEMBERS = {
    "seed": '"seeds": [%s]', "steps": '"reseed": {"steps": %s}', "count": '"numVariations": %s',
    "width": '"size": {"height": 64, "width": %s}',
}  # fmt: skip


def body(door: str, field: str, value: str) -> bytes:
    """Write a request in a door's manner with one field as raw JSON."""
    runware = door == "/v1"
    name = NAMES.get(field, field)
    member = f'"{name}": {value}' if runware else MEMBERS.get(field, f'"{field}": %s').replace("%s", value)
    prompt = "" if field == "prompt" else '"positivePrompt": "x", ' if runware else '"prompt": "x", '
    return (f'[{{"taskType": "imageInference", {prompt}{member}}}]' if runware else f"{{{prompt}{member}}}").encode()


def sentence(answer: Any) -> str:
    """Return what an answer says to a person."""
    found = answer.json()
    if "errors" in found and "data" in found:
        return str(found["errors"][0]["message"])
    return str(found.get("detail") or found["error"]["message"])


WRONG = {
    "seed": ["-2", "18446744073709551616", "1.5", "1.0", "true", "false", '"1.5"', '"abc"', '"0x10"', '"1_000"',
             '"１２"', "[]", "[7]", "{}", '{"a": 1}', "1e3", '"-1e3"', "1e999", '"' + "9" * 100 + '"', '"\\u0000"'],
    "steps": ["0", "-1", "1.5", "151", "1e9", '"20"', '"1.5"', '"abc"', "true", "null", "[]", "{}", "1e999", "5e-324",
              "18446744073709551616", "[20]"],
    "width": ["7", "0", "-64", "513", "65536", "1e308", '"64"', "true", "null", "[64]", "{}", "64.5"],
    "count": ["0", "-1", "1.5", "101", "1000000", '"2"', "true", "null", "[]", "{}", "18446744073709551616"],
    "prompt": ["null", "7", "true", "[]", "{}", '"a\\u0000b"', '"' + "x" * 10_001 + '"'],
    "unknown": ["1", '"x"', "null", "{}"],
}  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in WRONG.items() for value in values])
def test_a_bad_value_is_a_sentence(client: TestClient, door: str, field: str, value: str) -> None:
    answer = client.post(door, content=body(door, field, value), headers=JSON)
    assert answer.status_code in (400, 422), answer.text
    assert sentence(answer).endswith((".", "?"))
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", JSON, 400),
        (b"{", JSON, 400),
        (b"null", JSON, 400),
        (b'"text"', JSON, 400),
        (b"7", JSON, 400),
        (b'{"prompt": NaN}', JSON, 400),
        (b'[{"taskType": "imageInference", "positivePrompt": "x", "CFGScale": NaN}]', JSON, 400),
        (b'{"prompt": "x", "reseed": {"cfg_scale": Infinity}}', JSON, 400),
        (b'{"prompt": "\\ud800"}', JSON, 400),
        (b'[{"taskType": "imageInference", "positivePrompt": "\\udfff"}]', JSON, 400),
        (b'{"prompt": "\xff"}', JSON, 400),
        (b"[" * 100_000, JSON, 400),
        (b'{"prompt": ' + b"9" * 5000 + b"}", JSON, 400),
        (b" " * (wire.BODY + 1), JSON, 413),
        (b'{"prompt": "x"}', {"content-type": "text/plain"}, 415),
        (b"prompt=x", {"content-type": "application/x-www-form-urlencoded"}, 415),
        (b'{"prompt": "x"}', {}, 415),
        (b'{"prompt": "x"}', {**JSON, "host": "evil.example"}, 421),
        (b'{"prompt": "x"}', {**JSON, "origin": "http://evil.example"}, 403),
        (b'{"prompt": "x"}', {**JSON, "sec-fetch-site": "cross-site"}, 403),
    ],
)  # fmt: skip
def test_a_bad_body_is_a_sentence(
    client: TestClient, door: str, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = client.post(door, content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert sentence(answer).endswith(".")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("depth", [900, 30_000])
def test_a_body_that_is_very_deep_is_refused(client: TestClient, door: str, depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    inner = b'{"prompt": "x", "style": ' + deep + b"}"
    content = (
        inner if door != "/v1" else b'[{"taskType": "imageInference", "positivePrompt": "x", "seed": ' + deep + b"}]"
    )
    answer = client.post(door, content=content, headers=JSON)
    assert answer.status_code in (400, 422)


@pytest.mark.parametrize("door", DOORS)
def test_a_large_body_of_bad_values_is_answered_in_short(client: TestClient, door: str) -> None:
    many = json.dumps([True] * 150_000)
    for field in ("seed", "steps", "unknown"):
        answer = client.post(door, content=body(door, field, many), headers=JSON)
        assert answer.status_code == 422
        assert len(answer.content) < 20_000


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_another_method_is_refused(client: TestClient, door: str, method: str) -> None:
    assert client.request(method, door).status_code in (404, 405)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
FIREFLY = ("negativePrompt", "seeds", "numVariations", "size", "style", "contentClass", "photoSettings", "locale",
           "visualIntensity", "customModelId", "reseed", "x")  # fmt: skip
RUNWARE = ("negativePrompt", "seed", "steps", "width", "height", "CFGScale", "scheduler", "numberResults", "outputType",
           "outputFormat", "deliveryMethod", "includeCost", "model", "reseed", "x")  # fmt: skip
OWN = st.dictionaries(st.sampled_from(asked.OWN), ANYTHING, max_size=3)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.dictionaries(st.sampled_from(FIREFLY), ANYTHING | OWN, max_size=4))
def test_whatever_is_in_a_body_in_fireflys_manner_it_is_answered(client: TestClient, body: dict[str, Any]) -> None:
    answer = client.post(DOORS[0], json={**body, "prompt": None})
    assert (answer.status_code, "prompt" in [one["field"] for one in answer.json()["errors"]]) == (422, True)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(task=st.dictionaries(st.sampled_from(RUNWARE), ANYTHING | OWN, max_size=4))
def test_whatever_is_in_a_task_in_runwares_manner_it_is_answered(client: TestClient, task: dict[str, Any]) -> None:
    answer = client.post("/v1", json=[{**task, "taskType": "imageInference", "positivePrompt": None}])
    assert (answer.status_code, answer.json()["data"]) == (422, [])
    assert "positivePrompt" in [one["parameter"] for one in answer.json()["errors"]]
