"""ALBERT with ContraNorm: `AlbertModel` and its heads, `AlbertForSequenceClassification` the first of them.

Parameter names, and the names and signatures of modules, are Hugging Face's. The forward passes of model and classifier
are in `modeling_text.py`, the wiring of a layer is in `layer.py`; here are the modules, read from the top: the
classifier, the model, its layer. ALBERT is BERT with narrow embeddings and with layers that share their parameters.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...activations import ACT2FN
from ...attention import SelfAttention
from ...configuration_utils import PretrainedConfig
from ...dropout import Dropout
from ...layer import ATTENTION_END, FEED_FORWARD_END, BlockEnd, LayerStack, PostNormLayer
from ...modeling_heads import MaskedLanguageModel, PredictionHead, SpanFinder, TokenClassifier
from ...modeling_text import TextClassifier, TextEmbeddings, TextModel, first_token
from ...modeling_utils import PreTrainedModel
from ...padding import TokenLayout
from .configuration_albert import AlbertConfig


class AlbertPreTrainedModel(PreTrainedModel):
    """What ALBERT's models have in common."""

    config_class = AlbertConfig
    base_model_prefix = "albert"

    @classmethod
    def bare_model(cls, config: Any) -> AlbertModel:
        return AlbertModel(config, add_pooling_layer=False)


class AlbertForSequenceClassification(AlbertPreTrainedModel, TextClassifier):
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

    def __init__(self, config: AlbertConfig) -> None:
        super().__init__(config)
        self.albert = AlbertModel(config)
        self.dropout = Dropout(config.classifier_dropout_prob)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def classify(self, pooled: Tensor) -> Tensor:
        return self.classifier(self.dropout(pooled))


class AlbertForMaskedLM(AlbertPreTrainedModel, MaskedLanguageModel):
    """ALBERT that predicts masked tokens; `forward` is `LabelHead.forward`.

    Args:
        config: sizes, dropout, and the method with its position and knobs.
    """

    decoder_path = "predictions.decoder"
    tied_bias = "predictions.bias"

    def __init__(self, config: AlbertConfig) -> None:
        super().__init__(config)
        self.predictions = PredictionHead(config, config.embedding_size, ACT2FN[config.hidden_act])
        self.post_init()

    def predict(self, hidden_states: Tensor) -> Tensor:
        return self.predictions(hidden_states)


class AlbertForTokenClassification(AlbertPreTrainedModel, TokenClassifier):
    """ALBERT with a linear classifier on every token; `forward` is `LabelHead.forward`."""

    @staticmethod
    def dropout_rate(config: PretrainedConfig) -> float:
        return config.classifier_dropout_prob


class AlbertForQuestionAnswering(AlbertPreTrainedModel, SpanFinder):
    """ALBERT that finds the span of an answer; `forward` is `SpanFinder.forward`."""


class AlbertModel(AlbertPreTrainedModel, TextModel):
    """ALBERT's encoder: embeddings, `num_hidden_layers` layers, and a pooler on the first token; `forward` is
    `TextModel.forward`.

    Args:
        config: sizes, dropout, and the method with its position and knobs.
        add_pooling_layer: False leaves the pooler out.
    """

    def __init__(self, config: AlbertConfig, add_pooling_layer: bool = True) -> None:
        super().__init__(config)
        self.embeddings = AlbertEmbeddings(config)
        self.encoder = AlbertTransformer(config)
        self.pooler = nn.Linear(config.hidden_size, config.hidden_size) if add_pooling_layer else None
        self.post_init()

    def pool(self, first: Tensor) -> Tensor | None:
        return None if self.pooler is None else torch.tanh(self.pooler(first_token(first)))


class AlbertEmbeddings(TextEmbeddings):
    """ALBERT's embeddings, narrower than its layers."""


class AlbertTransformer(LayerStack):
    """Projection of the embeddings to D, then `num_hidden_layers` layers that share `num_hidden_groups` sets of
    parameters.
    """

    def __init__(self, config: AlbertConfig) -> None:
        super().__init__(config)
        self.embedding_hidden_mapping_in = nn.Linear(config.embedding_size, config.hidden_size)
        self.albert_layer_groups = nn.ModuleList([AlbertLayerGroup(config) for _ in range(config.num_hidden_groups)])
        self.num_hidden_layers = config.num_hidden_layers

    def forward(self, hidden_states: Tensor, *arguments: Any, **options: Any) -> Any:
        """`LayerStack.forward`, from embeddings (..., embedding_size)."""
        return super().forward(self.embedding_hidden_mapping_in(hidden_states), *arguments, **options)

    def layers(self) -> list[nn.Module]:
        groups: list[Any] = [group.albert_layers for group in self.albert_layer_groups]
        depth = self.num_hidden_layers
        return [layer for step in range(depth) for layer in groups[step * len(groups) // depth]]


class AlbertLayerGroup(nn.Module):
    """Holds the layers that follow each other within one group."""

    def __init__(self, config: AlbertConfig) -> None:
        super().__init__()
        self.albert_layers = nn.ModuleList([AlbertLayer(config) for _ in range(config.inner_group_num)])


class AlbertLayer(PostNormLayer):
    """One layer: attention with the end of its block, then the feed-forward network."""

    def __init__(self, config: AlbertConfig) -> None:
        super().__init__(config)
        self.attention = AlbertAttention(config)
        self.ffn = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACT2FN[config.hidden_act]
        self.ffn_output = nn.Linear(config.intermediate_size, config.hidden_size)
        self.full_layer_layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.end = BlockEnd(config, FEED_FORWARD_END)

    def feed_forward(self, hidden_states: Tensor, layout: TokenLayout) -> Tensor:
        update = self.ffn_output(self.activation(self.ffn(hidden_states)))
        return self.end(update, hidden_states, self.full_layer_layer_norm, layout)


class AlbertAttention(SelfAttention):
    """Self-attention that also holds the end of its block, where ALBERT's checkpoints have it."""

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(config)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.output_dropout = Dropout(config.hidden_dropout_prob)
        self.end = BlockEnd(config, ATTENTION_END)

    def finish(self, context: Tensor, hidden_states: Tensor, layout: TokenLayout) -> Tensor:
        return self.end(self.output_dropout(self.dense(context)), hidden_states, self.LayerNorm, layout)
