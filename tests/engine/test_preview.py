"""Previews: a linear map fitted to the model's own decoder."""

import numpy as np
import torch

from webui.engine.preview import Preview


def test_fit_recovers_a_linear_decoder():
    map_ = torch.linspace(-0.2, 0.2, 36).view(12, 3)

    def decode(latent: torch.Tensor) -> torch.Tensor:
        rgb = torch.einsum("bchw,cd->bdhw", latent, map_) + 0.1
        return torch.nn.functional.interpolate(rgb, scale_factor=8)

    found = Preview.fit(decode, 12, 8).weights
    assert torch.allclose(found[:12], map_, atol=0.02)
    assert torch.allclose(found[12], torch.full((3,), 0.1), atol=0.02)


def test_size_and_damaged_values():
    preview = Preview(torch.zeros(5, 3))
    denoised = torch.full((1, 4, 6, 10), float("nan"))
    assert preview.picture(denoised).size == (10, 6)


def test_resembles_the_picture(engine, recipe):
    *_, before, last = engine.generate(recipe.but(steps=12, width=256, height=256))
    small = np.asarray(last.image.resize(before.preview.size)).astype(float)
    shown = np.asarray(before.preview).astype(float)
    correlation = np.corrcoef(small.ravel(), shown.ravel())[0, 1]
    print(f"correlation of the last preview with the picture {correlation:.3f}")
    assert correlation > 0.9
