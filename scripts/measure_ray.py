"""Measure the remote engine: equal pixels and speed, lost workers and machines, stopping, what a picture costs more.

    python scripts/measure_ray.py [--seeds 24] [--rows speed,kill,node,cancel,overhead]

Needs the extra ``reseed[ray]``. Every engine makes pictures of the bundled model on one thread of the processor, so
that all have the same arithmetic, and through the queue, as a server does. Two clusters are started, one after the
other, on this machine, and ended again. Times are by the clock on the wall: other work on the machine is in them, so
the load is printed beside. ``speed`` also has an engine that only waits, which shows what the queue and Ray cost
without a processor that both workers share.
"""

import argparse
import os
import secrets
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded, here and in the workers
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["RAY_AUTH_MODE"] = "token"
os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

from webui.drafts import Drafts
from webui.engine import Engine
from webui.engine.checkpoints import Catalog
from webui.engine.cluster import Cluster, asked, open_cluster
from webui.engine.diffusion import DiffusionEngine
from webui.engine.fake import FakeEngine
from webui.engine.remote import RemoteEngine
from webui.engine.worker import Stating
from webui.gallery import Gallery
from webui.jobs import Jobs
from webui.progress import Progress
from webui.recipe import Recipe

WAIT = 0.1
"""Seconds for a step of the engine that only waits."""


@dataclass(frozen=True)
class Bundled:
    """Makes engines of the bundled model."""

    def __call__(self, number: int) -> Stating:
        return DiffusionEngine(Catalog(), device="cpu")


@dataclass(frozen=True)
class Waiting:
    """Makes engines that only wait."""

    def __call__(self, number: int) -> Stating:
        return FakeEngine(WAIT)


class Kept(Cluster):
    """A cluster for several engines, one after the other."""

    def close(self) -> None:
        """Leave it to whoever started it."""


def recipes(count: int, seed: int = 1000, **values: object) -> list[Recipe]:
    """Return recipes of the bundled model as its form suggests them."""
    known = {"prompt": "a house by a lake at sunset", "steps": 12, "width": 256, "height": 256, "cfg_scale": 4.0}
    return [Recipe.of(**{**known, **values}, seed=seed + number) for number in range(count)]


@contextmanager
def queue(engine: Engine) -> Iterator[Jobs]:
    """Open a queue over an engine and an empty folder."""
    with tempfile.TemporaryDirectory(prefix="reseed-measure-") as name:
        folder = Path(name)
        gallery = Gallery(folder / "outputs", folder / "index.db", folder / "thumbnails")
        jobs = Jobs(folder / "jobs.db", engine, gallery, Drafts(folder / "drafts"))
        jobs.start()
        try:
            yield jobs
        finally:
            jobs.close()
            gallery.close()


def ended(jobs: Jobs, job: str, each: Callable[[Progress], None] = lambda progress: None) -> Progress:
    """Follow a job to its end."""
    last = jobs.progress(job)
    for last in jobs.watch(job):
        each(last)
    return last


def made(engine: Engine, wanted: list[Recipe]) -> tuple[float, list[str]]:
    """Make pictures through a queue; return the seconds and the hashes of their pixels, in order."""
    with queue(engine) as jobs:
        ended(jobs, jobs.submit([one.but(seed=1) for one in wanted[:1]] * engine.workers).job)  # loads models
        began = time.monotonic()
        last = ended(jobs, jobs.submit(wanted).job)
        seconds = time.monotonic() - began
        if last.error:
            print(f"  {last.error}")
        return seconds, [record.pixels_sha256 for record in last.records]


def told(name: str, seconds: float, hashes: list[str], first: tuple[float, list[str]] | None) -> None:
    """Print a row of the speeds."""
    more = ""
    if first is not None:
        more = f", speed-up {first[0] / seconds:.2f}, hashes {'all equal' if hashes == first[1] else 'DIFFER'}"
    load = os.getloadavg()[0]
    print(f"  {name:22} {seconds:6.1f} s, {len(hashes) / seconds:5.2f} pictures/s{more}  (load {load:.1f})", flush=True)


def speed(seeds: int) -> None:
    """Row 1: the same seeds on the local engine, one worker and two."""
    for title, local, make, wanted in (
        ("bundled model", DiffusionEngine(Catalog(), device="cpu"), Bundled(), recipes(seeds)),
        (f"waits {WAIT:g} s a step", FakeEngine(WAIT), Waiting(), recipes(seeds, steps=5, width=64, height=64)),
    ):
        print(f"{seeds} seeds, {title}:")
        first = made(local, wanted)
        told("local", *first, None)
        for workers in (1, 2):
            engine = RemoteEngine(Kept(workers, 0, 0, 1), make)
            told(f"{workers} worker{'s' * (workers > 1)}", *made(engine, wanted), first)
            engine.close()


def kill(times: int = 3) -> None:
    """Row 2: kill -9 of a worker in mid-picture."""
    wanted = recipes(6)
    _, expected = made(DiffusionEngine(Catalog(), device="cpu"), wanted)
    engine = RemoteEngine(Kept(2, 0, 0, 1), Bundled())
    undisturbed, hashes = made(engine, wanted)
    print(f"6 seeds on 2 workers undisturbed: {undisturbed:.1f} s, hashes equal: {hashes == expected}")
    for number in range(times):
        with queue(engine) as jobs:
            began, killed = time.monotonic(), list[float]()
            job = jobs.submit(wanted).job

            def strike(progress: Progress, killed: list[float] = killed) -> None:
                busy = [post for post in engine.posts if post.is_busy and post.about is not None]
                if not killed and progress.step >= 4 and busy and busy[0].about is not None:
                    killed.append(time.monotonic())
                    os.kill(busy[0].about.pid, signal.SIGKILL)

            last = ended(jobs, job, strike)
            seconds = time.monotonic() - began
            same = [record.pixels_sha256 for record in last.records] == expected
            lost = f"{seconds:.1f} s, {seconds - undisturbed:+.1f} s against undisturbed"
            print(
                f"  kill {number + 1}: {last.status}, {len(last.records)} of 6, identical: {same}, {lost}", flush=True
            )
    engine.close()


def node(seeds: int = 6) -> None:
    """Row 2: a machine of a test cluster of two is removed while its worker makes a picture."""
    import ray
    from ray.cluster_utils import Cluster as TestCluster

    machine = {"num_cpus": 1, "object_store_memory": 100 << 20}
    test = TestCluster(initialize_head=True, head_node_args={**machine, "include_dashboard": False})
    second = test.add_node(**machine)
    joined = open_cluster(asked(test.address, 2), "cpu")
    print(f"{joined.told[0]}")
    engine = RemoteEngine(joined, Bundled())
    wanted = recipes(seeds)
    _, expected = made(DiffusionEngine(Catalog(), device="cpu"), wanted)
    undisturbed, _ = made(engine, wanted)
    with queue(engine) as jobs:
        removed = list[float]()

        def strike(progress: Progress) -> None:
            if not removed and len(progress.at_work) == 2 and progress.step >= 4:
                removed.append(time.monotonic())
                test.remove_node(second, allow_graceful=False)

        began = time.monotonic()
        last = ended(jobs, jobs.submit(wanted).job, strike)
        seconds, alone = time.monotonic() - began, 2 * undisturbed
        same = [record.pixels_sha256 for record in last.records] == expected
        print(f"  node removed: {last.status}, {len(last.records)} of {seeds}, identical: {same}; {seconds:.1f} s, "
              f"with two nodes {undisturbed:.1f} s, so one alone about {alone:.1f} s")  # fmt: skip
        print(f"  {[f'{one.number}: {one.state}, lost {one.lost}' for one in engine.standings()]}", flush=True)
    with suppress(Exception):
        engine.close()
    ray.shutdown()
    test.shutdown()


def cancel(times: int = 5) -> None:
    """Row 3: cancel a running and a waiting job; what is finished stays."""
    import ray

    engine = RemoteEngine(Kept(2, 0, 0, 1), Bundled())
    made(engine, recipes(2))
    stopped, freed, waiting, steps = list[float](), list[float](), list[float](), list[float]()
    for number in range(times):
        with queue(engine) as jobs:
            job = jobs.submit(recipes(8, seed=100 * number)).job
            behind = jobs.submit(recipes(1)).job
            began = time.monotonic()
            for progress in jobs.watch(job):
                if len(progress.records) >= 2:
                    steps.append((time.monotonic() - began) / len(progress.records) * 2 / 12)
                    break
            began = time.monotonic()
            jobs.cancel(behind)
            waiting.append(time.monotonic() - began)
            busy = [post.actor for post in engine.posts if post.is_busy]
            began = time.monotonic()
            jobs.cancel(job)
            last = ended(jobs, job)
            stopped.append(time.monotonic() - began)
            ray.get([actor.about.remote() for actor in busy])  # in line behind what is still made
            freed.append(time.monotonic() - began)
            assert last.status == "canceled"
            assert all(record.path.is_file() for record in last.records)
    print(f"cancel, ms, median of {times}: waiting {shown(waiting)}; running until it is told {shown(stopped)}, until "
          f"both workers are free {shown(freed)}; a step takes {shown(steps)}; finished pictures kept")  # fmt: skip
    engine.close()


def shown(seconds: list[float]) -> str:
    """Write the median and the greatest in milliseconds."""
    return f"{1000 * statistics.median(seconds):.0f} (greatest {1000 * max(seconds):.0f})"


def overhead(times: int = 8) -> None:
    """Row 5: what a picture costs more than with the local engine, made one by one and in turns."""
    local: Engine = DiffusionEngine(Catalog(), device="cpu")
    engine = RemoteEngine(Kept(1, 0, 0, 1), Bundled())
    for title, here, there, count in (
        ("bundled model", local, engine, times),
        ("engine of nothing", FakeEngine(), RemoteEngine(Kept(1, 0, 0, 1), Nothing()), 5 * times),
    ):
        wanted = recipes(1)[0]
        for one in (here, there):
            list(one.generate(wanted))
        took: dict[str, list[float]] = {"here": [], "there": []}
        for number in range(count):
            for name, one in (("here", here), ("there", there)):
                began = time.perf_counter()
                list(one.generate(wanted.but(seed=number)))
                took[name].append(1000 * (time.perf_counter() - began))
        mine, theirs = statistics.median(took["here"]), statistics.median(took["there"])
        fastest = min(took["there"]) - min(took["here"])
        print(f"overhead, {title}: local {mine:.1f} ms, 1 worker {theirs:.1f} ms: {theirs - mine:+.1f} ms, "
              f"{100 * (theirs / mine - 1):+.1f} %; of the fastest {fastest:+.1f} ms (12 steps, medians of {count})",
              flush=True)  # fmt: skip
        there.close()


@dataclass(frozen=True)
class Nothing:
    """Makes engines that do nothing."""

    def __call__(self, number: int) -> Stating:
        return FakeEngine()


def main() -> None:
    """Measure the rows that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=24)
    parser.add_argument("--rows", default="speed,kill,cancel,overhead,node")
    arguments = parser.parse_args()
    rows = arguments.rows.split(",")
    if {*rows} - {"node"}:
        began = time.monotonic()
        cluster = open_cluster(asked("local:2"), "cpu")
        print(f"private cluster up after {time.monotonic() - began:.1f} s", *cluster.told, sep="\n")
        if "speed" in rows:
            speed(arguments.seeds)
        for name, measure in (("kill", kill), ("cancel", cancel), ("overhead", overhead)):
            if name in rows:
                measure()
        cluster.close()
    if "node" in rows:
        node()


if __name__ == "__main__":
    main()
