"""Infotext: the text that A1111 and its relatives write into pictures, read and written.

::

    the prompt, over one or more lines
    Negative prompt: what to keep out
    Steps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7, Seed: 42, Size: 512x512, …

Infotext is for other programs: our own pictures carry the recipe as JSON, which wins. Still, every recipe comes back
from its infotext: a prompt that its layout cannot hold is written once more, exactly, under a key of ours.

Reading is total and takes linear time; what is understood becomes values, everything else is kept in ``rest`` and can
be shown. A value that a recipe does not allow is never replaced by a default: it is listed in ``problems`` with its
sentence. What a program says by leaving a key out is said in ``values``; where that needs a word, it is in ``notes``.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from webui import dialects, networks, samplers
from webui.errors import BadValue
from webui.recipe import PARAMS, Recipe

NEGATIVE: Final = "Negative prompt:"

_DETAILS: Final = (
    "eta", "eta_ddim", "s_churn", "s_tmin", "s_tmax", "s_noise", "sigma_max", "sigma_min", "rho",
    "discard_penultimate", "sgm_noise", "noise_schedule", "ngms", "ngms_all", "skip_early_cfg",
)  # fmt: skip
"""What A1111 writes only where it is not the default."""
_ORDER: Final = (
    "steps", "sampler", "schedule", "cfg_scale", "seed", "size", "model_hash", "model", "variation_seed",
    "variation_strength", "resize", "clip_skip", "ensd", "rng", *_DETAILS, "emphasis", "variations", "variation_noise",
    "noise_layout", "profile", "lora_hashes", "embedding_hashes",
)  # fmt: skip
_ALWAYS: Final = frozenset({"steps", "sampler", "schedule", "cfg_scale", "seed", "size", "model", "rng"})
_EXACT: Final = {"prompt": "Exact prompt", "negative_prompt": "Exact negative prompt"}
_RESIZE: Final = "Seed resize from"
_SIZES: Final = (("Size", "width", "height"), (_RESIZE, "resize_width", "resize_height"))
_READ: Final = (
    "steps", "schedule", "cfg_scale", "seed", "model_hash", "model", "clip_skip", "rng", "variation_seed",
    "variation_strength", "variations", "variation_noise", "noise_layout", "ensd", "emphasis", "profile", *_DETAILS,
    "lora_hashes", "embedding_hashes",
)  # fmt: skip
_SEEDS: Final = frozenset({"seed", "variation_seed"})

_KEY = re.compile(r"\s*(\w[\w \-/().%+]{0,60}?)\s*:\s?")
_SIZE = re.compile(r"\s*([0-9]{1,5})\s*[xX×]\s*([0-9]{1,5})\s*\Z")
_WHOLE_FLOAT = re.compile(r"\s*([0-9]{1,16})\.0+\s*\Z")
_NEEDS_QUOTES = re.compile(r'[,:\n"]|\A[\[{]')
_BRACKET = re.compile(r'\{|\[(?=[\s\[\]{"0-9])')
_GLUED = re.compile(r"\bSteps:\s{0,3}[0-9]{1,5}\s{0,3}(?:,|\Z)")
_AFTER = re.compile(r"(Negative Template|Template):[ ]?")

_TELLING: Final = frozenset({
    "Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size", "Model hash", "Model", "Clip skip", "Version",
    "Civitai resources", "Created Date", "RNG",
})  # fmt: skip
"""Keys of which two, one of them with a value in its form, make a line one of parameters."""
_FORMS: Final = {"Steps": re.compile(r"[0-9]+\Z"), "Seed": re.compile(r"-?[0-9]+(\.0+)?\Z"), "Size": _SIZE}
_NAMES: Final = {
    **{PARAMS[name].label.lower(): PARAMS[name].label for name in (*_READ, "sampler")}, "size": "Size",
    _RESIZE.lower(): _RESIZE, "schedule": "Schedule type", "cfg": "CFG scale", "guidance scale": "CFG scale",
    "subseed": "Variation seed", "subseed strength": "Variation seed strength", "version": "Version",
}  # fmt: skip
"""Keys by their small letters, and old or other names of them."""
_KNOWN: Final = frozenset(_NAMES.values())


@dataclass(frozen=True)
class Reading:
    """What a text says of a picture: values by the recipe's field names, the rest by their keys, and what was wrong.

    ``problems`` are the values that a recipe does not allow; ``notes`` are sentences on how the rest was understood;
    ``source`` names the program, empty when the text has no parameters at all.
    """

    values: dict[str, Any] = field(default_factory=dict)
    rest: dict[str, str] = field(default_factory=dict)
    problems: tuple[BadValue, ...] = ()
    notes: tuple[str, ...] = ()
    source: str = ""


def format(recipe: Recipe, extras: Mapping[str, str] | None = None) -> str:
    """Write a recipe as infotext; ``extras`` are further keys, appended in their order.

    >>> print(format(Recipe.of(prompt="a lake", seed=7), {"Version": "reseed 1"}))
    a lake
    Steps: 20, Sampler: DPM++ 2M, Schedule type: Automatic, CFG scale: 7, Seed: 7, Size: 512x512, Model: reseed, \
RNG: NV, Version: reseed 1
    """
    pairs: dict[str, str] = {}
    for name in _ORDER:
        if name == "size":
            pairs["Size"] = f"{recipe.width}x{recipe.height}"
        elif name == "resize":
            if recipe.resize_width and recipe.resize_height:
                pairs[_RESIZE] = f"{recipe.resize_width}x{recipe.resize_height}"
        elif name in ("variation_seed", "variation_strength"):
            if recipe.variation_strength > 0:
                pairs[PARAMS[name].label] = PARAMS[name].format(getattr(recipe, name))
        elif name in _ALWAYS or getattr(recipe, name) != PARAMS[name].default:
            pairs[PARAMS[name].label] = PARAMS[name].format(getattr(recipe, name))
    body = [recipe.prompt] if recipe.prompt else []
    if recipe.negative_prompt:
        body.append(f"{NEGATIVE} {recipe.negative_prompt}")
    read = dict(zip(_EXACT, _prompts("\n".join(body).split("\n")), strict=True))
    pairs |= {key: getattr(recipe, name) for name, key in _EXACT.items() if read[name] != getattr(recipe, name)}
    pairs.update(extras or {})
    last = ", ".join(f"{key}: {_quoted(value, key in _EXACT.values() or not value)}" for key, value in pairs.items())
    return "\n".join([*body, last])


def parse(text: str, hint: str = "") -> Reading:
    """Read an infotext; ``hint`` names the program when the file tells it. Never raises; a text alone is a prompt.

    >>> reading = parse("a lake\\nNegative prompt: fog\\nSteps: 8, Sampler: DPM++ 2M Karras, Seed: 7, Size: 64x128")
    >>> reading.values["sampler"], reading.values["schedule"], reading.values["seed"], reading.values["height"]
    ('DPM++ 2M', 'Karras', 7, 128)
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n\0").split("\n")
    after: dict[str, str] = {}
    pairs = _parameters(lines[-1])
    if not pairs:
        lines, after = _without_templates(lines)
        pairs = _parameters(lines[-1])
    if pairs:
        lines.pop()
    elif glued := _unglued(lines[-1]):
        head, pairs = glued
        if not any(line.startswith(NEGATIVE) for line in lines):
            head = head.replace(f" {NEGATIVE}", f"\n{NEGATIVE}", 1)
        lines[-1:] = head.split("\n")
    prompt, negative = _prompts(lines)
    if not pairs:
        values, problems = checked({"prompt": prompt, "negative_prompt": negative})
        return Reading(values, {}, problems)
    return _reading(prompt, negative, {**pairs, **after}, hint)


def checked(found: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[BadValue, ...]]:
    """Check values by the recipe's names, given as text or as they stand in JSON; return those allowed, and the rest.

    A seed that passed through a float comes back while the float held every digit of it, that is below 2^53.
    """
    values: dict[str, Any] = {}
    problems: list[BadValue] = []
    for name, given in found.items():
        value, param = given, PARAMS[name]
        if isinstance(value, list | dict):  # may be deep, so it is not quoted
            problems.append(BadValue(name, param.label, f"a {type(value).__name__} of values", param.rule))
            continue
        if name in _SEEDS:
            if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
                value = int(value)
            elif isinstance(value, str) and (whole := _WHOLE_FLOAT.match(value)) and int(whole[1]) < 2**53:
                value = whole[1]
        try:
            is_text = isinstance(value, str) and name not in ("prompt", "negative_prompt")
            values[name] = param.parse(value) if is_text else param.check(value)
        except BadValue as problem:
            problems.append(problem)
    return values, tuple(problems)


def _reading(prompt: str, negative: str, pairs: dict[str, str], hint: str) -> Reading:
    rest: dict[str, str] = {}
    for key, value in pairs.items():
        name = _named(key)
        rest[key if name in pairs or name in rest else name] = value
    program = dialects.maker(rest, hint)
    found: dict[str, Any] = {
        "prompt": rest.pop(_EXACT["prompt"], prompt),
        "negative_prompt": rest.pop(_EXACT["negative_prompt"], negative),
    }
    bad = [problem for label, width, height in _SIZES for problem in _take_size(rest, label, width, height, found)]
    notes: list[str] = []
    if (text := rest.pop("Sampler", None)) is not None:
        found["sampler"], named = dialects.sampler(text)
        _take_schedule(rest, named, found["sampler"], program, notes)
    other_hash = _take_hashes(rest, notes)
    for name in _READ:
        if (text := rest.pop(PARAMS[name].label, None)) is not None:
            found[name] = text
    notes += program.translate(found)
    meant, said = program.silence(found.get("schedule", ""), found.get("sampler", ""))
    if found.get("rng", "").strip().upper() == "GPU" or ("rng" not in found and meant.get("rng") == "NV"):
        found["rng"] = "NV"
        notes.append(dialects.FROM_CARD)
    if "model" in found and program.name not in ("A1111", "Forge", "Reseed"):
        found["model"] = dialects.model(found["model"])
    values, problems = checked({**{name: value for name, value in meant.items() if name not in found}, **found})
    ordered = {name: values[name] for name in PARAMS if name in values}
    for problem in bad:
        ordered.pop(problem.field, None)
    if ("resize_width" in ordered) != ("resize_height" in ordered):  # half a size is none
        ordered = {name: value for name, value in ordered.items() if not name.startswith("resize_")}
    return Reading(ordered, rest | other_hash, (*bad, *problems), (*said, *notes), program.name)


def _take_size(rest: dict[str, str], label: str, width: str, height: str, found: dict[str, Any]) -> Iterator[BadValue]:
    """Move a size out of the rest, ``512x512`` or its two halves as A1111's own lists of parameters have them."""
    halves = rest.pop(f"{label}-1", None), rest.pop(f"{label}-2", None)
    text = rest.pop(label, None)
    if text is None and halves == (None, None):
        return
    size = _SIZE.match(text) if text is not None else None
    given = (size[1], size[2]) if size else halves
    off = text is not None and (text.strip() == "-1x-1" or (size is not None and 0 in map(int, size.groups())))
    if off and label == _RESIZE:
        given = ("0", "0")  # a side of 0, and −1x−1 of an older API, mean there that it is off
    if given == (None, None):
        yield BadValue(width, label, text, "width and height such as 512x512")
        return
    found |= {name: value for name, value in zip((width, height), given, strict=True) if value is not None}


def _take_schedule(
    rest: dict[str, str], named: str | None, sampler: str, program: dialects.Maker, notes: list[str]
) -> None:
    """Settle the schedule: its own key, the end of the sampler's name, or what a name without it meant then."""
    key = PARAMS["schedule"].label
    if key not in rest or rest[key].strip().lower() == samplers.AUTOMATIC.lower():
        for other in ("Scheduler", "Sampler sigma"):  # SD.Next's Scheduler is a class of diffusers: that stays
            if named is None and dialects.known_schedule(rest.get(other, "")):
                named = rest.pop(other)
        if named is not None:
            rest[key] = dialects.schedule(named)
    else:
        rest[key] = dialects.schedule(rest[key])
    if key in rest or program.name not in ("A1111", "Forge", "ComfyUI", "Civitai"):
        return
    rest[key] = (
        dialects.unnamed_schedule(sampler) if program.names_combined("Model hash" in rest) else samplers.AUTOMATIC
    )
    if rest[key] != samplers.AUTOMATIC:
        notes.append(f"{sampler} without a schedule in its name meant {rest[key]} there.")


def _take_hashes(rest: dict[str, str], notes: list[str]) -> dict[str, str]:
    """Settle hashes: their own keys or those among ``Hashes``; return a model's that is no SHA-256 by its key."""
    label = PARAMS["model_hash"].label
    for key, text in _among_hashes(rest.get("Hashes", "")):
        rest[key] = rest.get(key) or text
    text = rest.get(label, "").strip()
    if not text or dialects.is_sha256(text):
        return {}
    notes.append("The model's hash is not a SHA-256, so it is not compared.")
    return {label: rest.pop(label)}


def _among_hashes(text: str) -> Iterator[tuple[str, str]]:
    """Read ``{"model": …, "lora:name": …, "embed:name": …}``, as Civitai wants it, by our labels."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return
    hashes = {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}
    if "model" in hashes:
        yield PARAMS["model_hash"].label, hashes["model"]
    for name, start in (("lora_hashes", "lora:"), ("embedding_hashes", "embed:")):
        if named := {key.removeprefix(start): value for key, value in hashes.items() if key.startswith(start)}:
            yield PARAMS[name].label, networks.write_hashes(named)


def _prompts(lines: list[str]) -> tuple[str, str]:
    """Divide lines into prompt and negative prompt, without the blanks around them."""
    start = next((at for at, line in enumerate(lines) if line.startswith(NEGATIVE)), len(lines))
    negative = [line.removeprefix(NEGATIVE) for line in lines[start : start + 1]] + lines[start + 1 :]
    return "\n".join(lines[:start]).strip(), "\n".join(negative).strip()


def _without_templates(lines: list[str]) -> tuple[list[str], dict[str, str]]:
    """Take off the lines that an extension for wildcards puts behind the parameters: they are keys of their own."""
    for at in range(len(lines) - 1, 0, -1):
        if _AFTER.match(lines[at]) and _parameters(lines[at - 1]):
            found: dict[str, list[str]] = {}
            for line in lines[at:]:
                if start := _AFTER.match(line):
                    found[key := start[1]] = [line[start.end() :]]
                else:
                    found[key].append(line)
            return lines[:at], {name: "\n".join(text) for name, text in found.items()}
    return lines, {}


def _parameters(line: str) -> dict[str, str]:
    """Read a line of parameters; nothing for a line of prose, which may hold colons too.

    It must begin with a key that programs write, and name a second one; one of them needs a value in its form.
    """
    first = _KEY.match(line)
    if first is None or _named(first[1]) not in _TELLING:
        return {}
    pairs = _joined(line)
    telling = {name: value for key, value in pairs.items() if (name := _named(key)) in _TELLING}
    formed = any(form.match(telling.get(name, "").strip()) for name, form in _FORMS.items())
    return pairs if len(telling) > 1 and (formed or ("Steps" in telling and "Sampler" in telling)) else {}


def _unglued(line: str) -> tuple[str, dict[str, str]] | None:
    """Divide a line whose prompt runs into its parameters, as web sites that drop line ends give it."""
    start = _GLUED.search(line)
    if start is None or not (pairs := _parameters(line[start.start() :])):
        return None
    return line[: start.start()].rstrip(), pairs


def _named(key: str) -> str:
    """Return the name by which a key is known here, whatever its capitals; any other key stays itself."""
    return _NAMES.get(key.lower(), key)


def _joined(line: str) -> dict[str, str]:
    """Read a line's pairs into a table; a piece without a key goes on with the value before it, or is a bare key."""
    found: dict[str, list[str]] = {}
    last = ""
    for key, value in _pairs(line):
        if key:
            found[last := key] = [value]
        elif value:
            # A1111 writes a value that equals its key as the bare key, which our own keys never do.
            if _named(last) in _KNOWN:
                found.setdefault(value, [value])
            else:
                found[last].append(value)
    return {key: ", ".join(values) for key, values in found.items()}


def _pairs(line: str) -> Iterator[tuple[str, str]]:
    """Read ``Key: value`` pairs divided by commas; the key is empty for a piece without one.

    A value in double quotes is JSON and may hold anything; so may one in brackets, as Civitai writes JSON bare.
    """
    at, brackets = 0, True
    while at < len(line):
        match = _KEY.match(line, at)
        start = at = match.end() if match else at
        quoted = False
        if match and line.startswith('"', at) and (end := _quoted_end(line, at)):
            quoted, at = True, end
        elif match and brackets and _BRACKET.match(line, at):
            end = _bracket_end(line, at)
            at, brackets = end or at, end > 0  # one that never ends was walked through once; not again
        end = line.find(",", at)
        end = len(line) if end < 0 else end
        whole = quoted and not line[at:end].strip()
        yield match[1] if match else "", _unquoted(line[start:at]) if whole else line[start:end].strip()
        at = end + 1


def _quoted_end(line: str, at: int) -> int:
    """Find the end of the JSON string that begins at ``at``; 0 when it does not end."""
    at += 1
    while at < len(line):
        if line[at] == "\\":
            at += 1
        elif line[at] == '"':
            return at + 1
        at += 1
    return 0


def _bracket_end(line: str, at: int) -> int:
    """Find the end of the JSON list or object that begins at ``at``; 0 when it does not end."""
    depth = 0
    while at < len(line):
        if line[at] == '"':
            at = _quoted_end(line, at) or len(line)
            continue
        depth += (line[at] in "[{") - (line[at] in "]}")
        at += 1
        if depth == 0:
            return at
    return 0


def _unquoted(raw: str) -> str:
    try:
        return str(json.loads(raw))
    except ValueError:
        return raw


def _quoted(value: str, always: bool) -> str:
    plain = not always and not _NEEDS_QUOTES.search(value) and value == value.strip()
    return value if plain else json.dumps(value, ensure_ascii=False)
