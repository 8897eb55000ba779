"""The fingerprint: what made a picture beside its recipe; written into every picture, compared when one is recalled."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What made a picture: with an equal fingerprint an equal recipe gives equal pixels, bit for bit.

    ``model_hash`` is the SHA-256 of the weights, 64 hexadecimal digits; ``device`` a class such as ``cpu`` or
    ``cuda``; ``dtype`` the type that the networks ran in. ``loras`` and ``embeddings`` list those that were used,
    ``name: SHA-256``; pictures from before there were any have none. ``threads`` is how many of the processor's the
    networks ran on, where the device is one: sums are divided among them, so another number moves the last bits. It is
    empty on other devices, and in pictures from before it was known. ``kernels`` says the same of what adds up there:
    weights that were ``packed`` or left ``plain``, and the widest instructions of the processor, ``packed AVX512``. On
    cards it is ``channels_last``, on other devices ``plain``. It ends with ``tiled VAE`` where memory was too small to
    decode the picture whole.
    """

    product: str
    torch: str
    diffusers: str
    model: str
    model_hash: str
    device: str
    dtype: str
    loras: str = ""
    embeddings: str = ""
    threads: str = ""
    kernels: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Fingerprint":
        """Read the JSON form; fields that are missing become empty, unknown ones are left out."""
        return cls(**{name: str(data.get(name, "")) for name in cls.__dataclass_fields__})
