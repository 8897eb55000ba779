"""A cluster of Ray: a private one that is started for one server, or one that a person started and that is joined.

The promise: nobody runs code on a worker without the cluster's token. A private cluster gets a random one; another is
joined only when Ray's token authentication is on, here and there, which is tried before anything is sent. Everything
that listens is told at the start, because Ray listens on every address of a machine, also when it is private.

Ray is imported inside functions only: who does not use it need not install it.
"""

import logging
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import util
from pathlib import Path
from typing import Any, Final

from webui.errors import BadValue, EngineError, ReseedError, shown

THREADS: Final = 4
"""Threads of the processor of a worker in a joined cluster without accelerators, or as many as its smallest machine."""
MOST: Final = 256
"""Workers."""
STORE: Final = 256 << 20
"""Bytes of shared memory for a private cluster: a few pictures on their way."""
RULE: Final = "local, local:N, auto, or an address such as 10.0.0.5:6379"
NEEDED: Final = "Ray is not installed. Get it with: pip install 'reseed[ray]'"

_ADDRESS: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?:[0-9]{1,5}\Z")
_PROBE: Final = """
import sys
from ray._raylet import GcsClient
try:
    GcsClient(address=sys.argv[1]).internal_kv_keys(b"", None, timeout=10)
    print("open")
except Exception as error:
    print(type(error).__name__)
"""
"""Knocks at a cluster without a token; prints ``open`` when it is let in."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """What ``--ray`` asks for: a private cluster, or one at ``address``; ``workers`` is 0 where the machine decides."""

    address: str
    workers: int = 0

    @property
    def is_private(self) -> bool:
        """Say whether the cluster is started here, for this server alone."""
        return self.address == "local"


@dataclass
class Cluster:
    """A cluster that is there: so many workers, each with ``cpus`` cores or ``gpus`` accelerators.

    ``threads`` are a worker's, of the processor. ``told`` are sentences for the person who starts the server.
    """

    workers: int
    cpus: float
    gpus: int
    threads: int
    told: list[str] = field(default_factory=list)
    _folder: Path | None = None

    def close(self) -> None:
        """Leave the cluster; a private one ends."""
        import ray

        ray.shutdown()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def asked(text: str, workers: int = 0) -> Asked:
    """Read ``--ray`` and ``--ray-workers``; raise BadValue for what is neither.

    >>> asked("local:2"), asked("auto")
    (Asked(address='local', workers=2), Asked(address='auto', workers=0))
    """
    kind, colon, count = text.partition(":")
    if kind == "local":
        if colon and not (count.isascii() and count.isdigit() and 1 <= int(count[:9]) <= MOST):
            raise BadValue("ray", "--ray", text, f"local:N with N from 1 to {MOST}")
        return Asked("local", int(count) if colon else workers)
    if text != "auto" and not _ADDRESS.match(text):
        hint = "Ray Client (ray://…) is not used: start the server on a machine of the cluster." if "//" in text else ""
        raise BadValue("ray", "--ray", text, RULE, hint)
    return Asked(text, workers)


def open_cluster(wanted: Asked, device: str | None = None) -> Cluster:
    """Start or join a cluster; raise BadValue or EngineError, a sentence, when that is not possible."""
    if util.find_spec("ray") is None:
        raise EngineError(NEEDED)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Reseed tells nobody that it is used
    if wanted.is_private:  # Ray reads these when it is imported, and not again
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        # By itself Ray gives its workers so little of a busy machine that a picture takes twice as long as without it.
        os.environ.setdefault("RAY_worker_niceness", "0")
    import ray

    if ray.is_initialized():
        raise EngineError("This process is in a Ray cluster already; a server has one.")
    return _start(wanted.workers, device) if wanted.is_private else _join(wanted, device)


def _start(workers: int, device: str | None) -> Cluster:
    import ray

    # The path of a socket may have 107 characters, and Ray adds about 75 of its own.
    folder = Path(tempfile.mkdtemp(prefix="reseed-", dir=None if os.name == "nt" else "/tmp"))
    cores = max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    try:
        _called(
            lambda: ray.init(
                address="local",
                num_cpus=cores,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.WARNING,
                object_store_memory=STORE,
                _node_ip_address="127.0.0.1",
                _temp_dir=str(folder),
            ),
            "A private Ray cluster could not be started",
        )
        found = _private(workers, cores, int(ray.cluster_resources().get("GPU", 0)) if device in (None, "cuda") else 0)
    except ReseedError:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    found._folder = folder
    found.told.append(
        f"A private Ray cluster runs with {found.workers} worker{'s' * (found.workers > 1)} of {_size(found)}. Whoever "
        "comes needs its random token, which the server alone knows."
    )
    if ports := listening():
        found.told.append(f"It listens on {', '.join(ports)}: a firewall should keep others from these.")
    return found


def _private(workers: int, cores: int, gpus: int) -> Cluster:
    """Divide a machine among workers."""
    if gpus:
        if workers > gpus:
            raise BadValue("ray", "--ray", f"local:{workers}", f"at most local:{gpus}, a worker for each accelerator")
        return Cluster(workers or gpus, 0, 1, 1)
    count = workers or max(1, cores // THREADS)
    return Cluster(count, min(1.0, cores / count) if count >= cores else cores // count, 0, max(1, cores // count))


def _join(wanted: Asked, device: str | None) -> Cluster:
    import ray

    if os.environ.get("RAY_AUTH_MODE") != "token":
        hint = (
            "Whoever reaches a cluster without it runs any code on all of its machines. Start every node and this "
            "server with RAY_AUTH_MODE=token and the same token: see docs/scale.md."
        )
        raise BadValue("ray", "--ray", wanted.address, "a cluster with token authentication", hint)
    _called(
        lambda: ray.init(address=wanted.address, log_to_driver=False, logging_level=logging.WARNING),
        f"The Ray cluster {wanted.address} could not be joined",
    )
    try:
        address = ray.get_runtime_context().gcs_address
        if lets_in_anybody(address):
            rule = "a cluster with token authentication"
            hint = f"The one at {address} let a program in that had none: start its nodes with RAY_AUTH_MODE=token."
            raise BadValue("ray", "--ray", wanted.address, rule, hint)
        found = _divided([node["Resources"] for node in ray.nodes() if node["Alive"]], wanted.workers, device)
    except ReseedError:
        ray.shutdown()
        raise
    found.told.append(
        f"The Ray cluster at {address} was joined: {found.workers} worker{'s' * (found.workers > 1)} of "
        f"{_size(found)}. It lets in nobody without the token."
    )
    if ports := listening():
        found.told.append(f"This machine listens for it on {', '.join(ports)}.")
    return found


def _divided(nodes: list[dict[str, float]], workers: int, device: str | None) -> Cluster:
    """Divide the machines of a cluster among workers: one for each accelerator, else one for some cores of each."""
    gpus = int(sum(node.get("GPU", 0) for node in nodes))
    if gpus and device in (None, "cuda"):
        return Cluster(workers or gpus, 0, 1, 1)
    cores = [int(node.get("CPU", 0)) for node in nodes if node.get("CPU", 0) >= 1]
    if not cores:
        raise EngineError("The Ray cluster has neither accelerators nor cores of a processor to give.")
    threads = min(THREADS, *cores)  # as many for each worker: another number is another picture in the last bits
    return Cluster(workers or sum(count // threads for count in cores), threads, 0, threads)


def lets_in_anybody(address: str) -> bool:
    """Say whether a cluster answers a program that has no token; one that does not answer at all does not."""
    without = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    command = [sys.executable, "-c", _PROBE, address]
    try:
        done = subprocess.run(
            command,
            check=False,
            env={**without, "RAY_AUTH_MODE": "disabled"},
            capture_output=True,
            text=True,
            timeout=60,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.stdout.strip() == "open"


def listening() -> list[str]:
    """List the addresses on which this process and those that it started listen, * for every address."""
    import psutil

    me, found = psutil.Process(), set()
    for process in (me, *me.children(recursive=True)):
        try:
            sockets = [one for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN]
        except psutil.Error:
            continue
        found |= {(str(one.laddr.ip), int(one.laddr.port)) for one in sockets}
    return [f"{'*' if ip in ('::', '0.0.0.0') else ip}:{port}" for ip, port in sorted(found)]


def _size(cluster: Cluster) -> str:
    if cluster.gpus:
        return "one accelerator each"
    return f"{cluster.threads} thread{'s' * (cluster.threads > 1)} of the processor each"


def _called(work: Callable[[], Any], failed: str) -> None:
    """Do what calls Ray; its errors, which are of many kinds, become a sentence."""
    from ray.exceptions import RayError

    try:
        work()
    except (OSError, RuntimeError, ValueError, RayError) as error:
        _log.debug("Ray", exc_info=True)
        first = str(error).strip().partition("\n")[0] or type(error).__name__
        raise EngineError(f"{failed}: {shown(first, 300)}") from None
