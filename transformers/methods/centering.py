"""Centring: take a share of the sequence's mean away from each of its tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from .base import TokenMap, knob

if TYPE_CHECKING:
    from torch import Tensor

    from ..padding import TokenLayout


class Centering(TokenMap):
    """x - scale mean(x), the mean over the real tokens of each sequence.

    Source: ContraNorm with equal weights in its softmax; a part of PairNorm (Zhao and Akoglu, ICLR 2020).

    Example:
        >>> import torch
        >>> from transformers.padding import padded_layout
        >>> x = torch.tensor([[[1.0], [3.0]]])
        >>> Centering(scale=1.0)(x, layout=padded_layout(1, 2)).flatten().tolist()
        [-1.0, 1.0]
    """

    name = "centering"
    neutral: ClassVar[Mapping[str, Any]] = {"scale": 0.0}

    scale: float = knob(1.0, "how much of the mean is taken away; 0 is the plain model", at_most=10_000.0)

    def __call__(self, tokens: Tensor, *, layout: TokenLayout) -> Tensor:
        return tokens - self.scale * layout.mean(tokens)
