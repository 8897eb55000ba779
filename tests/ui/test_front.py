"""The front: one page for one address, composed once, and nothing kept of what is special."""

from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.testclient import TestClient

from webui.engine.checkpoints import Catalog
from webui.engine.fake import FakeEngine
from webui.serve import application
from webui.settings import Settings
from webui.studio import Studio
from webui.ui.front import KEPT, Front


class Counting:
    """An application that counts how often it composes what it answers."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        app = FastAPI()
        app.add_api_route("/{path:path}", self._answer, methods=["GET", "POST"])
        self.front = Front(app)

    def _answer(self, request: Request) -> Response:
        self.asked.append(str(request.url))
        return PlainTextResponse(f"{len(self.asked)}", 404 if request.url.path == "/gone" else 200)

    def get(self, address: str = "http://127.0.0.1:7860/", **asked: Any) -> str:
        return TestClient(self.front).get(address, **asked).text


def test_one_address_is_composed_once() -> None:
    counting = Counting()
    assert [counting.get() for _ in range(3)] == ["1", "1", "1"]
    assert [counting.get("http://localhost:7860/"), counting.get("https://localhost:7860/")] == ["2", "3"]
    assert counting.get("http://localhost:7860/") == "2"


@pytest.mark.parametrize(
    "asked",
    [
        {"address": "http://127.0.0.1:7860/?link=1"},
        {"address": "http://127.0.0.1:7860/config"},
        {"headers": {"x-gradio-server": "http://evil.example"}},
    ],
)
def test_what_is_special_is_passed_on_and_not_kept(asked: dict[str, Any]) -> None:
    counting = Counting()
    assert [counting.get(**asked), counting.get(**asked), counting.get()] == ["1", "2", "3"]
    assert counting.get() == "3"


def test_only_pages_are_kept_and_only_so_many() -> None:
    counting = Counting()
    client = TestClient(counting.front, base_url="http://127.0.0.1:7860")
    assert [client.post("/").text, client.post("/").text, client.head("/").status_code] == ["1", "2", 405]
    for number in range(KEPT + 1):
        counting.get(f"http://127.0.0.1:{8000 + number}/")
    before = len(counting.asked)
    counting.get(f"http://127.0.0.1:{8000 + KEPT}/")
    assert len(counting.asked) == before
    counting.get("http://127.0.0.1:8000/")
    assert len(counting.asked) == before + 1


def test_the_page_is_the_same_to_the_byte(tmp_path: Path) -> None:
    studio = Studio(Settings(data_dir=tmp_path), FakeEngine(), Catalog(tmp_path / "models"))
    with TestClient(application(studio), base_url="http://127.0.0.1:7860") as client:
        first, again, special = client.get("/"), client.get("/"), client.get("/", params={"a": "b"})
    assert first.content == again.content == special.content
    assert {**first.headers} == {**again.headers}
    assert b"http://127.0.0.1:7860" in first.content
    studio.close()
