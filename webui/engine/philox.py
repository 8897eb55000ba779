"""Philox 4x32-10: noise from a counter and a key, the same on every device and every processor.

Source: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
The layout of counters is cuRAND's, as torch uses it on NVIDIA cards: element i of draw number d has the counter
(d, 0, i, 0) and the key is the 64-bit seed, low word first. So a value depends on seed, draw and its index alone,
never on how many others are drawn, and all 64 bits of a seed count.

The Box–Muller transform is computed in float64 with the constants that CUDA holds in float32, and rounded once at
the end: float32 arithmetic would differ between processors in the last bits (see docs/decisions).
"""

import math

import numpy as np
from numpy.typing import NDArray

ROUNDS = 10
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_TWO_PI = float(np.float32(2 * math.pi))

Words = NDArray[np.uint64]


def block(counter: tuple[Words, Words, Words, Words], key: tuple[int, int]) -> tuple[Words, Words, Words, Words]:
    """Encrypt counters with a key: ten rounds on four 32-bit words each.

    ``counter``: four arrays of one shape (or broadcastable), each value below 2^32, in uint64.

    >>> zero = np.zeros(1, np.uint64)
    >>> [f"{int(word[0]):08x}" for word in block((zero, zero, zero, zero), (0, 0))]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        p0, p1 = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2  # 32 × 32 → 64 bits
        c0, c1, c2, c3 = (p1 >> _SHIFT) ^ c1 ^ np.uint64(k0), p1 & _LOW, (p0 >> _SHIFT) ^ c3 ^ np.uint64(k1), p0 & _LOW
        k0, k1 = (k0 + _KEY_STEPS[0]) & 0xFFFFFFFF, (k1 + _KEY_STEPS[1]) & 0xFFFFFFFF
    return c0, c1, c2, c3


def randn(seed: int, draw: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Draw standard normal noise.

    ``seed``: 0 to 2^64−1. ``draw``: which draw of this stream it is, from 0. ``shape``: filled in C order.

    >>> [round(float(value), 4) for value in randn(0, 0, (4,))]
    [-0.9247, -0.4253, -2.6438, 0.1452]
    """
    index = np.arange(math.prod(shape), dtype=np.uint64)
    return normal(seed, draw, index, np.zeros(1, np.uint64)).reshape(shape)


def normal(seed: int, draw: int, place: Words, plane: Words) -> NDArray[np.float32]:
    """Draw standard normal noise for counters (draw, 0, place, plane), broadcast together."""
    zero = np.zeros(1, np.uint64)
    key = (seed & 0xFFFFFFFF, seed >> 32)
    word0, word1, _, _ = block((np.full(1, draw, np.uint64), zero, place, plane), key)
    u = word0.astype(np.float64) * 2.0**-32 + 2.0**-33
    v = word1.astype(np.float64) * (_TWO_PI * 2.0**-32) + _TWO_PI * 2.0**-33
    result: NDArray[np.float32] = (np.sqrt(-2.0 * np.log(u)) * np.sin(v)).astype(np.float32)
    return result
