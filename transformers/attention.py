"""Multi-head self-attention over the tokens of a `TokenLayout`, for BERT and ALBERT alike.

Mirrors `BertSelfAttention` of Hugging Face (parameters query, key, value). The products are in `grouped_attention.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from .dropout import Dropout
from .grouped_attention import attend, mask_bias
from .padding import TokenLayout
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
        self.dropout = Dropout(config.attention_probs_dropout_prob)
        self.scale = (config.hidden_size // config.num_attention_heads) ** -0.5

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
        query, key, value = self.query(hidden_states), self.key(hidden_states), self.value(hidden_states)
        if output_attentions:
            return self._attend_visibly(query, key, value, layout)
        dropout = self.dropout.p if self.training else 0.0
        return attend(query, key, value, layout, self.num_attention_heads, self.scale, dropout), None

    def _attend_visibly(self, query: Tensor, key: Tensor, value: Tensor, layout: TokenLayout) -> tuple[Tensor, Tensor]:
        """The same by hand, for who wants to see the probabilities."""
        (group,) = layout.groups
        heads = (group.count, group.length, self.num_attention_heads, -1)
        q, k, v = (projection.view(heads).transpose(1, 2) for projection in (query, key, value))  # (B, H, S, K)
        scores = q @ k.transpose(-1, -2) * self.scale
        bias = mask_bias(group, scores.dtype)
        if bias is not None:
            scores = scores + bias
        probabilities = self.dropout(scores.softmax(dim=-1))
        return (probabilities @ v).transpose(1, 2).flatten(2).flatten(0, 1), probabilities
