"""Multi-head self-attention over the tokens of a `TokenLayout`, for BERT and ALBERT alike.

Mirrors `BertSelfAttention` of Hugging Face (parameters query, key, value). There is one implementation: a padded batch
is a layout of one group with a mask, an unpadded one a layout of several groups without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .padding import SequenceGroup, TokenLayout
from .utils.errors import ConfigurationError

if TYPE_CHECKING:
    from .configuration_utils import PretrainedConfig


class SelfAttention(nn.Module):
    """Scaled dot-product self-attention with H heads of width K = D / H, heads merged, without the output projection.

    Args:
        config: hidden_size (D), num_attention_heads (H) and attention_probs_dropout_prob are read.

    Raises:
        ConfigurationError: D is not a multiple of H.
    """

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        if config.hidden_size % config.num_attention_heads:
            raise ConfigurationError(
                f"hidden_size {config.hidden_size} is not a multiple of "
                f"num_attention_heads {config.num_attention_heads}"
            )
        self.num_attention_heads = config.num_attention_heads
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)
        self.attention_dropout = config.attention_probs_dropout_prob

    def forward(
        self, hidden_states: Tensor, layout: TokenLayout, output_attentions: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Let the tokens of each sequence attend to each other.

        Args:
            hidden_states: (T, D).
            layout: which tokens form a sequence.
            output_attentions: return the probabilities too; asks for a padded layout.

        Returns:
            The context (T, D), and the probabilities (B, H, S, S) after dropout if they were asked for, else None.
        """
        query = self._split_heads(self.query(hidden_states), layout)
        key = self._split_heads(self.key(hidden_states), layout)
        value = self._split_heads(self.value(hidden_states), layout)
        if output_attentions:
            (q,), (k,), (v,), (group,) = query, key, value, layout.groups
            context, probabilities = self._attend_visibly(q, k, v, group)
            return layout.join([_merge_heads(context)]), probabilities
        contexts = [
            self._attend(q, k, v, group) for q, k, v, group in zip(query, key, value, layout.groups, strict=True)
        ]
        return layout.join([_merge_heads(context) for context in contexts]), None

    def _split_heads(self, projection: Tensor, layout: TokenLayout) -> list[Tensor]:
        """(T, D) -> (b, H, s, K) for each group."""
        heads = (self.num_attention_heads, -1)
        return [block.unflatten(-1, heads).transpose(1, 2) for block in layout.split(projection)]

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, group: SequenceGroup) -> Tensor:
        """(b, H, s, K) -> (b, H, s, K)."""
        dropout = self.attention_dropout if self.training else 0.0
        return F.scaled_dot_product_attention(q, k, v, attn_mask=_mask_bias(group, q.dtype), dropout_p=dropout)

    def _attend_visibly(self, q: Tensor, k: Tensor, v: Tensor, group: SequenceGroup) -> tuple[Tensor, Tensor]:
        """The same by hand, for who wants to see the probabilities."""
        scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        bias = _mask_bias(group, scores.dtype)
        if bias is not None:
            scores = scores + bias
        probabilities = F.dropout(scores.softmax(dim=-1), self.attention_dropout, self.training)
        return probabilities @ v, probabilities


def _mask_bias(group: SequenceGroup, dtype: torch.dtype) -> Tensor | None:
    """What is added to the scores, (b, 1, 1, s): 0 at real tokens; at padding the lowest finite number, never -inf, so
    that a row without any real token stays finite."""
    if group.mask is None:
        return None
    bias = torch.zeros(group.mask.shape, dtype=dtype, device=group.mask.device)
    return bias.masked_fill(~group.mask, torch.finfo(dtype).min)[:, None, None, :]


def _merge_heads(context: Tensor) -> Tensor:
    """(b, H, s, K) -> (b, s, D)."""
    return context.transpose(1, 2).flatten(2)
