"""The status: numbers of queue, pictures and workers, for those who may see them, and nothing of anybody."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.api.test_app import ADDRESS, DOORS, opened
from webui.api.app import create
from webui.recipe import Recipe
from webui.studio import Studio

HTML = {"accept": "text/html,application/xhtml+xml"}
WANTED = {"prompt": "a secret lake", "steps": 4, "width": 64, "height": 64}


@pytest.fixture
def busy(studio: Studio) -> Iterator[TestClient]:
    """Give a client of a studio that has made three pictures, and failed at one job."""
    recipes = [Recipe.of(**WANTED, seed=184467440737 + number) for number in range(3)]
    list(studio.jobs.watch(studio.jobs.submit(recipes).job))
    yield TestClient(create(studio), base_url=ADDRESS)


def test_the_status_counts(busy: TestClient) -> None:
    data = busy.get("/status").json()
    assert data["queue"] == {"waiting": 0, "running": 0, "pictures_left": 0, "pictures_at_work": 0, "held": 0}
    assert (data["pictures"], data["jobs"], data["workers"]) == ({"reseed": 3}, {"succeeded": 1}, [])
    assert 0 < data["secondsPerPicture"]["reseed"] < 60


def test_a_browser_gets_a_page(busy: TestClient) -> None:
    page = busy.get("/status", headers=HTML)
    assert page.headers["content-type"].startswith("text/html")
    assert "reseed: 3 pictures" in page.text
    assert "This process makes the pictures." in page.text


def test_metrics_are_what_prometheus_reads(busy: TestClient) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    answer = busy.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {one.name: one for one in text_string_to_metric_families(answer.text)}
    assert [sample.value for sample in found["reseed_jobs_ended"].samples] == [1]
    samples = {sample.name: sample.value for sample in found["reseed_picture_seconds"].samples}
    assert samples["reseed_picture_seconds_count"] == 3
    assert 0 < samples["reseed_picture_seconds_sum"] < 60
    edges = [sample.value for sample in found["reseed_picture_seconds"].samples if sample.name.endswith("_bucket")]
    assert edges == sorted(edges)


@pytest.mark.parametrize("path", ["/status", "/metrics"])
def test_nothing_of_anybody_is_in_it(busy: TestClient, path: str) -> None:
    for headers in ({}, HTML):
        text = busy.get(path, headers=headers).text
        assert not re.search("secret|lake|184467", text)


@pytest.mark.parametrize("path", ["/status", "/metrics"])
def test_who_may_see_it(tmp_path: Path, path: str) -> None:
    guarded = opened(tmp_path / "auth", door=DOORS["auth"])
    client = TestClient(create(guarded), base_url=ADDRESS)
    assert client.get(path).status_code == 401
    assert client.get(path, auth=("ann", "secret")).status_code == 200
    guarded.close()
    demo = opened(tmp_path / "demo", door=DOORS["demo"])
    here, elsewhere = (
        TestClient(create(demo), base_url=ADDRESS, client=(address, 5)) for address in ("127.0.0.1", "192.0.2.7")
    )
    assert here.get(path).status_code == 200
    assert elsewhere.get(path).status_code == 403
    for name in ("x-forwarded-for", "forwarded", "x-real-ip"):
        assert here.get(path, headers={name: "192.0.2.7"}).status_code == 403
    demo.close()
