"""Search: what a person asks the history for, and how that is asked of its index.

The promise: any text is a search. Nothing that is typed is ever read as the index's own query language; what is no word
finds nothing, and a filter with a value that is not allowed says so in a sentence.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from hashlib import sha256
from typing import Any, Final, Self

from webui import seeds
from webui.errors import BadValue

FILTERS: Final = ("seed", "model", "sampler", "since", "until")
"""What may stand before a colon in a search; a value with spaces stands in double quotes."""
MOST_WORDS: Final = 32
"""So many words of a search count; no prompt is found better by more."""

_PART: Final = re.compile(rf'(?:({"|".join(FILTERS)}):)?(?:"([^"]*)"?|(\S+))')
_DAY: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_COUNTER_BITS: Final = 24
_SECOND_BITS: Final = 17


@dataclass(frozen=True, slots=True)
class Search:
    """What is asked for; all of it holds of each picture that is found, and the empty search finds every picture.

    ``words`` are found in the prompt or the negative prompt: words, the last also as a beginning, and phrases in double
    quotes. ``seed`` is decimal text, ``other_than`` a seed to leave out, ``model`` and ``sampler`` are whole names.
    ``prompts`` are a prompt and a negative prompt, both exactly. ``since`` and ``until`` are days, both included.
    ``among`` are ids of pictures, such as the favourites. ``owner`` is whose pictures are looked at, empty for all.
    """

    words: str = ""
    seed: str = ""
    other_than: str = ""
    model: str = ""
    sampler: str = ""
    prompts: tuple[str, str] | None = None
    since: date | None = None
    until: date | None = None
    among: frozenset[str] | None = None
    owner: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a search as it is typed; raise BadValue for a filter whose value is not allowed.

        >>> Search.parse('red "tall house" seed:7').words
        'red "tall house"'
        >>> Search.parse("seed:18446744073709551615").seed
        '18446744073709551615'
        """
        words: list[str] = []
        found: dict[str, Any] = {}
        for match in _PART.finditer(text):
            name, quoted, plain = match.groups()
            value = plain if quoted is None else quoted
            if name is None:
                words.append(match[0])
            elif name == "seed":
                found[name] = str(seeds.parse(value))
            else:
                found[name] = _day(name, value) if name in ("since", "until") else value
        return cls(" ".join(words), **found)

    def but(self, **changes: Any) -> Self:
        """Return the search with other values."""
        return type(self)(**{**{one.name: getattr(self, one.name) for one in fields(self)}, **changes})

    @property
    def match(self) -> str | None:
        """The words and facts in the language of SQLite's FTS5; empty asks for nothing, None can find nothing."""
        words = [f'"{word}"' for word in _words(self.words)]
        if self.words.strip(' "') and not words:
            return None
        if words and not self.words.endswith('"'):
            words[-1] += " *"
        said = [f"{{prompt negative_prompt}} : ({' AND '.join(words)})"] if words else []
        named = [(name, getattr(self, name)) for name in ("seed", "model", "sampler") if getattr(self, name)]
        said += [f'facts : "{_fact(name, value)}"' for name, value in named]
        if self.prompts is not None:
            said.append(f'facts : "{_fact("words", *self.prompts)}"')
        if not self.other_than:
            return " AND ".join(said)
        every = " AND ".join(said) or f'facts : "{_fact("picture")}"'
        return f'({every}) NOT facts : "{_fact("seed", self.other_than)}"'

    @property
    def places(self) -> tuple[int, int]:
        """The first and the last place, both included, of the days that are asked for."""
        low = place(self.since.isoformat(), 0, "") if self.since else 0
        return low, place(self.until.isoformat(), 2**_COUNTER_BITS - 1, "T23:59:59") if self.until else 2**63 - 1


def indexed(recipe: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return what the index holds of a recipe's JSON form: prompt, negative prompt, and its facts as words."""
    prompt, negative = str(recipe["prompt"]), str(recipe["negative_prompt"])
    named = (_fact(name, str(recipe[name])) for name in ("seed", "model", "sampler"))
    return prompt, negative, " ".join([_fact("picture"), *named, _fact("words", prompt, negative)])


def place(day: str, counter: int, created: str) -> int:
    """Return where a picture stands in the history, as a number: by day, then counter, then second of making.

    63 bits: 22 for the day, 24 for the counter, 17 for the second. A text that is no date counts as the first.
    """
    found, second = _DAY.match(day), re.search(r"T([0-9]{2}):([0-9]{2}):([0-9]{2})", created)
    days = (int(found[1]) * 372 + int(found[2]) * 31 + int(found[3])) if found else 0
    seconds = (int(second[1]) * 3600 + int(second[2]) * 60 + int(second[3])) if second else 0
    counter = min(counter, 2**_COUNTER_BITS - 1)
    return ((days << _COUNTER_BITS | counter) << _SECOND_BITS) + min(seconds, 2**_SECOND_BITS - 1)


def _day(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadValue(name, name.capitalize(), text, "a day such as 2026-11-21") from None


def _words(text: str) -> list[str]:
    """Return the words and phrases of a search that hold anything to search for, without their quotes."""
    parts = (quoted or plain for _, quoted, plain in _PART.findall(text.replace("\0", " ")))
    return [part.replace('"', " ") for part in parts if any(map(_counts, part))][:MOST_WORDS]


def _counts(character: str) -> bool:
    """Say whether the index has a character: letters, marks, digits and signs such as emoji."""
    category = unicodedata.category(character)
    return category[0] in "LMN" or category in ("Co", "So")


def _fact(kind: str, *texts: str) -> str:
    """Write a fact as one word of letters and digits, which no person's word is mistaken for."""
    return "x" + sha256("\0".join((kind, *texts)).encode("utf-8", "surrogatepass")).hexdigest()[:20]
