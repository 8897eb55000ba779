"""Styles of the demo scenes: what is done to a finished flat picture.

The promise: a style changes colours and lines, never where anything stands.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

_LUMA = np.array((0.30, 0.59, 0.11), np.float32)


def _grey(picture: Bytes) -> Floats:
    """Brightness, 0..1, of shape (height, width)."""
    return np.asarray(picture @ _LUMA / np.float32(255.0), dtype=np.float32)


def _ramp(grey: Floats, *colours: tuple[int, int, int]) -> Bytes:
    """Colour a grey picture by a row of colours from dark to bright."""
    steps = np.linspace(0.0, 1.0, len(colours))
    levels = np.linspace(0.0, 1.0, 256)
    table = np.stack([np.interp(levels, steps, [c[k] for c in colours]) for k in range(3)], axis=1)
    return np.asarray(np.round(table).astype(np.uint8)[(grey * 255).astype(np.uint8)])


def _blend(a: Bytes, b: Bytes, part: float) -> Bytes:
    """Mix two pictures."""
    return np.asarray(Image.blend(Image.fromarray(a), Image.fromarray(b), part))


def pastel(picture: Bytes) -> Bytes:
    """Bright, soft colours on white."""
    table = np.round(255 - (255 - np.arange(256)) * 0.46).astype(np.uint8)
    return np.asarray(table[picture])


def ink(picture: Bytes) -> Bytes:
    """Black lines and grey washes on paper."""
    image = Image.fromarray(picture)
    wide = np.asarray(image.filter(ImageFilter.MaxFilter(3)), np.int16) - np.asarray(
        image.filter(ImageFilter.MinFilter(3)), np.int16
    )
    edge = np.clip((wide.max(axis=2) - 20) / 60.0, 0.0, 1.0).astype(np.float32)
    grey = _grey(picture)
    low, high = np.percentile(grey[::8, ::8], (2, 98))
    wash = 0.34 + 0.66 * np.clip((grey - low) / max(float(high - low), 0.2), 0.0, 1.0)
    return _ramp((wash * (1 - edge) + 0.06 * edge).astype(np.float32), (0, 0, 0), (255, 252, 242))


def neon(picture: Bytes) -> Bytes:
    """Dark violet, magenta and cyan."""
    return _blend(_ramp(_grey(picture), (14, 6, 48), (220, 30, 150), (70, 244, 250)), picture, 0.16)


def vintage(picture: Bytes) -> Bytes:
    """The brown of an old photograph."""
    return _blend(_ramp(_grey(picture), (48, 30, 20), (252, 228, 178)), picture, 0.20)


def watercolour(picture: Bytes) -> Bytes:
    """Thin paint: softened, paler, on white paper that shows at the border."""
    soft = Image.fromarray(picture).filter(ImageFilter.GaussianBlur(1.6))
    pale = np.asarray(Image.blend(soft, Image.new("RGB", soft.size, (255, 252, 246)), 0.30), np.float32)
    side = picture.shape[0]
    border = np.minimum(np.arange(side), np.arange(side)[::-1]) / side
    cover = np.clip(np.minimum.outer(border, border) / 0.07, 0.0, 1.0)[..., None].astype(np.float32)
    return np.asarray(np.round(pale * cover + np.float32(250.0) * (1 - cover)).astype(np.uint8))


STYLE_FILTERS: dict[str, Callable[[Bytes], Bytes]] = {
    "pastel": pastel,
    "ink": ink,
    "neon": neon,
    "vintage": vintage,
    "watercolour": watercolour,
}


def apply_style(picture: Bytes, style: str) -> Bytes:
    """Apply a style; `flat` leaves the picture as it is."""
    return STYLE_FILTERS[style](picture) if style in STYLE_FILTERS else picture
