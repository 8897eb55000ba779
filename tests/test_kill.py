"""kill -9 at any moment: no picture that was reported as saved is lost or corrupt, and no accepted job either."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.test_gallery import Faults, files, made, opened, recipe, save, sound
from tests.test_jobs import House, pixels, recipes
from webui.engine.fake import FakeEngine
from webui.journal import origin

SAVES = """
import os, sys
from pathlib import Path
from PIL import Image
from tests.test_gallery import made, opened, recipe
kept = opened(Path(sys.argv[1]))
_, wanted, by = made(recipe(int(sys.argv[2]), width=512, height=512))
noise = Image.frombytes("RGB", (512, 512), os.urandom(512 * 512 * 3))  # 0.8 MB however well it is packed
print("ready", flush=True)
for _ in range(15):
    print(kept.save(noise, wanted, by).path, flush=True)
"""

SERVER = """
import sys
from pathlib import Path
from tests.test_jobs import House
from tests.test_kill import JOBS
from webui.engine.fake import FakeEngine
from webui.journal import Key
house = House(Path(sys.argv[1]), FakeEngine(delay=float(sys.argv[2])))
jobs = [house.jobs.submit(wanted, Key(key)).job for key, wanted in JOBS.items()]
print("ready", *jobs, flush=True)
for job in jobs:
    for progress in house.jobs.watch(job):
        print(progress.status, progress.index, progress.step, flush=True)
house.close()
"""

JOBS = {f"job {number}": recipes(3, seed=2**63 + 10 * number, steps=4) for number in range(4)}


def spawned(program: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process


def first_line(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    words = process.stdout.readline().split()
    assert words[:1] == ["ready"]
    return words[1:]


def killed(process: subprocess.Popen[str]) -> list[str]:
    """Kill a process at once; return the lines that it had still written."""
    process.kill()
    lines = process.communicate(timeout=30)[0].splitlines()
    assert process.returncode in (-signal.SIGKILL, 0)
    return lines


def test_kill_at_every_system_call_of_a_save(tmp_path: Path) -> None:
    """Die before the first call, the second, … until a save is through: nothing is ever half there."""
    first = opened(tmp_path)
    save(first, 1)
    first.close()
    for at in range(1, 100):
        if not (child := os.fork()):
            with pytest.MonkeyPatch.context() as patch:
                kept = opened(tmp_path)
                picture = made(recipe(at))
                Faults(patch, kept.outputs, at, 0)
                kept.save(*picture)
                os._exit(0)
        finished = os.waitpid(child, 0)[1] == 0
        kept = opened(tmp_path)
        pictures = [path for path in files(kept) if path.suffix == ".png"]
        assert all(map(sound, pictures))
        assert kept.refresh().damaged == ()
        assert files(kept) == pictures
        assert kept.count() == len(pictures)
        kept.close()
        if finished:
            break
    assert at > 8
    assert pictures[-1].name.endswith(f"-{at}.png")


def kill_during_saves(folder: Path, trials: int) -> tuple[int, int, int]:
    """Return the number of pictures, of leftovers that a refresh removed, and of kills that came before the end."""
    chance = random.Random(7)
    reported: list[Path] = []
    leftovers = early = 0
    for trial in range(trials):
        process = spawned(SAVES, folder, trial)
        first_line(process)
        time.sleep(chance.uniform(0, 0.9))
        lines = killed(process)
        early += len(lines) < 15
        reported += [Path(line) for line in lines if line.endswith(".png")]
        kept = opened(folder)
        pictures = [path for path in files(kept) if path.suffix == ".png"]
        leftovers += len(files(kept)) - len(pictures)
        assert set(reported) <= set(pictures)
        found = kept.refresh()
        assert found.damaged == ()
        assert files(kept) == pictures, "leftovers are gone"
        assert kept.count() == len(pictures)
        kept.close()
    assert all(map(sound, pictures))
    return len(pictures), leftovers, early


def test_kill_during_saves(tmp_path: Path) -> None:
    pictures, _, early = kill_during_saves(tmp_path, 2)
    assert pictures
    assert early


@pytest.mark.slow
def test_kill_during_saves_again_and_again(tmp_path: Path) -> None:
    pictures, leftovers, early = kill_during_saves(tmp_path, 30)
    print(
        f"{early} of 30 processes killed before their 15th save: {pictures} pictures, 0 corrupt, {leftovers} leftovers"
    )
    assert early >= 20


def assert_all_made(house: House, jobs: list[str]) -> None:
    """Every job succeeded, each picture was made once, and its pixels are those of a run that nothing disturbed."""
    for job, wanted in zip(jobs, JOBS.values(), strict=True):
        last = house.ended(job)
        assert (last.status, last.error) == ("succeeded", None)
        assert [record.pixels_sha256 for record in last.records] == pixels(wanted)
        assert all(sound(record.path) for record in last.records)
        assert [record.origin for record in last.records] == [origin(job, number) for number in range(3)]
    assert len(files(house.gallery)) == 12, "no picture was made twice"


def test_kill_with_one_job_running_and_three_waiting(tmp_path: Path) -> None:
    process = spawned(SERVER, tmp_path, 0.05)
    jobs = first_line(process)
    assert process.stdout is not None
    while process.stdout.readline().split() != ["running", "1", "1"]:
        assert process.poll() is None
    killed(process)
    house = House(tmp_path, start=False)
    assert [house.jobs.progress(job).status for job in jobs] == ["running", "pending", "pending", "pending"]
    house.jobs.start()
    assert [progress.job for progress in house.jobs.active()] == jobs
    assert_all_made(house, jobs)
    house.close()


@pytest.mark.slow
def test_kill_the_server_at_random_moments(tmp_path: Path) -> None:
    """Kill it again and again, then let it finish: each job ended, and what failed says why."""
    chance = random.Random(11)
    kills = lost = 0
    for trial in range(8):
        folder = tmp_path / str(trial)
        for _ in range(2):
            process = spawned(SERVER, folder, 0.01)
            jobs = first_line(process)
            time.sleep(chance.uniform(0, 0.8))
            kills += process.poll() is None
            killed(process)
        house = House(folder, FakeEngine())
        ends = [house.ended(job) for job in jobs]
        for job, end, wanted in zip(jobs, ends, JOBS.values(), strict=True):
            assert end.status == "succeeded" or (end.status, end.code) == ("failed", "worker_lost")
            lost += end.status == "failed"
            hashes = pixels(wanted)
            for record in end.records:
                assert sound(record.path)
                assert record.pixels_sha256 == hashes[int(record.origin.removeprefix(f"{job}:"))]
            assert len({record.origin for record in end.records}) == len(end.records)
        assert len(files(house.gallery)) == sum(len(end.records) for end in ends)
        house.close()
    print(f"{kills} kills of servers with 4 jobs of 3 pictures: 0 lost; {lost} failed with a reason after two attempts")
    assert kills >= 8
