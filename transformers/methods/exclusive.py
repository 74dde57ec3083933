"""Exclusive self-attention: what attention says beyond the token's own value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from .base import ContextMap, by_head

if TYPE_CHECKING:
    from torch import Tensor


class Exclusive(ContextMap):
    """y - (y.v / |v|^2) v for each token and head: attention's result without its part along the token's own value v.

    Where |v| is below 1e-12 nothing is taken away. It has no value at which it is the plain layer.

    Source: Zhai, "Exclusive Self Attention", arXiv 2603.09078.

    Example:
        >>> import torch
        >>> y, v = torch.tensor([[[1.0, 2.0, 5.0, 7.0]]]), torch.tensor([[[0.0, 3.0, 0.0, 0.0]]])
        >>> Exclusive()(y, value=v, num_heads=2).flatten().tolist()
        [1.0, 0.0, 5.0, 7.0]
    """

    name = "exclusive"
    attends_again = False

    def build(self, config: Any) -> Callable[..., Tensor]:
        return partial(self, num_heads=config.num_attention_heads)

    def __call__(self, context: Tensor, *, value: Tensor, num_heads: int, **_: Any) -> Tensor:  # type: ignore[override]
        return context - along_value(context, value, num_heads)


class GatedExclusive(ContextMap):
    """y - g (y.v / |v|^2) v: `Exclusive`, weighted by one gate a head and layer that is learned from 0.

    Source: as `Exclusive`; the gate's form could not be checked against the paper.

    Example:
        >>> import torch
        >>> y, v, g = torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[0.0, 3.0]]]), torch.tensor([[0.5]])
        >>> GatedExclusive()(y, value=v, g=g).flatten().tolist()
        [1.0, 1.0]
    """

    name = "gated_exclusive"
    attends_again = False
    start: ClassVar[Mapping[str, float]] = {"g": 0.0}

    def __call__(self, context: Tensor, *, value: Tensor, g: Tensor, **_: Any) -> Tensor:  # type: ignore[override]
        return context - by_head(along_value(context, value, len(g)), g)


def along_value(context: Tensor, value: Tensor, num_heads: int) -> Tensor:
    """Return each head's part of the context along the token's own value, in the shape of the context."""
    from contranorm import at_least_single

    y, v = (at_least_single(x).unflatten(-1, (num_heads, -1)) for x in (context, value))
    squares = v.square().sum(dim=-1, keepdim=True)
    short = squares < 1e-24
    share = ((y * v).sum(dim=-1, keepdim=True) / squares.masked_fill(short, 1.0)).masked_fill(short, 0.0)
    return (share * v).flatten(-2).to(context.dtype)
