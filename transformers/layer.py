"""The transformer layer of all models here, with its eight sites, and the stack of such layers.

A layer's LayerNorms come after its residual sums ("post-norm", as in BERT). `contranorm_sites.py` draws one layer, with
the sites that this file and `attention.py` have slots for. Hidden states are packed (T, D) or padded (B, S, D), see
`padding.py`; every module called by itself, without a `layout`, takes padded ones.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .configuration_utils import PretrainedConfig
from .contranorm import MethodSites
from .modeling_outputs import BaseModelOutput
from .padding import TokenLayout, call_part, layout_of_module

ATTENTION_END = ("attention_output", "attention_residual", "attention_norm")
FEED_FORWARD_END = ("ffn_output", "ffn_residual", "layer_output")


class BlockEnd(nn.Module):
    """How both blocks of a layer end: [update] + residual, [residual], LayerNorm, [norm].

    Args:
        config: that of the model.
        names: the three sites.
    """

    def __init__(self, config: PretrainedConfig, names: tuple[str, str, str]) -> None:
        super().__init__()
        self.sites = MethodSites(config, *names)
        self.names = names

    def forward(self, update: Tensor, residual: Tensor, norm: nn.Module, layout: TokenLayout | None = None) -> Tensor:
        """Return hidden states.

        Args:
            update: what the block computed.
            residual: what it computed that from.
            norm: the block's LayerNorm, which its owner has under the name of the checkpoint.
            layout: which tokens form a sequence; None counts all of (B, S, D).
        """
        layout = layout or layout_of_module(update, None)
        on_update, on_residual, on_norm = (getattr(self.sites, name) for name in self.names)
        if self.names == ATTENTION_END:
            residual = layout.narrow("context", residual)
        hidden_states = on_residual(on_update(update, layout=layout) + residual, layout=layout)
        return layout.narrow(self.names[-1], on_norm(norm(hidden_states), layout=layout))


class PostNormLayer(nn.Module):
    """One transformer layer, drawn in `contranorm_sites.py`; a model's layer says what its two blocks are made of."""

    attention: nn.Module

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        self.sites = MethodSites(config, "layer_input")

    def attend(
        self, hidden_states: Tensor, layout: TokenLayout, output_attentions: bool
    ) -> tuple[Tensor, Tensor | None]:
        """The first block, up to [attention_norm]: hidden states, and the attention probabilities or None."""
        return call_part(self.attention, hidden_states, layout=layout, output_attentions=output_attentions)

    @abstractmethod
    def feed_forward(self, hidden_states: Tensor, layout: TokenLayout) -> Tensor:
        """The second block, up to [layer_output]."""

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        output_attentions: bool = False,
        layout: TokenLayout | None = None,
    ) -> Tensor | tuple[Tensor, Tensor | None]:
        """Pass hidden states through the layer.

        Args:
            hidden_states: (B, S, D), or of `layout`.
            attention_mask: see `layout_of_module`; not read where there is a layout.
            output_attentions: return the attention probabilities (B, H, S, S) as well; asks for padded hidden states.
            layout: which tokens form a sequence.

        Returns:
            Hidden states; reduced to the first tokens, if the layout says that no others will be read.
        """
        layout = layout or layout_of_module(hidden_states, attention_mask)
        hidden_states = self.sites.layer_input(hidden_states, layout=layout)
        hidden_states, probabilities = self.attend(hidden_states, layout, output_attentions)
        hidden_states = self.feed_forward(hidden_states, layout)
        return (hidden_states, probabilities) if output_attentions else hidden_states


class LayerStack(nn.Module):
    """A stack of layers; a model's encoder says which, and in which order."""

    layer: nn.ModuleList
    gradient_checkpointing = False

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        self.last_sites = config.contranorm_sites

    def layers(self) -> Iterable[nn.Module]:
        """The layers in the order in which tokens pass them; each stands there as often as it is used."""
        return self.layer

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
        return_dict: bool = True,
        layout: TokenLayout | None = None,
        first_only: bool = False,
    ) -> BaseModelOutput | tuple[Tensor, ...]:
        """Apply the layers one after the other, and collect what was asked for on the way.

        Args:
            hidden_states: (B, S, D), or of `layout`.
            attention_mask: see `layout_of_module`; not read where there is a layout.
            output_attentions, output_hidden_states: return them for every layer.
            return_dict: False returns a tuple.
            layout: which tokens form a sequence.
            first_only: only the first token of each sequence will be read, so the last layer computes no more.

        Returns:
            last_hidden_state; hidden_states, (B, S, D) before the first and after every layer, and attentions,
            (B, H, S, S) of every layer, if asked for.
        """
        layout = layout or layout_of_module(hidden_states, attention_mask)
        checkpointing = self.gradient_checkpointing and self.training
        states: list[Tensor] = []
        attentions: list[Any] = []
        stack = list(self.layers())
        for number, layer in enumerate(stack, start=1):
            if output_hidden_states:
                hidden_states = _collect(states, hidden_states, layout)
            if number == len(stack):
                layout = replace(layout.reading_first(self.last_sites) if first_only else layout, is_last=True)
            call = partial(call_part, layer, layout=layout, output_attentions=output_attentions)
            result = checkpoint(call, hidden_states, use_reentrant=False) if checkpointing else call(hidden_states)
            hidden_states, probabilities = result
            attentions.append(probabilities)
        if output_hidden_states:
            hidden_states = _collect(states, hidden_states, layout)
        output = BaseModelOutput(
            last_hidden_state=hidden_states,
            hidden_states=tuple(states) if output_hidden_states else None,
            attentions=tuple(attentions) if output_attentions else None,
        )
        return output if return_dict else output.to_tuple()


def _collect(states: list[Tensor], hidden_states: Tensor, layout: TokenLayout) -> Tensor:
    """Keep hidden states as a caller sees them. Padded ones go on as they were kept: a gradient reaches them."""
    states.append(layout.restore(hidden_states))
    return hidden_states if layout.packed else states[-1]
