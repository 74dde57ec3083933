"""Multi-head self-attention over the tokens of a `TokenLayout`, for all models alike.

Mirrors `BertSelfAttention` of Hugging Face (parameters query, key, value). The products are in `kernels/attention.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .contranorm import MethodSites
from .dropout import Dropout
from .kernels.attention import attend, attend_visibly
from .methods import ContextMap, ScoreChange
from .padding import TokenLayout, layout_of_module

if TYPE_CHECKING:
    from .configuration_utils import PretrainedConfig


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
        layout = layout_of_module(hidden_states, attention_mask) if layout is None else layout
        query, key, value = (getattr(self, name)(hidden_states) for name in self.projections)
        geometry = (layout, self.num_attention_heads, self.scale)
        dropout, probabilities = self.dropout.p if self.training else 0.0, None
        state = _random_state(value) if self.maps_context and dropout else None
        if output_attentions:
            context, (probabilities,) = attend_visibly(query, key, value, *geometry, self.dropout)
        else:
            context = attend(query, key, value, *geometry, dropout)
        if not self.maps_context:
            return self.sites.context(context, layout=layout), probabilities

        def attend_again(other: Tensor) -> Tensor:
            """This attention, with its very probabilities, applied to other values: the same dropout is drawn again."""
            with _drawing_again(value, state):
                if output_attentions:
                    return attend_visibly(query, key, other, *geometry, self.dropout)[0]
                return attend(query, key, other, *geometry, dropout)

        context = self.sites.context(
            context,
            value=value,
            hidden_states=hidden_states,
            layout=layout,
            attend=attend_again,
            first_value=layout.memory.setdefault("first_value", value),
        )
        return context, probabilities


def _random_state(tensor: Tensor) -> Tensor:
    """The state of the generator that dropout on `tensor` draws from."""
    return torch.cuda.get_rng_state(tensor.device) if tensor.is_cuda else torch.get_rng_state()


@contextmanager
def _drawing_again(tensor: Tensor, state: Tensor | None) -> Iterator[None]:
    """Draw from an earlier state of the generator, and go on from today's afterwards; None draws nothing."""
    if state is None:
        yield
        return
    with torch.random.fork_rng([tensor.device] if tensor.is_cuda else []):
        if tensor.is_cuda:
            torch.cuda.set_rng_state(state, tensor.device)
        else:
            torch.set_rng_state(state)
        yield


__all__ = ["SelfAttention"]
