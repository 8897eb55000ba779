"""What tests of the door for A1111's clients share."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from webui import png
from webui.engine.checkpoints import Catalog
from webui.engine.fake import FakeEngine
from webui.recipe import Recipe
from webui.settings import Settings
from webui.studio import Studio

SMALL = {"prompt": "a lake", "steps": 3, "width": 64, "height": 64}
V1 = "/sdapi/v1/"


def opened(folder: Path, engine: FakeEngine | None = None) -> Studio:
    (folder / "styles.csv").write_text("name,prompt,negative_prompt\nOil,oil painting of {prompt},photo\n", "utf-8")
    studio = Studio(Settings(data_dir=folder), engine or FakeEngine(), Catalog(folder / "models"))
    studio.start()
    return studio


def made(client: TestClient, **fields: Any) -> dict[str, Any]:
    """Make pictures and return the answer, its ``info`` read."""
    answer = client.post(f"{V1}txt2img", json={**SMALL, **fields})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return {**body, "info": json.loads(body["info"])}


def recipes(body: dict[str, Any]) -> list[Recipe]:
    """Read the recipes of an answer's pictures, without the hash of the model that made them."""
    found = [png.read(base64.b64decode(image)).recipe for image in body["images"]]
    return [recipe.but(model_hash="") for recipe in found if recipe is not None]


def refused(client: TestClient, fields: dict[str, Any]) -> dict[str, Any]:
    """Ask for what is refused; the answer has A1111's shape and a sentence, and nothing is or was at work."""
    answer = client.post(f"{V1}txt2img", json={**SMALL, **fields})
    body: dict[str, Any] = answer.json()
    assert 400 <= answer.status_code < 600, answer.text
    assert {"error", "detail", "body", "errors"} <= body.keys()
    assert body["detail"].endswith((".", "?"))
    state = client.get(f"{V1}progress").json()["state"]
    assert (state["job_count"], state["job_timestamp"]) == (0, "0")
    return {**body, "status": answer.status_code}


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """Open a studio with a style, and close it at the end."""
    studio = opened(tmp_path)
    yield studio
    studio.close()
