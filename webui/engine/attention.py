"""Attention in half precision on a processor: the UNet's, a slice of the scores at a time.

There the kernel that torch has (flash attention: Dao et al. 2022, https://arxiv.org/abs/2205.14135) is no faster in
bfloat16 than in float32. Two products of matrices with a softmax between reach two to three times its speed, as long as
the scores of a slice fit into the caches (measured: docs/performance.md).

The promise: a slice is chosen by the shapes alone, so equal recipes go through equal sums.
"""

from typing import Any, Final

import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0

SCORES: Final = 1 << 20
"""Scores of a slice, all heads together: two megabytes in bfloat16."""
_LEAST: Final = 16
"""Rows of a slice, where a row alone has more scores than that."""


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Return softmax(query · keyᵀ / √d) · value (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, equation 1).

    ``query`` is (B, L, d), ``key`` and ``value`` are (B, M, d), B is images times heads; the result is (B, L, d).
    """
    batch, _, width = query.shape
    scaled, across = query * width**-0.5, key.transpose(1, 2)
    rows = max(_LEAST, SCORES // (batch * key.shape[1]) // _LEAST * _LEAST)
    slices = [torch.bmm(torch.bmm(part, across).softmax(-1), value) for part in scaled.split(rows, 1)]
    return slices[0] if len(slices) == 1 else torch.cat(slices, 1)


class Sliced:
    """What diffusers asks to run an attention layer: as its own processor does, but for ``attend``."""

    def __call__(
        self,
        layer: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        **_: Any,
    ) -> torch.Tensor:
        """Attend from (N, L, C) to itself or to a prompt (N, M, D)."""
        assert attention_mask is None
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        count, heads = len(hidden_states), layer.heads
        parts = (
            states.view(count, -1, heads, states.shape[-1] // heads).transpose(1, 2).flatten(0, 1)
            for states in (layer.to_q(hidden_states), layer.to_k(context), layer.to_v(context))
        )
        mixed = attend(*parts)
        mixed = mixed.view(count, heads, -1, mixed.shape[-1]).transpose(1, 2).flatten(2)
        return layer.to_out[0](mixed)  # type: ignore[no-any-return]


def slice_attention(network: torch.nn.Module) -> None:
    """Let the layers of a UNet attend in slices; those with norms, residuals or masks of their own stay as they are."""
    for layer in network.modules():
        if isinstance(layer, Attention) and type(layer.processor) is AttnProcessor2_0 and _is_plain(layer):
            layer.set_processor(Sliced())


def _is_plain(layer: Attention) -> bool:
    norms = (layer.spatial_norm, layer.group_norm, layer.norm_cross, layer.norm_q, layer.norm_k)
    return all(norm is None for norm in norms) and not layer.residual_connection and layer.rescale_output_factor == 1
