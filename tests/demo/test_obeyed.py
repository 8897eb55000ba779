"""The bundled model obeys the presets that say so: small pictures of few steps, told apart by plain statistics."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from webui import presets
from webui.demo.measures import Painter
from webui.engine.checkpoints import BUNDLED, BUNDLED_NAME
from webui.presets import Preset
from webui.settings import shipped_presets

SHIPPED = {path.stem: presets.parse(path.read_text("utf-8"), path.name) for path in shipped_presets().glob("*.json")}
OBEYED = sorted(id for id, preset in SHIPPED.items() if BUNDLED_NAME in preset.obeyed_by)
Look = Callable[[str], dict[str, float]]


@pytest.fixture(scope="module")
def look() -> Look:
    """Give a function that paints a house under a preset, or under none, and measures the picture."""
    painter = Painter(BUNDLED, device="cpu", steps=5)
    known: dict[str, dict[str, float]] = {}

    def at(id: str) -> dict[str, float]:
        if id not in known:
            preset = SHIPPED.get(id, Preset("none"))
            known[id] = measured(painter.paint(preset.apply({"prompt": "a house by a lake"})["prompt"], 7))
        return known[id]

    return at


def measured(picture: np.ndarray) -> dict[str, float]:
    """Return light, saturation, warmth (red over blue) and the light of the border, each from 0 to 1 or −1 to 1."""
    share = picture / 255.0
    hsv = np.asarray(Image.fromarray(picture).convert("HSV")) / 255.0
    border = np.concatenate([share[:6].ravel(), share[-6:].ravel(), share[:, :6].ravel(), share[:, -6:].ravel()])
    return {
        "light": float(share.mean()), "saturation": float(hsv[..., 1].mean()), "border": float(border.mean()),
        "warmth": float(share[..., 0].mean() - share[..., 2].mean()),
    }  # fmt: skip


def test_colours_and_light_do_what_the_presets_say(look: Look) -> None:
    plain, pastel, neon, night = (look(id) for id in ("", "pastel_color", "neon", "night"))
    assert pastel["light"] > plain["light"] + 0.1 > neon["light"]
    assert pastel["saturation"] < plain["saturation"] - 0.1 < neon["saturation"] - 0.2
    assert night["light"] < plain["light"] / 2


def test_presets_combine_visibly(look: Look) -> None:
    sunset, watercolour = look("sunset"), look("watercolor")
    assert sunset["warmth"] > look("")["warmth"] + 0.2
    assert watercolour["border"] > 0.85 > look("")["border"] + 0.1


@pytest.mark.slow
@pytest.mark.parametrize("id", OBEYED)
def test_whatever_is_marked_changes_light_colour_or_warmth(look: Look, id: str) -> None:
    plain, changed = look(""), look(id)
    assert max(abs(changed[name] - plain[name]) for name in plain) > 0.03, (plain, changed)
