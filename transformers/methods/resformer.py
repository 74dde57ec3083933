"""ResFormer: let every layer attend to the values of the first one as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from .base import ContextMap, knob

if TYPE_CHECKING:
    from torch import Tensor


class ResFormer(ContextMap):
    """A ((1 - r) V + r V1): V are the values of this layer, V1 those of the first one, where nothing changes.

    Source: Zhou et al., "Value Residual Learning" (ACL 2025), arXiv 2410.17897, with the same constant weights in all
    layers; its weights sum to 1 by default, both one half.

    Example:
        >>> import torch
        >>> y, first = torch.tensor([[[2.0]]]), torch.tensor([[[4.0]]])
        >>> ResFormer(resformer_r=0.25)(y, attend=lambda z: z, first_value=first).item()
        2.5
    """

    name = "resformer"
    neutral: ClassVar[Mapping[str, Any]] = {"resformer_r": 0.0}

    resformer_r: float = knob(0.5, "share of the first layer's values; 0 is the plain model", at_most=1e4)

    def __call__(self, context: Tensor, *, attend: Callable[[Tensor], Tensor], first_value: Tensor, **_: Any) -> Tensor:
        return (1 - self.resformer_r) * context + self.resformer_r * attend(first_value)
