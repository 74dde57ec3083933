"""What a text encoder and a classifier on top of it do, whatever their layers are.

Signatures and outputs are those of Hugging Face's `BertModel` and `BertForSequenceClassification`. Here a batch gets
its layout: packed on the CPU, padded elsewhere and for whoever looks inside, see `padding.py`. The models themselves
(their modules and parameter names) are in `models/`, the wiring of a layer is in `layer.py`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .configuration_utils import PROBLEM_TYPES, PretrainedConfig
from .contranorm import MethodSites
from .dropout import Dropout
from .kernels.attention import runs_eagerly
from .modeling_outputs import BaseModelOutputWithPooling, ModelOutput, SequenceClassifierOutput
from .modeling_utils import PreTrainedModel
from .padding import TokenLayout, is_hooked, mask_of_tokens, packed_layout, padded_layout, varlen_layout
from .utils.errors import ConfigurationError


class TextHead(PreTrainedModel):
    """A head on what a text encoder makes of a batch.

    Attributes:
        output_class: what `forward` returns.
    """

    base_model: TextModel
    output_class: type[ModelOutput]

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels

    def answer(self, encoded: Any, return_dict: bool | None, **fields: Tensor | None) -> Any:
        """Return the output of a `forward`, with what was asked for of hidden states and attentions."""
        output = self.output_class(**fields, hidden_states=encoded.hidden_states, attentions=encoded.attentions)
        return_dict = self.config.return_dict if return_dict is None else return_dict
        return output if return_dict else output.to_tuple()


class TextClassifier(TextHead):
    """A classifier on what a text encoder makes of the first token."""

    output_class = SequenceClassifierOutput
    classifier: nn.Module

    def classify(self, pooled: Tensor) -> Tensor:
        """Return logits (B, num_labels) from the pooler's output (B, D), or from what a pooler would have read."""
        return self.classifier(pooled)

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
    ) -> SequenceClassifierOutput | tuple[Tensor, ...]:
        """Classify every sequence of the batch.

        Args:
            labels: (B,) class ids, (B,) floats for regression, or (B, num_labels) for several labels; None for no loss.
            others: see `TextModel.forward`.

        Returns:
            loss (scalar, if labels were given), logits (B, num_labels), and what was asked for of hidden_states and
            attentions; as a tuple of those present when `return_dict` is False.
        """
        attention_mask = mask_of_tokens(attention_mask)
        outputs = self.base_model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            return_dict=True,
            first_only=not is_watched(self),
            head_mask=head_mask,
        )
        pooled = outputs.pooler_output
        if pooled is None:
            pooled = self.base_model.first_tokens(outputs.last_hidden_state, attention_mask)
        logits = self.classify(pooled)
        loss = None if labels is None else classification_loss(logits, labels, self.config)
        return self.answer(outputs, return_dict, loss=loss, logits=logits)


class TextModel(PreTrainedModel):
    """A text encoder: embeddings, a stack of layers, and in some models a pooler on the first token.

    Attributes:
        pads: compute on padded tokens everywhere, whatever the configuration says; or, if false, nowhere where they can
            be packed. None packs on the CPU alone. Not saved: it is how, not what.
    """

    embeddings: TextEmbeddings
    encoder: nn.Module
    pads: bool | None = None

    def pool(self, first: Tensor) -> Tensor | None:
        """Turn the first tokens (B, D) or (B, 1, D) into what a classifier reads (B, D); None without a pooler."""
        pooler = getattr(self, "pooler", None)
        return None if pooler is None else pooler(first)

    def embed(self, **inputs: Tensor | None) -> Tensor:
        """Call the embeddings, and whatever leads from their width to the encoder's."""
        return self.embeddings(**inputs)

    def first_tokens(self, last_hidden_state: Tensor, attention_mask: Tensor | None) -> Tensor:
        """Reduce a result (B, S, D) of `forward` to each sequence's first token (B, 1, D), unless it has been."""
        if attention_mask is None or last_hidden_state.shape[:-1] != attention_mask.shape:
            return last_hidden_state
        return self._layout(last_hidden_state, attention_mask, packs=False).first_of_padded(last_hidden_state)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        first_only: bool = False,
        head_mask: Tensor | None = None,
    ) -> BaseModelOutputWithPooling | tuple[Tensor, ...]:
        """Encode a batch.

        Args:
            input_ids: (B, S) ids; or give `inputs_embeds` (B, S, D) in their place.
            attention_mask: (B, S), non-zero at real tokens, or (B, S, S) with that for every query; None when all are.
            token_type_ids: (B, S), 0 for the first text and 1 for the second; None for all 0.
            position_ids: (B, S) or (1, S); None counts from 0.
            output_attentions, output_hidden_states: return them for every layer; None as the configuration says.
            return_dict: False returns a tuple; None as the configuration says.
            first_only: nothing but the first token of each sequence will be read, so that the last layer computes no
                more than that, and last_hidden_state is (B, 1, D) or (B, D).
            head_mask: the stock library's; None or all ones, as no head can be left out here.

        Returns:
            last_hidden_state (B, S, D), pooler_output (B, D) of models with a pooler; hidden_states, L + 1 of
            (B, S, D), and attentions, L of (B, H, S, S), if asked for. Padding comes back as zeros, except under
            `contranorm_padding="include"`.

        Raises:
            ValueError: neither or both of input_ids and inputs_embeds, shapes that disagree, S above the number of
                positions, masks that differ between queries, or a head_mask that leaves out a head.
        """
        config = self.config
        output_attentions = config.output_attentions if output_attentions is None else output_attentions
        output_hidden_states = config.output_hidden_states if output_hidden_states is None else output_hidden_states
        return_dict = config.return_dict if return_dict is None else return_dict
        first_only = first_only and not output_hidden_states and not output_attentions

        given = input_ids if inputs_embeds is None else inputs_embeds
        if given is None or (input_ids is not None and inputs_embeds is not None):
            raise ValueError("give either input_ids or inputs_embeds: exactly one of them")
        if head_mask is not None and not bool((head_mask == 1).all()):
            raise ConfigurationError("head_mask leaves attention heads out, which this library does not do: give None")
        attention_mask = mask_of_tokens(attention_mask)
        self._check_inputs(given, attention_mask, token_type_ids, position_ids)
        if position_ids is None:
            position_ids = self.embeddings.positions(given)
        packs = not output_attentions and not (output_hidden_states and torch.is_grad_enabled())
        layout = self._layout(given, attention_mask, packs)
        inputs = {"input_ids": input_ids, "token_type_ids": token_type_ids, "position_ids": position_ids}
        inputs["inputs_embeds"] = inputs_embeds
        embedded = self.embed(**{name: x if x is None else layout.flatten(x) for name, x in inputs.items()})
        encoded = self.encoder(embedded, None, output_attentions, output_hidden_states, True, layout, first_only)
        last = encoded.last_hidden_state
        if not first_only:
            last = encoded.hidden_states[-1] if output_hidden_states else layout.restore(last)
        output = BaseModelOutputWithPooling(
            last_hidden_state=last,
            pooler_output=self.pool(last if first_only else layout.first_of_padded(last)),
            hidden_states=encoded.hidden_states,
            attentions=encoded.attentions,
        )
        return output if return_dict else output.to_tuple()

    def _check_inputs(
        self, given: Tensor, attention_mask: Tensor | None, token_type_ids: Tensor | None, position_ids: Tensor | None
    ) -> None:
        """Check a model's inputs against each other; `given` are the ids, or the embeddings in their place."""
        if given.dim() != (3 if given.is_floating_point() else 2):
            raise ValueError(f"input of shape {tuple(given.shape)}: expected ids (B, S) or embeddings (B, S, E)")
        batch_size, width = given.shape[:2]
        longest = self.config.longest_sequence
        if width > longest and position_ids is None:
            raise ValueError(
                f"sequences of {width} tokens, but the model has {longest} positions: truncate the input (max_length "
                "of the tokenizer)"
            )
        if token_type_ids is not None and not hasattr(self.embeddings, "token_type_embeddings"):
            raise ValueError(f"token_type_ids were given, but {type(self).__name__} has no token types: leave them out")
        others = {"attention_mask": attention_mask, "token_type_ids": token_type_ids, "position_ids": position_ids}
        for name, tensor in others.items():
            shapes = [(batch_size, width)] if name == "attention_mask" else [(batch_size, width), (1, width)]
            if tensor is not None and tuple(tensor.shape) not in shapes:
                raise ValueError(f"{name} has shape {tuple(tensor.shape)}: expected one entry a token, {shapes[0]}")

    def _layout(self, given: Tensor, attention_mask: Tensor | None, packs: bool) -> TokenLayout:
        """Choose the layout of a batch: packed where that is possible, for it is the same function and cheaper."""
        batch_size, width = given.shape[:2]
        on_cpu = given.device.type == "cpu"
        pads = not on_cpu if self.pads is None else self.pads
        if packs and self.config.packs and not pads and runs_eagerly() and not is_watched(self):
            if on_cpu:
                return packed_layout(batch_size, width, attention_mask)
            return varlen_layout(batch_size, width, attention_mask, given.device)
        if attention_mask is not None:
            attention_mask = attention_mask.to(given.device, non_blocking=True)
        return padded_layout(batch_size, width, attention_mask, self.config.contranorm_padding == "include")


class TextEmbeddings(nn.Module):
    """Sum of word, position and (if the model has them) token-type embeddings, normalised, with dropout.

    Args:
        config: sizes and rates; the embeddings are `embedding_size` wide where it has that, else `hidden_size`.
    """

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        width = getattr(config, "embedding_size", config.hidden_size)
        self.first_position = config.first_position
        self.word_embeddings = nn.Embedding(config.vocab_size, width, padding_idx=config.pad_token_id)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, width)
        if hasattr(config, "type_vocab_size"):
            self.token_type_embeddings = nn.Embedding(config.type_vocab_size, width)
        self.LayerNorm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def positions(self, given: Tensor) -> Tensor:
        """Return the position ids of a batch of ids (B, S) or embeddings (B, S, E): (1, S) or (B, S)."""
        return torch.arange(given.shape[1], device=given.device)[None] + self.first_position

    def forward(
        self,
        input_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
    ) -> Tensor:
        """Embed ids (B, S) or (T,); what is left out is as in `TextModel.forward`."""
        words = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        if position_ids is None:
            position_ids = self.positions(words if input_ids is None else input_ids)
        embeddings = words
        if hasattr(self, "token_type_embeddings"):
            if token_type_ids is None:
                token_type_ids = position_ids.new_zeros(()).expand(words.shape[:-1])
            embeddings = words + self.token_type_embeddings(token_type_ids)
        return self.dropout(self.LayerNorm(embeddings + self.position_embeddings(position_ids)))


class FirstTokenHead(nn.Module):
    """A classifier with a layer of its own on the first token, for models without a pooler.

    A subclass says what stands between its two layers in `activation_class`.

    Args:
        config: sizes; `classifier_dropout`, or else `hidden_dropout_prob`.
    """

    activation_class: type[nn.Module]

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout = Dropout(classifier_dropout(config))
        self.out_proj = nn.Linear(config.hidden_size, config.num_labels)
        self.activation = self.activation_class()

    def forward(self, features: Tensor) -> Tensor:
        """(B, S, D), or the first tokens (B, D) alone, to logits (B, num_labels)."""
        hidden = self.activation(self.dense(self.dropout(first_token(features))))
        return self.out_proj(self.dropout(hidden))


class Pooler(nn.Module):
    """Dense layer and tanh on the first token."""

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(B, S, D), or the first tokens (B, D) alone, to (B, D)."""
        return torch.tanh(self.dense(first_token(hidden_states)))


def first_token(hidden_states: Tensor) -> Tensor:
    """(B, S, D) -> (B, D), what stands in the first place of each row; (B, D) as it is."""
    return hidden_states[:, 0] if hidden_states.dim() == 3 else hidden_states


def classifier_dropout(config: PretrainedConfig) -> float:
    """The rate of the dropout before a classifier."""
    rate: float | None = getattr(config, "classifier_dropout", None)
    return config.hidden_dropout_prob if rate is None else rate


def is_watched(model: nn.Module) -> bool:
    """Whether somebody looks inside a model: a hook on one of its parts, or a module or a `forward` of their own in it.

    What is put on the model itself (by accelerate, say) does not count: what goes in and comes out is the same. Nor do
    the methods in its slots, which know layouts whoever wrote them.
    """
    parts = [part for part in model._modules.values() if part is not None]
    while parts:  # this runs at every forward pass
        part = parts.pop()
        if is_hooked(part):
            return True
        if type(part) is MethodSites:
            if any(map(is_hooked, part.modules())):
                return True
        elif _is_known(type(part)):  # type: ignore[arg-type]
            parts += [child for child in part._modules.values() if child is not None]
        else:
            return True
    return False


@cache
def _is_known(kind: Any) -> bool:
    return kind.__module__.startswith((__package__, "torch."))


def classification_loss(logits: Tensor, labels: Tensor, config: PretrainedConfig) -> Tensor:
    """Compute the mean loss of a batch, in at least single precision.

    Args:
        logits: (B, num_labels).
        labels: floats of the shape of logits (or (B,) if num_labels is 1) for regression; ints (B,) for one label of
            several, -100 where there is none; 0/1 (B, num_labels) for several labels at once.
        config: `problem_type` chooses mean squared error, cross-entropy or binary cross-entropy. Where it is None, one
            label means regression, integer labels cross-entropy and others binary cross-entropy; the choice is stored
            there, as Hugging Face's models do.

    Returns:
        A scalar.

    Raises:
        ConfigurationError: `problem_type` is unknown.
    """
    if config.problem_type is None:
        if config.num_labels == 1:
            config.problem_type = "regression"
        else:
            one_of_several = labels.dtype in (torch.int32, torch.int64)
            config.problem_type = f"{'single' if one_of_several else 'multi'}_label_classification"
    logits = logits if logits.dtype == torch.float64 else logits.float()
    if config.problem_type == "regression":
        return F.mse_loss(logits.squeeze(-1), labels.to(logits.dtype).view_as(logits.squeeze(-1)))
    if config.problem_type == "single_label_classification":
        return F.cross_entropy(logits.view(-1, config.num_labels), labels.view(-1))
    if config.problem_type == "multi_label_classification":
        return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
    raise ConfigurationError(
        f"problem_type {config.problem_type!r} is unknown: expected one of {', '.join(PROBLEM_TYPES)}"
    )
