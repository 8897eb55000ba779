"""Hold the composition: the parent's words for the first part of the steps, the new words for the rest.

The first steps decide where things stand, the later ones what they look like. So a picture under a large edit stays
closer to its parent when its first steps read the parent's words: ``[old:new:share]``, in A1111's grammar of schedules
(see ``webui.prompt_schedule``), which every program with that grammar reads and which is in the recipe like all words.

The promise: over any number of steps, the held prompt reads in each what the parent's prompt reads there, up to the
share's step, and after it what the new one reads; where that cannot be said, holding is an error with a sentence and
never something near. Of the forms that say it, the shortest simple one is written: common words stay outside the
bracket, and schedules that are over before they could be read are left out, so that holding what was held at the same
share does not nest.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from webui import prompt_schedule
from webui.errors import BadValue
from webui.params import Number
from webui.prompt_schedule import Choice, Outline, Part, outline
from webui.recipe import PARAMS, Recipe

SHARE: Final = Number(
    "Hold the composition",
    "The share of the steps, from the first, that reads the parent's words.",
    name="share",
    default=0.0,
    minimum=0,
    maximum=1,
    step=0.05,
)
DECIMALS: Final = 4
"""A share has no more of them: with 150 steps a finer one makes no difference."""

_PIECE: Final = re.compile(r"\\.?|[()\[\]:|,]|\s+|[^\\()\[\]:|,\s]+", re.DOTALL)
_WEIGHT: Final = re.compile(r"\s{0,9}[+-]?(?:[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})\s{0,9}")
_PARTNER: Final = {")": "(", "]": "["}


@dataclass(frozen=True, slots=True)
class Held:
    """A held prompt taken apart again."""

    old: str
    new: str
    share: float


def hold(old: str, new: str, share: float, *, emphasis: str = "Original", joins: bool = True) -> str:
    r"""Write a prompt that reads as ``old`` for a share of the steps, 0 to 1, and as ``new`` after them.

    0 gives ``new`` itself, 1 ``old`` itself. The share's last step is the whole number below share · steps, as for any
    schedule. ``emphasis`` is the recipe's: with None, backslashes are text, so nothing can be escaped. ``joins`` is
    False for negative prompts, in which AND and the names of extra networks are words.

    >>> hold("a house by a lake", "a house by a lake with ducks", 0.3)
    'a house by a lake[ with ducks:0.3]'
    >>> hold("a red house", "a blue house", 0.3)
    'a [red:blue:0.3] house'
    >>> hold("a [red:blue:0.3] house", "a green house", 0.3)
    'a [red:green:0.3] house'
    >>> hold("16:9", "4:3", 0.5)
    '[16\\:9:4\\:3:0.5]'

    Raises BadValue where the two cannot be read one after the other: AND joins other numbers of parts or with other
    weights, extra networks differ, or brackets of two kinds overlap.
    """
    number = _number(share)
    if share == 0 or old == new:
        return new
    if share == 1:
        return old
    if not joins:
        return _held(old, new, number, emphasis)
    (words, networks), (others, wanted) = prompt_schedule.networks(old), prompt_schedule.networks(new)
    if networks != wanted:
        found = ", ".join(map(str, wanted)) or "none"
        rule = f"with the parent's extra networks ({', '.join(map(str, networks)) or 'none'}) to be held"
        raise _refused(found, rule, "An extra network acts in all steps: make it the same in both, or do not hold.")
    before, after = prompt_schedule.parts(words), prompt_schedule.parts(others)
    if [part.weight for part in before] != [part.weight for part in after]:
        rule = "joined by AND from as many parts, with the same weights, as the parent's prompt to be held"
        raise _refused(new, rule, "Change words inside the parts, or do not hold.")
    parts = [
        Part(_held(first.text, second.text, number, emphasis), second.weight)
        for first, second in zip(before, after, strict=True)
    ]
    written = _joined(parts) + "".join(map(str, wanted))
    if prompt_schedule.networks(written)[1] != wanted or prompt_schedule.parts(_joined(parts)) != parts:
        raise _unheld(new)
    return written


def hold_recipe(parent: Recipe, child: Recipe, share: float) -> Recipe:
    """Return the child with its prompt and negative prompt held; raise BadValue like ``hold``.

    >>> parent = Recipe.of(prompt="a house", seed=7)
    >>> hold_recipe(parent, parent.but(prompt="a castle"), 0.4).prompt
    'a [house:castle:0.4]'

    Raises BadRecipe when the held prompt becomes too long.
    """
    changed = {
        name: hold(getattr(parent, name), getattr(child, name), share, emphasis=child.emphasis, joins=name == "prompt")
        for name in ("prompt", "negative_prompt")
    }
    if child.profile == "ComfyUI" and changed != {name: getattr(child, name) for name in changed}:
        rule = "A1111 or Forge to hold the composition"
        raise BadValue("profile", PARAMS["profile"].label, child.profile, rule, "ComfyUI's prompts have no steps.")
    return child.but(**changed)


def held(text: str, *, joins: bool = True) -> Held | None:
    """Take a held prompt apart; None for a prompt that ``hold`` would not have written so.

    >>> held("a [red:blue:0.3] house")
    Held(old='a red house', new='a blue house', share=0.3)
    >>> held("a house") is None
    True

    A prompt with several schedules in one part is not taken apart: which of them holds cannot be known.
    """
    words, networks = prompt_schedule.networks(text) if joins else (text, [])
    sides: tuple[list[Part], list[Part]] = ([], [])
    numbers: set[str] = set()
    for part in prompt_schedule.parts(words) if joins else [Part(words)]:
        found = outline(part.text)
        if len(found.choices) > 1:
            return None
        for begin, choice in found.choices.items():
            numbers.add(choice.number)
            for option, side in enumerate(sides):
                side.append(Part("".join(_without(found, found.tokens, begin, option)), part.weight))
        if not found.choices:
            for side in sides:
                side.append(part)
    if len(numbers) != 1 or "." not in (number := numbers.pop()):
        return None
    old, new = (_joined(side) + "".join(map(str, networks)) for side in sides)
    found_again = Held(old, new, float(number))
    try:
        return found_again if hold(old, new, found_again.share, joins=joins) == text else None
    except BadValue:
        return None


def _number(share: float) -> str:
    """Write a share as the number of a schedule, with a point."""
    checked = float(SHARE.check(share))
    if round(checked, DECIMALS) != checked:
        raise BadValue("share", SHARE.label, share, f"{SHARE.rule} with at most {DECIMALS} digits behind the point")
    return format(Decimal(repr(checked)), "f")


def _joined(parts: list[Part]) -> str:
    """Join parts by AND so that they are read as they are."""
    if len(parts) == 1:
        return parts[0].text
    return " AND ".join(
        part.text
        if part.weight == 1 and prompt_schedule.trailing(part.text) is None
        else f"{part.text} :{Decimal(repr(part.weight)):f}"
        for part in parts
    )


def _held(old: str, new: str, number: str, emphasis: str) -> str:
    """Hold one part of a prompt: first as it stands, else with what would end the bracket escaped."""
    if old == new:
        return new
    first, second = _pruned(old, float(number), 0), _pruned(new, float(number), 1)
    versions = [(first, second)]
    if emphasis != "None":
        versions.append((_closed(first), _closed(second)))
    for before, after in versions:
        for begin, end in _cuts(before, after):
            x, y = before[begin : len(before) - end], after[begin : len(after) - end]
            bracket = f"[{x}:{y}:{number}]" if x else f"[{y}:{number}]"
            written = before[:begin] + bracket + before[len(before) - end :]
            place = len(outline(before[:begin]).tokens)
            if _reads(written, place, before, after):
                return written
    raise _unheld(new)


def _cuts(old: str, new: str) -> Iterator[tuple[int, int]]:
    """Say how many characters may stay before and behind the bracket: most first, none last."""
    first, second = _PIECE.findall(old), _PIECE.findall(new)
    most = min(len(first), len(second))
    begin = next((at for at in range(most) if first[at] != second[at]), most)
    end = next((at for at in range(most - begin) if first[-1 - at] != second[-1 - at]), most - begin)
    longer = first if len(first) > len(second) else second
    while most == begin + end and begin and longer[begin - 1] in (" ", ",") and longer[begin - 1] == longer[-1 - end]:
        begin, end = begin - 1, end + 1  # "a[, b:0.3], c" reads better than "a, [b, :0.3]c"
    yield _length(first[:begin]), _length(first[len(first) - end :])
    depths = [_depths(pieces) for pieces in (first, second)]
    while begin and depths[0][begin]:
        begin -= 1
    while end and any(depth[-1 - end] for depth in depths):
        end -= 1
    yield _length(first[:begin]), _length(first[len(first) - end :])
    yield 0, 0


def _length(pieces: list[str]) -> int:
    return sum(map(len, pieces))


def _depths(pieces: list[str]) -> list[int]:
    """Count the brackets that are open before each piece, and after the last."""
    found = [0]
    for piece in pieces:
        found.append(max(0, found[-1] + (piece in ("(", "[")) - (piece in (")", "]"))))
    return found


def _reads(written: str, place: int, old: str, new: str) -> bool:
    """Say whether the bracket at a token is a schedule whose two sides leave exactly the old prompt and the new one.

    What depends on the step is compared too, so the answer holds for any number of steps.
    """
    found = outline(written)
    if place not in found.choices or len(found.choices[place].options) != 2:
        return False
    marked = _marked(found)
    return all(
        "".join(_without(found, marked, place, option)) == "".join(_marked(outline(text)))
        for option, text in enumerate((old, new))
    )


def _marked(found: Outline) -> list[str]:
    """Return the tokens, with those that depend on the step set apart from text."""
    return [
        f"\0{token}" if index in found.choices or index in found.ends else token
        for index, token in enumerate(found.tokens)
    ]


def _without(found: Outline, tokens: list[str], begin: int, option: int) -> list[str]:
    """Return the tokens with one schedule replaced by one of its options."""
    first, last = _option(found.choices[begin], option)
    return tokens[:begin] + tokens[first:last] + tokens[found.choices[begin].end :]


def _option(choice: Choice, option: int) -> tuple[int, int]:
    """Return the tokens of a schedule's option: first, and last but one."""
    first = choice.options[option]
    if first == choice.end:
        return first, first
    return first, choice.end - 3 if option else choice.options[1] - 1  # the number and its colon end the bracket


def _pruned(text: str, share: float, side: int) -> str:
    """Leave out what a prompt never reads: before a share of the steps (side 0), or after it (side 1)."""
    found = outline(text)
    marked = _marked(found)
    kept: list[str] = []
    jumps: dict[int, int] = {}
    index = 0
    while index < len(marked):
        option = _settled(found.choices[index].number, share, side) if index in found.choices else None
        if index in jumps:
            index = jumps[index]
        elif option is None:
            kept.append(marked[index])
            index += 1
        else:
            choice = found.choices[index]
            index, last = _option(choice, option)
            if index < choice.end:
                jumps[last] = choice.end
    written = "".join(kept).replace("\0", "")
    return written if _marked_text(written) == "".join(kept) else text


def _marked_text(text: str) -> str:
    return "".join(_marked(outline(text)))


def _settled(number: str, share: float, side: int) -> int | None:
    """Say which option of a schedule is the only one that is read on a side of the share, if one is."""
    if "." not in number:
        return None
    value = float(number)
    if value <= 0 or (side and value <= share):
        return 1
    return 0 if value >= 1 or (not side and value >= share) else None


def _closed(text: str) -> str:
    """Write a prompt so that it can stand in a bracket and weighs the same: escape what is text, close what is open.

    A prompt whose brackets overlap is returned as it is.
    """
    found = outline(text)
    within = 0
    opened: list[tuple[str, int]] = []
    written = list(found.tokens)
    for index, token in enumerate(found.tokens):
        if index in found.choices:
            within = max(within, found.choices[index].end)
        if index < within:
            continue
        if token == "\\":  # the last sign of all: it would escape what comes behind it
            written[index] = ""
        elif token in (":", "|"):
            written[index] = f"\\{token}"
        elif token in ("(", "["):
            opened.append((token, index))
        elif token in _PARTNER and any(kind == _PARTNER[token] for kind, _ in opened):
            if opened.pop()[0] != _PARTNER[token]:
                return text
            if token == ")" and found.tokens[index - 2] == ":" and _WEIGHT.fullmatch(found.tokens[index - 1]):
                written[index - 2] = ":"
        elif token in _PARTNER:
            written[index] = f"\\{token}"
    ends = [":1.1)" if kind == "(" else "]" for kind, _ in reversed(opened)]
    return "".join([*written, *ends])


def _refused(value: object, rule: str, hint: str) -> BadValue:
    return BadValue("prompt", PARAMS["prompt"].label, value, rule, hint)


def _unheld(new: str) -> BadValue:
    rule = "such that it can be read after the parent's in one bracket"
    return _refused(new, rule, "Close its brackets one inside the other, or do not hold.")
