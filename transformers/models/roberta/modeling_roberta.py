"""RoBERTa with ContraNorm: `RobertaModel` and its heads, `RobertaForSequenceClassification` the first of them.

Parameter names, and the names and signatures of modules, are Hugging Face's. RoBERTa is BERT with another way to count
positions and a classifier of its own; what is not here is in `models/bert/modeling_bert.py`.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ...modeling_heads import MaskedLanguageModel, PredictionHead, SpanFinder, TokenClassifier
from ...modeling_text import FirstTokenHead, TextClassifier, TextEmbeddings, TextModel
from ...modeling_utils import PreTrainedModel
from ..bert.modeling_bert import BertEncoder, BertPooler
from .configuration_roberta import RobertaConfig


class RobertaPreTrainedModel(PreTrainedModel):
    """What RoBERTa's models have in common."""

    config_class = RobertaConfig
    base_model_prefix = "roberta"

    @classmethod
    def bare_model(cls, config: Any) -> RobertaModel:
        return RobertaModel(config, add_pooling_layer=False)


class RobertaForSequenceClassification(RobertaPreTrainedModel, TextClassifier):
    """RoBERTa with a classifier of two layers on the first token; `forward` is `TextClassifier.forward`.

    Args:
        config: `num_labels` sets the size of the classifier, `problem_type` the loss (see `classification_loss`).

    Example:
        >>> import torch
        >>> from transformers import RobertaConfig, RobertaForSequenceClassification
        >>> config = RobertaConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        ...                        intermediate_size=16, num_labels=3, pos="7", scale=0.005)
        >>> model = RobertaForSequenceClassification(config)
        >>> ids, mask = torch.tensor([[0, 5, 2], [0, 2, 1]]), torch.tensor([[1, 1, 1], [1, 1, 0]])
        >>> tuple(model(input_ids=ids, attention_mask=mask).logits.shape)
        (2, 3)
    """

    def __init__(self, config: RobertaConfig) -> None:
        super().__init__(config)
        self.roberta = RobertaModel(config, add_pooling_layer=False)
        self.classifier = RobertaClassificationHead(config)
        self.post_init()


class RobertaForMaskedLM(RobertaPreTrainedModel, MaskedLanguageModel):
    """RoBERTa that predicts masked tokens; `forward` is `LabelHead.forward`.

    Args:
        config: sizes, dropout, and the method with its position and knobs.
    """

    decoder_path = "lm_head.decoder"
    tied_bias = "lm_head.bias"

    def __init__(self, config: RobertaConfig) -> None:
        super().__init__(config)
        self.lm_head = PredictionHead(config, config.hidden_size, nn.GELU(), "layer_norm")
        self.post_init()

    def predict(self, hidden_states: Tensor) -> Tensor:
        return self.lm_head(hidden_states)


class RobertaForTokenClassification(RobertaPreTrainedModel, TokenClassifier):
    """RoBERTa with a linear classifier on every token; `forward` is `LabelHead.forward`."""


class RobertaForQuestionAnswering(RobertaPreTrainedModel, SpanFinder):
    """RoBERTa that finds the span of an answer; `forward` is `SpanFinder.forward`."""


class RobertaModel(RobertaPreTrainedModel, TextModel):
    """RoBERTa's encoder: embeddings, BERT's layers, and a pooler on the first token; `forward` is `TextModel.forward`.

    Args:
        config: sizes, dropout, and the method with its position and knobs.
        add_pooling_layer: False leaves the pooler out.
    """

    def __init__(self, config: RobertaConfig, add_pooling_layer: bool = True) -> None:
        super().__init__(config)
        self.embeddings = RobertaEmbeddings(config)
        self.encoder = BertEncoder(config)
        self.pooler = BertPooler(config) if add_pooling_layer else None
        self.post_init()


class RobertaEmbeddings(TextEmbeddings):
    """RoBERTa's embeddings: a token's position is the number of real tokens up to it, counted from the padding id."""

    def __init__(self, config: RobertaConfig) -> None:
        super().__init__(config)
        self.position_embeddings.padding_idx = config.pad_token_id

    def positions(self, given: Tensor) -> Tensor:
        if given.dim() == 3:
            return super().positions(given)  # embeddings do not tell which tokens are padding
        real = given.ne(self.first_position - 1)
        return real.cumsum(dim=1) * real + (self.first_position - 1)


class RobertaClassificationHead(FirstTokenHead):
    """`FirstTokenHead` with tanh."""

    activation_class = nn.Tanh
