"""Ninety-two inputs that broke other programs, and what each door says to them: the values, 1 to 81 and 88.

A row is a number of the list, a field and a value written as JSON; the command line gets its text. ``so`` is what every
door does with it, ``but`` what some doors do instead. Files, 82 to 87, are in ``files``; what goes wrong between a
client and a server, 89 to 92, is in ``protocol``; ``ABSENT`` says where a number cannot come in at all, and why.
Number 0 is for values beside the list that were found on the way.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.inputs.doors import NAMES

REFUSED: Final = "refused"
TAKEN: Final = "taken"
"""Taken, and comes back as it was."""
DRAWN: Final = "drawn"
"""Taken as a wish for a random seed, which is drawn and told."""


class Comes(str):
    """Taken; what comes back, as JSON, is another writing of the same, or what stands for nothing."""


class Not(str):
    """It cannot come in here; the reason."""


@dataclass(frozen=True)
class Row:
    """A value of the list and what becomes of it."""

    number: int
    field: str
    value: str
    so: str = REFUSED
    but: Mapping[str, str] = field(default_factory=dict)

    def at(self, door: str) -> str:
        """Return what a door does with it."""
        return self.but.get(door, self.so)

    def id(self, door: str) -> str:
        """Name the case as ``no-36-seed-9007199254740993-runware``."""
        return f"no-{self.number}-{self.field}-{self.value[:30]}-{door}"


@dataclass(frozen=True)
class Case:
    """A row at a door."""

    row: Row
    door: str
    so: str

    def __str__(self) -> str:
        return self.row.id(self.door)


TYPED: Final = Not("what stands on a command line is text")
LONG: Final = json.dumps("x" * 20_000_000)
NOTHING: Final = {"steps": "50", "cfg_scale": "7.0", "width": "512", "count": "1", "prompt": '""'}
"""What A1111 takes for null."""
KINDS: Final = {11: ("true",), 12: ("null",), 13: ("[]", "[20]"), 14: ("{}", '{"a": 1}')}
"""Values of a kind that no number is of."""
STEPS: Final = {
    1: "0", 2: "-1", 3: "1.5", 4: "151", 5: "1e9", 6: "NaN", 7: "Infinity", 8: "1e999", 9: '"20"', 10: '"abc"',
    19: "5e-324", 28: '"１２"', 29: '"1_000"', 30: '"0x10"', 39: "18446744073709551616",
}  # fmt: skip
OTHERS: Final[dict[str, dict[int, tuple[str, ...]]]] = {
    "cfg_scale": {15: ("NaN",), 7: ("Infinity", "-Infinity"), 17: ("-1",), 18: ("1e308",), 8: ("1e999",),
                  10: ('"abc"',)},
    "width": {20: ("7",), 21: ("0",), 22: ("-64",), 23: ("513",), 24: ("65536",), 6: ("NaN",), 18: ("1e308",),
              10: ('"abc"',), 3: ("64.5",)},
    "count": {26: ("0",), 2: ("-1",), 3: ("1.5",), 27: ("1000000",), 6: ("NaN",), 10: ('"abc"',)},
    "seed": {32: ("-2",), 39: ("18446744073709551616",), 3: ("1.5",), 10: ('"abc"',), 43: ('"-1e3"', '"1e3"'),
             44: ("9" * 100, json.dumps("9" * 100)), 28: ('"１２"',), 30: ('"0x10"',), 29: ('"1_000"',), 6: ("NaN",),
             8: ("1e999",), 40: ("1.0",), 0: ('"7;8"',), 50: ('"\\u0000"',), 51: ('"\\ud800"',)},
    "prompt": {47: (json.dumps("x" * 10_001),), 48: (json.dumps("x" * 100_000),), 49: (LONG,),
               50: ('"a\\u0000b"',), 51: ('"\\ud800"',), 59: (json.dumps("(" * 20_000),),
               66: (json.dumps("x" * 65_536),)},
    "sampler": {0: ('"Eular"', "7"), 11: ("true",), 13: ("[]", '["Euler"]'), 14: ("{}",), 69: ('"../../etc/passwd"',),
                50: ('"Euler\\u0000"',)},
    "styles": {13: ("[[]]",), 0: ("[7]", '"Ink"'), 14: ('{"a": 1}',), 57: ('["<img src=x onerror=alert(1)>"]',)},
}  # fmt: skip
"""Values that no door may take, by field."""
GOOD: Final[dict[str, dict[int, tuple[str, ...]]]] = {
    "cfg_scale": {16: ("-0.0",), 19: ("5e-324",), 0: ("0", "30")},
    "seed": {0: ("0", '"18446744073709551615"'), 33: ("4294967295",), 34: ("4294967296",), 35: ("9007199254740992",),
             36: ("9007199254740993",), 37: ("9223372036854775808",), 38: ("18446744073709551615",)},
    "prompt": {46: ('""',), 52: ('"\\ud83d\\udc69\\u200d\\ud83d\\udc67"',), 53: ('"a\\u202eb"',),
               54: ('"e\\u0301"', '"\\u00e9"'), 55: ('"a\\nb"', '"a\\u2028b"', '"a\\u000bb"'),
               56: ('"\\u001b[31mred"',),
               57: ('"<script>alert(1)</script>"', '"<img src=x onerror=alert(1)>"', '"{{7*7}} ${jndi:x}"'),
               58: ('"a\\nNegative prompt: x\\nSteps: 1, Seed: 2"',), 59: (json.dumps("(" * 10_000),),
               60: ('"(a:1.2.3)"',), 61: ('"(a:1e999)"',), 62: ('"(a:nan)"',), 63: ('"(a:-5)"',), 64: ('"a)) [b"',),
               65: ('"\\\\(a\\\\)"',), 66: (json.dumps("x" * 10_000),), 67: ('"__../../etc__"',),
               68: ('"%s {0} %d"',)},
}  # fmt: skip
"""Values that every door takes, and that come back as they were."""
NAMED: Final[dict[int, tuple[str, ...]]] = {
    69: ("../x", "../../etc/passwd"), 70: ("..\\x",), 71: ("/etc/passwd",), 72: ("C:\\x", "C:x", "\\\\srv\\x"),
    73: ("a/../../b",), 74: ("%2e%2e%2f", "%252e%252e%252fx"), 75: (".", "..", "", "  ", "x.", "x "),
    76: ("CON", "nul.json", "COM1", "a:b"), 77: ("x" * 256, "漢" * 86), 78: ("a\0b", "a\nb"), 79: (".x", "-x"),
}  # fmt: skip
"""Names that are none of anything here, for whatever has a name."""
LINKED: Final = "linked/deep/inside"
"""A model below a folder that is a link out of the folder of models."""
DISGUISED: Final = ("pickle", "bare", "bomb", "cut", "loud")
"""Model files that are none, as ``files.write_models`` writes them."""


def _numbers() -> Iterator[Row]:
    for number, value in STEPS.items():
        yield Row(number, "steps", value, but={"cli": Comes("20")} if number == 9 else {})
    for name, found in OTHERS.items():
        but = {"cli": Not("styles are named one by one")} if name == "styles" else {}
        yield from (Row(number, name, value, but=but) for number, values in found.items() for value in values)
    for name, found in GOOD.items():
        yield from (Row(number, name, value, TAKEN) for number, values in found.items() for value in values)
    for name in ("steps", "cfg_scale", "width", "count", "seed", "prompt", "model"):
        for number, values in KINDS.items():
            yield from (Row(number, name, value, but=_kind(name, value)) for value in values)
    yield Row(0, "prompt", "7", but={"cli": TYPED})
    yield Row(0, "model", "7")
    yield Row(25, "size", "[8, 65536]")
    yield Row(55, "prompt", '"a\\r\\nb\\rc"', Comes('"a\\nb\\nc"'))


def _kind(name: str, value: str) -> dict[str, str]:
    """Say which doors take a value of the wrong kind for something."""
    if name == "prompt":
        return {"cli": TYPED, **({"a1111": Comes(NOTHING[name])} if value == "null" else {})}
    if name == "seed" and value == "null":
        return {"page": DRAWN, "runware": DRAWN, "a1111": DRAWN}
    return {"a1111": Comes(NOTHING[name])} if value == "null" and name in NOTHING else {}


def _seeds() -> Iterator[Row]:
    empty = Not("a list of none is an empty field there: number 42")
    yield Row(31, "seed", "-1", DRAWN)
    yield Row(41, "seed", '"12 "', Comes("12"))
    yield Row(42, "seed", '""', DRAWN)
    yield Row(45, "seeds", "[7, 7]", but=dict.fromkeys(("page", "cli"), TAKEN))
    yield Row(45, "seeds", "[]", but={"page": empty, "cli": empty})
    yield Row(45, "seeds", json.dumps([*range(10_001)]))
    yield Row(45, "seeds", "[7, -1, 8]", but=dict.fromkeys(("page", "firefly", "cli"), TAKEN))


def _names() -> Iterator[Row]:
    for number, values in NAMED.items():
        for value in map(json.dumps, values):
            yield from (Row(number, name, value) for name in ("model", "style"))
    known = Comes('"reseed"')
    for number, value in ((75, '"reseed "'), (80, '"RESEED"')):  # A1111's clients write titles, and as they like
        yield Row(number, "model", value, but={"a1111": known})
    unstyled = {"runware": REFUSED}  # it has no member for styles
    for number, value in ((75, '" Ink "'), (80, '"INK"')):
        yield Row(number, "style", value, Comes('"Ink"'), unstyled)
    yield Row(81, "model", json.dumps(LINKED))
    yield from (Row(88, "model", json.dumps(name)) for name in DISGUISED)
    yield Row(88, "prompt", '"a lake <lora:old>"')


ROWS: Final = (*_numbers(), *_seeds(), *_names())
CASES: Final = tuple(
    Case(row, door, row.at(door)) for row in ROWS for door in NAMES if not isinstance(row.at(door), Not)
)

_NO_FILE: Final = "no file can be sent there: its bodies are JSON, and what would name a picture is refused"
_NO_NET: Final = "nothing stands between a person and a command"
ABSENT: Final[dict[int, dict[str, str]]] = {
    **{number: {"firefly": _NO_FILE, "runware": _NO_FILE} for number in range(82, 88)},
    **{number: {"cli": _NO_NET} for number in (89, 91, 92)},
}
"""Where a number cannot come in at all, and why."""


def expected(case: Case) -> Any:
    """Return what should come back of what was taken."""
    found = json.loads(case.so if isinstance(case.so, Comes) else case.row.value)
    return int(found) if case.row.field == "seed" else found
