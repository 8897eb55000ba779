"""The programs that the guides to seeds print, run as they stand against a real server: only the host is another.

Adobe Firefly's guides to seeds and to the first picture (curl, node, Python) and Runware's guide to seeds.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.serving import served
from tests.api.test_app import opened
from webui import png
from webui.studio import Studio

PROGRAMS = Path(__file__).parent.parent / "compat" / "seed_programs"
HOSTS = ("https://firefly-api.adobe.io", "https://ims-na1.adobelogin.com", "https://api.runware.ai")
ENVIRONMENT = {
    **os.environ,
    **dict.fromkeys(
        [
            *(f"FIREFLY_SERVICES_{name}" for name in ("CLIENT_ID", "ACCESS_TOKEN")),
            *(f"FIREFLY_{name}" for name in ("CLIENT_ID", "CLIENT_SECRET", "ACCESS_TOKEN")),
        ],
        "any",
    ),
}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    studio = opened(tmp_path_factory.mktemp("programs"))
    yield studio
    studio.close()


@pytest.fixture(scope="module")
def server(studio: Studio) -> Iterator[str]:
    """Serve the doors on a free port and return the address."""
    with served(studio) as address:
        yield address


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def here(name: str, server: str) -> str:
    """Return a program with our host in it."""
    text = (PROGRAMS / name).read_text(encoding="utf-8")
    for host in HOSTS:
        text = text.replace(host, server)
    return text


def printed(command: list[str], **more: Any) -> Any:
    """Run a program and return the JSON that it prints."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=ENVIRONMENT, check=True, **more)
    return json.loads(done.stdout)


def shell(name: str, server: str, job: str = "") -> Any:
    needs("curl")
    return printed(["bash", "-c", here(name, server).replace("<YOUR_JOB_ID>", job)])


def carried(url: str) -> png.PictureText:
    """Return what the file at an address carries."""
    return png.read(httpx.get(url).content)


def followed(accepted: dict[str, Any], server: str) -> dict[str, Any]:
    """Ask with the guide's own command until the job has ended."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        found = shell("status.sh", server, accepted["jobId"])
        if found["status"] not in ("pending", "running"):
            return dict(found)
        time.sleep(0.1)
    raise AssertionError("The job did not end.")


def test_fireflys_guide_finds_the_seed_of_a_picture(server: str) -> None:
    accepted = shell("find_seed.sh", server)
    assert accepted["statusUrl"] == f"{server}/v3/status/{accepted['jobId']}"
    assert accepted["cancelUrl"] == f"{server}/v3/cancel/{accepted['jobId']}"
    found = followed(accepted, server)
    assert (found["status"], found["jobId"]) == ("succeeded", accepted["jobId"])
    (output,) = found["result"]["outputs"]
    text = carried(output["image"]["url"])
    assert text.recipe is not None
    assert [output["seed"]] == [text.recipe.seed] == accepted["seeds"]
    assert found["result"]["size"] == {"width": text.recipe.width, "height": text.recipe.height}


def test_fireflys_guide_reuses_a_seed_with_styles(server: str, studio: Studio) -> None:
    found = followed(shell("reuse_seed.sh", server), server)
    (output,) = found["result"]["outputs"]
    text = carried(output["image"]["url"])
    record = studio.gallery.get(output["image"]["id"])
    assert text.recipe is not None
    assert record is not None
    assert output["seed"] == text.recipe.seed == record.recipe.seed == 1842533538
    assert text.pixels_sha256 == output["pixelsSha256"]
    assert text.lineage.styles == ("Landscape photography", "Science fiction")


@pytest.mark.parametrize("name", ["first_image.js", "full.mjs"])
def test_fireflys_program_for_node_prints_the_seed_of_its_picture(server: str, tmp_path: Path, name: str) -> None:
    needs("node")
    for module in ("axios", "qs"):
        (tmp_path / "node_modules" / module).mkdir(parents=True)
        shutil.copy(PROGRAMS / f"{module}.js", tmp_path / "node_modules" / module / "index.js")
    (tmp_path / name).write_text(here(name, server), encoding="utf-8")
    (output,) = printed(["node", name], cwd=tmp_path)["outputs"]
    text = carried(output["image"]["url"])
    assert text.recipe is not None
    assert (text.recipe.seed, text.recipe.prompt) == (output["seed"], "a cat dancing on a rainbow")
    assert output["seedText"] == str(text.recipe.seed)


def test_fireflys_program_for_python_prints_the_seed_of_its_picture(server: str) -> None:
    pytest.importorskip("requests", reason="requests is not installed; the guide's program needs it")
    (output,) = printed([sys.executable, "-c", here("full.py.txt", server)])["outputs"]
    text = carried(output["image"]["url"])
    assert text.recipe is not None
    assert (text.recipe.seed, text.recipe.prompt) == (output["seed"], "a cat dancing on a rainbow")


def test_runwares_request_gives_the_picture_of_its_seed(server: str) -> None:
    needs("curl")
    headers = ["--header", "Content-Type: application/json", "--header", "Authorization: Bearer any"]
    url = "https://api.runware.ai/v1".replace(HOSTS[-1], server)
    body = printed(["curl", "--location", url, *headers, "--data", here("runware.json", server)])
    (picture,) = body["data"]
    text = carried(picture["imageURL"])
    assert "errors" not in body
    assert text.recipe is not None
    assert (picture["seed"], text.recipe.seed, text.recipe.steps) == (42, 42, 30)
    assert (text.recipe.width, text.recipe.height, picture["model"]) == (1024, 1024, text.recipe.model)
