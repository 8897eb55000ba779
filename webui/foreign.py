"""Foreign: what programs that write no infotext say of their pictures, read from the texts of a file.

InvokeAI, NovelAI, Fooocus, SwarmUI, Draw Things, Easy Diffusion and Civitai's generator write JSON of their own;
ComfyUI writes a graph (``webui.comfyui``). The promise is infotext's: reading never raises; depth and size are
bounded; what is understood becomes values, the rest is kept as text; a value that a recipe does not allow is a
problem, never a default. Where another program's number means something else here, it is translated or a note says
so.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from webui import comfyui, dialects, infotext, samplers
from webui.infotext import Reading

MAX_JSON: Final = 1024 * 1024
"""Characters of a JSON text; longer ones are not read."""
MAX_REST: Final = 2000
"""Characters of a value that is kept to be shown."""

_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})
_TELLING: Final = frozenset({"prompt", "seed", "steps"})
_PERFORMANCE: Final = {"quality": 60, "speed": 30, "extreme speed": 8, "lightning": 4, "hyper-sd": 4}


def read(texts: Mapping[str, str]) -> tuple[Reading, str] | None:
    """Read what another program's texts say; return the reading and the text it came from, None when none is known."""
    for key, reader in _READERS:
        data = parsed(texts[key]) if key in texts else None
        reading = reader(data, texts) if isinstance(data, dict) else None
        if reading is not None and (reading.problems or not _TELLING.isdisjoint(reading.values)):
            return reading, texts[key]
    if "Dream" in texts and (reading := _dream(texts["Dream"])) is not None:
        return reading, texts["Dream"]
    if "num_inference_steps" in texts:
        return _easy(texts), json.dumps(dict(texts), ensure_ascii=False)
    return None


def parsed(text: str) -> Any:
    """Read JSON, with the NaN that ComfyUI writes as nothing; None for what is not JSON, too long or too deep."""
    try:
        return json.loads(text, parse_constant=lambda _: None) if len(text) <= MAX_JSON else None
    except (ValueError, RecursionError):
        return None


def reading_of(source: str, found: Mapping[str, Any], rest: Mapping[str, Any], notes: tuple[str, ...] = ()) -> Reading:
    """Put a reading together: names translated, values checked, what the program leaves out said, the rest as text."""
    given = {name: value for name, value in found.items() if value is not None}
    if isinstance(text := given.get("sampler"), str):
        given["sampler"], named = dialects.sampler(text)
        if named is not None and given.get("schedule") in (None, samplers.AUTOMATIC):
            given["schedule"] = named
        given.setdefault("schedule", dialects.unnamed_schedule(given["sampler"]))
    if isinstance(schedule := given.get("schedule"), str):
        on_its_own = given.get("sampler") in ("DDIM", "PLMS", "UniPC") and schedule == "Uniform"
        given["schedule"] = samplers.AUTOMATIC if on_its_own else dialects.schedule(schedule)
    if isinstance(model := given.get("model"), str):
        given["model"] = dialects.model(model)
    kept = dict(rest)
    if "model_hash" in given and not dialects.is_sha256(str(given["model_hash"])):
        kept["Model hash"] = given.pop("model_hash")
    program = dialects.Maker(source)
    meant, said = program.silence(sampler=str(given.get("sampler", "")))
    if meant.get("rng") == "NV" and "rng" not in given:
        notes = (*notes, dialects.FROM_CARD)
    values, problems = infotext.checked({**meant, **given})
    told = {key: shown for key, value in kept.items() if value not in _EMPTY and (shown := _text(value))}
    return Reading(values, told, problems, (*said, *notes), source)


def _text(value: Any) -> str:
    """Write a value to be shown: text as it is, the rest as JSON, cut when it is long."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return ""
    return text if len(text) <= MAX_REST else text[: MAX_REST - 1] + "…"


def _taken(data: Mapping[str, Any], names: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide a program's values into those with a name here and the rest; of two names for one the first wins."""
    rest, found = dict(data), {}
    for theirs, ours in names.items():
        if rest.get(theirs) is not None and ours not in found:
            found[ours] = rest.pop(theirs)
    return found, rest


def _size(found: dict[str, Any], text: Any) -> None:
    """Read a size such as ``(896, 1152)``, ``896×1152`` or ``896x1152``."""
    if isinstance(text, str) and len(sides := re.findall(r"[0-9]{1,5}", text[:40])) == 2:
        found["width"], found["height"] = map(int, sides)


_INVOKEAI: Final = {
    "positive_prompt": "prompt", "negative_prompt": "negative_prompt", "seed": "seed", "steps": "steps",
    "cfg_scale": "cfg_scale", "width": "width", "height": "height",
}  # fmt: skip


def _invokeai(data: dict[str, Any], texts: Mapping[str, str]) -> Reading | None:
    """Read InvokeAI 3 and later; its clip skip counts skipped layers, ours names the layer read."""
    found, rest = _taken(data, _INVOKEAI)
    _invokeai_sampler(found, rest.pop("scheduler", None))
    if isinstance(model := rest.get("model"), dict):
        found["model"] = model.get("name", model.get("model_name"))
    elif isinstance(model, str):
        found["model"] = rest.pop("model")
    if isinstance(skipped := rest.get("clip_skip"), int):
        found["clip_skip"] = skipped + 1
        del rest["clip_skip"]
    if isinstance(device := rest.pop("rand_device", None), str):
        found["rng"] = "CPU" if device == "cpu" else "NV"
    return reading_of("InvokeAI", found, rest)


def _invokeai_sampler(found: dict[str, Any], name: Any) -> None:
    if isinstance(name, str):
        plain = name.removesuffix("_k")
        found["sampler"] = plain
        found["schedule"] = "Karras" if plain != name else "Uniform"


def _invokeai_2(data: dict[str, Any], texts: Mapping[str, str]) -> Reading | None:
    """Read InvokeAI 2 (``sd-metadata``): the negative prompt stands in brackets within the prompt."""
    image = data.get("image")
    if not isinstance(image, dict):
        return None
    found, rest = _taken(image, {name: name for name in ("seed", "steps", "cfg_scale", "width", "height", "sampler")})
    prompt = rest.pop("prompt", "")
    if isinstance(prompt, list):
        prompt = ", ".join(str(part.get("prompt", "")) for part in prompt if isinstance(part, dict))
    found |= _bracketed(prompt if isinstance(prompt, str) else "")
    if (sampler := found.get("sampler")) is not None:
        found["schedule"] = "Karras" if "dpmpp_2" in str(sampler) else "Uniform"
    found |= {"model": data.get("model_weights"), "model_hash": data.get("model_hash")}
    outer = {key: value for key, value in data.items() if key not in ("image", "model_weights", "model_hash")}
    notes = (
        ("Its variations mix the whole noise, not column by column: they are not read.",)
        if rest.get("variations")
        else ()
    )
    return reading_of("InvokeAI", found, outer | rest, notes)


def _bracketed(prompt: str) -> dict[str, str]:
    negative = ", ".join(part.strip() for part in re.findall(r"\[([^\[\]]*)\]", prompt))
    return {
        "prompt": re.sub(r"\s{0,3}\[[^\[\]]*\]", "", prompt).strip() if negative else prompt,
        "negative_prompt": negative,
    }


_DREAM: Final = {"s": "steps", "S": "seed", "W": "width", "H": "height", "C": "cfg_scale", "A": "sampler"}


def _dream(text: str) -> Reading | None:
    """Read the command line of the first InvokeAI: ``"a fox [blurry]" -s 50 -S 7 -W 512 -H 768 -C 7.5 -A k_euler``."""
    start = re.search(r" -[sSWHCA] ?\S", text)
    if start is None:
        return None
    found: dict[str, Any] = dict(_bracketed(text[: start.start()].strip().strip('"')))
    rest = {}
    for flag, value in re.findall(r"(?<=\s)-(\w+)[ =]?(\S*)", text[start.start() :]):
        if flag in _DREAM:
            found[_DREAM[flag]] = value
        else:
            rest[f"-{flag}"] = value
    found["schedule"] = "Uniform" if "sampler" in found else None
    return reading_of("InvokeAI", found, rest)


_NOVELAI: Final = {
    "prompt": "prompt", "uc": "negative_prompt", "seed": "seed", "steps": "steps", "scale": "cfg_scale",
    "width": "width", "height": "height", "sampler": "sampler", "noise_schedule": "schedule",
}  # fmt: skip


def _novelai(data: dict[str, Any], texts: Mapping[str, str]) -> Reading | None:
    """Read NovelAI's ``Comment``, with clip skip 2 and ENSD 31337 as A1111 reads it."""
    if "c" in data or ("uc" not in data and texts.get("Software") != "NovelAI"):
        return None
    found, rest = _taken(data, _NOVELAI)
    found.setdefault("prompt", texts.get("Description"))
    rest |= {key: texts[key] for key in ("Source", "Generation time") if key in texts}
    notes = ["Clip skip 2 and ENSD 31337 are taken, as A1111 takes them for NovelAI."]
    if re.search(r"[{}]|::", str(found.get("prompt", ""))):
        notes.append(
            "NovelAI weighs words with {braces} and numbers::; they are kept as written and mean nothing here."
        )
    return reading_of("NovelAI", {**found, "clip_skip": 2, "ensd": 31337}, rest, tuple(notes))


def _novelai_outer(data: dict[str, Any], texts: Mapping[str, str]) -> Reading | None:
    """Read NovelAI's WebP and JPEG: its PNG texts as one JSON, the comment a JSON text inside."""
    inner = data.get("Comment")
    inner = parsed(inner) if isinstance(inner, str) else inner
    if not isinstance(inner, dict):
        return None
    return _novelai(inner, {key: value for key, value in data.items() if isinstance(value, str)})


_FOOOCUS: Final = {
    "prompt": "prompt", "negative_prompt": "negative_prompt", "seed": "seed", "steps": "steps", "sampler": "sampler",
    "guidance_scale": "cfg_scale", "scheduler": "schedule", "base_model": "model", "clip_skip": "clip_skip",
    "base_model_hash": "model_hash",
}  # fmt: skip


def _fooocus(data: dict[str, Any], texts: Mapping[str, str]) -> Reading | None:
    """Read Fooocus; its keys once had capitals and spaces, and its steps may follow from its performance."""
    plain = {key.lower().replace(" ", "_"): value for key, value in data.items()}
    if "base_model" not in plain and "fooocus" not in str(plain.get("version", "")).lower():
        return None
    found, rest = _taken(plain, _FOOOCUS)
    _size(found, rest.pop("resolution", None))
    notes = ["Its styles, sharpness and guidance of its own are not made here."]
    performance = str(rest.get("performance", "")).lower()
    if "steps" not in found and performance in _PERFORMANCE:
        found["steps"] = _PERFORMANCE[performance]
        notes.append(f"Its performance {performance!r} means {found['steps']} steps.")
    return reading_of("Fooocus", found, rest, tuple(notes))


_SWARM: Final = {
    "prompt": "prompt", "negativeprompt": "negative_prompt", "seed": "seed", "steps": "steps", "cfgscale": "cfg_scale",
    "width": "width", "height": "height", "sampler": "sampler", "scheduler": "schedule", "model": "model",
    "variationseed": "variation_seed", "variationseedstrength": "variation_strength",
}  # fmt: skip


def _swarm(data: dict[str, Any], texts: Mapping[str, str]) -> Reading | None:
    params, extra = data.get("sui_image_params"), data.get("sui_extra_data")
    if not isinstance(params, dict) or not params:
        return None
    found, rest = _taken(params, _SWARM)
    if isinstance(layer := rest.get("clipstopatlayer"), int) and layer < 0:
        found["clip_skip"] = -layer
        del rest["clipstopatlayer"]
    found.setdefault("schedule", "normal" if "sampler" in found else None)
    notes = ("Its variation mixes the whole noise, here it is column by column: the picture will be near.",)
    rest |= extra if isinstance(extra, dict) else {}
    rest |= {"sui_models": data.get("sui_models")}
    return reading_of("SwarmUI", found, rest, notes if found.get("variation_strength") else ())


_DRAW_THINGS: Final = {
    "c": "prompt", "uc": "negative_prompt", "seed": "seed", "steps": "steps", "scale": "cfg_scale",
    "sampler": "sampler", "model": "model",
}  # fmt: skip


def _draw_things(data: dict[str, Any], texts: Mapping[str, str]) -> Reading | None:
    if not {"c", "sampler", "steps"} <= data.keys():
        return None
    found, rest = _taken(data, _DRAW_THINGS)
    _size(found, rest.pop("size", None))
    return reading_of("Draw Things", found, rest)


_CIVITAI: Final = {
    "prompt": "prompt", "negativePrompt": "negative_prompt", "seed": "seed", "steps": "steps", "cfgScale": "cfg_scale",
    "sampler": "sampler", "scheduler": "schedule", "width": "width", "height": "height", "clipSkip": "clip_skip",
}  # fmt: skip


def _civitai(data: dict[str, Any], texts: Mapping[str, str]) -> Reading | None:
    """Read what Civitai's generator puts beside its graph: the words and numbers of its form, as JSON in a text."""
    extra = data.get("extraMetadata") or (
        data["extra"].get("extraMetadata") if isinstance(data.get("extra"), dict) else None
    )
    inner = parsed(extra) if isinstance(extra, str) else extra
    if not isinstance(inner, dict):
        return None
    found, rest = _taken(inner, _CIVITAI)
    return reading_of("Civitai", found, rest)


_EASY: Final = {
    "prompt": "prompt", "negative_prompt": "negative_prompt", "seed": "seed", "num_inference_steps": "steps",
    "guidance_scale": "cfg_scale", "width": "width", "height": "height", "sampler_name": "sampler",
    "use_stable_diffusion_model": "model", "clip_skip": "clip_skip",
}  # fmt: skip


def _easy(texts: Mapping[str, str]) -> Reading:
    """Read Easy Diffusion, which writes each value as a text of its own; its clip skip is yes or no."""
    found, rest = _taken(texts, _EASY)
    if "clip_skip" in found:
        found["clip_skip"] = {"true": 2, "false": 1}.get(str(found["clip_skip"]).lower(), found["clip_skip"])
    return reading_of("Easy Diffusion", found, rest)


def _comfyui(data: dict[str, Any], texts: Mapping[str, str]) -> Reading | None:
    found = comfyui.read(data)
    return reading_of("ComfyUI", found.values, found.rest, tuple(found.notes)) if found is not None else None


_Reader = Callable[[dict[str, Any], Mapping[str, str]], Reading | None]
_IN_PARAMETERS: Final[tuple[_Reader, ...]] = (_swarm, _civitai, _fooocus, _novelai_outer, _draw_things, _comfyui)
_READERS: Final[tuple[tuple[str, _Reader], ...]] = (
    *(("parameters", reader) for reader in _IN_PARAMETERS),
    ("invokeai_metadata", _invokeai),
    ("sd-metadata", _invokeai_2),
    ("Comment", _novelai),
    ("Comment", _fooocus),
    ("Comment", _draw_things),
    ("generation_data", _swarm),
    ("prompt", _comfyui),
    ("workflow", _comfyui),
)
