"""The remote engine on a private Ray cluster of this machine: the same pixels from any worker, whatever befalls it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import util
from pathlib import Path

import psutil
import pytest
from starlette.testclient import TestClient

from tests.engine.farm import SLOW, Bundled, Fakes, Kept, Missing
from tests.test_jobs import House
from webui import png
from webui.api.app import create
from webui.engine import Step, cluster, remote
from webui.engine.checkpoints import Catalog
from webui.engine.cluster import Cluster, asked, lets_in_anybody, open_cluster
from webui.engine.diffusion import DiffusionEngine
from webui.engine.fake import FakeEngine
from webui.engine.remote import RemoteEngine
from webui.engine.worker import Make, compare
from webui.errors import BadValue, CheckpointError, DraftError, EngineError, NetworkError, OutOfMemory, WorkerLost
from webui.recipe import Recipe
from webui.settings import Settings
from webui.studio import Studio
from webui.ui import views

LEAVES = 15.0
"""Seconds in which everything of a cluster is gone."""


@pytest.fixture(scope="module")
def two() -> Iterator[Cluster]:
    """A private cluster of two workers; when it is closed, no process and no folder of it is left."""
    others = {*psutil.Process().children(recursive=True)}  # of tests before this module
    found = open_cluster(asked("local:2"))
    started = {*psutil.Process().children(recursive=True)} - others
    assert len(started) > 2
    yield Kept(found.workers, 0, found.gpus, found.threads, found.told)  # no cores: tests' engines live side by side
    started |= {child for one in started for child in descendants(one)}
    found.close()
    _, left = psutil.wait_procs([*started], timeout=LEAVES)
    assert [process for process in left if process.status() != psutil.STATUS_ZOMBIE] == []
    assert found._folder is not None
    assert not found._folder.exists()


def descendants(process: psutil.Process) -> list[psutil.Process]:
    """Return what a process has started; nothing when it has ended."""
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


@pytest.fixture(scope="module")
def farm(two: Cluster) -> Iterator[RemoteEngine]:
    """Two fake engines at work, whose models are warm."""
    engine = RemoteEngine(two, Fakes())
    sha(engine.generate(recipe()))
    yield engine
    engine.close()


@pytest.fixture
def engine_of(two: Cluster) -> Iterator[Callable[[Make], RemoteEngine]]:
    opened: list[RemoteEngine] = []

    def opens(make: Make) -> RemoteEngine:
        opened.append(RemoteEngine(two, make))
        return opened[-1]

    yield opens
    for engine in opened:
        engine.close()


def recipe(seed: int = 7, **values: object) -> Recipe:
    return Recipe.of(**{"prompt": "a lake", "steps": 4, "width": 64, "height": 64, "seed": seed, **values})


def sha(steps: Iterator[Step]) -> str:
    *_, last = steps
    assert last.image is not None
    return png.pixels_sha256(last.image)


def at_work(engine: RemoteEngine) -> int:
    """Return the process that makes a picture."""
    (post,) = [post for post in engine.posts if post.is_busy]
    assert post.about is not None
    return post.about.pid


# The same pictures


def test_any_worker_makes_the_same_pictures_and_all_do(farm: RemoteEngine) -> None:
    wanted = [recipe(2**64 - 1 - number, prompt="a slow lake") for number in range(4)]
    before = [one.made for one in farm.standings()]
    with ThreadPoolExecutor(farm.workers) as pool:
        made = list(pool.map(lambda one: sha(farm.generate(one)), wanted))
    assert made == [sha(FakeEngine().generate(one)) for one in wanted]
    more = [one.made - then for one, then in zip(farm.standings(), before, strict=True)]
    assert sum(more) == 4
    assert all(more)
    assert all(one.where for one in farm.standings())


def test_steps_come_as_from_the_local_engine(farm: RemoteEngine) -> None:
    engine, local = farm, FakeEngine()
    ours, theirs = list(engine.generate(recipe())), list(local.generate(recipe()))
    assert [(step.index, step.total, step.note) for step in ours] == [(step.index, step.total, "") for step in theirs]
    assert [step.preview and step.preview.tobytes() for step in ours] == [
        step.preview and step.preview.tobytes() for step in theirs
    ]
    assert ours[-1].fingerprint == theirs[-1].fingerprint
    *_, drawn = engine.generate(recipe(), None, 2)
    assert drawn.draft is not None
    assert sha(engine.generate(recipe(), drawn.draft)) == sha(local.generate(recipe()))
    with pytest.raises(DraftError, match="The draft is of another picture"):
        list(engine.generate(recipe(8), drawn.draft))


def test_the_bundled_model_gives_the_same_bits(
    engine: DiffusionEngine, engine_of: Callable[[Make], RemoteEngine]
) -> None:
    remote_engine = engine_of(Bundled())
    remote_engine.warm("reseed")
    wanted = [recipe(seed, sampler="Euler a", cfg_scale=4.0) for seed in (1, 2, 3, 4)]
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda one: list(remote_engine.generate(one))[-1], wanted))
    for one, last in zip(wanted, made, strict=True):
        *_, local = engine.generate(one)
        assert last.image is not None
        assert local.image is not None
        assert last.image.tobytes() == local.image.tobytes()
        assert last.fingerprint == local.fingerprint
    assert all(one.made for one in remote_engine.standings())
    assert remote_engine.count_tokens("a lake", "reseed") == engine.count_tokens("a lake", "reseed")
    assert remote_engine.count_tokens("a lake", "another") is None


# Stopping


def test_closing_stops_the_worker_within_a_step(farm: RemoteEngine) -> None:
    engine = farm
    steps = engine.generate(recipe(steps=150, prompt="a slow lake"))
    assert next(step for step in steps if step.index == 1)
    post = next(post for post in engine.posts if post.is_busy)
    began = time.monotonic()
    steps.close()
    assert post.state == "idle"
    import ray

    ray.get(post.actor.about.remote())  # in line behind what it makes
    assert time.monotonic() - began < 10  # 15 s and more if it went on
    assert sha(engine.generate(recipe(9))) == sha(FakeEngine().generate(recipe(9)))


def test_a_worker_is_not_further_ahead_than_agreed(farm: RemoteEngine) -> None:
    steps = farm.generate(recipe(steps=150, prompt="a slow lake"))
    assert next(steps).index == 0
    time.sleep(10 * SLOW)
    began = time.monotonic()
    seen = [next(steps).index for _ in range(remote.AHEAD + 3)]
    assert seen == [*range(1, remote.AHEAD + 4)]
    assert time.monotonic() - began > SLOW  # they were not all there
    steps.close()
    assert sha(farm.generate(recipe(9))) == sha(FakeEngine().generate(recipe(9)))


# Workers that are lost


def test_a_worker_that_cannot_begin_says_why(engine_of: Callable[[Make], RemoteEngine]) -> None:
    steps = engine_of(Missing()).generate(recipe())
    note = next(step.note for step in steps if "did not come up" in step.note)
    assert note.startswith("Waiting for a worker. Worker ")
    assert note.endswith("did not come up: ModuleNotFoundError: No module named 'webui'")
    steps.close()


def test_a_picture_whose_worker_is_killed_is_made_again_and_equal(farm: RemoteEngine) -> None:
    engine, wanted = farm, recipe(steps=8, prompt="a slow lake")
    before, killed, steps = sum(one.lost for one in engine.standings()), 0, []
    for step in engine.generate(wanted):
        if step.index == 3 and not killed:
            killed = at_work(engine)
            os.kill(killed, signal.SIGKILL)
        steps.append(step)
    assert sha(iter(steps)) == sha(FakeEngine().generate(wanted))
    assert f"process {killed}) was lost: its process ended. The picture is made again (1 of 2)." in steps[-1].note
    assert sum(one.lost for one in engine.standings()) == before + 1
    assert sha(engine.generate(recipe(9))) == sha(FakeEngine().generate(recipe(9)))


@pytest.mark.slow
def test_a_picture_that_loses_every_worker_fails_and_the_next_is_made(farm: RemoteEngine) -> None:
    engine = farm
    with pytest.raises(WorkerLost, match=r"lost 3 times .* its process ended\. A smaller size or fewer steps may help"):
        for step in engine.generate(recipe(steps=20, prompt="a slow lake")):
            if step.index == 2:
                os.kill(at_work(engine), signal.SIGKILL)
    assert sha(engine.generate(recipe(9))) == sha(FakeEngine().generate(recipe(9)))


def test_too_little_memory_is_tried_elsewhere(farm: RemoteEngine) -> None:
    wanted = [recipe(seed, prompt="small and slow") for seed in (1, 2)]
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda one: list(farm.generate(one)), wanted))
    assert [sha(iter(steps)) for steps in made] == [sha(FakeEngine().generate(one)) for one in wanted]
    # both, when worker 2 was still coming up
    assert sum("too little memory for it; another tries" in steps[-1].note for steps in made) >= 1
    with pytest.raises(OutOfMemory, match="too little memory for this picture"):
        list(farm.generate(recipe(prompt="small everywhere")))


def test_a_fault_is_told_and_leaves_the_worker(farm: RemoteEngine) -> None:
    before = [one.lost for one in farm.standings()]
    with pytest.raises(EngineError, match=r"a fault at worker \d .*LookupError: 'a bug'"):
        list(farm.generate(recipe(prompt="fault")))
    assert sha(farm.generate(recipe())) == sha(FakeEngine().generate(recipe()))
    assert [one.lost for one in farm.standings()] == before


def test_the_page_says_what_happened_and_the_queue_goes_on(farm: RemoteEngine, tmp_path: Path) -> None:
    house = House(tmp_path, farm)
    wanted = [recipe(seed, steps=8, prompt="a slow lake") for seed in range(4)]
    job = house.jobs.submit(wanted).job
    killed, lines = False, set[str]()
    for progress in house.jobs.watch(job):
        lines.add(views.line(progress))
        busy = [post for post in farm.posts if post.is_busy and post.about is not None]
        if not killed and progress.step >= 2 and len(progress.at_work) == 2 and busy and busy[0].about:
            os.kill(busy[0].about.pid, signal.SIGKILL)
            killed = True
    last = house.jobs.progress(job)
    assert last.status == "succeeded"
    assert [record.pixels_sha256 for record in last.records] == [sha(FakeEngine().generate(one)) for one in wanted]
    assert any("2 pictures at once" in line for line in lines)
    assert any("was lost: its process ended. The picture is made again (1 of 2)." in line for line in lines)
    house.close()


@pytest.mark.slow
def test_a_machine_that_is_removed_costs_time_and_no_pixel() -> None:
    """In a process of its own: Ray has one cluster in each."""
    script = Path(__file__).parents[2] / "scripts" / "measure_ray.py"
    command = [sys.executable, str(script), "--rows", "node"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=True)
    assert "It lets in nobody without the token." in done.stdout
    assert "node removed: succeeded, 6 of 6, identical: True" in done.stdout
    assert "starting, lost 1" in done.stdout


# Other machines, other files


def test_a_worker_with_another_checkpoint_is_left_out_by_name_and_hash(
    engine_of: Callable[[Make], RemoteEngine],
) -> None:
    engine = engine_of(Fakes(hashes={2: "ab" * 32}))
    made = {step.fingerprint for seed in range(3) for step in engine.generate(recipe(seed)) if step.fingerprint}
    assert len(made) == 1  # whose a model's pictures are is settled once, also where no recipe names a hash
    assert sorted(one.made for one in engine.standings()) == [0, 3]
    mine, before = recipe(model_hash="b5d54c39e6"), engine.standings()[0].made
    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(lambda _: sha(engine.generate(mine)), range(6)))) == 1
    first, second = engine.standings()
    assert first.made - before == 6
    assert any("has ababababab: it would give another picture. Put the same file" in one for one in second.left_out)
    missing = recipe(model_hash="cd" * 32)
    with pytest.raises(
        CheckpointError, match="No worker can make pictures of the model reseed with the hash cdcd"
    ) as no:
        list(engine.generate(missing))
    assert "b5d54c39e6" in str(no.value)
    assert "ababababab" in str(no.value)


def test_what_differs_is_named() -> None:
    there = FakeEngine().fingerprint("reseed")
    for field, words in (
        ("torch", "torch 2.13.0"),
        ("threads", "threads 4"),
        ("kernels", "kernels plain"),
        ("loras", "LoRAs ink: ab"),
    ):
        wanted = type(there)(**{**there.to_dict(), field: words.partition(" ")[2]})
        with pytest.raises(CheckpointError, match=f"At worker 2 it would be another picture: {words} is wanted"):
            compare(there, wanted, "worker 2")
    assert compare(there, there, "worker 2") is None  # type: ignore[func-returns-value]
    assert issubclass(NetworkError, BadValue)


# Joining


@pytest.mark.parametrize(
    "text", ["", "loca", "local:0", "local:x", "local:²", "10.0.0.5", "ray://10.0.0.5:10001", "a b:1", "--x:1"]
)
def test_what_is_no_cluster_is_refused(text: str) -> None:
    with pytest.raises(BadValue, match="--ray must be"):
        asked(text)


def test_a_cluster_without_token_authentication_is_not_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(BadValue, match=r"cluster with token authentication; got 'auto'\. Whoever reaches"):
        cluster._join(asked("auto"), None)


def test_without_the_extra_a_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"Ray is not installed\. Get it with: pip install 'reseed\[ray\]'"):
        open_cluster(asked("local"))


def test_the_status_shows_every_worker(farm: RemoteEngine, tmp_path: Path) -> None:
    studio = Studio(Settings(data_dir=tmp_path), farm, Catalog(tmp_path))
    client = TestClient(create(studio), base_url="http://127.0.0.1:7860")
    workers = client.get("/status").json()["workers"]
    assert [one["number"] for one in workers] == [1, 2]
    assert sum(one["made"] for one in workers) > 0
    page = client.get("/status", headers={"accept": "text/html"}).text
    assert all(one["where"] in page for one in workers)
    assert studio.engine.told == farm.cluster.told
    studio.jobs.close()
    studio.gallery.close()


def test_a_private_cluster_lets_nobody_in_and_says_where_it_listens(two: Cluster) -> None:
    import ray

    assert not lets_in_anybody(ray.get_runtime_context().gcs_address)
    assert two.told[0].startswith("A private Ray cluster runs with 2 workers")
    assert "It listens on " in two.told[1]
    assert os.environ["RAY_AUTH_MODE"] == "token"
    with pytest.raises(EngineError, match="in a Ray cluster already"):
        open_cluster(asked("local"))


def test_machines_are_divided_alike() -> None:
    nodes = [{"CPU": 16.0, "GPU": 2.0}, {"CPU": 6.0}]
    assert cluster._divided(nodes, 0, None).workers == 2
    by_cores = cluster._divided(nodes, 0, "cpu")
    assert (by_cores.workers, by_cores.cpus, by_cores.threads) == (5, 4, 4)
    assert cluster._divided([{"CPU": 2.0}, {"CPU": 16.0}], 0, None).threads == 2
    with pytest.raises(BadValue, match="at most local:2"):
        cluster._private(3, 8, 2)
    assert (cluster._private(0, 16, 0).workers, cluster._private(2, 16, 0).threads) == (4, 8)
