"""Measure how long each door takes to refuse what it does not take: the cases of tests/inputs, each sent once.

    python scripts/measure_bad_inputs.py [--cold 5]

Serves the whole application over an empty folder, with an engine that draws no pictures worth looking at, in a process
of its own, and sends over HTTP what the tests send. The page is asked as a browser asks it, at gradio's queue. The
command line is measured in this process, and as a process of its own for one case, which is mostly Python's start.
``--cold`` starts the server so many times more, and sends each door one refused request as the first.

Prints milliseconds by the clock of the client, and how many cases took less than 100 of them.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

import httpx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.inputs import doors, files, protocol, table  # noqa: E402 — the cases are those of the tests
from tests.inputs.doors import Answer, House  # noqa: E402
from webui.serve import ready  # noqa: E402

LIMIT = 100.0
"""Milliseconds that a refusal may take."""
SERVER = """
import sys, threading, time
from pathlib import Path
import uvicorn
from webui.engine.checkpoints import Catalog
from webui.engine.fake import FakeEngine
from webui.serve import application, listen, ready
from webui.settings import Settings
from webui.studio import Studio

folder = Path(sys.argv[1])
settings = Settings(data_dir=folder / "data", models_dir=folder / "models")
catalog = Catalog(settings.models, loras=settings.loras, embeddings=settings.embeddings)
studio = Studio(settings, FakeEngine(), catalog)
studio.start()
ready()
listener = listen("127.0.0.1", 0)
listener.listen(128)
server = uvicorn.Server(uvicorn.Config(application(studio), log_level="critical", proxy_headers=False))

def tell():
    while not server.started:
        time.sleep(0.01)
    print(listener.getsockname()[1], flush=True)

threading.Thread(target=tell, daemon=True).start()
server.run(sockets=[listener])
studio.close()
"""


class Away(House):
    """A house whose studio is in another process: what the doors need of it, and no more."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.commands, self.models = folder, folder / "commands", folder / "models"
        self.client = httpx.Client(base_url=address, timeout=60)  # type: ignore[assignment]


@contextmanager
def served(folder: Path) -> Iterator[Away]:
    """Start a server over a folder and stop it afterwards."""
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(folder)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        port = server.stdout.readline().strip() if server.stdout else ""
        yield Away(folder, f"http://127.0.0.1:{port}")
    finally:
        server.terminate()
        server.wait(30)


def cases(house: Away) -> Iterator[tuple[str, str, Callable[[], Answer]]]:
    """Yield what is refused: the door, the name of the case, and what sends it."""
    for case in table.CASES:
        if case.so == table.REFUSED:
            row = case.row
            yield case.door, str(case), lambda row=row, door=case.door: doors.ask(house, door, row.field, row.value)
    for file, door in files.CASES:
        if file.at(door) == table.REFUSED:
            data = file.make()
            name = f"no-{file.number}-{file.what}-{door}"
            yield door, name, lambda data=data, door=door: doors.show(house, door, data, "picture.png")
    for wrong in protocol.REQUESTS:
        if " with another " not in wrong.what:  # before these are wrong, a picture is made
            yield wrong.door, str(wrong), lambda wrong=wrong: doors.timed(lambda: wrong.ask(house))


def told(took: dict[str, list[tuple[float, str]]]) -> None:
    """Print the figures of each door."""
    print(f"{'':10}{'cases':>7}{'median':>9}{'p95':>9}{'most':>9}{'< 100 ms':>10}")
    for door, found in took.items():
        ms = [one for one, _ in found]
        quick = sum(one < LIMIT for one in ms)
        cut = quantiles(ms, n=20)[18]
        print(f"{door:10}{len(ms):7}{median(ms):9.1f}{cut:9.1f}{max(ms):9.1f}{100 * quick / len(ms):9.1f}%")
    for door, found in took.items():
        for one, name in sorted(found, reverse=True)[:5]:
            if one >= LIMIT:
                print(f"  {one:7.0f} ms at {door}: {name}")


def cold(times: int) -> None:
    """Print how long the first request of a process takes at each door that is served."""
    print(f"first request of a process, {times} times each, nothing asked before it:")
    for door in ("firefly", "runware", "a1111"):
        took = []
        for _ in range(times):
            with tempfile.TemporaryDirectory() as name, served(Path(name)) as house:
                answer = doors.ask(house, door, "steps", "0")
                assert answer.status == 422, answer.text
                took.append(answer.ms)
        print(f"{door:10} median {median(took):6.1f}  most {max(took):6.1f} ms")


def process(folder: Path) -> None:
    """Print how long a command takes as a process of its own."""
    took = []
    for _ in range(5):
        began = time.perf_counter()
        command = [sys.executable, "-m", "webui", "make", "--data-dir", str(folder), "--steps=0", "a lake"]
        assert subprocess.run(command, capture_output=True, cwd=ROOT, check=False).returncode == 2
        took.append(1000 * (time.perf_counter() - began))
    print(
        f"webui make --steps=0 as a process: median {median(took):.0f}, most {max(took):.0f} ms, mostly Python's start"
    )


def main() -> None:
    """Serve, send, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cold", type=int, default=5, metavar="N", help="starts for the first request (default: 5)")
    asked = parser.parse_args()
    took: dict[str, list[tuple[float, str]]] = {name: [] for name in doors.NAMES}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for made in ("data", "commands", "models"):
            (folder / made).mkdir()
        files.write_models(folder / "models", folder / "outside")
        with served(folder) as house:
            house.look()
            ready()
            for door in doors.NAMES:  # the first of each is measured apart
                doors.ask(house, door, "steps", "0")
            for door, case, send in cases(house):
                answer = send()
                assert not answer.taken, f"{case} was taken"
                took[door].append((answer.ms, case))
        told(took)
        process(folder / "commands")
    if asked.cold:
        cold(asked.cold)


if __name__ == "__main__":
    main()
