"""How the seed comes to rule the composition: the layout's 64 numbers are read from the starting noise itself.

A latent's noise is 16 x 16 Gaussian numbers in each channel. The averages over 4 x 4 blocks of its first four
channels, times four, are 64 independent standard Gaussian numbers: the code from which `webui.demo.layout` makes a
composition. In training, every picture is paired with noises that carry its own code; all that is left of the noise is
drawn afresh at each visit.

The promise: noise drawn this way over random layouts is exactly standard Gaussian noise, so sampling may start from
any noise a pipeline draws. Pairing data and noise like this is a coupling in the sense of stochastic interpolants
(Albergo et al. 2023, arXiv:2303.08797, and Tong et al. 2023, arXiv:2302.00482): the flow learned from it still carries
noise to data, and since the noise says where things stand, the words are left to say what they are.
"""

from __future__ import annotations

import torch
from torch.nn.functional import avg_pool2d

from webui.demo.layout import CHANNELS, CODE_SIZE, COLUMNS, ROWS

GRID = 16
BLOCK = GRID // ROWS


def read_code(noise: torch.Tensor) -> torch.Tensor:
    """Read the layout codes, (batch, 64), from noises, (batch, channels >= 4, 16, 16)."""
    return avg_pool2d(noise[:, :CHANNELS], BLOCK).mul(BLOCK).flatten(1)


def write_code(noise: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
    """Give noises that carry the codes and are like the given ones in all else."""
    if code.shape != (len(noise), CODE_SIZE):
        raise ValueError(f"{len(noise)} noises need codes of shape {(len(noise), CODE_SIZE)}, not {tuple(code.shape)}.")
    change = (code - read_code(noise)).view(-1, CHANNELS, ROWS, COLUMNS) / BLOCK
    change = change.repeat_interleave(BLOCK, 2).repeat_interleave(BLOCK, 3)
    return torch.cat([noise[:, :CHANNELS] + change, noise[:, CHANNELS:]], 1)
