"""Recipe links: a recipe as the parameters of a web address, and back, exactly.

    prompt=a+house+by+a+lake,+ducks&seed=406220&steps=12&v=1

A link is read by people first: names and values are those of the recipe, and what is at its default is left out. The
defaults are those of the link's version, written down here, not those of a server or of a model: so a link means the
same recipe everywhere and for ever. The same text may stand behind ``?`` or ``#``; behind ``#`` no server logs it.
Long prompts are packed (``z=…``: the same parameters, deflated), since servers cut addresses off.

The promise: reading a link gives the recipe that was written, equal in every field, or an error with a sentence.
Nothing is guessed and nothing left out: a parameter that is not known is an error, for it may be a newer program's.
"""

import base64
import zlib
from typing import Any, Final
from urllib.parse import parse_qsl, quote_plus

from webui.errors import BadRecipe, BadValue, near
from webui.recipe import PARAMS, Recipe

VERSION: Final = 1
LONGEST: Final = 8000
"""Characters of a link that is written: what servers and proxies let through."""
READABLE: Final = 2000
"""Longer links are packed: nobody reads them, and mail and chat programs cut them."""
MOST_READ: Final = 100_000
"""Characters of a link, and of what is packed in one, that are read at most."""

DEFAULTS: Final[dict[str, Any]] = {
    "prompt": "", "negative_prompt": "", "steps": 20, "sampler": "DPM++ 2M", "schedule": "Automatic", "cfg_scale": 7.0,
    "width": 512, "height": 512, "model": "reseed", "model_hash": "", "clip_skip": 1, "rng": "NV", "variation_seed": 0,
    "variation_strength": 0.0, "variations": "", "variation_noise": "start", "resize_width": 0, "resize_height": 0,
    "noise_layout": "plain", "ensd": 0, "emphasis": "Original", "profile": "A1111",
}  # fmt: skip
"""What a link of version 1 leaves out. A parameter that came later is left out at the recipe's own default, which is
by rule what pictures had before there was the parameter."""

_SIGNS: Final = str.maketrans({"%": "%25", "&": "%26", "+": "%2B", " ": "+"})
"""What packed text must escape; the rest packs better as it is."""


def write(recipe: Recipe) -> str:
    """Write a recipe as the parameters of an address, without ``?``; raise BadValue when it does not fit in one.

    >>> write(Recipe.of(prompt="a house by a lake, ducks", seed=2**64 - 1))
    'prompt=a+house+by+a+lake,+ducks&seed=18446744073709551615&v=1'
    """
    told = {name: value for name, value in recipe.values().items() if name == "seed" or value != _default(name)}
    texts = {name: PARAMS[name].format(value) for name, value in told.items()}
    readable = "&".join(f"{name}={quote_plus(text, safe=',:')}" for name, text in texts.items())
    if len(readable) <= READABLE:
        return f"{readable}&v={VERSION}"
    dense = "&".join(f"{name}={text.translate(_SIGNS)}" for name, text in texts.items())
    packed = base64.urlsafe_b64encode(zlib.compress(dense.encode(), 9)).decode().rstrip("=")
    written = f"z={packed}&v={VERSION}"
    if len(written) > LONGEST:
        rule = f"at most {LONGEST} characters long"
        raise _bad(len(written), rule, "Shorten the prompts, or send the picture itself: it carries its recipe.")
    return written


def read(text: str) -> Recipe:
    """Read a recipe from an address or its parameters.

    >>> read("https://example.org/?seed=7&prompt=a+lake&v=1#top").prompt
    'a lake'

    Names that begin with two underscores are the page's own, such as gradio's ``__theme``. Raises BadValue for what is
    no link of a known version, BadRecipe that names every parameter and value that is not allowed.
    """
    pairs = _pairs(_parameters(text))
    version = pairs.pop("v", None)
    if version != str(VERSION):
        hint = "A newer Reseed made it: update to read it." if version and version.isdecimal() else ""
        raise _bad(f"v={version}" if version else "no v", f"of version {VERSION} (v={VERSION})", hint)
    if "z" in pairs:
        packed = pairs.pop("z")
        if pairs:
            raise _bad(", ".join(pairs), "either packed (z and v alone) or readable")
        pairs = _pairs(_unpacked(packed))
    return _recipe(pairs)


def _default(name: str) -> Any:
    return DEFAULTS.get(name, PARAMS[name].default)


def _recipe(pairs: dict[str, str]) -> Recipe:
    problems: list[BadValue] = []
    values: dict[str, Any] = {name: _default(name) for name in PARAMS if name != "seed"}
    for name, text in pairs.items():
        try:
            if name not in PARAMS:
                hint = near(name, PARAMS) or "A newer Reseed may know it."
                raise BadValue(name, f"{name}:", text, f"a parameter of a recipe ({', '.join(PARAMS)})", hint)
            values[name] = PARAMS[name].parse(text)
        except BadValue as error:
            problems.append(error)
    if "seed" not in pairs:
        problems.append(BadValue("seed", PARAMS["seed"].label, None, f"given: {PARAMS['seed'].rule}"))
    if problems:
        raise BadRecipe(problems)
    return Recipe.of(**values)


def _parameters(text: str) -> str:
    """Take the parameters out of an address: what stands behind ``#`` if that is any, else behind ``?``."""
    if len(text) > MOST_READ:
        raise _bad(len(text), f"at most {MOST_READ} characters long")
    address, _, fragment = text.strip().partition("#")
    return fragment if "=" in fragment else address.rpartition("?")[2]


def _pairs(query: str) -> dict[str, str]:
    try:
        found = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=200)
    except ValueError:
        raise _bad(query, "parameters of an address such as prompt=a+lake&seed=7&v=1") from None
    pairs = {name: value for name, value in found if not name.startswith("__")}
    if len(pairs) < sum(not name.startswith("__") for name, _ in found):
        raise _bad(query, "parameters of an address, each given once")
    return pairs


def _unpacked(packed: str) -> str:
    """Inflate packed parameters, no further than the limit."""
    damaged = _bad(packed, "whole", "It was cut off or changed on the way.")
    inflating = zlib.decompressobj()
    try:
        data = base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True)
        found = inflating.decompress(data, MOST_READ)
        text = found.decode()
    except (ValueError, zlib.error):
        raise damaged from None
    if inflating.unconsumed_tail:
        raise _bad(packed, f"at most {MOST_READ} bytes long when it is unpacked")
    if not inflating.eof or inflating.unused_data:
        raise damaged
    return text


def _bad(value: object, rule: str, hint: str = "") -> BadValue:
    return BadValue("link", "Recipe link", value, rule, hint)
