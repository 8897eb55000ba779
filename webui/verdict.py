"""The verdict: whether a picture that is recalled will come back equal to the bit, and if not, why.

The promise: nothing is guessed in a picture's favour. *identical* is only said when the picture was made again here
and its pixels were equal; *expected identical* when everything that is known of what made it is here too; else *will
differ*, and every reason is a sentence. Pure words: neither torch nor a model is loaded to come to a verdict.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any, Final, Literal

from webui import __version__, networks
from webui.errors import shown
from webui.fingerprint import Fingerprint
from webui.infotext import Reading
from webui.networks import Here

Kind = Literal["identical", "expected identical", "will differ"]

_BITS: Final = "the last bits of a picture may differ"
_SENTENCES: Final = {
    "product": "Reseed {then} made it, this is Reseed {now}: the changelog says under Pixels what changed.",
    "torch": f"It was made with torch {{then}}, here is {{now}}: {_BITS}.",
    "diffusers": f"It was made with diffusers {{then}}, here is {{now}}: {_BITS}.",
    "device": f"It was made on the device {{then}}, here it is {{now}}: {_BITS}.",
    "threads": f"It was made on {{then}} threads of the processor, here are {{now}}: {_BITS}.",
    "kernels": f"It was made with the kernels {{then}}, here are {{now}}: {_BITS}.",
    "dtype": "It was made in {then}, here it is {now}: details of a picture differ.",
}
_KERNELS: Final = {"cpu": "packed", "cuda": "channels_last", "xpu": "channels_last"}
"""What is here on each device, where nothing more is known of it yet."""
_UNTOLD: Final = {
    "torch": "torch",
    "diffusers": "diffusers",
    "device": "device",
    "dtype": "number type",
}
_USED: Final = (
    (re.compile(r"lora|lyco|addnet", re.I), "LoRA files in a way that is not read here"),
    (re.compile(r"ti\b|embedding", re.I), "textual inversions (embeddings) in a way that is not read here"),
    (re.compile(r"hypernet", re.I), "a hypernetwork, which is not loaded here"),
    (re.compile(r"hires|first pass|upscal", re.I), "a second, larger pass (Hires fix), which is not made here"),
    (re.compile(r"denoising|mask|inpaint|init image|image cfg", re.I), "another picture to begin with (img2img)"),
    (re.compile(r"controlnet|t2i|ip-?adapter", re.I), "ControlNet or another guide beside the prompt"),
    (re.compile(r"adetailer|face restoration|after ?detailer", re.I), "repairs after the picture was made"),
    (re.compile(r"refiner", re.I), "a second model for the last steps (refiner)"),
    (re.compile(r"vae|module", re.I), "a VAE or text encoder of its own beside the model's"),
    (
        re.compile(
            r"unipc|beta schedule|pad conds|downcast|old prompt|token merging|eta\b|sigma|s_?churn|s_?noise", re.I
        ),
        "a sampler or prompts with other settings than here",
    ),
    (re.compile(r"tiling", re.I), "tiling, which is not made here"),
)
"""Keys of an infotext that mean something which changes pixels and which a recipe does not hold."""
_HARMLESS: Final = re.compile(
    r"(version|app|backend|user|parser|created( date)?|date|model hash|hashes|source identifier|civitai .*|"
    r"time( taken)?|batch (size|pos)|operations?|pipeline|seed mode|metadata_version|app_version|generation_mode)\Z",
    re.I,
)
_TAG: Final = re.compile(r"<(?:(lora|lyco)|hypernet):([^:>]{1,100})", re.I)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What can be said about a recall: a kind, and the reasons as sentences."""

    kind: Kind
    reasons: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"kind": self.kind, "reasons": list(self.reasons)}

    def __str__(self) -> str:
        return "\n".join((f"Recall: {self.kind}.", *self.reasons))


def judge(  # noqa: PLR0913 — what a picture says and what is here, each by name
    now: Fingerprint,
    models: Mapping[str, str],
    networks_here: Here | None = None,
    *,
    made: Fingerprint | None = None,
    reading: Reading | None = None,
    source: str = "",
    pixels_sha256: str | None = None,
    proved: bool | None = None,
) -> Verdict:
    """Come to a verdict on a picture that says ``made``, or of which another program's ``reading`` is known.

    ``now`` is the present fingerprint, empty where it is not known yet; ``models`` the SHA-256 of each model that is
    here by name, empty where it is not known; ``networks_here`` the LoRAs and embeddings that count; ``proved``
    whether the picture was made again here with equal pixels.
    """
    against = [*_model_reasons(made, reading, models), *(differences(made, now) if made is not None else ())]
    against += networks.reasons(wanted_networks(made, reading), networks_here or {})
    if reading is not None:
        against += _reading_reasons(reading, source)
    elif made is None:
        against.append("The picture does not say what made it.")
    notes = [*(reading.notes if reading is not None else ()), *_notes(made, now, pixels_sha256)]
    if made is not None and made.model_hash and models.get(made.model) == "":
        notes.append(f"The hash of the model {_word(made.model)} is compared when it is loaded.")
    if proved:
        return Verdict("identical", ("It was made again here, and every pixel is equal.", *against))
    if proved is not None:
        return Verdict("will differ", ("It was made again here, and pixels differ.", *against, *notes))
    return Verdict("will differ" if against else "expected identical", (*against, *notes))


def wanted_networks(made: Fingerprint | None, reading: Reading | None) -> dict[networks.Kind, dict[str, str]]:
    """Return the LoRAs and embeddings that a picture was made with, by kind and name, with the hash if it says that."""
    if made is not None:
        return networks.of_fingerprint(made)
    values = reading.values if reading is not None else {}
    tags = {name: "" for lora, name in _TAG.findall(str(values.get("prompt", ""))) if lora}
    return {
        "LoRA": tags | networks.read_hashes(values.get("lora_hashes", "")),
        "embedding": networks.read_hashes(values.get("embedding_hashes", "")),
    }


def changed(made: Fingerprint, now: Fingerprint) -> dict[str, tuple[str, str]]:
    """Return what is known to differ, by field: (then, now). The model's name does not matter, its hash does.

    A picture that was made before kernels were written down was made with plain ones.
    """
    pairs = {name: (getattr(made, name), getattr(now, name)) for name in (*_SENTENCES, "model_hash")}
    if made.device in _KERNELS and not made.kernels and not now.kernels.startswith("plain"):
        pairs["kernels"] = "plain", now.kernels or _KERNELS[made.device]
    return {name: pair for name, pair in pairs.items() if all(pair) and pair[0] != pair[1]}


def differences(made: Fingerprint, now: Fingerprint) -> tuple[str, ...]:
    """Say what differs between two fingerprints, the models aside, a sentence each."""
    found = changed(made, now)
    return tuple(text.format(then=_word(found[name][0]), now=_word(found[name][1]))
                 for name, text in _SENTENCES.items() if name in found)  # fmt: skip


def present(device: str | None = None, dtype: str | None = None) -> Fingerprint:
    """Say what would make a picture now, as far as it is known without loading torch; unknown fields are empty.

    A build of torch for processors only has no other device, and there float32 is the default.
    """
    torch = torch_version()
    where = (device or "").split(":")[0] or ("cpu" if torch.endswith("+cpu") else "")
    known = {"exact": "float32", "fast": ""}  # which half it is says the device when it is there
    kind = known.get(dtype, dtype) if dtype else ("float32" if where == "cpu" else "")
    return Fingerprint(__version__, torch, _version("diffusers"), "", "", where, kind)


def torch_version() -> str:
    """Return ``torch.__version__`` without importing torch; the package's own number can lack the build (+cpu)."""
    spec = util.find_spec("torch")
    if spec is not None and spec.origin is not None:
        try:
            text = (Path(spec.origin).parent / "version.py").read_text("utf-8")
        except OSError:
            text = ""
        if found := re.search(r"^__version__ = ['\"]([^'\"]+)['\"]", text, re.M):
            return found[1]
    return _version("torch")


def missing_model(name: str, digest: str, models: Mapping[str, str]) -> str:
    """Name a model that is not here, by name and hash, and the one that has this hash, if there is one."""
    known = f" with the hash {_word(digest)}" if digest else ""
    same = next((other for other, here in models.items() if _same(digest, here)), None)
    there = f" The one here that is called {_word(same)} has this hash: choose it." if same is not None else ""
    return f"The model {_word(name)}{known} is not here.{there}"


def _model_reasons(made: Fingerprint | None, reading: Reading | None, models: Mapping[str, str]) -> Iterator[str]:
    values = reading.values if reading is not None else {}
    name = made.model if made is not None else str(values.get("model", ""))
    digest = made.model_hash if made is not None else str(values.get("model_hash", ""))
    if not name and not digest:
        if made is not None or reading is not None:
            yield "The picture does not say which model made it."
    elif name not in models:
        if name or not any(_same(digest, here) for here in models.values()):
            yield missing_model(name or "(without a name)", digest, models)
    elif digest and models[name] and not _same(digest, models[name]):
        yield (
            f"It was made with the model {_word(name)} of the checkpoint hash {_word(digest[:10])}, the one here has "
            f"{models[name][:10]}: another model gives another picture."
        )
    elif not digest:
        yield f"The picture does not say the hash of the model {_word(name)}: another file may have had that name."


def _reading_reasons(reading: Reading, source: str) -> Iterator[str]:
    """Say what an infotext names that is not made here, or not in the same way."""
    if source.lower() != "reseed":
        yield (
            f"It was made by {_word(source) or 'another program'}: what is alike is the composition, bits are not "
            "promised."
        )
    else:
        yield "The exact recipe was removed from it; the infotext that is left does not say on what it was made."
    if "seed" not in reading.values:
        yield "It does not say its seed."
    for problem in reading.problems:
        yield f"Not possible here: {problem}"
    tags = sorted({name for lora, name in _TAG.findall(str(reading.values.get("prompt", ""))) if not lora})
    if tags:
        yield f"Its prompt names files that are not loaded here: {', '.join(map(_word, tags[:5]))}."
    groups: dict[str, list[str]] = {}
    unknown: list[str] = []
    for key, value in reading.rest.items():
        used = next((words for pattern, words in _USED if pattern.match(key)), None)
        said = f"{_word(key)}: {_word(value)}"
        if used is not None:
            groups.setdefault(used, []).append(said)
        elif not _HARMLESS.match(key):
            unknown.append(said)
    for used, named in groups.items():
        yield f"It used {used} ({'; '.join(named[:4])})."
    if unknown:
        more = f"; and {len(unknown) - 4} more" if len(unknown) > 4 else ""
        yield f"What these mean is not known here: {'; '.join(unknown[:4])}{more}."


def _notes(made: Fingerprint | None, now: Fingerprint, pixels_sha256: str | None) -> Iterator[str]:
    """Say what is not known, which neither speaks for a picture nor against it."""
    if made is not None:
        untold = [words for name, words in _UNTOLD.items() if not getattr(made, name)]
        if untold:
            yield f"The picture does not say its {', '.join(untold)}."
        later = [getattr(made, name) for name in ("device", "dtype") if getattr(made, name) and not getattr(now, name)]
        if later:
            yield f"It was made on {' in '.join(map(_word, later))}: it is equal only where that is so again."
    if made is not None and "tiled" in made.kernels and "tiled" not in now.kernels:
        yield "Its last step was done in tiles, for want of memory: it is equal only where that is so again."
    if not pixels_sha256:
        yield "It carries no hash of its pixels, so that they are equal can only be seen by comparing files."


def _same(wanted: str, here: str) -> bool:
    return bool(wanted) and bool(here) and here.startswith(wanted.lower())


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _word(value: str) -> str:
    """Write a word from a file into a sentence: on one line, short, without quotes."""
    return shown(value, 80).strip("'\"")
