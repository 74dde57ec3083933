"""The layout of a batch: where the tokens of each sequence are, computed once and handed down through the model.

Half of a GLUE batch is padding. Hidden states come in one of two forms, and the same modules run on both:

- packed, (T, D): the real tokens only, T of them, sequences sorted by length. Everything that treats tokens one by one
  (linear layers, LayerNorm, dropout, activations) never asks how long a sequence is. What the CPU computes with, and a
  GPU if it is asked to: see `varlen_layout`.
- padded, (B, S, D): all places in their order, with a mask. For who looks inside a model, for compiled graphs (fixed
  shapes), for the released code's treatment of padding, and for devices to which tokens are nearly free.

Only attention and methods against oversmoothing look at whole sequences; they take them from a `TokenLayout`, as groups
of sequences of one length, each group a view of the hidden states, or in a varlen layout one padded copy of them.

Shape letters: B batch, S padded length, T tokens kept, D width, b sequences of a group, s their length.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import accumulate, groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module


@dataclass(frozen=True)
class SequenceGroup:
    """Sequences of one length that stand one after the other in the hidden states.

    Attributes:
        count: number of sequences, b.
        length: tokens of each sequence, s.
        mask: bool tensor (b, s), True at real tokens; None when every token is real.
    """

    count: int
    length: int
    mask: Tensor | None = None
    _biases: dict[torch.dtype, Tensor] = field(default_factory=dict, init=False, repr=False, compare=False)

    def bias(self, dtype: torch.dtype) -> Tensor | None:
        """Return what is added to products of queries and keys, (b, 1, 1, s): 0 at real tokens; at padding the lowest
        finite number, never -inf, so that a row without any real token stays finite. None where all tokens are real.

        It is made once for all layers, but for compiled ones, which are compiled once for all layers.
        """
        if self.mask is None:
            return None
        if torch.compiler.is_compiling():
            return self._bias(self.mask, dtype)
        if dtype not in self._biases:
            self._biases[dtype] = self._bias(self.mask, dtype)
        return self._biases[dtype]

    @staticmethod
    def _bias(mask: Tensor, dtype: torch.dtype) -> Tensor:
        bias = torch.zeros(mask.shape, dtype=dtype, device=mask.device)
        return bias.masked_fill(~mask, torch.finfo(dtype).min)[:, None, None, :]


@dataclass(frozen=True)
class TokenLayout:
    """Where the tokens of one batch are in the hidden states.

    Attributes:
        batch_size: number of sequences, B; those without any token count too.
        width: padded length, S.
        groups: the sequences, group by group, in the order of the hidden states.
        packed: whether hidden states are (T, D); else they are (B, S, D), one group.
        first_tokens: int64 tensor (B,), the place of each sequence's first token in (T, D); None if they are padded.
        columns: int64 tensor (B,), its column in (B, S, D); None if that is column 0.
        positions: int64 tensor (T,), place of each packed token in the padded batch, counted row by row; None when
            every token is real.
        filler: bool tensor (B, S), True at padding, which callers of a model see as zeros; None where there is none.
        empty: bool tensor (B,), True for sequences without any real token; None when there are none.
        cu_seqlens: int32 tensor, where each sequence of (T, D) begins, and where the last one ends; of varlen layouts
            alone.
        max_seqlen: the length of the longest of these.
        is_last: whether the layer that runs is the model's last one.
        narrow_at: the site behind which only first tokens are computed, see `reading_first`.
        memory: what layers of one forward pass remember for later ones, by name.
    """

    batch_size: int
    width: int
    groups: tuple[SequenceGroup, ...]
    packed: bool = False
    first_tokens: Tensor | None = None
    columns: Tensor | None = None
    positions: Tensor | None = None
    filler: Tensor | None = None
    empty: Tensor | None = None
    cu_seqlens: Tensor | None = None
    max_seqlen: int = 0
    is_last: bool = False
    narrow_at: str | None = None
    memory: dict[str, Tensor] = field(default_factory=dict, compare=False)

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence."""
        return max(group.length for group in self.groups)

    def flatten(self, padded: Tensor) -> Tensor:
        """Bring a padded tensor (B, S) or (B, S, D), rows possibly shared by expansion, into this layout's form."""
        padded = padded.expand(self.batch_size, self.width, *padded.shape[2:])
        if not self.packed:
            return padded
        flat = padded.flatten(0, 1)
        return flat if self.positions is None else flat.index_select(0, self.positions)

    def restore(self, tokens: Tensor) -> Tensor:
        """Return hidden states as (B, S, D), with zeros at padding."""
        if self.positions is not None:
            places = tokens.new_zeros(self.batch_size * self.width, tokens.shape[-1])
            tokens = places.index_copy(0, self.positions, tokens)
        if self.filler is not None:
            tokens = tokens.masked_fill(self.filler[:, :, None], 0.0)
        return tokens.view(self.batch_size, self.width, -1)

    def select_first(self, tokens: Tensor) -> Tensor:
        """Return each sequence's first token, zeros for an empty sequence: (T, D) -> (B, D), (B, S, D) -> (B, 1, D)."""
        if self.first_tokens is None:
            return self.first_of_padded(tokens)
        if self.empty is None:
            return tokens.index_select(0, self.first_tokens)
        # One zero row behind the tokens, for the sequences that have none.
        tokens = torch.cat([tokens, tokens.new_zeros(1, tokens.shape[-1])])
        return tokens.index_select(0, self.first_tokens.masked_fill(self.empty, tokens.shape[0] - 1))

    def first_of_padded(self, tokens: Tensor) -> Tensor:
        """Return each sequence's first token of what `restore` returned: (B, S, D) -> (B, 1, D)."""
        if self.columns is None:
            return tokens[:, :1]
        first = tokens.gather(1, self.columns[:, None, None].expand(-1, 1, tokens.shape[-1]))
        return first if self.empty is None else first.masked_fill(self.empty[:, None, None], 0.0)

    def reading_first(self, sites: tuple[str, ...]) -> TokenLayout:
        """Return the layout for a layer of which only each sequence's first token will be read.

        Args:
            sites: those of the layer that look at whole sequences, in its order.
        """
        later = [site for site in sites if site not in ("layer_input", "context")]
        behind_attention = set(later) <= {"attention_output", "attention_residual", "attention_norm"}
        narrow_at = "context" if not later else "attention_norm" if behind_attention else "layer_output"
        return replace(self, narrow_at=narrow_at)

    def narrow(self, site: str, tokens: Tensor) -> Tensor:
        """Reduce hidden states to each sequence's first token, if this is the site behind which no more is needed."""
        return self.select_first(tokens) if site == self.narrow_at else tokens

    def without_masks(self) -> TokenLayout:
        """Return the layout in which padding counts like any token."""
        return replace(self, groups=tuple(replace(group, mask=None) for group in self.groups))

    def restored(self) -> TokenLayout:
        """Return the layout of what `restore` makes of packed tokens."""
        return TokenLayout(self.batch_size, self.width, self.groups)

    def mean(self, tokens: Tensor) -> Tensor:
        """Return at each token the mean of its sequence's real tokens, in the shape of `tokens`."""

        def mean_of(x: Tensor, mask: Tensor | None) -> Tensor:
            weights = torch.ones_like(x[..., :1]) if mask is None else mask[..., None].to(x.dtype)
            return ((x * weights).sum(1, keepdim=True) / weights.sum(1, keepdim=True).clamp_min(1)).expand_as(x)

        return self.map_sequences(mean_of, tokens)

    def map_sequences(self, function: Callable[[Tensor, Tensor | None], Tensor], tokens: Tensor) -> Tensor:
        """Apply a function to the sequences of every group.

        Args:
            function: maps tokens (b, s, D) and a mask (b, s), True at those that count, or None where all do, to tokens
                of the same shape.
            tokens: those of this layout.

        Returns:
            Tensor of the shape of `tokens`.
        """
        blocks = zip(self.split(tokens), self.groups, strict=True)
        return self.join([function(block, group.mask) for block, group in blocks])

    def split(self, tokens: Tensor) -> list[Tensor]:
        """Return the groups' parts of hidden states as views (b, s, D), in the order of `groups`.

        Those of a varlen layout are no view.
        """
        if not self.packed:
            return [tokens]
        if self.cu_seqlens is not None:
            return [self.restore(tokens)]
        # One split and not a slice a group: its gradient is one concatenation, a slice's is a tensor of zeros each.
        parts = tokens.split([group.count * group.length for group in self.groups])
        return [part.unflatten(0, (group.count, group.length)) for part, group in zip(parts, self.groups, strict=True)]

    def join(self, blocks: list[Tensor]) -> Tensor:
        """Put the groups' results (b, s, D), given in the order of `groups`, together to hidden states."""
        if not self.packed:
            return blocks[0]
        if self.cu_seqlens is not None:
            return self.flatten(blocks[0])
        flat = [block.flatten(0, 1) for block in blocks]
        return flat[0] if len(flat) == 1 else torch.cat(flat)


def packed_layout(batch_size: int, width: int, attention_mask: Tensor | None = None) -> TokenLayout:
    """Lay out the real tokens of a batch, wherever in its row each of them stands.

    Args:
        batch_size, width: B and S.
        attention_mask: (B, S), non-zero at real tokens; None when all are.

    Returns:
        The layout without any padding; the padded one when no token is real.
    """
    if attention_mask is None:
        first_tokens = torch.arange(batch_size) * width
        return TokenLayout(batch_size, width, (SequenceGroup(batch_size, width),), True, first_tokens)
    real = attention_mask != 0
    lengths = real.sum(dim=1)
    lengths_in_order, order = lengths.sort(stable=True)
    sizes = lengths_in_order.tolist()
    if not sizes or sizes[0] == width:
        return packed_layout(batch_size, width)
    if sizes[-1] == 0:
        return padded_layout(batch_size, width, attention_mask)
    row, column = real[order].nonzero(as_tuple=True)
    ends = lengths_in_order.cumsum(0)
    return TokenLayout(
        batch_size=batch_size,
        width=width,
        groups=tuple(SequenceGroup(len(list(members)), length) for length, members in groupby(sizes) if length),
        packed=True,
        first_tokens=torch.empty_like(order).scatter_(0, order, ends - lengths_in_order),
        columns=real.int().argmax(dim=1),
        positions=order[row] * width + column,
        empty=lengths == 0 if sizes[0] == 0 else None,
    )


def varlen_layout(batch_size: int, width: int, attention_mask: Tensor | None, device: torch.device) -> TokenLayout:
    """Lay out the real tokens of a batch for a kernel that is told where each sequence begins, and takes all at once.

    There is one group, of all sequences with their padding: whatever is no such kernel computes on that.

    Args:
        batch_size, width, attention_mask: as for `packed_layout`. The host reads the mask, and waits for one that is
            not on the CPU.
        device: of the hidden states.
    """
    mask = None if attention_mask is None else attention_mask.cpu()
    layout = packed_layout(batch_size, width, mask)
    if mask is not None and not layout.packed:  # no token is real
        return padded_layout(batch_size, width, mask.to(device, non_blocking=True))

    def moved(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.to(device, non_blocking=True)

    layout = replace(
        layout,
        first_tokens=moved(layout.first_tokens),
        columns=moved(layout.columns),
        positions=moved(layout.positions),
        empty=moved(layout.empty),
    )
    if mask is None or layout.positions is None:  # all tokens are real
        return layout
    lengths = [group.length for group in layout.groups for _ in range(group.count)]
    return replace(
        layout,
        groups=(SequenceGroup(batch_size, width, moved(mask != 0)),),
        cu_seqlens=moved(torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)),
        max_seqlen=lengths[-1],
    )


def padded_layout(
    batch_size: int, width: int, attention_mask: Tensor | None = None, keep_padding: bool = False
) -> TokenLayout:
    """Lay out a batch as it is, padding included.

    Args:
        batch_size, width: B and S.
        attention_mask: (B, S), non-zero at real tokens, where the model runs; None when all are.
        keep_padding: treat padding as the released code does: callers see its hidden states, and a row's first place is
            read even if it is padding. Otherwise padding comes back as zeros, and the first real token is read.

    Returns:
        A layout of one group, whose mask is `attention_mask`. Nothing is fetched from the device.
    """
    if attention_mask is None:
        return TokenLayout(batch_size, width, (SequenceGroup(batch_size, width),))
    real = attention_mask != 0
    groups = (SequenceGroup(batch_size, width, real),)
    if keep_padding:
        return TokenLayout(batch_size, width, groups)
    return TokenLayout(
        batch_size, width, groups, columns=real.int().argmax(dim=1), filler=~real, empty=~real.any(dim=1)
    )


def call_part(part: nn.Module, *inputs: Tensor, layout: TokenLayout, output_attentions: bool | None = None) -> Any:
    """Call a part of a model, which may be somebody's own: a module, or a `forward`, put in the place of ours.

    One that knows no layouts gets what the stock library would hand it: the tensors, and attention and layers a mask.

    Args:
        part: attention, the end of a block, or a layer.
        *inputs: its tensors.
        layout: of the hidden states.
        output_attentions: whether attention or a layer is to return the probabilities; None for the end of a block.

    Returns:
        Hidden states; of attention and layers a pair of them and the probabilities, or None.
    """
    is_ours = type(part).__module__.startswith(__package__) and "forward" not in part.__dict__
    knows_layouts = is_ours or _takes_layout(part)
    if output_attentions is None:
        return part(*inputs, layout=layout) if knows_layouts else part(*inputs)
    if knows_layouts:
        result = part(*inputs, layout=layout, output_attentions=output_attentions)
    else:
        mask = layout.groups[0].mask
        result = part(*inputs, None if mask is None else mask[:, None, None, :])
    return result if isinstance(result, tuple) else (result, None)


def is_hooked(part: nn.Module) -> bool:
    """Whether something waits for a part of a model to be called: a hook, or a `forward` of somebody's own."""
    own = part.__dict__
    hooks = own["_forward_hooks"] or own["_forward_pre_hooks"] or own["_backward_hooks"] or own["_backward_pre_hooks"]
    return bool(hooks) or "forward" in own or bool(torch_module._has_any_global_hook())


def _takes_layout(part: nn.Module) -> bool:
    parameters = inspect.signature(part.forward).parameters.values()
    return any(parameter.name == "layout" or parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)


def mask_of_tokens(attention_mask: Tensor | None) -> Tensor | None:
    """Return the mask (B, S) that a mask for every query (B, S, S) stands for; any other mask as it is.

    Raises:
        ValueError: two real tokens attend to different ones: ContraNorm has no meaning there.
    """
    if attention_mask is None or attention_mask.dim() != 3:
        return attention_mask
    seen = attention_mask != 0
    real = seen.any(dim=1)
    if not torch.equal(seen & real[:, :, None], real[:, None] & real[:, :, None]):
        raise ValueError("attention_mask has other entries for other queries: that is not supported")
    return real.to(attention_mask.dtype)


def layout_of_module(hidden_states: Tensor, attention_mask: Tensor | None) -> TokenLayout:
    """Return the layout for a part of a model that somebody calls by itself.

    Args:
        hidden_states: (B, S, D).
        attention_mask: None when all tokens are real; (B, S), non-zero at real tokens; or what the stock library hands
            its layers, (B, 1, 1 or S, S): bool, True at real tokens, or what is added to attention's scores, 0 there.

    Raises:
        ValueError: the hidden states or the mask have another shape, or it has not the same entries for all queries.
    """
    if hidden_states.dim() != 3:
        raise ValueError(f"hidden states of shape {tuple(hidden_states.shape)} without a layout: expected (B, S, D)")
    batch_size, width = hidden_states.shape[:2]
    if attention_mask is None:
        return padded_layout(batch_size, width)
    mask = attention_mask
    if mask.dim() == 4 and mask.shape[1] == 1:
        if not torch.equal(mask, mask[:, :, :1].expand_as(mask)):
            raise ValueError("attention_mask has other entries for other queries: that is not supported")
        mask = mask[:, 0, 0] if mask.dtype == torch.bool else mask[:, 0, 0] > torch.finfo(mask.dtype).min / 2
    if tuple(mask.shape) != (batch_size, width):
        raise ValueError(
            f"attention_mask has shape {tuple(attention_mask.shape)}: expected {(batch_size, width)} or "
            f"{(batch_size, 1, 1, width)}"
        )
    return padded_layout(batch_size, width, mask)
