"""GFSA: attention as a polynomial of itself, a graph filter that can pass more than the mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from .base import ContextMap, by_head, knob

if TYPE_CHECKING:
    from torch import Tensor


class GFSA(ContextMap):
    """w0 V + Y + wK (Y + (K - 1) (A Y - Y)): w0 + A + wK A^K applied to the values, A^K by its first-order expansion.

    wK, one number a head and layer, is learned from 0. The paper's w0 weights the identity in its filter, by which a
    token's own value passes attention by; w0 = 0, the default here and of the released code, starts from the function
    of the checkpoint, any other value does not.

    Source: Choi et al., "Graph Convolutions Enrich the Self-Attention in Transformers!" (NeurIPS 2024), arXiv
    2312.04234, with A^K as A + (K - 1) (A^2 - A); its released code is https://github.com/jeongwhanchoi/GFSA. The
    default of K is ours: the paper searches it for each task.

    Example:
        >>> import torch
        >>> y, v, w = torch.tensor([[[2.0], [2.0]]]), torch.tensor([[[1.0], [3.0]]]), torch.tensor([[0.5]])
        >>> GFSA(gfsa_order=2)(y, value=v, attend=lambda z: z / 2, w=w).flatten().tolist()
        [2.5, 2.5]
    """

    name = "gfsa"
    start: ClassVar[Mapping[str, float]] = {"w": 0.0}

    gfsa_order: float = knob(3.0, "K, the highest power of attention", above=1)
    gfsa_w0: float = knob(0.0, "weight of a token's own value; 0 starts from the checkpoint's function", at_most=1e4)

    def __call__(  # type: ignore[override]
        self, context: Tensor, *, value: Tensor, attend: Callable[[Tensor], Tensor], w: Tensor, **_: Any
    ) -> Tensor:
        power = context + (self.gfsa_order - 1) * (attend(context) - context)
        return self.gfsa_w0 * value + context + by_head(power, w)
