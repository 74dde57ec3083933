"""NeuTRENO: keep attention's result near the values of the first layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from .base import ContextMap, knob

if TYPE_CHECKING:
    from torch import Tensor


class NeuTRENO(ContextMap):
    """Y + a (V1 - V): V are the values of this layer, V1 those of the first one, where nothing changes.

    Source: Nguyen et al., "Mitigating Over-smoothing in Transformers via Regularized Nonlocal Functionals" (NeurIPS
    2023), arXiv 2312.00751. The default of a is the paper's for images; for language models it was not checked.

    Example:
        >>> import torch
        >>> y, v, first = torch.tensor([[[1.0]]]), torch.tensor([[[2.0]]]), torch.tensor([[[4.0]]])
        >>> NeuTRENO(neutreno_a=0.5)(y, value=v, first_value=first).item()
        2.0
    """

    name = "neutreno"
    attends_again = False
    neutral: ClassVar[Mapping[str, Any]] = {"neutreno_a": 0.0}

    neutreno_a: float = knob(
        0.6, "weight of the first layer's values against this one's; 0 is the plain model", at_most=1e4
    )

    def __call__(self, context: Tensor, *, value: Tensor, first_value: Tensor, **_: Any) -> Tensor:
        return context + self.neutreno_a * (first_value - value)
