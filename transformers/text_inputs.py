"""What a BERT-like model is given, checked and laid out: the step between a forward's arguments and the embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .padding import TokenLayout, layout_of_batch

if TYPE_CHECKING:
    from .configuration_utils import PretrainedConfig


@dataclass(frozen=True)
class TextInputs:
    """The tokens of one batch, flat, and where they stand.

    Attributes:
        layout: the geometry of the batch.
        input_ids: int64 (T,), or None if embeddings were given.
        inputs_embeds: (T, E), or None if ids were given.
        token_type_ids: int64 (T,).
        position_ids: int64 (T,).
    """

    layout: TokenLayout
    input_ids: Tensor | None
    inputs_embeds: Tensor | None
    token_type_ids: Tensor
    position_ids: Tensor


def prepare_text_inputs(
    config: PretrainedConfig,
    input_ids: Tensor | None,
    attention_mask: Tensor | None,
    token_type_ids: Tensor | None,
    position_ids: Tensor | None,
    inputs_embeds: Tensor | None,
    output_attentions: bool,
) -> TextInputs:
    """Check a model's inputs against each other, fill in defaults and leave padding out where that is possible.

    Args:
        config: max_position_embeddings, contranorm_padding and unpad_inputs are read.
        input_ids, attention_mask, token_type_ids: (B, S) or None.
        position_ids: (B, S), (1, S) or None.
        inputs_embeds: (B, S, E) or None.
        output_attentions: attention maps are wanted, whose shape includes padding.

    Raises:
        ValueError: neither or both of input_ids and inputs_embeds, shapes that disagree, or S above
            `max_position_embeddings`.
    """
    given = input_ids if inputs_embeds is None else inputs_embeds
    if given is None or (input_ids is not None and inputs_embeds is not None):
        raise ValueError("give either input_ids or inputs_embeds: exactly one of them")
    if given.dim() != (2 if inputs_embeds is None else 3):
        name, wanted = ("input_ids", "(B, S)") if inputs_embeds is None else ("inputs_embeds", "(B, S, E)")
        raise ValueError(f"{name} has shape {tuple(given.shape)}, expected {wanted}")
    batch_size, width = given.shape[:2]
    if width > config.max_position_embeddings and position_ids is None:
        raise ValueError(
            f"sequences of {width} tokens, but the model has {config.max_position_embeddings} positions: truncate the "
            "input (max_length of the tokenizer)"
        )
    for name, ids in (("token_type_ids", token_type_ids), ("position_ids", position_ids)):
        if ids is not None and (ids.dim() != 2 or ids.shape[1] != width or ids.shape[0] not in (1, batch_size)):
            raise ValueError(f"{name} has shape {tuple(ids.shape)}, but the batch is {(batch_size, width)}")
    if token_type_ids is None:
        token_type_ids = torch.zeros(1, 1, dtype=torch.long, device=given.device).expand(1, width)
    if position_ids is None:
        position_ids = torch.arange(width, device=given.device)[None]
    layout = layout_of_batch(
        (batch_size, width),
        attention_mask,
        given.device,
        keep_padding=config.contranorm_padding == "include",
        unpad=config.unpad_inputs and not output_attentions,
    )
    return TextInputs(
        layout=layout,
        input_ids=None if input_ids is None else layout.flatten(input_ids),
        inputs_embeds=None if inputs_embeds is None else layout.flatten(inputs_embeds),
        token_type_ids=layout.flatten(token_type_ids),
        position_ids=layout.flatten(position_ids),
    )
