"""The tally: what was made since the program started, for those who look after it. It ends with the process."""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

BOUNDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0, 120.0, 300.0)
"""Seconds up to which pictures are counted together; slower ones are counted after the last."""


@dataclass
class Times:
    """How many pictures took how long. ``counts`` has one more than BOUNDS."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """Count a picture."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    @property
    def pictures(self) -> int:
        """Count all."""
        return sum(self.counts)

    @property
    def mean(self) -> float | None:
        """Return the mean in seconds; None before the first."""
        return self.total / self.pictures if self.pictures else None


@dataclass
class Tally:
    """Pictures by model with the seconds they took, pictures that could not be made, jobs by how they ended."""

    times: dict[str, Times] = field(default_factory=dict)
    failed: int = 0
    jobs: Counter[str] = field(default_factory=Counter)

    def made(self, model: str, seconds: float) -> None:
        """Count a picture of a model.

        >>> tally = Tally()
        >>> tally.made("reseed", 0.5)
        >>> tally.times["reseed"].pictures, tally.times["reseed"].mean
        (1, 0.5)
        """
        self.times.setdefault(model, Times()).add(seconds)

    def ended(self, status: str) -> None:
        """Count a job that has ended."""
        self.jobs[status] += 1
