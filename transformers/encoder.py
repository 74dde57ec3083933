"""Running tokens through a stack of layers, for BERT and ALBERT alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .padding import TokenLayout


class EncoderOutput(NamedTuple):
    """What a stack of layers made of its tokens.

    Attributes:
        tokens: (T, D), flat; (B, D) if only the first token of each sequence was wanted.
        hidden_states: padded (B, S, D) before the first and after every layer, or None.
        attentions: (B, H, S, S) of every layer, or None.
    """

    tokens: Tensor
    hidden_states: tuple[Tensor, ...] | None
    attentions: tuple[Tensor, ...] | None


def run_layers(
    layers: Iterable[nn.Module],
    tokens: Tensor,
    layout: TokenLayout,
    output_attentions: bool = False,
    output_hidden_states: bool = False,
    first_only: bool = False,
    gradient_checkpointing: bool = False,
) -> EncoderOutput:
    """Apply layers one after the other and collect what was asked for on the way.

    Args:
        layers: each maps (tokens (T, D), layout, output_attentions, first_only) to tokens and attention probabilities
            (or None).
        tokens: (T, D).
        layout: the geometry of the batch; a padded one if attentions are wanted.
        first_only: only the first token of each sequence will be read, so the last layer computes no more than that.
        gradient_checkpointing: keep no activations inside the layers; the backward pass computes them again.
    """
    hidden_states = [layout.restore(tokens)] if output_hidden_states else []
    attentions = []
    stack = list(layers)
    for number, layer in enumerate(stack, start=1):
        inputs = (tokens, layout, output_attentions, first_only and number == len(stack))
        tokens, probabilities = (
            checkpoint(layer, *inputs, use_reentrant=False) if gradient_checkpointing else layer(*inputs)
        )
        if output_hidden_states:
            hidden_states.append(layout.restore(tokens))
        if output_attentions:
            attentions.append(probabilities)
    return EncoderOutput(
        tokens,
        tuple(hidden_states) if output_hidden_states else None,
        tuple(attentions) if output_attentions else None,
    )
