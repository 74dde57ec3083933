"""ContraNorm with a scale that each layer learns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from .base import knob
from .contranorm import STRONGEST_SCALE, ContraNorm

if TYPE_CHECKING:
    from torch import Tensor

    from ..padding import TokenLayout


class ContraNormLearned(ContraNorm):
    """`ContraNorm` with one scale s a layer and site, which is learned and begins at `scale`.

    In either form of the layer, with the identity and without, the result at scale s is x + s (y - x), y being that at
    scale 1: the formula is `contranorm.ContraNorm`'s.

    Source: the released ViT code learns scales as an option, one a channel; the paper has them fixed. That they begin
    at 0, where the model is the checkpoint's, is ours.
    """

    name = "contranorm_learned"
    neutral: ClassVar[Mapping[str, Any]] = {}
    start: ClassVar[Mapping[str, float]] = {"s": 0.0}

    scale: float = knob(0.0, "what a learned scale begins with", at_most=STRONGEST_SCALE)

    def build(self, config: Any) -> Callable[..., Tensor]:
        from ..contranorm import LearnedMethod

        formula = partial(_scaled, self.at_scale(1.0, config))
        return LearnedMethod(formula, {"s": self.scale}, {"s": ()})


def _scaled(at_one: Callable[..., Tensor], tokens: Tensor, *, layout: TokenLayout, s: Tensor) -> Tensor:
    return tokens + s * (at_one(tokens, layout=layout) - tokens)
