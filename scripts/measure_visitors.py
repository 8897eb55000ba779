"""Measure a demo that many people visit at once: how long its page and a job's status take, who is refused, memory.

    python scripts/measure_visitors.py [--visitors 100] [--seconds 120]

Starts ``webui --demo`` over an empty folder on a free port of 127.0.0.1. All visitors come within ten seconds, each
with cookies of its own: opens the page, asks for a picture through the job API, and asks once a second how it stands
until it is there or the time is over; who is refused because the line is full comes again when the answer says so.
Prints milliseconds (median, 95th percentile, greatest) by the clock of the visitors, who share the machine with the
server.
"""

import argparse
import asyncio
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import httpx

ARRIVAL = 10.0
"""Seconds in which all visitors come."""
POLL = 1.0


@dataclass
class Seen:
    """What the visitors saw: milliseconds by kind of request, answers by kind, pictures."""

    took: dict[str, list[float]] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    waited: list[float] = field(default_factory=list)

    async def ask(self, kind: str, request: Awaitable[httpx.Response]) -> httpx.Response:
        """Await a request and note how long it took and how it was answered."""
        began = time.perf_counter()
        answer = await request
        self.took.setdefault(kind, []).append(1000 * (time.perf_counter() - began))
        self.answers[f"{kind} {answer.status_code}"] += 1
        return answer


async def visit(address: str, number: int, until: float, seen: Seen) -> None:
    """Be one visitor: open the page, ask for a picture, wait for it, look at it."""
    await asyncio.sleep(ARRIVAL * random.Random(number).random())
    began = time.monotonic()
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        await seen.ask("page", client.get("/", headers={"accept": "text/html"}))
        body = {"prompt": "a house by a lake", "seeds": [number]}
        while (
            answer := await seen.ask("submit", client.post("/v3/images/generate-async", json=body))
        ).status_code == 429:
            pause = float(answer.headers.get("retry-after", 5)) * (0.5 + random.random())
            if time.monotonic() + pause > until:
                return
            await asyncio.sleep(pause)
        if answer.status_code != 202:
            return
        path = httpx.URL(answer.json()["statusUrl"]).path
        while time.monotonic() < until:
            told = (await seen.ask("status", client.get(path))).json()
            if told["status"] not in ("pending", "running"):
                break
            await asyncio.sleep(POLL)
        if told["status"] == "succeeded":
            picture = httpx.URL(told["result"]["outputs"][0]["image"]["url"]).path
            await seen.ask("picture", client.get(picture))
            seen.waited.append(time.monotonic() - began)


def memory(process: int) -> float:
    """Return the megabytes that a process has in memory."""
    text = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    return int(found[1]) / 1024 if found else 0.0


async def crowd(address: str, visitors: int, seconds: float, process: int) -> tuple[Seen, float]:
    """Let all visitors come; return what they saw and the most memory that the server had."""
    seen, most = Seen(), 0.0
    until = time.monotonic() + seconds
    visits = asyncio.gather(*(visit(address, number, until, seen) for number in range(visitors)))
    while not visits.done():
        most = max(most, memory(process))
        await asyncio.sleep(0.5)
    await visits
    return seen, most


def told(seen: Seen, most: float) -> None:
    """Print the figures."""
    print(f"{'':10}{'asked':>7}{'median':>9}{'p95':>9}{'most':>9}  ms")
    for kind, took in seen.took.items():
        cuts = quantiles(took, n=20) if len(took) > 1 else took * 19
        print(f"{kind:10}{len(took):7}{cuts[9]:9.1f}{cuts[18]:9.1f}{max(took):9.1f}")
    print("answers: " + ", ".join(f"{kind} × {count}" for kind, count in sorted(seen.answers.items())))
    longest = f", the longest after {max(seen.waited):.0f} s" if seen.waited else ""
    print(f"{len(seen.waited)} visitors saw their picture{longest}; the server had at most {most:.0f} MB in memory")


def main() -> None:
    """Start a demo, let visitors come, print, stop it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visitors", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=120.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "webui", "--demo", "--port", "0", "--data-dir", folder]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            line = server.stdout.readline() if server.stdout else ""
            address = re.search(r"http://\S+", line)
            if address is None:
                raise SystemExit(f"The server did not start: {line}")
            told(*asyncio.run(crowd(address[0], asked.visitors, asked.seconds, server.pid)))
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)


if __name__ == "__main__":
    main()
