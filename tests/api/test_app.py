"""The routes: pictures byte for byte, nothing but ids, and the guard's matrix."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from tests.damage import other_pixels
from tests.inputs.protocol import HOSTS, SITES
from webui import pixels, png
from webui.api.app import create
from webui.api.guard import split_host
from webui.engine.checkpoints import Catalog
from webui.engine.fake import FakeEngine
from webui.gallery import Record
from webui.recipe import Recipe
from webui.settings import Door, Settings
from webui.studio import Studio

ADDRESS = "http://127.0.0.1:7860"


DOORS = {"open": Door(), "auth": Door(users=(("ann", "secret"),)), "demo": Door(demo=True)}


def opened(folder: Path, host: str = "127.0.0.1", door: Door = DOORS["open"]) -> Studio:
    studio = Studio(Settings(data_dir=folder, host=host, door=door), FakeEngine(), Catalog(folder / "models"))
    studio.start()
    return studio


@pytest.fixture
def client(studio: Studio) -> TestClient:
    return TestClient(changing(studio), base_url=ADDRESS)


def changing(studio: Studio) -> FastAPI:
    app = create(studio)

    @app.post("/change")
    def change() -> dict[str, str]:
        """Stand in for whatever changes something."""
        return {"changed": "yes"}

    return app


@pytest.fixture(params=DOORS)
def inside(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TestClient]:
    """Give a client who may come in, behind every kind of gate: the guard stands before all of them."""
    studio = opened(tmp_path, door=DOORS[request.param])
    client = TestClient(changing(studio), base_url=ADDRESS)
    client.auth = ("ann", "secret")
    yield client
    studio.close()


@pytest.fixture
def record(studio: Studio) -> Record:
    recipe = Recipe.of(prompt="a lake", seed=2**64 - 1, steps=2, width=64, height=64)
    return list(studio.jobs.watch(studio.jobs.submit([recipe]).job))[-1].records[0]


# ---- pictures ----------------------------------------------------------------------------------------------


def test_the_difference_that_a_check_found_is_served_while_it_is_remembered(
    client: TestClient, studio: Studio, record: Record
) -> None:
    engine: Any = studio.engine
    engine.model_hash = studio.catalog.hash(studio.about("reseed"))
    mine = list(studio.jobs.watch(studio.jobs.submit([record.recipe.but(model_hash="")]).job))[-1].records[0]
    other_pixels(mine.path)
    check = studio.checks.start(mine)
    list(studio.jobs.watch(check.job))
    answer = client.get(f"/differences/{check.job}.png")
    assert answer.headers["content-type"] == "image/png"
    assert png.read_texts(answer.content)["Comment"].startswith(f"Difference of {mine.path.name}, times")
    for job in (record.id, "..%2f..%2fjobs", "x"):
        assert client.get(f"/differences/{job}.png").status_code == 404


def test_the_grid_of_a_sweep_is_drawn_as_it_stands(client: TestClient, studio: Studio, record: Record) -> None:
    planned = studio.plan(
        [("RNG", "NV, CPU"), ("Noise layout", "plain, centred")], {"steps": 1, "width": 64, "height": 64}
    )
    job = list(studio.jobs.watch(studio.sweep(planned).job))[-1]
    answer = client.get(f"/sweeps/{job.job}.png")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "no-store"
    assert png.read_texts(answer.content)["sweep"] == planned.layout.to_json()
    job.records[0].path.unlink()
    assert client.get(f"/sweeps/{job.job}.png").content != answer.content
    alone = studio.jobs.submit([record.recipe]).job
    for other, words in ((alone, "no sweep"), ("x", "There is no job"), ("..%2f..%2fjobs", "Not Found")):
        answer = client.get(f"/sweeps/{other}.png")
        assert answer.status_code == 404
        assert words in answer.json()["detail"]


def test_a_picture_is_served_byte_for_byte_under_its_own_name(client: TestClient, record: Record) -> None:
    answer = client.get(f"/pictures/{record.id}.png")
    assert answer.content == record.path.read_bytes()
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == 'inline; filename="00001-18446744073709551615.png"'
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_a_draft_is_served_enlarged_while_it_is_kept(client: TestClient, studio: Studio) -> None:
    recipe = Recipe.of(prompt="a lake", seed=7, steps=4, width=64, height=64)
    *_, sheet = studio.jobs.watch(studio.jobs.submit([recipe], kind="explore").job)
    ((_, key),) = sheet.drafts
    answer = client.get(f"/drafts/{key}.png?{sheet.job}")
    assert answer.headers["content-type"] == "image/png"
    assert "immutable" in answer.headers["cache-control"]
    shown, draft = Image.open(io.BytesIO(answer.content)), studio.drafts.load(key)
    assert draft is not None
    assert (draft.preview.size, shown.size) == ((16, 16), (256, 256))
    assert pixels.compare(shown.resize(draft.preview.size, Image.Resampling.BOX), draft.preview).mean < 4
    assert client.get(f"/drafts/{key}.png", headers={"host": "evil.example"}).status_code == 421
    (studio.settings.drafts / f"{key}.safetensors").unlink()
    gone = client.get(f"/drafts/{key}.png")
    assert (gone.status_code, gone.json()["detail"][:32]) == (404, "There is no draft of that key: d")


def test_a_thumbnail_is_small(client: TestClient, record: Record) -> None:
    answer = client.get(f"/thumbnails/{record.id}")
    assert answer.headers["content-type"] == "image/webp"
    assert 0 < len(answer.content) < 20_000


@pytest.mark.parametrize(
    "id",
    [
        "nothing",
        "..",
        "../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e%2f%2e%2e%2fpyproject",
        "..%5c..%5cwindows",
        "/etc/passwd",
        "%00",
        "a" * 500,
        "' OR 1=1 --",
        "*",
        "٣",
    ],
)
def test_what_is_no_id_is_not_found(client: TestClient, record: Record, id: str) -> None:
    for path in (f"/pictures/{id}.png", f"/thumbnails/{id}", f"/drafts/{id}.png"):
        answer = client.get(path)
        assert answer.status_code == 404, path
        assert b"root:" not in answer.content


def test_a_picture_whose_file_is_gone_is_not_found(client: TestClient, record: Record) -> None:
    record.path.unlink()
    assert client.get(f"/pictures/{record.id}.png").status_code == 404
    assert client.get(f"/thumbnails/{record.id}").status_code == 404


def test_a_file_that_was_swapped_for_a_link_is_not_served(client: TestClient, record: Record) -> None:
    record.path.unlink()
    record.path.symlink_to("/etc/passwd")
    assert client.get(f"/pictures/{record.id}.png").status_code == 404


def test_health_and_no_page_that_asks_outside(client: TestClient) -> None:
    assert client.get("/healthz").json()["status"] == "ok"
    assert client.get("/docs").status_code == 404
    assert client.get("/redoc").status_code == 404


# ---- the guard ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:7860", 200),
        ("127.0.0.1", 200),
        ("localhost:7860", 200),
        ("LOCALHOST", 200),
        ("[::1]:7860", 200),
        *HOSTS,
    ],
)
def test_only_our_own_names_are_answered(inside: TestClient, host: str, status: int) -> None:
    assert inside.get("/healthz", headers={"host": host}).status_code == status


def test_two_hosts_are_refused_and_a_forwarded_one_is_ignored(inside: TestClient) -> None:
    two: Any = [("host", "127.0.0.1"), ("host", "evil.example")]
    assert inside.get("/healthz", headers=two).status_code == 400
    assert inside.get("/healthz", headers={"x-forwarded-host": "evil.example"}).status_code == 200
    forwarded = {"host": "evil.example", "x-forwarded-host": "127.0.0.1"}
    assert inside.get("/healthz", headers=forwarded).status_code == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": ADDRESS}, 200),
        ({"origin": ADDRESS, "sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        *((site, 403) for site in SITES),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_another_site_changes_nothing(inside: TestClient, headers: dict[str, str], status: int, method: str) -> None:
    answer = inside.request(method, "/change", headers=headers)
    assert answer.status_code in ({200, 405} if status == 200 else {status})


def test_a_link_from_another_site_opens_the_page(inside: TestClient) -> None:
    headers = {"sec-fetch-site": "cross-site", "origin": "http://evil.example"}
    assert inside.get("/healthz", headers=headers).status_code == 200


def test_the_default_port_may_be_left_out(studio: Studio) -> None:
    client = TestClient(create(studio), base_url="http://localhost:80")
    answer = client.post("/healthz", headers={"host": "localhost", "origin": "http://localhost:80"})
    assert answer.status_code == 405


def test_further_names_are_answered_when_they_are_allowed(tmp_path: Path) -> None:
    studio = opened(tmp_path, door=Door(hosts=("pictures.example",)))
    client = TestClient(create(studio), base_url=ADDRESS)
    answers = [client.get("/healthz", headers={"host": host}).status_code for host in ("pictures.example", "x.example")]
    assert answers == [200, 421]
    studio.close()


@pytest.mark.parametrize(
    ("host", "status"), [("192.168.1.7:7860", 200), ("[fe80::1]", 200), ("evil.example", 421), ("localhost", 200)]
)
def test_a_server_for_all_answers_to_addresses_but_not_to_names(tmp_path: Path, host: str, status: int) -> None:
    studio = opened(tmp_path, "0.0.0.0")
    client = TestClient(create(studio), base_url=ADDRESS)
    assert client.get("/healthz", headers={"host": host}).status_code == status
    studio.close()


@pytest.mark.parametrize("text", ["[::1", "::1", "a b", "a:70000000", "ü", "a\n"])
def test_what_is_no_host_is_not_read_as_one(text: str) -> None:
    assert split_host(text) is None
