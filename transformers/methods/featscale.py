"""FeatScale: learn for each channel how much of the mean and of the rest passes attention's block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from .base import TokenMap

if TYPE_CHECKING:
    from torch import Tensor

    from ..padding import TokenLayout


class FeatScale(TokenMap):
    """y + s mean(y) + t (y - mean(y)), the mean over the real tokens of each sequence, on attention's output.

    s and t, one number a channel and layer each, are learned from 0. The released code adds y once more to the sum of
    the two parts; this is what the paper says.

    Source: Wang et al., "Anti-Oversmoothing in Deep Vision Transformers via the Fourier Domain Analysis" (ICLR 2022),
    section 4, arXiv 2203.05962; its released code is under the MIT licence.

    Example:
        >>> import torch
        >>> from transformers.padding import padded_layout
        >>> y, s, t = torch.tensor([[[1.0], [3.0]]]), torch.tensor([1.0]), torch.tensor([0.5])
        >>> FeatScale()(y, layout=padded_layout(1, 2), s=s, t=t).flatten().tolist()
        [2.5, 5.5]
    """

    name = "featscale"
    sites = ("attention_output",)
    pos = "3"
    start: ClassVar[Mapping[str, float]] = {"s": 0.0, "t": 0.0}

    def shapes(self, config: Any) -> dict[str, tuple[int, ...]]:
        return {"s": (config.hidden_size,), "t": (config.hidden_size,)}

    def __call__(self, tokens: Tensor, *, layout: TokenLayout, s: Tensor, t: Tensor) -> Tensor:  # type: ignore[override]
        mean = layout.mean(tokens)
        return tokens + s * mean + t * (tokens - mean)
