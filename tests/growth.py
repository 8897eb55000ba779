"""How work grows with the length of a text, for readers that promise to be linear."""

import math
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

SHORT, LONG = 1_000, 100_000


def growth(read: Callable[[str], object], unit: str) -> float:
    """Give the exponent by which the time grows from 1,000 characters of a repeated unit to 100,000: 1 is linear, 2 is
    quadratic.

    The bound to assert is 1.5: ten times the time of a linear reader, a tenth of that of a quadratic one, so that no
    neighbour on the machine decides it. Processor time; of the short text the best of a few runs, each with an end of
    its own so that no cache answers.
    """

    def seconds(length: int, run: int) -> float:
        text = (unit * length)[: length - 1] + str(run)
        begin = time.process_time()
        read(text)
        return time.process_time() - begin

    short, long = (min(seconds(length, run) for run in range(runs)) for length, runs in ((SHORT, 9), (LONG, 1)))
    return math.log(long / short) / math.log(LONG / SHORT)


def lines(call: Callable[[], object]) -> int:
    """Count the lines of Python that a call runs: the same on every machine, however busy."""
    count = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count
