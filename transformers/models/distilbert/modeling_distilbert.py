"""DistilBERT with ContraNorm: `DistilBertModel` and its heads, `DistilBertForSequenceClassification` the first of them.

Parameter names, and the names and signatures of modules, are Hugging Face's. The forward passes of model and classifier
are in `modeling_text.py`, the wiring of a layer is in `layer.py`; here are the modules, read from the top. DistilBERT
is BERT of half the depth, without token types, without a pooler, and without dropout after attention.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ...activations import ACT2FN
from ...attention import SelfAttention
from ...configuration_utils import PretrainedConfig
from ...dropout import Dropout
from ...layer import ATTENTION_END, FEED_FORWARD_END, BlockEnd, LayerStack, PostNormLayer
from ...modeling_heads import MaskedLanguageModel, SpanFinder, TokenClassifier
from ...modeling_text import TextClassifier, TextEmbeddings, TextModel, classifier_dropout, first_token
from ...modeling_utils import PreTrainedModel
from ...padding import TokenLayout
from .configuration_distilbert import DistilBertConfig


class DistilBertPreTrainedModel(PreTrainedModel):
    """What DistilBERT's models have in common."""

    config_class = DistilBertConfig
    base_model_prefix = "distilbert"

    @classmethod
    def bare_model(cls, config: Any) -> DistilBertModel:
        return DistilBertModel(config)


class DistilBertForSequenceClassification(DistilBertPreTrainedModel, TextClassifier):
    """DistilBERT with a classifier of two layers on the first token; `forward` is `TextClassifier.forward`.

    Args:
        config: `num_labels` sets the size of the classifier, `problem_type` the loss (see `classification_loss`).

    Example:
        >>> import torch
        >>> from transformers import DistilBertConfig, DistilBertForSequenceClassification
        >>> config = DistilBertConfig(vocab_size=9, dim=8, n_layers=1, n_heads=2, hidden_dim=16, num_labels=3,
        ...                           pos="7", scale=0.005)
        >>> model = DistilBertForSequenceClassification(config)
        >>> ids, mask = torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([[1, 1, 1], [1, 1, 0]])
        >>> tuple(model(input_ids=ids, attention_mask=mask).logits.shape)
        (2, 3)
    """

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        self.distilbert = DistilBertModel(config)
        self.pre_classifier = nn.Linear(config.dim, config.dim)
        self.classifier = nn.Linear(config.dim, config.num_labels)
        self.dropout = Dropout(classifier_dropout(config))
        self.post_init()

    def classify(self, pooled: Tensor) -> Tensor:
        hidden = self.pre_classifier(first_token(pooled)).relu()
        return self.classifier(self.dropout(hidden))


class DistilBertForMaskedLM(DistilBertPreTrainedModel, MaskedLanguageModel):
    """DistilBERT that predicts masked tokens; `forward` is `LabelHead.forward`.

    Args:
        config: sizes, dropout, and the method with its position and knobs.
    """

    decoder_path = "vocab_projector"

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        self.activation = ACT2FN[config.activation]
        self.vocab_transform = nn.Linear(config.dim, config.dim)
        self.vocab_layer_norm = nn.LayerNorm(config.dim, eps=config.layer_norm_eps)
        self.vocab_projector = nn.Linear(config.dim, config.vocab_size)
        self.post_init()

    def predict(self, hidden_states: Tensor) -> Tensor:
        transformed = self.vocab_layer_norm(self.activation(self.vocab_transform(hidden_states)))
        return self.vocab_projector(transformed)


class DistilBertForTokenClassification(DistilBertPreTrainedModel, TokenClassifier):
    """DistilBERT with a linear classifier on every token; `forward` is `LabelHead.forward`."""

    @staticmethod
    def dropout_rate(config: PretrainedConfig) -> float:
        return config.hidden_dropout_prob


class DistilBertForQuestionAnswering(DistilBertPreTrainedModel, SpanFinder):
    """DistilBERT that finds the span of an answer; `forward` is `SpanFinder.forward`."""

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        self.dropout = Dropout(getattr(config, "qa_dropout", 0.1))

    def find(self, hidden_states: Tensor) -> Tensor:
        return super().find(self.dropout(hidden_states))


class DistilBertModel(DistilBertPreTrainedModel, TextModel):
    """DistilBERT's encoder: embeddings and `n_layers` layers; `forward` is `TextModel.forward`, without token types.

    Args:
        config: sizes, dropout, and the method with its position and knobs.
    """

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        self.embeddings = Embeddings(config)
        self.transformer = Transformer(config)
        self.post_init()

    @property
    def encoder(self) -> nn.Module:  # type: ignore[override]
        """The stack of layers, under the other models' name."""
        return self.transformer


class Embeddings(TextEmbeddings):
    """DistilBERT's embeddings: words and positions."""


class Transformer(LayerStack):
    """The stack of layers."""

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        self.layer = nn.ModuleList([TransformerBlock(config.of_layer(i)) for i in range(config.n_layers)])


class TransformerBlock(PostNormLayer):
    """One layer: attention and the feed-forward network, each with the end of its block."""

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        self.attention = DistilBertSelfAttention(config)
        self.sa_layer_norm = nn.LayerNorm(config.dim, eps=config.layer_norm_eps)
        self.attention_end = BlockEnd(config, ATTENTION_END)
        self.ffn = FFN(config)
        self.output_layer_norm = nn.LayerNorm(config.dim, eps=config.layer_norm_eps)
        self.feed_forward_end = BlockEnd(config, FEED_FORWARD_END)

    def attend(
        self, hidden_states: Tensor, layout: TokenLayout, output_attentions: bool
    ) -> tuple[Tensor, Tensor | None]:
        update, probabilities = super().attend(hidden_states, layout, output_attentions)
        return self.attention_end(update, hidden_states, self.sa_layer_norm, layout), probabilities

    def feed_forward(self, hidden_states: Tensor, layout: TokenLayout) -> Tensor:
        return self.feed_forward_end(self.ffn(hidden_states), hidden_states, self.output_layer_norm, layout)


class DistilBertSelfAttention(SelfAttention):
    """Self-attention with its output projection."""

    projections = ("q_lin", "k_lin", "v_lin")

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        self.out_lin = nn.Linear(config.dim, config.dim)

    def finish(self, context: Tensor, hidden_states: Tensor, layout: TokenLayout) -> Tensor:
        return self.out_lin(context)


class FFN(nn.Module):
    """The feed-forward network: (..., D) -> (..., D)."""

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__()
        self.dropout = Dropout(config.dropout)
        self.lin1 = nn.Linear(config.dim, config.hidden_dim)
        self.lin2 = nn.Linear(config.hidden_dim, config.dim)
        self.activation = ACT2FN[config.activation]

    def forward(self, hidden_states: Tensor) -> Tensor:
        return self.dropout(self.lin2(self.activation(self.lin1(hidden_states))))
