"""Multi-head self-attention over the tokens of a `TokenLayout`, for all models alike.

Mirrors `BertSelfAttention` of Hugging Face (parameters query, key, value). The products are in `kernels/attention.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .configuration_utils import PretrainedConfig
from .contranorm import MethodSites
from .dropout import Dropout
from .kernels.attention import attend, attend_visibly, weighted
from .methods import ContextMap, ScoreChange
from .padding import TokenLayout, is_hooked, layout_of_module


class SelfAttention(nn.Module):
    """Scaled dot-product self-attention with H heads of width K = D / H, heads merged, without the output projection.

    A subclass whose checkpoints name the projections otherwise says so in `projections`.

    Args:
        config: hidden_size (D), num_attention_heads (H) and attention_probs_dropout_prob are read.
    """

    projections: tuple[str, str, str] = ("query", "key", "value")

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        self.num_attention_heads = config.num_attention_heads
        for name in self.projections:
            self.add_module(name, nn.Linear(config.hidden_size, config.hidden_size))
        self.dropout = Dropout(config.attention_probs_dropout_prob)
        self.scale = (config.hidden_size // config.num_attention_heads) ** -0.5
        method = config.build_method() if "context" in config.contranorm_sites else None
        self.maps_context = isinstance(method, ContextMap)
        self.attends_again = isinstance(method, ContextMap) and method.attends_again
        if isinstance(method, ScoreChange):
            self.scale /= method.temperature()
        self.sites = MethodSites(config, "context")

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        output_attentions: bool = False,
        layout: TokenLayout | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Let the tokens of each sequence attend to each other.

        Args:
            hidden_states: (B, S, D), or of `layout`.
            attention_mask: see `layout_of_module`; not read where there is a layout.
            output_attentions: return the probabilities too; asks for padded hidden states.
            layout: which tokens form a sequence.

        Returns:
            The context in the form of the hidden states, and the probabilities (B, H, S, S) after dropout if they were
            asked for, else None.
        """
        layout = layout or layout_of_module(hidden_states, attention_mask)
        query, key, value = self._project(hidden_states, layout)
        geometry = (layout, self.num_attention_heads, self.scale)
        if output_attentions or self.attends_again:
            context, seen = attend_visibly(query, key, value, *geometry, self.dropout)
        else:
            context, seen = attend(query, key, value, *geometry, self.dropout.p if self.training else 0.0), []
        more: dict[str, Any] = {}
        if self.maps_context:
            more["value"], more["hidden_states"] = value, hidden_states
            if self.attends_again:
                more["attend"] = partial(
                    weighted, probabilities=seen, layout=layout, num_heads=self.num_attention_heads
                )
            more["first_value"] = layout.memory.setdefault("first_value", value)
        context = layout.narrow("context", self.sites.context(context, layout=layout, **more))
        return self.finish(context, hidden_states, layout), seen[0] if output_attentions else None

    def _project(self, hidden_states: Tensor, layout: TokenLayout) -> Sequence[Tensor]:
        """Queries, keys and values; in one product, but for the CPU's packed tokens: elsewhere launches cost."""
        parts = [getattr(self, name) for name in self.projections]
        if (layout.packed and layout.cu_seqlens is None) or not all(
            type(part) is nn.Linear and not is_hooked(part) for part in parts
        ):
            return [part(hidden_states) for part in parts]
        weight, bias = torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts])
        return F.linear(hidden_states, weight, bias).chunk(3, dim=-1)

    def finish(self, context: Tensor, hidden_states: Tensor, layout: TokenLayout) -> Tensor:
        """What follows the context in this module: nothing, where checkpoints have the output projection elsewhere."""
        return context
