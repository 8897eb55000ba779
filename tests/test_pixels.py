"""Figures of a difference are exact; a file that is no picture, damaged or enormous is refused with a sentence."""

import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from webui import pixels
from webui.errors import PictureError


def noise(seed: int, size: tuple[int, int] = (16, 8)) -> Image.Image:
    from webui.engine.philox import randn

    values = randn(seed, 0, (1, 3, *size))[0].transpose(2, 1, 0)
    return Image.fromarray((values * 60 + 128).clip(0, 255).astype("uint8"), "RGB")


def test_figures_are_those_that_numpy_computes() -> None:
    import numpy as np

    one, other = noise(1), noise(2)
    apart = np.abs(np.asarray(one).astype(int) - np.asarray(other).astype(int))
    found = pixels.compare(one, other)
    assert found.maximum == apart.max()
    assert found.mean == pytest.approx(apart.mean())
    assert found.psnr == pytest.approx(10 * np.log10(255**2 / (apart**2).mean()), abs=0.01)
    assert found.share == pytest.approx((apart.max(2) > 0).mean())


def test_equal_pictures_have_no_difference() -> None:
    assert pixels.compare(noise(1), noise(1)) == pixels.Difference(0, 0.0, None, 0.0)


def test_one_pixel_shows() -> None:
    one, other = noise(1), noise(1)
    red, green, blue = one.getpixel((3, 3))  # type: ignore[misc]
    other.putpixel((3, 3), (red, green, blue ^ 4))
    found = pixels.compare(one, other)
    assert (found.maximum, found.mean, found.share) == (4, pytest.approx(4 / 384), 1 / 128)
    assert "at most 4 of 255" in str(found)
    drawn, factor = pixels.amplified(one, other)
    assert factor == 63
    assert drawn.getpixel((3, 3)) == (0, 0, 252)
    assert drawn.getpixel((0, 0)) == (0, 0, 0)


def test_other_sizes_are_not_compared() -> None:
    with pytest.raises(ValueError, match="other sizes"):
        pixels.compare(noise(1), noise(1, (8, 8)))


def test_decoded_is_what_was_saved(tmp_path: Path) -> None:
    noise(5).save(tmp_path / "a.png")
    assert pixels.decoded(tmp_path / "a.png").tobytes() == noise(5).tobytes()


def test_an_enormous_picture_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    ]
    sealed = (struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
              for kind, body in parts)  # fmt: skip
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(sealed))
    with pytest.raises(PictureError, match=r"too large to decode: 9000×9000"):
        pixels.decoded(tmp_path / "a.png")


@pytest.mark.parametrize("data", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n", b"GIF89a" + bytes(50)])
def test_what_is_no_picture_is_a_sentence(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(PictureError, match=r"The pixels of a.png cannot be decoded"):
        pixels.decoded(tmp_path / "a.png")
    with pytest.raises(PictureError, match=r"none.png cannot be decoded"):
        pixels.decoded(tmp_path / "none.png")
