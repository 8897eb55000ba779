"""What goes wrong between a client and a server, 89 to 92: hosts and sites, counts and ids, odd bodies."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.inputs.doors import DEFAULT, JSON, PATHS, Answer, House, heard, post

PAGE: Final = "/gradio_api/queue/join"
WAYS: Final = {"page": PAGE, **PATHS}
HOSTS: Final = (
    ("evil.example", 421),
    ("evil.example:7860", 421),
    ("x.localhost", 421),
    ("localhost.", 421),
    ("127.1", 421),
    ("127.0.0.2", 421),
    ("0.0.0.0", 421),
    ("[::ffff:127.0.0.1]", 421),
    ("2130706433", 421),
    ("", 400),
    ("127.0.0.1@evil.example", 400),
    ("127.0.0.1/", 400),
    ("127.0.0.1:port", 400),
)
"""Names that are not ours."""
SITES: Final[tuple[dict[str, str], ...]] = (
    {"origin": "null"},
    {"origin": ""},
    {"origin": "http://evil.example"},
    {"origin": "http://127.0.0.1:9999"},
    {"origin": "http://127.0.0.1"},
    {"origin": "https://127.0.0.1:7860"},
    {"origin": "http://127.0.0.1.:7860"},
    {"origin": "http://localhost:7860"},
    {"origin": "http://127.0.0.1:7860@evil.example"},
    {"origin": "http://127.0.0.1:7860.evil.example"},
    {"origin": "http://evil.example/http://127.0.0.1:7860"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"origin": "http://127.0.0.1:7860", "sec-fetch-site": "cross-site"},
)
"""Other sites, as a browser names them."""
UUID: Final = "39d7207a-87ef-4c93-8082-1431f9c1dc97"


@dataclass(frozen=True)
class Wrong:
    """A request that is wrong as such, at a door, and the answers that are right."""

    number: int
    what: str
    door: str
    ask: Callable[[House], Answer]
    statuses: tuple[int, ...]

    def __str__(self) -> str:
        return f"no-{self.number}-{self.what}-{self.door}"


def sent(method: str, path: str, **more: Any) -> Callable[[House], Answer]:
    """Send a request."""
    return lambda house: heard(house.client.request(method, path, **more))


def joined(**changes: Any) -> Callable[[House], Answer]:
    """Join the page's queue with a body that says something else."""

    def ask(house: House) -> Answer:
        part = house.ids["go"]
        body = {"data": [], "fn_index": house.events[part, "click"], "session_hash": "tab", "trigger_id": part}
        return heard(house.client.post(PAGE, json=body | changes))

    return ask


def asked(**more: Any) -> dict[str, Any]:
    """Return a small request by the names of Firefly's door and A1111's, without its size."""
    return {"prompt": "a lake", **more}


def again(house: House) -> Answer:
    """Send another body under a key that was used."""
    key = {**JSON, "idempotency-key": "the same"}
    small = {"size": {"width": 64, "height": 64}, "reseed": {"steps": 1}}
    first = post(house, "firefly", json.dumps(asked(seeds=[1], **small)), key)
    assert first.taken, first.sentence
    return post(house, "firefly", json.dumps(asked(seeds=[2], **small)), key)


def task(**more: Any) -> str:
    """Write a small task."""
    small = {name: json.loads(value) for name, value in DEFAULT.items() if name != "prompt"}
    return json.dumps([{"taskType": "imageInference", "positivePrompt": "a lake", **small, **more}])


def task_again(house: House) -> Answer:
    """Send another task under a UUID that was used."""
    first = post(house, "runware", task(taskUUID=UUID, seed=1))
    assert first.taken, first.sentence
    return post(house, "runware", task(taskUUID=UUID, seed=2))


def command(*words: str) -> Callable[[House], Answer]:
    """Run a command."""
    return lambda house: house.command(*words)


def body(door: str, content: bytes, headers: dict[str, str] = JSON) -> Callable[[House], Answer]:
    """Send a body to a door."""
    return lambda house: heard(house.client.post(WAYS[door], content=content, headers=headers))


def chunked(door: str) -> Callable[[House], Answer]:
    """Send a body of 2 MiB whose length is not told."""
    return lambda house: heard(house.client.post(WAYS[door], content=iter([b" " * 65_536] * 32), headers=JSON))


COUNTED: Final = (
    Wrong(90, "too few values", "page", joined(), (400,)),
    Wrong(90, "too many values", "page", joined(data=[1] * 99), (422,)),
    Wrong(90, "unknown function", "page", joined(fn_index=99_999), (404,)),
    Wrong(90, "function -1", "page", joined(fn_index=-1), (404,)),
    Wrong(90, "function x", "page", joined(fn_index="x"), (422,)),
    Wrong(90, "no function by name", "page", sent("POST", "/gradio_api/run/submit", json={"data": []}), (404,)),
    Wrong(90, "unknown job", "firefly", sent("GET", f"/v3/status/{'0' * 32}"), (404,)),
    Wrong(90, "no job's id", "firefly", sent("GET", "/v3/status/..%2f..%2fjobs"), (404,)),
    Wrong(90, "events of no job", "firefly", sent("GET", f"/v3/events/{'f' * 32}"), (404,)),
    Wrong(90, "cancel no job", "firefly", sent("PUT", f"/v3/cancel/{'f' * 32}"), (404,)),
    Wrong(90, "unknown member", "firefly", sent("POST", PATHS["firefly"], json=asked(colour="red")), (422,)),
    Wrong(90, "a key with another body", "firefly", again, (422,)),
    Wrong(90, "unknown task", "runware",
          sent("POST", "/v1", json=[{"taskType": "getResponse", "taskUUID": UUID[::-1]}]), (404, 422)),
    Wrong(90, "unknown kind", "runware", sent("POST", "/v1", json=[{"taskType": "imageUpscale"}]), (422,)),
    Wrong(90, "no task", "runware", sent("POST", "/v1", json=[]), (400,)),
    Wrong(90, "21 tasks", "runware", sent("POST", "/v1", json=[{"taskType": "ping"}] * 21), (400,)),
    Wrong(90, "a UUID with another task", "runware", task_again, (422,)),
    Wrong(90, "unknown script", "a1111", sent("POST", PATHS["a1111"], json=asked(script_name="x")), (422,)),
    Wrong(90, "too few arguments of a script", "a1111",
          sent("POST", PATHS["a1111"], json=asked(script_name="x/y/z plot", script_args=[4])), (422,)),
    Wrong(90, "always-on script", "a1111",
          sent("POST", PATHS["a1111"], json=asked(alwayson_scripts={"x": {"args": [1]}})), (422,)),
    Wrong(90, "no such path", "a1111", sent("GET", "/sdapi/v1/nothing"), (404,)),
    Wrong(90, "no prompt", "cli", command("make"), (2,)),
    Wrong(90, "two prompts", "cli", command("make", "a", "b"), (2,)),
    Wrong(90, "unknown option", "cli", command("make", "a", "--colour=red"), (2,)),
    Wrong(90, "a file too many", "cli", command("info", "a.png", "b.png"), (2,)),
)  # fmt: skip


def _guarded() -> list[Wrong]:
    found: list[Wrong] = []
    for door, path in WAYS.items():
        for host, status in HOSTS:
            ask = sent("POST", path, content=b"{}", headers={**JSON, "host": host})
            found.append(Wrong(89, f"host {host}", door, ask, (status,)))
        for site in SITES:
            ask = sent("POST", path, content=b"{}", headers={**JSON, **site})
            found.append(Wrong(89, f"site {' '.join(site.values())}", door, ask, (403,)))
    return found


def _odd() -> list[Wrong]:
    packed = gzip.compress(b" " * 50_000_000)
    found: list[Wrong] = []
    for door, path in WAYS.items():
        found += [
            Wrong(92, method, door, sent(method, path), (404, 405)) for method in ("GET", "PUT", "DELETE", "PATCH")
        ]
        kind = (422,) if door == "page" else (415,)
        found += [
            Wrong(92, "no content type", door, body(door, b"{}", {}), kind),
            Wrong(92, "text/plain", door, body(door, b"{}", {"content-type": "text/plain"}), kind),
            Wrong(92, "gzip bomb", door, body(door, packed, {**JSON, "content-encoding": "gzip"}), (400, 415)),
            Wrong(92, "no JSON", door, body(door, b"{"), (400, 422)),
            Wrong(92, "null", door, body(door, b"null"), (400, 422)),
            Wrong(92, "30,000 deep", door, body(door, b"[" * 30_000 + b"]" * 30_000), (400, 422)),
            Wrong(92, "2 MiB in chunks", door, chunked(door), (413, 422) if door == "page" else (413,)),
        ]
    return found


REQUESTS: Final = (*_guarded(), *COUNTED, *_odd())
