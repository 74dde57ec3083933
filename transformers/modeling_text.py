"""What a text encoder and a classifier on top of it do, whatever their layers are: shared by BERT and ALBERT.

Signatures and outputs are those of Hugging Face's `BertModel` and `BertForSequenceClassification`; inside, hidden
states are flat (T, D), see `padding.py`. The models themselves (modules, parameter names, the wiring of a layer) are in
`models/`.
"""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn

from .configuration_utils import PretrainedConfig
from .dropout import Dropout
from .modeling_outputs import BaseModelOutputWithPooling, SequenceClassifierOutput
from .modeling_utils import PreTrainedModel
from .sequence_classification import classification_loss
from .text_inputs import TextInputs, prepare_text_inputs


class TextClassifier(PreTrainedModel):
    """A linear classifier on a text encoder's pooled first token; `base_model` is a `TextModel`."""

    dropout: nn.Module
    classifier: nn.Module

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
    ) -> SequenceClassifierOutput | tuple[Tensor, ...]:
        """Classify every sequence of the batch.

        Args:
            labels: (B,) class ids, (B,) floats for regression, or (B, num_labels) for several labels; None for no loss.
            others: see `TextModel.forward`.

        Returns:
            loss (scalar, if labels were given), logits (B, num_labels), and what was asked for of hidden_states and
            attentions; as a tuple of those present when `return_dict` is False.
        """
        outputs = self.base_model(
            input_ids,
            attention_mask,
            token_type_ids,
            position_ids,
            inputs_embeds,
            output_attentions,
            output_hidden_states,
            return_dict=True,
            output_last_hidden_state=False,
        )
        logits = self.classifier(self.dropout(outputs.pooler_output))
        output = SequenceClassifierOutput(
            loss=None if labels is None else classification_loss(logits, labels, self.config),
            logits=logits,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )
        return_dict = self.config.return_dict if return_dict is None else return_dict
        return output if return_dict else output.to_tuple()


class TextModel(PreTrainedModel):
    """A text encoder: embeddings, a stack of layers, a pooler on the first token (or None)."""

    embeddings: TextEmbeddings
    encoder: nn.Module
    pooler: nn.Module | None

    @abstractmethod
    def pool(self, first_tokens: Tensor) -> Tensor | None:
        """Turn the first tokens (B, D) into what a classifier reads (B, D); None without a pooler."""

    def get_input_embeddings(self) -> nn.Embedding:
        return self.embeddings.word_embeddings

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        self.embeddings.word_embeddings = value

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
        output_last_hidden_state: bool = True,
    ) -> BaseModelOutputWithPooling | tuple[Tensor, ...]:
        """Encode a batch.

        Args:
            input_ids: (B, S) ids; or give `inputs_embeds` (B, S, D) in their place.
            attention_mask: (B, S), non-zero at real tokens; None when all are.
            token_type_ids: (B, S), 0 for the first text and 1 for the second; None for all 0.
            position_ids: (B, S) or (1, S); None counts from 0.
            output_attentions, output_hidden_states: return them for every layer; None as the configuration says.
            return_dict: False returns a tuple; None as the configuration says.
            output_last_hidden_state: False leaves it out, so that the last layer computes only what the pooler reads;
                for who wants nothing but `pooler_output`.

        Returns:
            last_hidden_state (B, S, D), pooler_output (B, D); hidden_states, L + 1 of (B, S, D), and attentions, L of
            (B, H, S, S), if asked for. Padding comes back as zeros, except under `contranorm_padding="include"`.

        Raises:
            ValueError: neither or both of input_ids and inputs_embeds, shapes that disagree, or S above
                `max_position_embeddings`.
        """
        config = self.config
        output_attentions = config.output_attentions if output_attentions is None else output_attentions
        output_hidden_states = config.output_hidden_states if output_hidden_states is None else output_hidden_states
        return_dict = config.return_dict if return_dict is None else return_dict

        inputs = prepare_text_inputs(
            config, input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds, output_attentions
        )
        layout = inputs.layout
        first_only = not (output_last_hidden_state or output_hidden_states or output_attentions)
        encoded = self.encoder(self.embeddings(inputs), layout, output_attentions, output_hidden_states, first_only)
        first_tokens = encoded.tokens if first_only else layout.select_first(encoded.tokens)
        output = BaseModelOutputWithPooling(
            last_hidden_state=layout.restore(encoded.tokens) if output_last_hidden_state else None,
            pooler_output=self.pool(first_tokens),
            hidden_states=encoded.hidden_states,
            attentions=encoded.attentions,
        )
        return output if return_dict else output.to_tuple()


class TextEmbeddings(nn.Module):
    """Sum of word, position and token-type embeddings, normalised, with dropout: TextInputs -> (T, width)."""

    def __init__(self, config: PretrainedConfig, width: int) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, width, padding_idx=config.pad_token_id)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, width)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, width)
        self.LayerNorm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(self, inputs: TextInputs) -> Tensor:
        words = self.word_embeddings(inputs.input_ids) if inputs.inputs_embeds is None else inputs.inputs_embeds
        embeddings = words + self.token_type_embeddings(inputs.token_type_ids)
        embeddings = embeddings + self.position_embeddings(inputs.position_ids)
        return self.dropout(self.LayerNorm(embeddings))
