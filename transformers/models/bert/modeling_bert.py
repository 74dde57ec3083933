"""BERT with ContraNorm: `BertModel` and its heads, `BertForSequenceClassification` the first of them.

Parameter names, and the names and signatures of modules, are Hugging Face's. The forward passes of model and classifier
are in `modeling_text.py`, the wiring of a layer is in `layer.py`; here are the modules, read from the top: the
classifier, the model, its layer.
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
from ...modeling_heads import MaskedLanguageModel, SpanFinder, TokenClassifier
from ...modeling_text import Pooler, TextClassifier, TextEmbeddings, TextModel, classifier_dropout
from ...modeling_utils import PreTrainedModel
from ...padding import TokenLayout, call_part, layout_of_module
from .configuration_bert import BertConfig


class BertPreTrainedModel(PreTrainedModel):
    """What BERT's models have in common."""

    config_class = BertConfig
    base_model_prefix = "bert"

    @classmethod
    def bare_model(cls, config: Any) -> BertModel:
        return BertModel(config, add_pooling_layer=False)


class BertForSequenceClassification(BertPreTrainedModel, TextClassifier):
    """BERT with a linear classifier on the pooled first token; `forward` is `TextClassifier.forward`.

    Args:
        config: `num_labels` sets the size of the classifier, `problem_type` the loss (see `classification_loss`).

    Example:
        >>> import torch
        >>> from transformers import BertConfig, BertForSequenceClassification
        >>> config = BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        ...                     intermediate_size=16, num_labels=3, pos="7", scale=0.005)
        >>> model = BertForSequenceClassification(config)
        >>> ids, mask = torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([[1, 1, 1], [1, 1, 0]])
        >>> tuple(model(input_ids=ids, attention_mask=mask).logits.shape)
        (2, 3)
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.bert = BertModel(config)
        self.dropout = Dropout(classifier_dropout(config))
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def classify(self, pooled: Tensor) -> Tensor:
        return self.classifier(self.dropout(pooled))


class BertForMaskedLM(BertPreTrainedModel, MaskedLanguageModel):
    """BERT that predicts masked tokens; `forward` is `LabelHead.forward`.

    Args:
        config: sizes, dropout, and the method with its position and knobs.

    Example:
        >>> import torch
        >>> from transformers import BertConfig, BertForMaskedLM
        >>> config = BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        ...                     intermediate_size=16, pos="7", scale=0.005)
        >>> ids, labels = torch.tensor([[1, 2, 3]]), torch.tensor([[-100, 5, -100]])
        >>> tuple(BertForMaskedLM(config)(input_ids=ids, labels=labels).logits.shape)
        (1, 3, 9)
    """

    decoder_path = "cls.predictions.decoder"
    tied_bias = "cls.predictions.bias"

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.cls = BertOnlyMLMHead(config)
        self.post_init()

    def predict(self, hidden_states: Tensor) -> Tensor:
        return self.cls(hidden_states)


class BertForTokenClassification(BertPreTrainedModel, TokenClassifier):
    """BERT with a linear classifier on every token; `forward` is `LabelHead.forward`."""


class BertForQuestionAnswering(BertPreTrainedModel, SpanFinder):
    """BERT that finds the span of an answer; `forward` is `SpanFinder.forward`."""


class BertModel(BertPreTrainedModel, TextModel):
    """BERT's encoder: embeddings, `num_hidden_layers` layers, and a pooler on the first token; `forward` is
    `TextModel.forward`.

    Args:
        config: sizes, dropout, and the method with its position and knobs.
        add_pooling_layer: False leaves the pooler out.
    """

    def __init__(self, config: BertConfig, add_pooling_layer: bool = True) -> None:
        super().__init__(config)
        self.embeddings = BertEmbeddings(config)
        self.encoder = BertEncoder(config)
        self.pooler = BertPooler(config) if add_pooling_layer else None
        self.post_init()


class BertEncoder(LayerStack):
    """The stack of layers."""

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(config)
        self.layer = nn.ModuleList([BertLayer(config.of_layer(i)) for i in range(config.num_hidden_layers)])


class BertLayer(PostNormLayer):
    """One layer: attention with its output, then intermediate and output."""

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(config)
        self.attention = BertAttention(config)
        self.intermediate = BertIntermediate(config)
        self.output = BertOutput(config)

    def feed_forward(self, hidden_states: Tensor, layout: TokenLayout) -> Tensor:
        return call_part(self.output, self.intermediate(hidden_states), hidden_states, layout=layout)


class BertAttention(nn.Module):
    """Self-attention, and the end of its block."""

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        self.self = BertSelfAttention(config)
        self.output = BertSelfOutput(config)

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        output_attentions: bool = False,
        layout: TokenLayout | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Hidden states to hidden states and the attention probabilities or None; arguments as of `SelfAttention`."""
        layout = layout or layout_of_module(hidden_states, attention_mask)
        context, probabilities = call_part(self.self, hidden_states, layout=layout, output_attentions=output_attentions)
        return call_part(self.output, context, hidden_states, layout=layout), probabilities


class BertIntermediate(nn.Module):
    """The feed-forward network's first half: (..., D) -> (..., intermediate_size)."""

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.intermediate_act_fn = ACT2FN[config.hidden_act]

    def forward(self, hidden_states: Tensor) -> Tensor:
        return self.intermediate_act_fn(self.dense(hidden_states))


class _Output(nn.Module):
    """The end of a block under BERT's names."""

    def __init__(self, config: PretrainedConfig, in_features: int, sites: tuple[str, str, str]) -> None:
        super().__init__()
        self.dense = nn.Linear(in_features, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)
        self.end = BlockEnd(config, sites)

    def forward(self, hidden_states: Tensor, input_tensor: Tensor, layout: TokenLayout | None = None) -> Tensor:
        """Project what the block computed, add what it computed that from, and normalise."""
        return self.end(self.dropout(self.dense(hidden_states)), input_tensor, self.LayerNorm, layout)


class BertSelfOutput(_Output):
    """The end of the attention block: (..., D) -> (..., D)."""

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(config, config.hidden_size, ATTENTION_END)


class BertOutput(_Output):
    """The end of the feed-forward block: (..., intermediate_size) -> (..., D)."""

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(config, config.intermediate_size, FEED_FORWARD_END)


class BertOnlyMLMHead(nn.Module):
    """The head on masked tokens, where BERT's checkpoints have it."""

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        self.predictions = BertLMPredictionHead(config)

    def forward(self, sequence_output: Tensor) -> Tensor:
        """(..., D) -> (..., vocab_size)."""
        return self.predictions(sequence_output)


class BertLMPredictionHead(nn.Module):
    """`PredictionHead` under BERT's names."""

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        self.transform = BertPredictionHeadTransform(config)
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, hidden_states: Tensor) -> Tensor:
        return self.decoder(self.transform(hidden_states))


class BertPredictionHeadTransform(nn.Module):
    """What comes before the last layer of that head: (..., D) -> (..., D)."""

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.transform_act_fn = ACT2FN[config.hidden_act]
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, hidden_states: Tensor) -> Tensor:
        return self.LayerNorm(self.transform_act_fn(self.dense(hidden_states)))


class BertEmbeddings(TextEmbeddings):
    """BERT's embeddings, as wide as its layers."""


class BertSelfAttention(SelfAttention):
    """BERT's name for `SelfAttention`."""


class BertPooler(Pooler):
    """BERT's name for `Pooler`."""
