"""Pixels: a picture decoded with limits, and the difference of two pictures in figures.

The promise: a file from a stranger is decoded within a limit or refused with a sentence, and figures are exact: they
are counted over all pixels and channels in whole numbers, so equal pictures have a difference of 0 and no other have.
"""

import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageChops

from webui.errors import PictureError, shown

MAX_PIXELS: Final = 64 * 1024 * 1024
"""Larger pictures are not decoded: they would take gigabytes."""
FORMATS: Final = ("PNG", "JPEG", "WEBP", "AVIF")


@dataclass(frozen=True, slots=True)
class Difference:
    """How far two pictures are apart, in the 256 levels of a channel.

    ``maximum`` and ``mean`` are of the absolute difference over all pixels and channels, ``psnr`` is in dB (None for
    equal pictures), ``share`` is the part of the pixels, from 0 to 1, that differ at all.
    """

    maximum: int
    mean: float
    psnr: float | None
    share: float

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"maximum": self.maximum, "mean": self.mean, "psnr": self.psnr, "share": self.share}

    def __str__(self) -> str:
        psnr = "" if self.psnr is None else f", PSNR {self.psnr:.1f} dB"
        share = f"{100 * self.share:.3g} % of the pixels"
        return f"at most {self.maximum} of 255, {self.mean:.3g} on average{psnr}, in {share}"


def decoded(path: Path) -> Image.Image:
    """Decode a PNG, JPEG or WebP; raise PictureError when it is damaged or larger than MAX_PIXELS."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise PictureError(f"{path.name} is too large to decode: {image.width}×{image.height} pixels.")
            image.load()
            return image
    except (OSError, SyntaxError, ValueError, EOFError, zlib.error, Image.DecompressionBombError) as error:
        name, said = shown(path.name, 80).strip("'\""), getattr(error, "strerror", None) or str(error)
        reason = said.replace(repr(str(path)), "it").rstrip(".")
        raise PictureError(f"The pixels of {name} cannot be decoded: {reason}.") from None


def compare(one: Image.Image, other: Image.Image) -> Difference:
    """Measure two pictures of one size, as RGB.

    >>> compare(Image.new("RGB", (2, 1)), Image.new("RGB", (2, 1), (0, 0, 3)))
    Difference(maximum=3, mean=1.0, psnr=43.36, share=1.0)

    Raises ValueError when the sizes differ.
    """
    apart = _apart(one, other)
    counts = apart.histogram()
    total = len(counts) // 256 * apart.width * apart.height
    mean = sum(at % 256 * count for at, count in enumerate(counts)) / total
    squares = sum((at % 256) ** 2 * count for at, count in enumerate(counts)) / total
    largest = _largest(apart).histogram()
    return Difference(
        maximum=max((level for level, count in enumerate(largest) if count), default=0),
        mean=mean,
        psnr=round(10 * math.log10(255**2 / squares), 2) if squares else None,
        share=1 - largest[0] / (apart.width * apart.height),
    )


def amplified(one: Image.Image, other: Image.Image) -> tuple[Image.Image, int]:
    """Draw the absolute difference of two pictures, brightened by a whole factor; return the picture and the factor."""
    apart = _apart(one, other)
    factor = brightening(compare(one, other))
    return apart.point([min(255, level * factor) for level in range(256)] * 3), factor


def brightening(difference: Difference) -> int:
    """Return the whole factor that brings the largest difference near to 255."""
    return max(1, 255 // max(1, difference.maximum))


def _apart(one: Image.Image, other: Image.Image) -> Image.Image:
    if one.size != other.size:
        raise ValueError(f"the pictures have other sizes: {one.size} and {other.size}")
    return ImageChops.difference(one.convert("RGB"), other.convert("RGB"))


def _largest(apart: Image.Image) -> Image.Image:
    """Return, for each pixel, the largest value among its channels."""
    red, green, blue = apart.split()
    return ImageChops.lighter(ImageChops.lighter(red, green), blue)
