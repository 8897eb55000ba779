"""The doors described: the same members that their bodies have, with the bounds of the parameters' declarations."""

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from webui.recipe import PARAMS
from webui.seeds import MAXIMUM

JSON = "application/json"


def described(client: TestClient, path: str) -> dict[str, Any]:
    answer = client.get("/openapi.json")
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()["paths"][path]["post"]["requestBody"]["content"][JSON]["schema"]
    return body


def told(client: TestClient, path: str, body: Any) -> set[str]:
    """Return the members that a refusal of an unknown one names."""
    text = client.post(path, json=body).text
    names = re.search(r"must be one of ([\w, ]+); got", text)
    assert names is not None, text
    return set(names[1].split(", "))


@pytest.mark.parametrize("path", ["/v3/images/generate-async", "/v3/images/generate"])
def test_firefly_takes_what_is_described(client: TestClient, path: str) -> None:
    schema = described(client, path)
    assert set(schema["properties"]) == told(client, path, {"prompt": "a", "nothing": 1})
    own = schema["properties"]["reseed"]["properties"]
    assert set(own) == told(client, path, {"prompt": "a", "reseed": {"nothing": 1}})
    assert (own["steps"]["minimum"], own["steps"]["maximum"]) == (PARAMS["steps"].minimum, PARAMS["steps"].maximum)


def test_runware_takes_what_is_described(client: TestClient) -> None:
    tasks = described(client, "/v1")["items"]["anyOf"]
    task = {"taskType": "imageInference", "positivePrompt": "a", "nothing": 1}
    assert set(tasks[0]["properties"]) == told(client, "/v1", [task])


def test_the_door_for_a1111_takes_what_is_described(client: TestClient) -> None:
    schema = described(client, "/sdapi/v1/txt2img")["properties"]
    small = {"width": 64, "height": 64, "steps": 1, "nothing": 1}
    answer = client.post("/sdapi/v1/txt2img", json=small)
    assert answer.status_code == 200
    assert set(schema) == set(answer.json()["parameters"]) - {"nothing"}
    options = described(client, "/sdapi/v1/options")["properties"]
    refused = client.post("/sdapi/v1/options", json={"nothing": 1}).json()["detail"]
    assert all(name in refused for name in options)


def test_a_seed_is_described_to_the_last_digit(client: TestClient) -> None:
    seed = described(client, "/v3/images/generate")["properties"]["seeds"]["items"]
    assert {"type": "integer", "format": "uint64", "minimum": 0} in seed["anyOf"]
    text = next(one for one in seed["anyOf"] if one.get("type") == "string")
    assert re.fullmatch(text["pattern"], str(MAXIMUM))


@pytest.mark.parametrize("name", PARAMS)
def test_a_parameter_allows_what_its_schema_does(name: str) -> None:
    param = PARAMS[name]
    schema = param.schema()
    assert schema["title"] == param.label
    for bound in ("minimum", "maximum"):
        if bound in schema and schema["type"] != "string":
            beyond = schema[bound] + (-1 if bound == "minimum" else 1) * schema.get("multipleOf", 1)
            assert param.accept(schema[bound]) == schema[bound]
            assert param.accept(beyond) is None
    for choice in schema.get("enum", ()):
        assert param.accept(choice) == choice
    if not param.required:
        assert param.accept(param.default) == param.default
