"""ELECTRA with ContraNorm: `ElectraModel` and its heads, `ElectraForSequenceClassification` the first of them.

Parameter names, and the names and signatures of modules, are Hugging Face's. ELECTRA's discriminator is BERT with
narrower embeddings, without a pooler, and with a classifier of its own; what is not here is in
`models/bert/modeling_bert.py`.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ...modeling_heads import MaskedLanguageModel, SpanFinder, TokenClassifier
from ...modeling_text import FirstTokenHead, TextClassifier, TextEmbeddings, TextModel
from ...modeling_utils import PreTrainedModel
from ..bert.modeling_bert import BertEncoder
from .configuration_electra import ElectraConfig


class ElectraPreTrainedModel(PreTrainedModel):
    """What ELECTRA's models have in common."""

    config_class = ElectraConfig
    base_model_prefix = "electra"

    @classmethod
    def bare_model(cls, config: Any) -> ElectraModel:
        return ElectraModel(config)


class ElectraForSequenceClassification(ElectraPreTrainedModel, TextClassifier):
    """ELECTRA with a classifier of two layers on the first token; `forward` is `TextClassifier.forward`.

    Args:
        config: `num_labels` sets the size of the classifier, `problem_type` the loss (see `classification_loss`).

    Example:
        >>> import torch
        >>> from transformers import ElectraConfig, ElectraForSequenceClassification
        >>> config = ElectraConfig(vocab_size=9, embedding_size=4, hidden_size=8, num_hidden_layers=1,
        ...                        num_attention_heads=2, intermediate_size=16, num_labels=3, pos="7", scale=0.005)
        >>> model = ElectraForSequenceClassification(config)
        >>> ids, mask = torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([[1, 1, 1], [1, 1, 0]])
        >>> tuple(model(input_ids=ids, attention_mask=mask).logits.shape)
        (2, 3)
    """

    def __init__(self, config: ElectraConfig) -> None:
        super().__init__(config)
        self.electra = ElectraModel(config)
        self.classifier = ElectraClassificationHead(config)
        self.post_init()


class ElectraForMaskedLM(ElectraPreTrainedModel, MaskedLanguageModel):
    """ELECTRA that predicts masked tokens; `forward` is `LabelHead.forward`.

    Args:
        config: sizes, dropout, and the method with its position and knobs.
    """

    decoder_path = "generator_lm_head"

    def __init__(self, config: ElectraConfig) -> None:
        super().__init__(config)
        self.generator_predictions = ElectraGeneratorPredictions(config)
        self.generator_lm_head = nn.Linear(config.embedding_size, config.vocab_size)
        self.post_init()

    def predict(self, hidden_states: Tensor) -> Tensor:
        return self.generator_lm_head(self.generator_predictions(hidden_states))


class ElectraForTokenClassification(ElectraPreTrainedModel, TokenClassifier):
    """ELECTRA with a linear classifier on every token; `forward` is `LabelHead.forward`."""


class ElectraForQuestionAnswering(ElectraPreTrainedModel, SpanFinder):
    """ELECTRA that finds the span of an answer; `forward` is `SpanFinder.forward`."""


class ElectraGeneratorPredictions(nn.Module):
    """What comes before the last layer on masked tokens: (..., D) -> (..., embedding_size)."""

    def __init__(self, config: ElectraConfig) -> None:
        super().__init__()
        self.activation = nn.GELU()
        self.LayerNorm = nn.LayerNorm(config.embedding_size, eps=config.layer_norm_eps)
        self.dense = nn.Linear(config.hidden_size, config.embedding_size)

    def forward(self, generator_hidden_states: Tensor) -> Tensor:
        return self.LayerNorm(self.activation(self.dense(generator_hidden_states)))


class ElectraModel(ElectraPreTrainedModel, TextModel):
    """ELECTRA's encoder: embeddings, their projection, and BERT's layers; `forward` is `TextModel.forward`.

    Args:
        config: sizes, dropout, and the method with its position and knobs.
    """

    def __init__(self, config: ElectraConfig) -> None:
        super().__init__(config)
        self.embeddings = ElectraEmbeddings(config)
        narrow = config.embedding_size != config.hidden_size
        self.embeddings_project = nn.Linear(config.embedding_size, config.hidden_size) if narrow else nn.Identity()
        self.encoder = BertEncoder(config)
        self.post_init()

    def embed(self, **inputs: Tensor | None) -> Tensor:
        return self.embeddings_project(self.embeddings(**inputs))


class ElectraEmbeddings(TextEmbeddings):
    """ELECTRA's embeddings, of a width of their own."""


class ElectraClassificationHead(FirstTokenHead):
    """`FirstTokenHead` with GELU."""

    activation_class = nn.GELU
