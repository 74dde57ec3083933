"""Gated attention: a gate on attention's result, computed from attention's input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from .base import ContextMap, knob

if TYPE_CHECKING:
    from torch import Tensor


class GatedAttention(ContextMap):
    """Y * 2 sigmoid(x W) or Y * sigmoid(x W), with x attention's input.

    W, (D, D) and without a bias, is learned from 0 in each layer. The doubled gate is then 1, and the layer the plain
    one; the paper's own is 1/2, for models that are trained from scratch.

    Source: Qiu et al., "Gated Attention for Large Language Models: Non-linearity, Sparsity, and Attention-Sink-Free"
    (NeurIPS 2025), arXiv 2505.06708, the elementwise gate behind attention.

    Example:
        >>> import torch
        >>> y, x, w = torch.tensor([[[3.0]]]), torch.tensor([[[1.0]]]), torch.tensor([[0.0]])
        >>> [GatedAttention(gate=gate)(y, hidden_states=x, w=w).item() for gate in ("doubled", "paper")]
        [3.0, 1.5]
    """

    name = "gated"
    attends_again = False
    start: ClassVar[Mapping[str, float]] = {"w": 0.0}

    gate: str = knob(
        "doubled", "doubled: starts from the plain layer; paper: from half of it", choices=("doubled", "paper")
    )

    def shapes(self, config: Any) -> dict[str, tuple[int, ...]]:
        return {"w": (config.hidden_size, config.hidden_size)}

    def __call__(self, context: Tensor, *, hidden_states: Tensor, w: Tensor, **_: Any) -> Tensor:  # type: ignore[override]
        gate = (hidden_states @ w).sigmoid()
        return context * (2 * gate if self.gate == "doubled" else gate)
