"""How work grows with the length of a text, for readers that promise to be linear."""

import gc
import math
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

SHORT, LONG = 1_000, 100_000
SURE = 1.2
"""Below this no further run is needed: it could only give less."""


def growth(read: Callable[[str], object], unit: str) -> float:
    """Give the exponent by which the time grows from 1,000 characters of a repeated unit to 100,000: 1 is linear, 2 is
    quadratic.

    The bound to assert is 1.5: ten times the time of a linear reader, a tenth of that of a quadratic one, so that no
    neighbour on the machine decides it. Processor time, the best of nine and of up to three runs (a second is taken
    where the first was slow), each with an end of its own so that no cache answers, and without the collector, which
    has what all other tests left behind to look through.
    """

    def seconds(length: int, run: int) -> float:
        text = (unit * length)[: length - 1] + str(run)
        begin = time.process_time()
        read(text)
        return time.process_time() - begin

    def exponent(long: float) -> float:
        return math.log(long / short) / math.log(LONG / SHORT)

    collects = gc.isenabled()
    gc.disable()
    try:
        short, long = min(seconds(SHORT, run) for run in range(9)), math.inf
        for run in range(3):
            long = min(long, seconds(LONG, run))
            if exponent(long) < SURE:
                break
    finally:
        if collects:
            gc.enable()
    return exponent(long)


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
