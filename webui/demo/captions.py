"""Words for scenes: captions in many natural wordings, long and short, as sentences and as tags, in any order.

The promise: a caption names everything in the picture that is not a default, and the defaults (a summer day, a clear
sky, flat colours, the usual colour and place of a thing) may go unsaid. So a short prompt has one meaning and not
twenty.
"""

from __future__ import annotations

import random
import re

from webui.demo.words import DEFAULT_COLOUR, DEFAULT_PLACE, Content

PLACE_WORDS = {
    "hills": ("rolling hills", "green hills", "hills", "a meadow", "the countryside", "grassy hills"),
    "lake": ("a lake", "a mountain lake", "the lake", "a lake with mountains", "a quiet lake"),
    "sea": ("the sea", "the ocean", "a beach", "the coast", "the seaside"),
    "mountains": ("the mountains", "mountains", "a mountain valley", "snow-capped mountains", "the alps"),
    "forest": ("a forest", "a pine forest", "the woods", "the forest"),
    "desert": ("the desert", "a desert", "sand dunes", "desert dunes"),
    "snow": ("a snowy landscape", "the snow", "a winter landscape", "snow fields", "snowy mountains"),
}
TIME_WORDS = {
    "day": ("at noon", "by day", "during the day", "in the afternoon", "on a sunny day", "in daylight"),
    "dawn": ("at dawn", "at sunrise", "in the early morning", "in the morning"),
    "sunset": ("at sunset", "at dusk", "in the evening", "at golden hour", "in the setting sun"),
    "night": ("at night", "by moonlight", "at midnight", "under the stars", "under the moon"),
}
TIME_TAGS = {
    "day": ("day", "daylight", "noon"),
    "dawn": ("dawn", "sunrise", "morning"),
    "sunset": ("sunset", "dusk", "evening", "golden hour"),
    "night": ("night", "moonlight", "starry night", "midnight"),
}
WEATHER_WORDS = {
    "clear": ("clear sky", "blue sky", "fine weather"),
    "cloudy": ("cloudy", "cloudy sky", "many clouds", "overcast"),
    "rain": ("rain", "in the rain", "rainy", "rainy day", "raining"),
    "snowfall": ("snowing", "falling snow", "snowfall", "snowflakes"),
    "fog": ("fog", "foggy", "misty", "in the fog", "mist"),
}
STYLE_WORDS = {
    "flat": ("flat illustration", "vector art", "flat colours", "illustration"),
    "pastel": ("pastel", "pastel colours", "soft pastel"),
    "ink": ("ink drawing", "black and white", "ink", "ink sketch", "monochrome"),
    "neon": ("neon", "synthwave", "neon colours", "vaporwave"),
    "vintage": ("vintage", "sepia", "old photograph", "vintage photo"),
    "watercolour": ("watercolour", "watercolor", "watercolour painting", "watercolor painting"),
}
SEASON_WORDS = {
    "summer": ("in summer", "summer"),
    "autumn": ("in autumn", "autumn", "fall colours", "in the fall", "autumn leaves"),
    "spring": ("in spring", "spring", "spring blossoms", "cherry blossom"),
    "winter": ("in winter", "winter", "covered in snow", "wintry"),
}
THING_WORDS = {
    "house": ("house", "cottage", "cabin", "small house", "home"),
    "castle": ("castle", "fortress", "fairy tale castle"),
    "lighthouse": ("lighthouse", "light tower"),
    "windmill": ("windmill", "mill"),
    "boat": ("sailboat", "boat", "sailing boat", "ship"),
    "tent": ("tent", "camping tent", "camp"),
}
COLOURED_PART = {"house": "roof", "castle": "roofs", "lighthouse": "stripes", "windmill": "cap", "boat": "sail"}
COMPANY_WORDS = {
    "ducks": ("ducks", "three ducks", "yellow ducks", "some ducks", "a family of ducks", "ducklings", "3 ducks"),
    "birds": ("birds", "birds in the sky", "flying birds", "seagulls"),
    "trees": ("trees", "some trees", "a few trees", "tall trees"),
    "flowers": ("flowers", "wild flowers", "a flower meadow", "colourful flowers"),
}
FEW_DUCKS = {
    1: ("a duck", "one duck", "a single duck", "a yellow duck", "a duckling", "1 duck"),
    2: ("two ducks", "a pair of ducks", "two yellow ducks", "2 ducks", "two ducklings", "a couple of ducks"),
}
"""Words for fewer ducks than three; *ducks* without a number are three, as *houses* are."""
NUMBER_WORDS = {
    2: ("two", "two", "two", "2", "a pair of", "a couple of"),
    3: ("three", "three", "three", "3", "some", "a few", ""),
}
JOINTS = {
    "lake": ("by", "at", "near", "beside"),
    "sea": ("by", "at", "near"),
    "mountains": ("in", "in front of"),
    "hills": ("in", "on", "among"),
    "forest": ("in", "in front of", "in the middle of"),
    "desert": ("in",),
    "snow": ("in",),
}
ORNAMENT = (
    "beautiful", "detailed", "masterpiece", "best quality", "highly detailed", "8k", "hd", "cute", "cozy", "dreamy",
    "peaceful", "scenic", "amazing", "trending on artstation", "dramatic lighting", "lovely", "calm", "digital art",
    "wide view", "art", "a picture", "nice", "little", "magical", "storybook", "sharp focus", "cinematic", "poster",
    "colourful", "vivid",
)  # fmt: skip
"""Words that prompts are full of and that change nothing in these pictures."""


def caption(content: Content, rng: random.Random) -> str:
    """Word one caption for a content; all choices come from `rng`."""
    extras = _extras(content, rng)
    if rng.random() < 0.35:
        return _tags(content, extras, rng)
    return _sentence(content, extras, rng)


def ornamented(words: str, rng: random.Random) -> str:
    """Mix meaningless words into a caption now and then, so that they are learned to mean nothing."""
    if rng.random() < 0.20:
        parts = words.split(", ")
        for _ in range(rng.randint(1, 3)):
            letters = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(3, 7)))
            parts.insert(rng.randint(0, len(parts)), rng.choice((*ORNAMENT, letters)))
        words = ", ".join(parts)
    if rng.random() < 0.06:
        words = words.replace(", ", " ")
    return words


def vocabulary() -> set[str]:
    """All single words that captions are made of, in lower case."""
    tables = (
        PLACE_WORDS,
        TIME_WORDS,
        TIME_TAGS,
        WEATHER_WORDS,
        STYLE_WORDS,
        SEASON_WORDS,
        THING_WORDS,
        COMPANY_WORDS,
        FEW_DUCKS,
        NUMBER_WORDS,
        JOINTS,
    )
    texts = [
        *ORNAMENT,
        *COLOURED_PART.values(),
        "a the an view of with and in red blue yellow white green purple orange cacti",
    ]
    for table in tables:
        for wordings in table.values():
            texts.extend(wordings)
    nouns = (noun for wordings in THING_WORDS.values() for noun in wordings)
    texts.extend(plural(noun) for noun in (*nouns, *COLOURED_PART.values()))
    return {word for text in texts for word in re.findall(r"[a-z]+|[0-9]+", text)}


def _place(content: Content, rng: random.Random) -> str:
    """Name the place; empty when it is the thing's usual one and goes unsaid."""
    usual = DEFAULT_PLACE.get(content.thing, "hills")
    if content.thing != "nothing" and content.place == usual and rng.random() < 0.35:
        return ""
    return rng.choice(PLACE_WORDS[content.place])


def _thing(content: Content, rng: random.Random) -> str:
    """Name the main thing with its colour, as an adjective or as the colour of a part; the usual colour may go
    unsaid."""
    if content.thing == "nothing":
        return ""
    noun, colour = rng.choice(THING_WORDS[content.thing]), content.colour
    number = rng.choice(NUMBER_WORDS[content.number]) if content.number > 1 else "one" if rng.random() < 0.1 else ""
    several = content.number > 1
    noun = plural(noun) if several else noun
    alone = number or ("" if several else "a")
    if colour == DEFAULT_COLOUR[content.thing] and rng.random() < 0.5:
        return f"{alone} {noun}".strip()
    part = COLOURED_PART.get(content.thing)
    if part and rng.random() < 0.45:
        part = plural(part) if several else part
        article = "" if part.endswith("s") else "a "
        return f"{alone} {noun} with {article}{colour} {part}".strip()
    alone = "an" if alone == "a" and colour == "orange" else alone
    return f"{alone} {colour} {noun}".strip()


def plural(noun: str) -> str:
    """Give a noun's plural.

    >>> plural("fairy tale castle"), plural("fortress"), plural("stripes")
    ('fairy tale castles', 'fortresses', 'stripes')
    """
    if noun.endswith("ss"):
        return f"{noun}es"
    return noun if noun.endswith("s") else f"{noun}s"


def _extras(content: Content, rng: random.Random) -> list[str]:
    """Name weather, season and small company, in any order."""
    found = []
    if content.weather != "clear" or rng.random() < 0.12:
        found.append(rng.choice(WEATHER_WORDS[content.weather]))
    if content.season != "summer" or (rng.random() < 0.06 and content.place != "snow"):
        found.append(rng.choice(SEASON_WORDS[content.season]))
    for name, wordings in COMPANY_WORDS.items():
        if getattr(content, name):
            cacti = name == "trees" and content.place == "desert" and rng.random() < 0.7
            few = FEW_DUCKS.get(content.ducks, wordings) if name == "ducks" else wordings
            found.append("cacti" if cacti else rng.choice(few))
    rng.shuffle(found)
    return found


def _style(content: Content, rng: random.Random) -> str:
    """Name the style; flat illustration is what these pictures are and mostly goes unsaid."""
    if content.style == "flat" and rng.random() < 0.85:
        return ""
    return rng.choice(STYLE_WORDS[content.style])


def _says_time(content: Content, rng: random.Random) -> bool:
    """Daylight goes unsaid more often than not."""
    return content.time != "day" or rng.random() < 0.3


def _tags(content: Content, extras: list[str], rng: random.Random) -> str:
    """A list of tags in any order, the style first or last."""
    tags = [re.sub(r"^(a|an|the) ", "", text) for text in (_place(content, rng), _thing(content, rng)) if text]
    if _says_time(content, rng):
        tags.append(rng.choice(TIME_TAGS[content.time]))
    tags += extras
    rng.shuffle(tags)
    style = _style(content, rng)
    if style:
        tags.insert(rng.choice((0, len(tags))), style)
    return ", ".join(tags)


def _sentence(content: Content, extras: list[str], rng: random.Random) -> str:
    """A phrase such as "a red house by a lake at sunset with ducks, pastel"."""
    place, thing = _place(content, rng), _thing(content, rng)
    if thing and place:
        joint = rng.choice(("on", "at") if content.thing == "boat" else JOINTS[content.place])
        text = rng.choice((f"{thing} {joint} {place}",) * 4 + (f"{place} with {thing}", f"{place} and {thing}"))
    else:
        text = thing or rng.choice((place, place, f"a view of {place}"))
    if _says_time(content, rng):
        text = f"{text} {rng.choice(TIME_WORDS[content.time])}"
    company = [e for e in extras if any(e in words for words in (*COMPANY_WORDS.values(), *FEW_DUCKS.values()))]
    if company and rng.random() < 0.5:
        extras = [e for e in extras if e != company[0]]
        text = f"{text}{rng.choice((' with ', ' and '))}{company[0]}"
    style = _style(content, rng)
    if style and rng.random() < 0.3:
        text, style = f"{style} of {text}", ""
    return ", ".join([text, *extras, *([style] if style else [])])
