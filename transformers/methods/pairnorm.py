"""PairNorm: centre the tokens of a sequence, and give them one mean length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import TokenMap, knob

if TYPE_CHECKING:
    from torch import Tensor

    from ..padding import TokenLayout


class PairNorm(TokenMap):
    """scale (x - mean(x)) / sqrt(1e-6 + mean(||x - mean(x)||^2)), the means over the real tokens of each sequence.

    The total distance of all pairs of tokens is then the same after every layer. It has no value at which it is the
    plain layer.

    Source: Zhao and Akoglu, "PairNorm: Tackling Oversmoothing in GNNs" (ICLR 2020), arXiv 1909.12223, equations 10 and
    11; its released code is under the MIT licence.

    Example:
        >>> import torch
        >>> from transformers.padding import padded_layout
        >>> PairNorm(scale=2.0)(torch.tensor([[[1.0], [3.0]]]), layout=padded_layout(1, 2)).flatten().round().tolist()
        [-2.0, 2.0]
    """

    name = "pairnorm"

    scale: float = knob(1.0, "what the root mean square length of the centred tokens becomes", above=0)

    def __call__(self, tokens: Tensor, *, layout: TokenLayout) -> Tensor:
        from contranorm import at_least_single

        x = at_least_single(tokens)
        centred = x - layout.mean(x)
        squares = layout.mean(centred.square().sum(dim=-1, keepdim=True))
        return (self.scale * centred * (squares + 1e-6).rsqrt()).to(tokens.dtype)
