"""Seeds: integers from 0 to 2^64−1, decimal text wherever a browser or JSON can see them.

The promise: what is shown is what was used. −1 and an empty field ask for a random seed and are answered here, at
the door, by drawing one below 2^32 (the range that A1111 and its relatives draw from, so that drawn seeds travel).
Everything else that is not a seed is an error with a sentence; nothing is rounded, wrapped or replaced in silence.

A seed field also takes lists and ranges: ``7, 9, 20-27``.
"""

import re
import secrets
from typing import Literal, get_args

from webui.errors import BadValue

MAXIMUM = 2**64 - 1
DRAWN_BELOW = 2**32
LIST_LIMIT = 10_000
"""More seeds than this in one field are refused: a mistyped range must not fill the queue."""

Numbering = Literal["increment", "same", "random"]
"""How the images of a batch are numbered: seed+k, all the same seed, or a fresh random seed each."""
NUMBERINGS: tuple[Numbering, ...] = get_args(Numbering)

RULE = f"a whole number from 0 to {MAXIMUM}, −1 or empty for a random one"
LIST_RULE = f"{RULE}, or a list with ranges such as 7, 9, 20-27"

_DIGITS = re.compile(r"[0-9]+\Z")  # ASCII only: int() would also take fullwidth digits and 1_000
_RANGE = re.compile(r"([0-9]+)\s*(?:-|–|\.\.)\s*([0-9]+)\Z")


def is_random(text: str) -> bool:
    """Say whether the text asks for a random seed.

    >>> is_random(" -1 "), is_random(""), is_random("0")
    (True, True, False)
    """
    return text.strip() in ("", "-1", "−1")


def parse(text: str, field: str = "seed", label: str = "Seed") -> int:
    """Read one seed from decimal text.

    >>> parse(" 18446744073709551615 ")
    18446744073709551615

    Raises BadValue for anything else, −1 included: a stored seed is never −1.
    """
    stripped = text.strip()
    # A number of more than 20 digits is too large; saying so needs no conversion of a megabyte of digits.
    if _DIGITS.match(stripped) and len(stripped.lstrip("0")) <= 20 and int(stripped) <= MAXIMUM:
        return int(stripped)
    raise BadValue(field, label, text, RULE)


def draw(text: str = "-1") -> int:
    """Settle one seed at the door: a seed stays itself, −1 or empty draws a random one below 2^32.

    >>> draw("42")
    42
    >>> 0 <= draw("-1") < 2**32
    True
    """
    return secrets.randbelow(DRAWN_BELOW) if is_random(text) else parse(text)


def expand(text: str) -> list[int]:
    """Settle a seed field that may hold a list with ranges; every −1 in it draws its own seed.

    >>> expand("7, 9, 20-23")
    [7, 9, 20, 21, 22, 23]

    Raises BadValue when an entry is not a seed, a range runs backwards or the list is longer than LIST_LIMIT.
    """
    if is_random(text) or ("," not in text and not _RANGE.match(text.strip())):
        try:
            return [draw(text)]
        except BadValue:
            raise BadValue("seed", "Seed", text, LIST_RULE) from None
    seeds: list[int] = []
    for part in text.split(","):
        found = _range(part) if _RANGE.match(part.strip()) else _single(part, text)
        if len(seeds) + len(found) > LIST_LIMIT:
            raise BadValue("seed", "Seed", text, f"a list of at most {LIST_LIMIT} seeds")
        seeds += found
    return seeds


def _single(part: str, text: str) -> list[int]:
    if not part.strip():
        raise BadValue("seed", "Seed", text, LIST_RULE, "There is an empty entry between two commas.")
    try:
        return [draw(part)]
    except BadValue:
        raise BadValue("seed", "Seed", part.strip(), LIST_RULE) from None


def _range(part: str) -> range:
    match = _RANGE.match(part.strip())
    assert match is not None
    try:
        first, last = parse(match[1]), parse(match[2])
    except BadValue:
        raise BadValue("seed", "Seed", part.strip(), LIST_RULE) from None
    if last < first:
        raise BadValue("seed", "Seed", part.strip(), "a range that runs upwards", f"Write {last}-{first}.")
    if last - first >= LIST_LIMIT:
        raise BadValue("seed", "Seed", part.strip(), f"a list of at most {LIST_LIMIT} seeds")
    return range(first, last + 1)


def batch(seed: int, count: int, numbering: Numbering = "increment") -> list[int]:
    """Number the images of a batch; image 0 always has ``seed`` itself.

    >>> batch(7, 3), batch(7, 3, "same")
    ([7, 8, 9], [7, 7, 7])

    Raises BadValue when seed+k would pass the largest seed: numbers do not wrap.
    """
    if numbering == "same":
        return [seed] * count
    if numbering == "random":
        return [seed, *(draw() for _ in range(count - 1))]
    if seed + count - 1 > MAXIMUM:
        raise BadValue(
            "seed", "Seed", seed, f"at most {MAXIMUM - count + 1} for a batch of {count}", "Seeds do not wrap around."
        )
    return list(range(seed, seed + count))
