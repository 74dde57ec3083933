"""BERT with ContraNorm: `BertModel` and `BertForSequenceClassification`.

Parameter names are Hugging Face's. The forward passes of model and classifier are in `modeling_text.py`; here are the
modules and the wiring of a layer, read from the top: the classifier, the model, its layer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...activations import ACT2FN
from ...attention import SelfAttention
from ...contranorm import ContraNormSites
from ...dropout import Dropout
from ...encoder import EncoderOutput, run_layers
from ...modeling_text import TextClassifier, TextEmbeddings, TextModel
from ...padding import TokenLayout
from .configuration_bert import BertConfig


class BertForSequenceClassification(TextClassifier):
    """BERT with a linear classifier on the pooled first token; `forward` is `TextClassifier.forward`.

    Args:
        config: `num_labels` sets the size of the classifier, `problem_type` the loss (see `classification_loss`).

    Example:
        >>> from transformers import BertConfig, BertForSequenceClassification
        >>> config = BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        ...                     intermediate_size=16, num_labels=3, pos="7", scale=0.005)
        >>> model = BertForSequenceClassification(config)
        >>> ids, mask = torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([[1, 1, 1], [1, 1, 0]])
        >>> tuple(model(input_ids=ids, attention_mask=mask).logits.shape)
        (2, 3)
    """

    config_class = BertConfig
    base_model_prefix = "bert"

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.bert = BertModel(config)
        dropout = config.hidden_dropout_prob if config.classifier_dropout is None else config.classifier_dropout
        self.dropout = Dropout(dropout)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()


class BertModel(TextModel):
    """BERT's encoder: embeddings, `num_hidden_layers` layers, and a pooler on the first token; `forward` is
    `TextModel.forward`.

    Args:
        config: sizes, dropout, and ContraNorm's pos, scale, tau, use_v2, contranorm_padding and contranorm_identity.
        add_pooling_layer: False leaves the pooler out.
    """

    config_class = BertConfig
    base_model_prefix = "bert"

    def __init__(self, config: BertConfig, add_pooling_layer: bool = True) -> None:
        super().__init__(config)
        self.embeddings = TextEmbeddings(config, config.hidden_size)
        self.encoder = BertEncoder(config)
        self.pooler = BertPooler(config) if add_pooling_layer else None
        self.post_init()

    def pool(self, first_tokens: Tensor) -> Tensor | None:
        return None if self.pooler is None else self.pooler(first_tokens)


class BertEncoder(nn.Module):
    """The stack of layers."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList([BertLayer(config) for _ in range(config.num_hidden_layers)])
        self.gradient_checkpointing = False

    def forward(
        self,
        tokens: Tensor,
        layout: TokenLayout,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
        first_only: bool = False,
    ) -> EncoderOutput:
        checkpointing = self.gradient_checkpointing and self.training
        return run_layers(
            self.layer, tokens, layout, output_attentions, output_hidden_states, first_only, checkpointing
        )


class BertLayer(nn.Module):
    """One transformer layer with its eight places for ContraNorm (drawn in `contranorm_sites.py`)."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.attention = BertAttention(config)
        self.intermediate = BertIntermediate(config)
        self.output = BertResidualOutput(config.intermediate_size, config)
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
        context, probabilities = attention.self(hidden_states, layout, output_attentions)
        context = contranorm.context(context, layout)
        if first_only and contranorm.end_by("context"):
            context, hidden_states = layout.select_first(context), layout.select_first(hidden_states)
            layout = layout.of_first_tokens()
        update = attention.output.dropout(attention.output.dense(context))
        update = contranorm.attention_output(update, layout)
        hidden_states = contranorm.attention_residual(update + hidden_states, layout)
        hidden_states = attention.output.LayerNorm(hidden_states)
        hidden_states = contranorm.attention_norm(hidden_states, layout)
        if first_only and contranorm.end_by("attention_norm"):
            hidden_states, layout = layout.select_first(hidden_states), layout.of_first_tokens()

        update = self.output.dropout(self.output.dense(self.intermediate(hidden_states)))
        update = contranorm.ffn_output(update, layout)
        hidden_states = contranorm.ffn_residual(update + hidden_states, layout)
        hidden_states = self.output.LayerNorm(hidden_states)
        hidden_states = contranorm.layer_output(hidden_states, layout)
        return layout.select_first(hidden_states) if first_only else hidden_states, probabilities


class BertAttention(nn.Module):
    """Holds self-attention and its output projection under Hugging Face's names; `BertLayer` calls them."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.self = SelfAttention(config)
        self.output = BertResidualOutput(config.hidden_size, config)


class BertIntermediate(nn.Module):
    """The feed-forward network's first half: (T, D) -> (T, intermediate_size)."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.intermediate_act_fn = ACT2FN[config.hidden_act]

    def forward(self, hidden_states: Tensor) -> Tensor:
        return self.intermediate_act_fn(self.dense(hidden_states))


class BertResidualOutput(nn.Module):
    """Holds what ends a block: projection to D, dropout, and the LayerNorm behind the residual; `BertLayer` calls
    them.
    """

    def __init__(self, in_features: int, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(in_features, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)


class BertPooler(nn.Module):
    """Dense layer and tanh on the first token: (B, D) -> (B, D)."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, first_tokens: Tensor) -> Tensor:
        return torch.tanh(self.dense(first_tokens))
