"""AttnScale: learn for each head how much of attention is more than the plain mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from .base import ContextMap, by_head

if TYPE_CHECKING:
    from torch import Tensor

    from ..padding import TokenLayout


class AttnScale(ContextMap):
    """Y + w (Y - m) for each head: Y is attention's result, m the mean of its values over the real tokens.

    The uniform part of attention passes no more than the mean; what is left is weighted by 1 + w, and w, one number a
    head and layer, is learned from 0.

    Source: Wang et al., "Anti-Oversmoothing in Deep Vision Transformers via the Fourier Domain Analysis" (ICLR 2022),
    section 4, arXiv 2203.05962; its released code (MIT licence) is for images, https://github.com/VITA-Group/ViT-Anti-Oversmoothing.

    Example:
        >>> import torch
        >>> from transformers.padding import padded_layout
        >>> y, v = torch.tensor([[[1.0], [3.0]]]), torch.tensor([[[0.0], [2.0]]])
        >>> w = torch.tensor([[0.5]])
        >>> AttnScale()(y, value=v, layout=padded_layout(1, 2), w=w).flatten().tolist()
        [1.0, 4.0]
    """

    name = "attnscale"
    attends_again = False
    start: ClassVar[Mapping[str, float]] = {"w": 0.0}

    def __call__(self, context: Tensor, *, value: Tensor, layout: TokenLayout, w: Tensor, **_: Any) -> Tensor:  # type: ignore[override]
        return context + by_head(context - layout.mean(value), w)
