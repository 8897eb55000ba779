"""A real server: many who wait, clients that hang up, and every example of the documentation."""

import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.serving import served
from tests.api.test_firefly import GENERATE, SMALL
from webui.engine.checkpoints import Catalog
from webui.engine.fake import FakeEngine
from webui.settings import Settings
from webui.studio import Studio

DOCS = Path(__file__).parent.parent.parent / "docs" / "api.md"
EXAMPLE = re.compile(r"```sh\n(curl .*?)```\s+(?:[^`]|`[^`])*?```json\n(.*?)```", re.DOTALL)


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    studio = Studio(Settings(data_dir=tmp_path), FakeEngine(delay=0.02), Catalog(tmp_path / "models"))
    studio.start()
    yield studio
    studio.close()


def test_a_hundred_who_wait_leave_the_server_free(studio: Studio) -> None:
    with served(studio) as server:
        first = httpx.post(server + GENERATE, json={**SMALL, "numVariations": 4, "reseed": {"steps": 150}}).json()
        waiting = httpx.post(server + GENERATE, json=SMALL).json()
        answers: list[str] = []

        def poll() -> None:
            answer = httpx.get(waiting["statusUrl"], params={"wait": 30}, timeout=60)
            answers.append(answer.json()["status"])

        threads = [threading.Thread(target=poll) for _ in range(100)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        assert httpx.get(f"{server}/thumbnails/{'0' * 32}", timeout=30).status_code == 404
        assert not answers  # they all wait still
        assert httpx.put(first["cancelUrl"], timeout=30).status_code in (200, 202)
        for thread in threads:
            thread.join()
        assert len(answers) == 100
        assert set(answers) <= {"pending", "running", "succeeded"}


def test_who_hangs_up_stops_no_job(studio: Studio) -> None:
    with served(studio) as server:
        body = {**SMALL, "reseed": {"steps": 100}}
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{server}/v3/images/generate", json=body, timeout=0.5)
        (job,) = studio.jobs.active()
        waiting = httpx.post(server + GENERATE, json=SMALL).json()
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(waiting["statusUrl"], params={"wait": 60}, timeout=0.2)
        with httpx.stream("GET", f"{server}/v3/events/{job.job}", timeout=10) as stream:
            assert next(stream.iter_lines()) == "event: status"
        assert list(studio.jobs.watch(job.job))[-1].status == "succeeded"


def shape(value: Any) -> Any:
    """Reduce JSON to its members' names and kinds; numbers are alike, null too."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value]
    return "text" if isinstance(value, str) else "number"


def test_the_examples_of_the_documentation_answer_as_they_say(studio: Studio) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    examples = EXAMPLE.findall(DOCS.read_text(encoding="utf-8"))
    assert len(examples) == 4
    with served(studio) as server:
        job = ""
        for command, answer in examples:
            if "$JOB" in command:
                list(studio.jobs.watch(job.rpartition(":")[2]))
            shell = f"JOB={job}; {command.replace('http://127.0.0.1:7860', server)}"
            done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=60, check=True)
            said = json.loads(done.stdout)
            assert shape(said) == shape(json.loads(answer)), command
            job = said.get("jobId", job)
            if "errors" in said:
                assert [one["message"] for one in said["errors"]] == [
                    one["message"] for one in json.loads(answer)["errors"]
                ]
