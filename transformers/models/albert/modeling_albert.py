"""ALBERT with ContraNorm: `AlbertModel` and `AlbertForSequenceClassification`.

Parameter names are Hugging Face's. The forward passes of model and classifier are in `modeling_text.py`; here are the
modules and the wiring of a layer, read from the top: the classifier, the model, its layer. ALBERT is BERT with narrow
embeddings and with layers that share their parameters.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...activations import ACT2FN
from ...attention import SelfAttention
from ...contranorm import ContraNormSites
from ...dropout import Dropout
from ...encoder import EncoderOutput, run_layers
from ...modeling_text import TextClassifier, TextEmbeddings, TextModel
from ...padding import TokenLayout
from .configuration_albert import AlbertConfig


class AlbertForSequenceClassification(TextClassifier):
    """ALBERT with a linear classifier on the pooled first token; `forward` is `TextClassifier.forward`.

    Args:
        config: `num_labels` sets the size of the classifier, `problem_type` the loss (see `classification_loss`).

    Example:
        >>> from transformers import AlbertConfig, AlbertForSequenceClassification
        >>> config = AlbertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        ...                     intermediate_size=16, num_labels=3, pos="4", scale=0.005)
        >>> model = AlbertForSequenceClassification(config)
        >>> ids, mask = torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([[1, 1, 1], [1, 1, 0]])
        >>> tuple(model(input_ids=ids, attention_mask=mask).logits.shape)
        (2, 3)
    """

    config_class = AlbertConfig
    base_model_prefix = "albert"

    def __init__(self, config: AlbertConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.albert = AlbertModel(config)
        self.dropout = Dropout(config.classifier_dropout_prob)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()


class AlbertModel(TextModel):
    """ALBERT's encoder: embeddings, `num_hidden_layers` layers, and a pooler on the first token; `forward` is
    `TextModel.forward`.

    Args:
        config: sizes, dropout, and ContraNorm's pos, scale, tau, use_v2, contranorm_padding and contranorm_identity.
        add_pooling_layer: False leaves the pooler out.
    """

    config_class = AlbertConfig
    base_model_prefix = "albert"

    def __init__(self, config: AlbertConfig, add_pooling_layer: bool = True) -> None:
        super().__init__(config)
        self.embeddings = TextEmbeddings(config, config.embedding_size)
        self.encoder = AlbertEncoder(config)
        self.pooler = nn.Linear(config.hidden_size, config.hidden_size) if add_pooling_layer else None
        self.post_init()

    def pool(self, first_tokens: Tensor) -> Tensor | None:
        return None if self.pooler is None else torch.tanh(self.pooler(first_tokens))


class AlbertEncoder(nn.Module):
    """Projection of the embeddings to D, then `num_hidden_layers` layers that share `num_hidden_groups` sets of
    parameters.
    """

    def __init__(self, config: AlbertConfig) -> None:
        super().__init__()
        self.embedding_hidden_mapping_in = nn.Linear(config.embedding_size, config.hidden_size)
        self.albert_layer_groups = nn.ModuleList([AlbertLayerGroup(config) for _ in range(config.num_hidden_groups)])
        self.num_hidden_layers = config.num_hidden_layers
        self.gradient_checkpointing = False

    def forward(
        self,
        tokens: Tensor,
        layout: TokenLayout,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
        first_only: bool = False,
    ) -> EncoderOutput:
        tokens = self.embedding_hidden_mapping_in(tokens)
        checkpointing = self.gradient_checkpointing and self.training
        return run_layers(
            self.layers(), tokens, layout, output_attentions, output_hidden_states, first_only, checkpointing
        )

    def layers(self) -> list[nn.Module]:
        """The layers in the order in which tokens pass them; each stands there as often as it is used."""
        groups: list[Any] = [group.albert_layers for group in self.albert_layer_groups]
        depth = self.num_hidden_layers
        return [layer for step in range(depth) for layer in groups[step * len(groups) // depth]]


class AlbertLayerGroup(nn.Module):
    """Holds the layers that follow each other within one group."""

    def __init__(self, config: AlbertConfig) -> None:
        super().__init__()
        self.albert_layers = nn.ModuleList([AlbertLayer(config) for _ in range(config.inner_group_num)])


class AlbertLayer(nn.Module):
    """One transformer layer with its eight places for ContraNorm (drawn in `contranorm_sites.py`)."""

    def __init__(self, config: AlbertConfig) -> None:
        super().__init__()
        self.attention = AlbertAttention(config)
        self.ffn = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACT2FN[config.hidden_act]
        self.ffn_output = nn.Linear(config.intermediate_size, config.hidden_size)
        self.full_layer_layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.contranorm = ContraNormSites(config)

    def forward(
        self, hidden_states: Tensor, layout: TokenLayout, output_attentions: bool = False, first_only: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """(T, D) -> (T, D), and the attention probabilities (B, H, S, S) or None.

        With `first_only` the result is (B, D), each sequence's first token: the others are computed as far as they
        matter.
        """
        contranorm, attention = self.contranorm, self.attention

        hidden_states = contranorm.layer_input(hidden_states, layout)
        context, probabilities = attention(hidden_states, layout, output_attentions)
        context = contranorm.context(context, layout)
        if first_only and contranorm.end_by("context"):
            context, hidden_states = layout.select_first(context), layout.select_first(hidden_states)
            layout = layout.of_first_tokens()
        update = attention.output_dropout(attention.dense(context))
        update = contranorm.attention_output(update, layout)
        hidden_states = contranorm.attention_residual(update + hidden_states, layout)
        hidden_states = attention.LayerNorm(hidden_states)
        hidden_states = contranorm.attention_norm(hidden_states, layout)
        if first_only and contranorm.end_by("attention_norm"):
            hidden_states, layout = layout.select_first(hidden_states), layout.of_first_tokens()

        update = self.ffn_output(self.activation(self.ffn(hidden_states)))
        update = contranorm.ffn_output(update, layout)
        hidden_states = contranorm.ffn_residual(update + hidden_states, layout)
        hidden_states = self.full_layer_layer_norm(hidden_states)
        hidden_states = contranorm.layer_output(hidden_states, layout)
        return layout.select_first(hidden_states) if first_only else hidden_states, probabilities


class AlbertAttention(SelfAttention):
    """Self-attention that also holds its output projection and LayerNorm, where ALBERT's checkpoints have them."""

    def __init__(self, config: AlbertConfig) -> None:
        super().__init__(config)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.output_dropout = Dropout(config.hidden_dropout_prob)
