"""ContraNorm as a method: its knobs, and the layer of `contranorm/` laid over the sequences of a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ..backbones import backbone_of
from .base import TokenMap, knob

if TYPE_CHECKING:
    from torch import Tensor


STRONGEST_SCALE = 10_000.0  # a number of half precision; what anybody uses is below 1


class ContraNorm(TokenMap):
    """Push the tokens of a sequence apart: subtract from each the mean of all, weighted by similarity.

    The formula is `contranorm.ContraNorm`, and nowhere else.

    Source: Guo et al., ICLR 2023, arXiv 2303.06562, and its released code, https://github.com/PKU-ML/ContraNorm.

    Example:
        >>> ContraNorm(scale=0.1).is_neutral, ContraNorm(scale=0.0).is_neutral
        (False, True)
    """

    name = "contranorm"
    formula: ClassVar[str] = "ContraNorm"  # a class in `contranorm/`
    neutral: ClassVar[Mapping[str, Any]] = {"scale": 0.0}

    scale: float = knob(
        0.005,
        "how strongly, or a number a layer as in 0.1,0.2; 0 is the plain model, below 0 it attracts",
        at_most=STRONGEST_SCALE,
        per_layer=True,
    )
    tau: float = knob(1.0, "temperature of the softmax", above=0)
    contranorm_identity: bool | None = knob(
        None, "add scale * x back, so that a token like no other stays; left out: as the released code of the model"
    )
    contranorm_padding: str = knob(
        "exclude",
        "exclude: padding has no influence on a row's result; include: it has, as in the released code",
        choices=("exclude", "include"),
    )

    @classmethod
    def defaults(cls, model_type: str) -> dict[str, Any]:
        identity = backbone_of(model_type).contranorm_identity
        return {**super().defaults(model_type), "contranorm_identity": identity}

    def build(self, config: Any) -> Callable[..., Tensor]:
        return self.at_scale(self.scale, config)

    def at_scale(self, scale: float, config: Any) -> Callable[..., Tensor]:
        """Return the layer with another scale than the knob's."""
        import contranorm

        from ..contranorm import OverSequences

        identity = self.contranorm_identity
        if identity is None:
            identity = backbone_of(config.model_type).contranorm_identity
        layer = getattr(contranorm, self.formula)(scale, self.tau, identity)
        return OverSequences(layer, count_padding=self.contranorm_padding == "include")
