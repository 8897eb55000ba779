"""The program as a person starts it, on the bundled model: every door gives the same picture; kill -9 loses nothing."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from webui import png
from webui.engine.checkpoints import Catalog
from webui.engine.diffusion import DiffusionEngine
from webui.settings import Settings
from webui.studio import Studio

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
PROMPT, SEED = "a lake with mountains at sunset", 2**53 + 1
SLOW = 240_000  # milliseconds: a busy machine imports torch slowly


class Program:
    """``webui`` in a process of its own over a data folder, always on one port; ``start`` returns its address."""

    def __init__(self, data: Path, port: int) -> None:
        self.data, self.port = data, port
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        command = [sys.executable, "-m", "webui", "--port", str(self.port), "--data-dir", str(self.data)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        found = re.search(r"http://\S+", self.process.stdout.readline())
        assert found is not None
        return found[0]

    def end(self, with_signal: signal.Signals) -> None:
        assert self.process is not None
        os.kill(self.process.pid, with_signal)
        self.process.wait(60)


@pytest.fixture
def program(tmp_path: Path, port: int) -> Iterator[Program]:
    running = Program(tmp_path / "data", port)
    yield running
    if running.process is not None and running.process.poll() is None:
        running.end(signal.SIGKILL)


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    context.set_default_timeout(SLOW)
    yield context.new_page()
    context.close()


def visit(page: Page, address: str) -> None:
    page.goto(address)
    page.locator("#history .hint, #history .tiles").first.wait_for(state="attached")


def generate(page: Page, prompt: str, seed: str) -> None:
    page.locator("#prompt textarea").fill(prompt)
    page.locator("#seed input, #seed textarea").fill(seed)
    page.locator("#go").click()


def pictures(data: Path) -> list[Path]:
    return sorted((data / "outputs").glob("*/*.png"))


def test_page_command_line_and_queue_give_the_same_picture(program: Program, tab: Page, tmp_path: Path) -> None:
    visit(tab, program.start())
    generate(tab, PROMPT, str(SEED))
    expect(tab.locator(".stage.done")).to_have_attribute("data-seed", str(SEED), timeout=SLOW)
    (from_page,) = map(png.read, pictures(program.data))
    program.end(signal.SIGTERM)

    command = [
        sys.executable,
        "-m",
        "webui",
        "make",
        PROMPT,
        "--seed",
        str(SEED),
        "--data-dir",
        str(tmp_path / "cli"),
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SLOW / 1000, check=True)
    from_cli = json.loads(done.stdout)

    settings = Settings(data_dir=tmp_path / "queue")
    catalog = Catalog(settings.models)
    studio = Studio(settings, DiffusionEngine(catalog), catalog)
    studio.start()
    *_, last = studio.jobs.watch(studio.submit({"prompt": PROMPT}, str(SEED)).job)
    studio.close()

    assert from_page.recipe is not None
    assert from_page.recipe.to_dict() == from_cli["recipe"] == last.records[0].recipe.to_dict()
    assert from_page.pixels_sha256 == from_cli["pixels_sha256"] == last.records[0].pixels_sha256


@pytest.mark.slow
def test_kill_9_with_one_running_and_three_queued_loses_nothing(program: Program, tab: Page) -> None:
    seeds = [11, 22, 33, 44]
    visit(tab, program.start())
    generate(tab, PROMPT, "1")  # the model is loaded now
    expect(tab.locator(".stage.done")).to_have_attribute("data-seed", "1", timeout=SLOW)
    for field, value in (("steps", 100), ("width", 256), ("height", 256)):  # long enough to queue three more meanwhile
        tab.locator(f"#{field} input[type=number]").fill(str(value))
    for queued, seed in enumerate(seeds):
        generate(tab, PROMPT, str(seed))
        if queued == 0:
            expect(tab.locator("#stop")).to_be_enabled()
        else:
            expect(tab.locator("[data-do=unqueue]")).to_have_text(f"Drop the {queued} waiting", timeout=SLOW)
    program.end(signal.SIGKILL)
    before = {path.name for path in pictures(program.data)}
    visit(tab, program.start())
    expect(tab.locator("#history .tile")).to_have_count(1 + len(seeds), timeout=SLOW)
    made: dict[int, Any] = {}
    for path in pictures(program.data):
        found = png.read(path, whole=True)
        assert found.recipe is not None
        assert found.recipe.seed not in made, "a picture was made twice"
        made[found.recipe.seed] = found.pixels_sha256
    assert made.keys() == {1, *seeds}
    assert len(before) < 1 + len(seeds), "nothing was left to do after the kill"
