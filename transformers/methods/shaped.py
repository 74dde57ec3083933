"""Shaped attention: the identity, attention and the plain mean, weighted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from .base import ContextMap, by_head

if TYPE_CHECKING:
    from torch import Tensor

    from ..padding import TokenLayout


class ShapedAttention(ContextMap):
    """b Y + a V - g m for each head: attention's result, the token's own value, and the mean of the values.

    b, a and g, one number a head and layer each, are learned. They start at 1, 0 and 0, where the layer is the plain
    one; the papers, which train from scratch, start at 1, 1 and 1 or near it.

    Source: Noci et al., "The Shaped Transformer" (NeurIPS 2023), arXiv 2306.17759, and He and Hofmann, "Simplifying
    Transformer Blocks" (ICLR 2024), arXiv 2311.01906, which make the scalars learned; m counts real tokens only.

    Example:
        >>> import torch
        >>> from transformers.padding import padded_layout
        >>> y, v = torch.tensor([[[1.0], [3.0]]]), torch.tensor([[[0.0], [2.0]]])
        >>> b, a, g = torch.tensor([[2.0]]), torch.tensor([[1.0]]), torch.tensor([[1.0]])
        >>> ShapedAttention()(y, value=v, layout=padded_layout(1, 2), b=b, a=a, g=g).flatten().tolist()
        [1.0, 7.0]
    """

    name = "shaped"
    attends_again = False
    start: ClassVar[Mapping[str, float]] = {"b": 1.0, "a": 0.0, "g": 0.0}

    def __call__(  # type: ignore[override]
        self, context: Tensor, *, value: Tensor, layout: TokenLayout, b: Tensor, a: Tensor, g: Tensor, **_: Any
    ) -> Tensor:
        return by_head(context, b) + by_head(value, a) - by_head(layout.mean(value), g)
