"""Simulate a day of visitors on workers that come and go: how many cards a number of pictures needs, and who waits.

    python scripts/simulate_capacity.py [--pictures 1000000] [--seconds 3] [--svg docs/images/capacity.svg]

The same seed gives the same day. Visitors come by a Poisson process whose rate follows the hour, lowest at four in the
morning and highest at four in the afternoon, each with a job of one to four pictures; a job that comes when LIMIT wait
for each worker is refused, as in a demo. A picture takes its model's seconds on its card, give or take a tenth. Every
15 s the scaler asks for as many workers as would be three quarters busy with what came in the last five minutes, and
would empty the queue in two; a new one is there after LAG seconds, one that is not needed goes after ten minutes.

First the model of a queue is held against what was measured on real workers: the same pictures at once, one worker and
two. What is not in it: models of different sizes side by side, machines that are lost, the network.
"""

import argparse
import heapq
import math
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, quantiles

DAY = 86_400.0
LAG = 180.0
"""Seconds until a machine that is asked for has booted, pulled the image and loaded the model: assumed."""
LIMIT = 8
"""Jobs that may wait for each worker."""
TICK, WINDOW, KEEP, BUSY, EMPTY = 15.0, 300.0, 600.0, 0.75, 120.0
SWING = 0.6
"""How far the rate of visitors goes up and down around its mean."""

SECONDS = {
    "SD 1.5, 512 × 512, 20 steps": {"L4": 4.0, "RTX 4090": 1.0, "H100": 0.8},
    "SDXL, 1024 × 1024, 30 steps": {"L4": 25.0, "RTX 4090": 6.5, "H100": 3.0},
    "Flux dev, 1024 × 1024, 28 steps": {"RTX 4090": 18.0, "H100": 7.5},
}
"""Seconds for a picture: general knowledge, not measured here. Yours are in /metrics as reseed_picture_seconds."""

MEASURED = (
    ("24 that only wait", 24, 1, 12.5 / 24, 12.5),
    ("24 that only wait", 24, 2, 12.5 / 24, 6.3),
    ("24 of the bundled model", 24, 1, 11.4 / 24, 11.4),
    ("24 of the bundled model", 24, 2, 11.4 / 24, 6.2),
)
"""Title, pictures, workers, seconds for a picture (those of one worker), seconds for all: by scripts/measure_ray.py, on
two shared cores under a load of 4. One worker gives the model its seconds; two are what it foretells."""
HEADS = "most workers | worker hours | busy | there after s | 95 % | refused"


@dataclass
class Fleet:
    """The workers: ``at_least`` and ``at_most`` of them, each ``seconds`` for a picture, a new one after ``lag``."""

    seconds: float
    at_least: int
    at_most: int
    lag: float = LAG
    limit: int = LIMIT


@dataclass
class Day:
    """What became of a day: seconds until each picture was there, counts, and how it stood at each tick."""

    waited: list[float] = field(default_factory=list)
    refused: int = 0
    asked: int = 0
    worker_seconds: float = 0.0
    end: float = 0.0
    ticks: list[tuple[float, int, int, int]] = field(default_factory=list)  # time, workers, pictures waiting, came

    def percentile(self, share: int) -> float:
        """Return the seconds within which ``share`` percent of the pictures were there."""
        return quantiles(self.waited, n=100)[share - 1] if len(self.waited) > 1 else math.nan


def visitors(pictures: float, chance: random.Random) -> Iterator[tuple[float, int]]:
    """Yield when each visitor comes, in seconds, and how many pictures he or she wants; ``pictures`` a day in all."""
    top = pictures / 2.5 / DAY * (1 + SWING)
    now = 0.0
    while (now := now + chance.expovariate(top)) < DAY:
        rate = 1 - SWING * math.cos(2 * math.pi * (now / DAY - 4 / 24))
        if chance.random() < rate / (1 + SWING):
            yield now, chance.randint(1, 4)


class Play:
    """A day being played: the queue, the workers, and what is to happen next, by its time."""

    def __init__(self, fleet: Fleet, chance: random.Random, scales: bool) -> None:
        self.fleet, self.chance, self.scales = fleet, chance, scales
        self.day, self.line = Day(), deque[tuple[float, int]]()
        self.workers = self.idle = fleet.at_least
        self.coming = self.waiting = self.since = self.order = 0
        self.lately, self.unneeded = deque[tuple[float, int]](), 0.0
        self.events: list[tuple[float, int, str, float]] = []
        if scales:
            self.at(TICK, "tick")

    def at(self, time: float, kind: str, came: float = 0.0) -> None:
        """Note what is to happen; of two at once the first that was noted is first."""
        self.order += 1
        heapq.heappush(self.events, (time, self.order, kind, came))

    def arrive(self, now: float, count: int) -> None:
        """Let a visitor ask for pictures."""
        self.day.asked += count
        self.since += count
        self.lately.append((now, count))
        if self.scales and len(self.line) >= self.fleet.limit * max(self.workers, 1):
            self.day.refused += count
        else:
            self.line.append((now, count))
            self.waiting += count

    def happen(self, now: float, kind: str, came: float) -> None:
        """Let a picture be done, or a worker be there."""
        self.idle += 1
        if kind == "done":
            self.day.waited.append(now - came)
        else:
            self.workers, self.coming = self.workers + 1, self.coming - 1

    def tick(self, now: float) -> None:
        """Ask for workers, or send some away."""
        fleet = self.fleet
        while self.lately and self.lately[0][0] < now - WINDOW:
            self.lately.popleft()
        rate = sum(count for _, count in self.lately) / min(WINDOW, now)
        wanted = math.ceil(rate * fleet.seconds / BUSY + self.waiting * fleet.seconds / EMPTY)
        wanted = min(fleet.at_most, max(fleet.at_least, wanted))
        for _ in range(wanted - self.workers - self.coming):
            self.coming += 1
            self.at(now + fleet.lag, "up")
        self.unneeded = self.unneeded + TICK if wanted < self.workers else 0.0
        if self.unneeded >= KEEP:
            gone = min(self.idle, self.workers - wanted)
            self.workers, self.idle = self.workers - gone, self.idle - gone
        self.day.ticks.append((now, self.workers, self.waiting, self.since))
        self.day.worker_seconds += self.workers * TICK
        self.since = 0

    def begin(self, now: float) -> None:
        """Give the workers that are idle the next pictures of the line."""
        while self.idle and self.line:
            came, count = self.line.popleft()
            if count > 1:
                self.line.appendleft((came, count - 1))
            self.idle, self.waiting = self.idle - 1, self.waiting - 1
            self.at(now + self.fleet.seconds * self.chance.uniform(0.9, 1.1), "done", came)


def simulate(arrivals: Iterator[tuple[float, int]], fleet: Fleet, chance: random.Random, scales: bool = True) -> Day:
    """Play a day through; without ``scales`` the workers stay as many as at the beginning."""
    play, following = Play(fleet, chance, scales), next(arrivals, None)
    while following or play.line or play.idle < play.workers:
        if following and (not play.events or following[0] <= play.events[0][0]):
            (now, count), following = following, next(arrivals, None)
            play.arrive(now, count)
        else:
            now, _, kind, came = heapq.heappop(play.events)
            if kind != "tick":
                play.happen(now, kind, came)
            else:
                play.tick(now)
                play.at(now + TICK, "tick")
        play.begin(now)
        play.day.end = now
    return play.day


def check() -> None:
    """Hold the model against what was measured: the same pictures at once on one worker and on two."""
    for title, pictures, workers, seconds, took in MEASURED:
        day = simulate(iter([(0.0, pictures)]), Fleet(seconds, workers, workers), random.Random(1), scales=False)
        off = f"{100 * (day.end / took - 1):+.0f} %"
        print(f"  {title:22} {workers} at a time: measured {took:4.1f} s, simulated {day.end:4.1f} s, {off}")


def draw(day: Day, fleet: Fleet, path: Path) -> None:
    """Draw workers and arrivals over the day, and the queue below, as SVG."""
    width, height, left, low = 860, 250, 60, 110
    step = max(1, len(day.ticks) // 430)
    shown = [
        (time, workers, waiting, mean(one[3] for one in day.ticks[at : at + step]) / TICK)
        for at, (time, workers, waiting, _) in list(enumerate(day.ticks))[::step]
    ]
    most = max(max(one[1], one[3] * fleet.seconds) for one in shown) or 1
    longest = max(one[2] for one in shown) or 1

    def line(values: list[float], top: float, base: float, tall: float, kind: str) -> str:
        points = " ".join(
            f"{left + width * one[0] / DAY:.1f},{base - tall * value / top:.1f}"
            for one, value in zip(shown, values, strict=True)
        )
        return f'<polyline class="{kind}" points="{points}"/>'

    base, under = 40 + height, 40 + height + 50 + low
    texts = [
        (left, 22, f"Workers there, and workers that what comes would keep busy (up to {most:.0f})", "start"),
        (left, base + 32, f"Pictures that wait (up to {longest})", "start"),
        *((left + width * hour / 24, under + 18, f"{hour}:00", "middle") for hour in range(0, 25, 4)),
        (left - 8, 46, f"{most:.0f}", "end"),
        (left - 8, base, "0", "end"),
        (left - 8, under - low + 6, f"{longest}", "end"),
        (left - 8, under, "0", "end"),
    ]
    words = "".join(f'<text x="{x}" y="{y}" text-anchor="{side}">{text}</text>' for x, y, text, side in texts)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 20} {under + 30}" role="img" '
        'aria-label="Workers and waiting pictures over a day">'
        "<style>rect{fill:#fff}text{font:13px sans-serif;fill:#333}"
        "polyline{fill:none;stroke-width:1.6}.there{stroke:#3b5bdb}.busy{stroke:#e8590c}.wait{stroke:#868e96}"
        f"line{{stroke:#ccc}}</style><rect width='100%' height='100%'/>"
        f'<line x1="{left}" y1="{base}" x2="{left + width}" y2="{base}"/>'
        f'<line x1="{left}" y1="{under}" x2="{left + width}" y2="{under}"/>'
        f"{line([one[1] for one in shown], most, base, height - 10, 'there')}"
        f"{line([one[3] * fleet.seconds for one in shown], most, base, height - 10, 'busy')}"
        f"{line([one[2] for one in shown], longest, under, low - 10, 'wait')}{words}</svg>\n",
        encoding="utf-8",
    )


def row(pictures: float, seconds: float, lag: float = LAG, at_least: int = 2) -> tuple[Day, Fleet, str]:
    """Simulate a day and write what came of it."""
    chance = random.Random(7)
    fleet = Fleet(seconds, at_least, 10_000, lag)
    day = simulate(visitors(pictures, chance), fleet, chance)
    hours = day.worker_seconds / 3600
    busy = seconds * len(day.waited) / day.worker_seconds
    text = (
        f"{max(one[1] for one in day.ticks)} | {hours:.0f} | {100 * busy:.0f} % | {day.percentile(50):.1f} | "
        f"{day.percentile(95):.1f} | {100 * day.refused / day.asked:.2f} %"
    )
    return day, fleet, text


def main() -> None:
    """Check the model, print the tables, draw the day."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=float, default=1e6, help="pictures asked for in a day")
    parser.add_argument("--seconds", type=float, default=0.0, help="for a picture: one row instead of the table")
    parser.add_argument("--svg", type=Path, help="draw the day of SDXL on H100, or of --seconds")
    arguments = parser.parse_args()
    print("The model against what was measured:")
    check()
    print(f"\n{arguments.pictures:,.0f} pictures a day:\n")
    print(
        "| model and size | card | s a picture | most workers | worker hours | busy | there after s | 95 % | refused |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    table = {"yours": {"yours": arguments.seconds}} if arguments.seconds else SECONDS
    for model, cards in table.items():
        for card, seconds in cards.items():
            day, fleet, text = row(arguments.pictures, seconds)
            print(f"| {model} | {card} | {seconds:g} | {text} |", flush=True)
            if arguments.svg and (arguments.seconds or (model.startswith("SDXL") and card == "H100")):
                draw(day, fleet, arguments.svg)
    print(f"\n| seconds until a new worker is there | {HEADS} |")
    print("|---|---|---|---|---|---|---|")
    for lag in (30.0, 180.0, 600.0):
        _, _, text = row(arguments.pictures, arguments.seconds or 3.0, lag)
        print(f"| {lag:.0f} | {text} |", flush=True)


if __name__ == "__main__":
    main()
