"""Extra networks as words: what ``<lora:name:0.8>`` asks for, which words name embeddings, and lists of hashes.

The forms are A1111's: ``<lora:name>``, ``<lora:name:0.8>``, ``<lora:name:te:unet>`` and ``te=``, ``unet=`` by name;
the text encoder's weight is the network's too where that is not given. An embedding is named by its file's name as
words of the prompt. The promise: nothing that is named is dropped; what cannot be obeyed is a sentence.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from webui import prompt
from webui.errors import BadValue, near, shown
from webui.fingerprint import Fingerprint
from webui.prompt import WEIGHT_LIMIT
from webui.prompt_schedule import Network

Kind: TypeAlias = Literal["LoRA", "embedding"]
Hashes: TypeAlias = Mapping[str, str]
"""A hash, or its first digits, by the network's name."""
Here: TypeAlias = Mapping[Kind, Mapping[str, tuple[str, ...]]]
"""Every hash that a file is known by, of the networks that are here and matter, by kind and name."""

LORA_KINDS: Final = ("lora", "lyco")
SHORT: Final = 12
"""Digits of a hash in an infotext, as in A1111."""

_NUMBER: Final = re.compile(r"\s*[+-]?(?:[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})\s*\Z")
_HASH: Final = re.compile(r"\s{0,9}([^\n]{1,255}?)\s{0,9}:\s{0,9}([0-9a-fA-F]{4,64})\s{0,9}(?:,|\Z)")
_BEFORE: Final = {"letter": r"(?<![^\W\d_])", "sign": r"(?<![^\w\s])(?<!_)", "digit": ""}
_AFTER: Final = {"letter": r"(?![^\W\d_])", "sign": r"(?![^\w\s]|_)", "digit": ""}


@dataclass(frozen=True, slots=True)
class Lora:
    """A LoRA that a prompt asks for: its weight in the text encoders and in the network that draws."""

    name: str
    te: float = 1.0
    unet: float = 1.0

    def __str__(self) -> str:
        return (
            f"<lora:{self.name}:{self.te:g}>"
            if self.te == self.unet
            else f"<lora:{self.name}:{self.te:g}:{self.unet:g}>"
        )


def lora(network: Network) -> Lora:
    """Read what a prompt's ``<lora:…>`` asks for; raise BadValue when its weights are none.

    >>> lora(Network("lora", ("ink", "0.5"))), lora(Network("lora", ("ink", "unet=2")))
    (Lora(name='ink', te=0.5, unet=0.5), Lora(name='ink', te=1.0, unet=2.0))
    """
    name, *rest = network.arguments
    given: dict[str, str] = dict(zip(("te", "unet"), (part for part in rest if "=" not in part), strict=False))
    named = dict(part.split("=", 1) for part in rest if "=" in part)
    weights = {key.strip(): _weight(text) for key, text in (given | named).items()}
    if len(rest) - len(named) > 2 or not weights.keys() <= {"te", "unet"} or None in weights.values():
        rule = (
            "without LoRA weights that are not numbers, as in <lora:name:0.8>, <lora:name:te:unet> or "
            f"<lora:name:te=0.5:unet=1>, from {-WEIGHT_LIMIT:g} to {WEIGHT_LIMIT:g}"
        )
        raise BadValue("prompt", "Prompt", str(network), rule)
    te = weights.get("te")
    te = 1.0 if te is None else te
    unet = weights.get("unet")
    return Lora(name.strip(), te, te if unet is None else unet)


def _weight(text: str) -> float | None:
    value = float(text) if _NUMBER.match(text) else None
    return value if value is not None and abs(value) <= WEIGHT_LIMIT else None


def loras(networks: Iterable[Network]) -> tuple[Lora, ...]:
    """Read every LoRA that a prompt asks for, in its order; the weights of one that is named twice add up."""
    found: dict[str, Lora] = {}
    for asked in map(lora, networks):
        before = found.get(asked.name, Lora(asked.name, 0.0, 0.0))
        found[asked.name] = Lora(asked.name, before.te + asked.te, before.unet + asked.unet)
    return tuple(found.values())


def spelled(name: str) -> str:
    """Return a name as CLIP's tokenizer reads it: small letters, single spaces."""
    return " ".join(name.lower().split())


def called(name: str, profile: str) -> str:
    """Return how a prompt names an embedding; ComfyUI's says so."""
    return f"embedding:{name}" if profile == "ComfyUI" else name


def embeddings(
    texts: Iterable[str], names: Iterable[str], emphasis: str = "Original", profile: str = "A1111"
) -> list[str]:
    """Say which embeddings prompts name, spelled; of names that begin alike the longest counts.

    A name is a row of whole words, of signs or of digits, as CLIP's tokenizer divides them.

    >>> embeddings(["art of a (bad-hand:1.3), party"], ["bad-hand", "bad", "art", "hands"])
    ['art', 'bad-hand']
    """
    meant = {called(name, profile): name for name in map(spelled, names) if name}
    known = sorted(meant, key=len, reverse=True)
    found: dict[str, None] = {}
    for text in texts:
        whole = spelled(text.replace("\\", ""))  # what escapes a sign is no part of a name
        if pattern := "|".join(_edged(name) for name in known if name in whole or "\\" in name):
            spans = [spelled(span.text) for section in prompt.parse(text, emphasis, profile) for span in section]
            found |= dict.fromkeys(meant[match] for span in spans for match in re.findall(pattern, span))
    return list(found)


def _edged(name: str) -> str:
    """Write the pattern of a name that begins and ends where the tokenizer begins and ends a word."""
    return _BEFORE[_sort(name[0])] + re.escape(name) + _AFTER[_sort(name[-1])]


def _sort(letter: str) -> str:
    return "letter" if letter.isalpha() else "digit" if letter.isnumeric() else "sign"


def read_hashes(text: str) -> dict[str, str]:
    """Read a list of hashes by name, as A1111 writes it; raise ValueError when it is none.

    >>> read_hashes("ink: 0a1B2c3d, bad, hand: ffff")
    {'ink': '0a1b2c3d', 'bad, hand': 'ffff'}
    """
    found: dict[str, str] = {}
    text, at = text.strip(), 0
    while at < len(text):
        match = _HASH.match(text, at)
        if match is None:
            raise ValueError(text[at:])
        found[match[1]], at = match[2].lower(), match.end()
    return found


def write_hashes(hashes: Hashes, digits: int = 64) -> str:
    """Write a list of hashes, of each its first ``digits``.

    >>> write_hashes({"ink": "0a1b2c3d"}, 4)
    'ink: 0a1b'
    """
    return ", ".join(f"{name}: {digest[:digits]}" for name, digest in hashes.items())


def of_fingerprint(made: Fingerprint) -> dict[Kind, dict[str, str]]:
    """Return the networks that a fingerprint names, with their hashes; a list that cannot be read names none."""
    found: dict[Kind, dict[str, str]] = {"LoRA": {}, "embedding": {}}
    for kind, text in (("LoRA", made.loras), ("embedding", made.embeddings)):
        try:
            found[kind] = read_hashes(text)  # type: ignore[index]
        except ValueError:
            continue
    return found


def is_one_of(wanted: str, digests: Iterable[str]) -> bool:
    """Say whether a hash, or its first digits, is that of a file that is known by ``digests``."""
    return any(digest.startswith(wanted.lower()) for digest in digests)


def missing(kind: Kind, name: str, here: Iterable[str]) -> str:
    """Word that a network is not here, with those that are."""
    names = sorted(here)
    listed = f"{', '.join(names[:12])}{'…' if len(names) > 12 else ''}" if names else "none"
    return f"There is no {kind} {shown(name)}. Here are: {listed}. {near(name, names)}".rstrip()


def reasons(wanted: Mapping[Kind, Hashes], here: Here) -> Iterator[str]:
    """Say which networks a picture was made with that are not here, or are other files; empty hashes say nothing."""
    for kind, hashes in wanted.items():
        known = here.get(kind, {})
        for name, digest in hashes.items():
            word, short = _word(name), f" with the hash {_word(digest[:SHORT])}" if digest else ""
            if name not in known:
                yield f"The {kind} {word}{short} is not here."
            elif not digest:
                yield f"The picture does not say the hash of the {kind} {word}: another file may have had that name."
            elif not is_one_of(digest, known[name]):
                yield (
                    f"It was made with the {kind} {word}{short}, the one here has {known[name][0][:SHORT]}: another "
                    "file gives another picture."
                )
        for name in known.keys() - hashes.keys():
            yield f"{_word(name)} in its prompt names {kind} {_word(name)} here, which did not count when it was made."


def _word(value: str) -> str:
    return shown(value, 80).strip("'\"")
