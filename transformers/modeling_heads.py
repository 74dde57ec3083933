"""Heads that read every token: the words behind masks, a label a token, the span of an answer.

Signatures and outputs are those of Hugging Face's `BertForMaskedLM`, `BertForTokenClassification` and
`BertForQuestionAnswering`. What a model adds (the names of its modules, which are the checkpoint's) is in `models/`.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .configuration_utils import PretrainedConfig
from .dropout import Dropout
from .modeling_outputs import MaskedLMOutput, QuestionAnsweringModelOutput, TokenClassifierOutput
from .modeling_text import TextHead, TextModel, classifier_dropout
from .modeling_utils import copy_rows
from .padding import mask_of_tokens
from .utils.errors import ConfigurationError

_IGNORED = -100  # a label that is none


class TokenHead(TextHead):
    """A head on what a text encoder without a pooler makes of every token."""

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(config)
        self.add_module(self.base_model_prefix, self.bare_model(config))

    @classmethod
    @abstractmethod
    def bare_model(cls, config: PretrainedConfig) -> TextModel:
        """Build the encoder without a pooler."""


class LabelHead(TokenHead):
    """A head that gives every token a label."""

    @abstractmethod
    def score(self, hidden_states: Tensor, labels: Tensor | None) -> tuple[Tensor | None, Tensor]:
        """Return the loss, None without labels, and the logits, from hidden states (B, S, D) and labels (B, S)."""

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        head_mask: Tensor | None = None,
    ) -> Any:
        """Score every token of a batch.

        Args:
            labels: (B, S) ids of tokens or classes, -100 where there is none; None for no loss.
            others: see `TextModel.forward`.

        Returns:
            loss (scalar, if labels were given), logits (B, S, number of tokens or classes), and what was asked for of
            hidden_states and attentions; as a tuple of those present when `return_dict` is False.
        """
        encoded: Any = self.base_model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            return_dict=True,
            head_mask=head_mask,
        )
        loss, logits = self.score(encoded.last_hidden_state, labels)
        return self.answer(encoded, return_dict, loss=loss, logits=logits)


class MaskedLanguageModel(LabelHead):
    """A model that says which token stands where [MASK] is; its last layer has the word embeddings for its weights.

    A subclass builds the head, and says where in it the last layer is. `sparse_prediction`, ModernBERT's name, makes
    logits (N, vocab_size) of the N labelled tokens only, which saves most of a head's work in training.
    """

    output_class = MaskedLMOutput
    decoder_path: ClassVar[str]  # of the last layer
    tied_bias: ClassVar[str | None] = None  # where checkpoints have its bias
    sparse_prediction = False

    @abstractmethod
    def predict(self, hidden_states: Tensor) -> Tensor:
        """Return logits (..., vocab_size) from hidden states (..., D)."""

    def score(self, hidden_states: Tensor, labels: Tensor | None) -> tuple[Tensor | None, Tensor]:
        if labels is not None and self.sparse_prediction:
            places = labels != _IGNORED
            hidden_states, labels = hidden_states[places], labels[places]
        logits = self.predict(hidden_states)
        return token_loss(logits, labels), logits

    def tied_weights(self) -> dict[str, str]:
        if not self.config.tie_word_embeddings:
            return {}
        embeddings = f"{self.base_model_prefix}.embeddings.word_embeddings.weight"
        bias = {f"{self.decoder_path}.bias": self.tied_bias} if self.tied_bias else {}
        return {f"{self.decoder_path}.weight": embeddings, **bias}

    def get_output_embeddings(self) -> nn.Module:
        return self.get_submodule(self.decoder_path)

    def set_output_embeddings(self, value: Any) -> None:
        owner, _, name = self.decoder_path.rpartition(".")
        setattr(self.get_submodule(owner), name, value)
        if self.tied_bias:
            owner, _, name = self.tied_bias.rpartition(".")
            setattr(self.get_submodule(owner), name, value.bias)
        self.tie_weights()

    def resize_token_embeddings(
        self, new_num_tokens: int | None = None, pad_to_multiple_of: int | None = None, mean_resizing: bool = True
    ) -> nn.Module:
        embeddings: Any = super().resize_token_embeddings(new_num_tokens, pad_to_multiple_of, mean_resizing)
        old: Any = self.get_output_embeddings()
        size = embeddings.num_embeddings
        if size != old.out_features:
            new = nn.Linear(old.in_features, size).to(old.weight)
            with torch.no_grad():
                self._init_weights(new)
                copy_rows(old.weight, new.weight, mean_resizing)
                copy_rows(old.bias, new.bias, mean_resizing)
            self.set_output_embeddings(new)
        return self.get_input_embeddings()


class PredictionHead(nn.Module):
    """Dense layer, activation, LayerNorm, and the last layer with the word embeddings for its weights.

    Args:
        config: sizes.
        width: of the word embeddings.
        activation: between the first two.
        norm_name: the LayerNorm's name in checkpoints.
    """

    def __init__(
        self, config: PretrainedConfig, width: int, activation: nn.Module, norm_name: str = "LayerNorm"
    ) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, width)
        self.activation = activation
        self.norm_name = norm_name
        self.add_module(norm_name, nn.LayerNorm(width, eps=config.layer_norm_eps))
        self.decoder = nn.Linear(width, config.vocab_size)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(..., D) -> (..., vocab_size)."""
        norm = getattr(self, self.norm_name)
        return self.decoder(norm(self.activation(self.dense(hidden_states))))


class TokenClassifier(LabelHead):
    """A linear classifier on every token."""

    output_class = TokenClassifierOutput

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(config)
        self.dropout = Dropout(self.dropout_rate(config))
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    @staticmethod
    def dropout_rate(config: PretrainedConfig) -> float:
        """The rate of the dropout before the classifier."""
        return classifier_dropout(config)

    def score(self, hidden_states: Tensor, labels: Tensor | None) -> tuple[Tensor | None, Tensor]:
        logits = self.classifier(self.dropout(hidden_states))
        return token_loss(logits, labels), logits


class SpanFinder(TokenHead):
    """Two numbers for every token: how likely an answer begins there, and how likely it ends there."""

    output_class = QuestionAnsweringModelOutput

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(config)
        if config.num_labels != 2:
            raise ConfigurationError(f"num_labels {config.num_labels}: a span has a start and an end, expected 2")
        self.qa_outputs = nn.Linear(config.hidden_size, 2)
        self.post_init()

    def find(self, hidden_states: Tensor) -> Tensor:
        """(B, S, D) -> (B, S, 2)."""
        return self.qa_outputs(hidden_states)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        head_mask: Tensor | None = None,
    ) -> Any:
        """Find where the answer is in every sequence of a batch.

        Args:
            start_positions, end_positions: (B,), the first and the last token of the answer; one beyond the sequence is
                left out of the loss. None for no loss.
            others: see `TextModel.forward`.

        Returns:
            loss (scalar, if both positions were given), start_logits and end_logits (B, S), the lowest number there is
            at padding, and what was asked for of hidden_states and attentions; as a tuple of those present when
            `return_dict` is False.
        """
        encoded: Any = self.base_model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            return_dict=True,
            head_mask=head_mask,
        )
        scores = self.find(encoded.last_hidden_state)
        mask = mask_of_tokens(attention_mask)
        if mask is not None and self.config.contranorm_padding != "include":
            padding = mask.to(scores.device).logical_not()[:, :, None]
            scores = scores.masked_fill(padding, torch.finfo(scores.dtype).min)
        logits = [part.squeeze(-1).contiguous() for part in scores.split(1, dim=-1)]
        loss = None
        if start_positions is not None and end_positions is not None:
            positions = [value.reshape(-1).clamp(0, logits[0].shape[1]) for value in (start_positions, end_positions)]
            losses = [
                F.cross_entropy(part, position, ignore_index=part.shape[1])
                for part, position in zip(logits, positions, strict=True)
            ]
            loss = (losses[0] + losses[1]) / 2
        return self.answer(encoded, return_dict, loss=loss, start_logits=logits[0], end_logits=logits[1])


def token_loss(logits: Tensor, labels: Tensor | None) -> Tensor | None:
    """Mean cross-entropy of the labelled tokens, in at least single precision; None without labels.

    Args:
        logits: (..., number of classes).
        labels: (...), -100 where there is none.
    """
    if labels is None:
        return None
    logits = logits if logits.dtype == torch.float64 else logits.float()
    return F.cross_entropy(logits.view(-1, logits.shape[-1]), labels.view(-1), ignore_index=_IGNORED)
