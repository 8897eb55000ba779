"""Previews: a picture at latent size from the denoised estimate, for a tenth of a millisecond.

The promise: cheap, and never part of the result. Each latent cell becomes one pixel by a linear map that is fitted
once, when a model is loaded, by letting its own decoder decode a few fixed latents; so any number of channels works.
"""

from collections.abc import Callable

import torch
from PIL import Image

from webui.engine.noise import Stream

SIDE = 8
"""Cells on a side of the latents that are decoded: 64 × 64 pixels, so that a large decoder takes under a second."""


class Preview:
    """The linear map from latent channels to RGB: ``weights`` (C + 1, 3), the last row the offset."""

    def __init__(self, weights: torch.Tensor) -> None:
        self.weights = weights

    @classmethod
    def fit(cls, decode: Callable[[torch.Tensor], torch.Tensor], channels: int, samples: int) -> "Preview":
        """Fit to a decoder by least squares, with a little ridge, on ``samples`` smooth latents.

        ``decode`` maps (1, C, H, W) to (1, 3, 8 H, 8 W) or so, in −1…1.
        """
        inputs, outputs = [], []
        for seed in range(samples):
            coarse = Stream(seed, "NV", (1, channels, SIDE // 2, SIDE // 2)).normal()
            fine = Stream(seed, "NV", (1, channels, SIDE, SIDE)).normal()
            latent = torch.nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="bilinear") + 0.3 * fine
            picture = torch.nn.functional.adaptive_avg_pool2d(decode(latent).float().cpu(), (SIDE, SIDE))
            inputs.append(_cells(latent))
            outputs.append(picture[0].flatten(1).T)
        known, wanted = torch.cat(inputs).double(), torch.cat(outputs).double()
        ridge = 1e-2 * len(known) * torch.eye(known.shape[1], dtype=torch.float64)
        ridge[-1, -1] = 0  # the offset is free
        return cls(torch.linalg.solve(known.T @ known + ridge, known.T @ wanted).float())

    def picture(self, denoised: torch.Tensor) -> Image.Image:
        """Return the estimate (1, C, H, W) as an RGB picture of W × H pixels."""
        _, _, height, width = denoised.shape
        rgb = _cells(denoised.detach().float().cpu()) @ self.weights
        pixels = ((rgb / 2 + 0.5).nan_to_num().clamp(0, 1) * 255).round().to(torch.uint8)
        return Image.fromarray(pixels.view(height, width, 3).numpy(), "RGB")


def _cells(latent: torch.Tensor) -> torch.Tensor:
    """List the cells of (1, C, H, W) as rows (H · W, C + 1) that end in 1."""
    rows = latent[0].flatten(1).T
    return torch.cat([rows, torch.ones(len(rows), 1)], dim=1)
