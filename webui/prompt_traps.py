"""Traps: what in a prompt probably does not mean what it seems to, or means something else in other programs.

The promise: a warning changes nothing. It is a sentence that quotes the place, says what happens with it here, and
how to write what was likely meant. Every text can be asked about, in linear time.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from typing import Final

from webui import networks, prompt_schedule
from webui.errors import BadValue, near, shown
from webui.prompt_schedule import Choice, Outline

MOST: Final = 3
"""Warnings of one kind."""

_SHORT: Final = 100
"""Tokens of a bracket whose options are compared."""

_ESCAPED: Final = re.compile(r"\\.", re.DOTALL)
_PAREN_NUMBER: Final = re.compile(r":\s{0,9}([+-]?[0-9][0-9.,]{0,20}|[+-]?\.[0-9.,]{1,20})\s{0,9}\)")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})")
_BRACKET: Final = re.compile(r"[()\[\]]")
_WORD: Final = re.compile(r"(?<!\w)(?:BREAK|AND)(?!\w)|[()\[\]]")
_COMMENT: Final = re.compile(r"#[^\s,]{0,20}|//[^\s,]{0,30}|/\*")
_BACKSLASH: Final = re.compile(r"\\[^()\[\]\\<:|{}_]")  # { } and __ are those of wildcards
_FULL_WIDTH: Final = re.compile(r"[（）［］]")


def warnings(text: str, negative: bool = False, loras: Collection[str] = ()) -> list[str]:
    """Name the traps in a prompt, each in a sentence or two.

    ``negative`` says that it is a negative prompt, ``loras`` are the names of the LoRAs that are here.

    >>> warnings("a quiet lake, (red:1.2) sky")
    []
    >>> warnings("a wide picture, 16:9")[0]
    "The prompt ends in ':9'. Here that is text; A1111 would cut it off and multiply the CFG scale by 9."
    """
    found: list[str] = []
    traps: Iterable[Callable[[str], Iterator[str]]] = (
        _NEGATIVE_TRAPS if negative else (partial(_networks, loras=loras), *_TRAPS)
    )
    for trap in traps:
        seen: dict[str, None] = {}
        for sentence in trap(text):
            seen[sentence] = None
            if len(seen) == MOST:
                break
        found += seen
    return found


def _networks(text: str, loras: Collection[str]) -> Iterator[str]:
    """Name the extra networks that are not here or not understood."""
    for network in prompt_schedule.networks(text)[1]:
        fate = "so no picture is made with it: take it out, or write \\< where the text itself is meant."
        if network.kind not in networks.LORA_KINDS:
            yield f"{shown(str(network))} names an extra network that is no LoRA, {fate}"
            continue
        try:
            name = networks.lora(network).name
        except BadValue as problem:
            yield str(problem)
            continue
        if name not in loras:
            yield f"{shown(str(network))} names a LoRA that is not here, {fate} {near(name, loras)}".rstrip()


def _only_in_prompts(text: str) -> Iterator[str]:
    """Name what a negative prompt does not know."""
    for network in prompt_schedule.networks(text)[1]:
        yield f"{shown(str(network))} is text here: extra networks are named in the prompt, not in the negative prompt."
    if len(prompt_schedule.parts(text)) > 1:
        yield "AND is a word here: it joins prompts, not negative prompts."


def _trailing(text: str) -> Iterator[str]:
    weight = prompt_schedule.trailing(text)
    if weight is not None and len(prompt_schedule.parts(text)) == 1:
        end = ":" + text.rpartition(":")[2].strip()
        yield (
            f"The prompt ends in {shown(end)}. Here that is text; A1111 would cut it off and multiply the CFG scale by "
            f"{weight:g}."
        )


def _brackets(text: str) -> Iterator[str]:
    """Name brackets that are open or closed alone."""
    bare = _bare(text)
    opened: dict[str, list[int]] = {"(": [], "[": []}
    alone: list[int] = []
    for match in _BRACKET.finditer(bare):
        sign, place = match[0], match.start()
        kind = "(" if sign in "()" else "["
        if sign == kind:
            opened[kind].append(place)
        elif opened[kind]:
            opened[kind].pop()
        else:
            alone.append(place)
    for place in sorted([*alone, *opened["("], *opened["["]]):
        fate = "is text" if bare[place] in ")]" else "weighs everything to the end"
        yield (
            f"The bracket {bare[place]} in {shown(text[max(0, place - 12) : place + 12])} has no partner and {fate}. "
            f"Write \\{bare[place]} where the sign itself is meant."
        )


def _words(text: str) -> Iterator[str]:
    """Name BREAK in brackets that weigh, and AND in any."""
    depth = {"(": 0, "[": 0}
    timed = bool(prompt_schedule.outline(text).choices) if "[" in text and "BREAK" in text else False
    for match in _WORD.finditer(_bare(text)):
        word = match[0]
        if word in "()[]":
            kind = "(" if word in "()" else "["
            depth[kind] = max(0, depth[kind] + (1 if word == kind else -1))
        elif word == "AND" and any(depth.values()):
            yield "AND stands inside brackets: it divides the prompt and leaves both parts half a bracket. Move it out."
        elif word == "BREAK" and (depth["("] or (depth["["] and not timed)):
            yield (
                "BREAK stands inside brackets that weigh. Here it begins a new chunk all the same; A1111 reads it as a "
                "word there. Close the brackets before it and open them again after it."
            )


def _weights(text: str) -> Iterator[str]:
    for match in _PAREN_NUMBER.finditer(_bare(text)):
        if not _NUMBER.fullmatch(match[1]):
            yield (
                f"{shown(match[1])} is not a number, so the bracket weighs 1.1 and its colon is text. Write a weight "
                "such as (words:1.2), with a point."
            )


def _schedules(text: str) -> Iterator[str]:
    if "[" not in text:
        return
    outline = prompt_schedule.outline(text)
    for begin, choice in outline.choices.items():
        yield from _schedule(outline, begin, choice)
    for first, last in outline.failed:
        yield (
            f"{_tokens(outline, first, last)} is neither a schedule, [from:to:when], nor turns, [a|b]: all of it is "
            "text. Write \\: or \\| where the sign itself is meant."
        )


def _schedule(outline: Outline, begin: int, choice: Choice) -> Iterator[str]:
    words = _tokens(outline, begin, choice.end - 1)
    if not choice.number:
        short = choice.end - begin < _SHORT  # so that nested brackets are not compared again and again
        options = {tuple(outline.tokens[here:there]) for here, there in _spans(choice)} if short else ()
        if len(options) == 1:
            yield f"{words} takes turns between equal words."
    elif "." in choice.number and float(choice.number) >= 1:
        meant = f" For a weight write (words:{choice.number})." if choice.options[0] == choice.end else ""
        yield (
            f"{words} is a schedule, not a weight, and {choice.number} with a point means {choice.number} times all "
            f"steps: the change never comes.{meant}"
        )
    elif float(choice.number) <= 0:
        yield f"{words} changes at once, so what stands before the change is never read."


def _spans(choice: Choice) -> Iterable[tuple[int, int]]:
    """Give first and last-but-one token of every option that takes turns."""
    return zip(choice.options, (*(begin - 1 for begin in choice.options[1:]), choice.end - 1), strict=True)


def _comments(text: str) -> Iterator[str]:
    for match in _COMMENT.finditer(text):
        yield (
            f"{shown(match[0])} is text here. A1111 and Forge take away everything from # to the end of the line, some "
            "forks also from // and between /* and */."
        )


def _signs(text: str) -> Iterator[str]:
    for match in _BACKSLASH.finditer(text.replace("\\\\", "")):
        yield f"The backslash before {shown(match[0][1])} is dropped. Write \\\\ for a backslash."
    if wide := _FULL_WIDTH.search(text):
        yield f"{wide[0]} is text: only the half-width brackets ( ) [ ] weigh words."


def _bare(text: str) -> str:
    """Blank out what a backslash escapes, keeping every place."""
    return _ESCAPED.sub("  ", text) if "\\" in text else text


def _tokens(outline: Outline, first: int, last: int) -> str:
    """Quote a bracket; long ones are cut, so that many nested ones take no longer than their number."""
    found = ""
    for index in range(first, last + 1):
        found += outline.tokens[index][:80]
        if len(found) > 80:
            break
    return shown(found)


_TRAPS: Final[tuple[Callable[[str], Iterator[str]], ...]] = (
    _trailing,
    _brackets,
    _words,
    _weights,
    _schedules,
    _comments,
    _signs,
)
_NEGATIVE_TRAPS: Final = (_only_in_prompts, _brackets, _weights, _schedules, _comments, _signs)
