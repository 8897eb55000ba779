"""How time grows with the length of a text: for readers that promise to be linear."""

import time
from collections.abc import Callable


def growth(read: Callable[[str], object], unit: str) -> float:
    """Return how many times longer 100,000 characters of a repeated unit take than 20,000: 5 linear, 25 quadratic.

    Processor time, the best of a few runs; what takes less than two milliseconds counts as two.
    """

    def seconds(length: int) -> float:
        text = (unit * length)[:length]
        begin = time.process_time()
        read(text)
        return time.process_time() - begin

    small = min(seconds(20_000) for _ in range(3))
    return min(seconds(100_000) for _ in range(2)) / max(small, 0.002)
