"""Padding-free execution: the geometry of one batch, computed once and handed down through the model.

Half of a GLUE batch is padding. The models therefore keep their hidden states as a flat tensor (T, D) of tokens instead
of (B, S, D), and everything that treats tokens one by one (linear layers, LayerNorm, dropout, activations) never asks
how long a sequence is. Only attention and ContraNorm look at whole sequences; they take them from a `TokenLayout`, as
groups of sequences of one length, each group a view of the flat tensor.

Two layouts exist, and the same code runs on both:

- unpadded: the real tokens only, T of them, sequences sorted by length so that every group is contiguous and needs no
  mask;
- padded: all B * S places in their order, one group with a mask. The released code's treatment of padding, attention
  maps and compiled graphs (fixed shapes) need it.

Shape letters: B batch, S padded length, T tokens kept, D width, b sequences of a group, s their length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, groupby

import torch
from torch import Tensor


@dataclass(frozen=True)
class SequenceGroup:
    """Sequences of one length that stand one after the other in the flat tensor.

    Attributes:
        count: number of sequences, b.
        length: tokens of each sequence, s.
        mask: bool tensor (b, s), True at real tokens; None when every token is real.
    """

    count: int
    length: int
    mask: Tensor | None = None


@dataclass(frozen=True)
class TokenLayout:
    """Where the tokens of one batch are in the flat tensor, and how to come back from it.

    Attributes:
        batch_size: number of sequences, B; those without any token count too.
        width: padded length, S.
        groups: the sequences, group by group, in the order of the flat tensor.
        first_tokens: int64 tensor (B,), place of each sequence's first token in the flat tensor.
        positions: int64 tensor (T,), place of each flat token in the padded batch, counted row by row; None when the
            flat tensor is the padded batch itself.
        filler: bool tensor (B * S,) for a padded batch, True at padding that callers see as zeros; None where there is
            none.
        empty: bool tensor (B,), True for sequences without any real token; None when there are none.
    """

    batch_size: int
    width: int
    groups: tuple[SequenceGroup, ...]
    first_tokens: Tensor
    positions: Tensor | None = None
    filler: Tensor | None = None
    empty: Tensor | None = None

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence."""
        return max(group.length for group in self.groups)

    @cached_property
    def offsets(self) -> Tensor:
        """Where each sequence begins in the flat tensor, and where the last one ends: int64 (sequences + 1,)."""
        lengths = [group.length for group in self.groups for _ in range(group.count)]
        return torch.tensor([0, *accumulate(lengths)]).to(self.first_tokens.device, non_blocking=True)

    def flatten(self, padded: Tensor) -> Tensor:
        """Take the kept tokens out of `padded` (B, S) or (B, S, D); rows may be shared by expansion. Returns (T,) or
        (T, D).
        """
        flat = padded.expand(self.batch_size, self.width, *padded.shape[2:]).flatten(0, 1)
        return flat if self.positions is None else flat.index_select(0, self.positions)

    def restore(self, tokens: Tensor) -> Tensor:
        """Put `tokens` (T, D) back into their padded places; padding is zero. Returns (B, S, D)."""
        if self.positions is not None:
            padded = tokens.new_zeros(self.batch_size * self.width, tokens.shape[-1])
            tokens = padded.index_copy(0, self.positions, tokens)
        elif self.filler is not None:
            tokens = tokens.masked_fill(self.filler[:, None], 0.0)
        return tokens.view(self.batch_size, self.width, tokens.shape[-1])

    def select_first(self, tokens: Tensor) -> Tensor:
        """Return each sequence's first token of `tokens` (T, D), zeros for an empty sequence, as (B, D)."""
        if self.empty is None:
            return tokens.index_select(0, self.first_tokens)
        # One zero row behind the tokens, for the sequences that have none.
        tokens = torch.cat([tokens, tokens.new_zeros(1, tokens.shape[-1])])
        return tokens.index_select(0, self.first_tokens.masked_fill(self.empty, tokens.shape[0] - 1))

    def of_first_tokens(self) -> TokenLayout:
        """Return the layout of what `select_first` returns: B sequences of one token."""
        first_tokens = torch.arange(self.batch_size, device=self.first_tokens.device)
        return TokenLayout(self.batch_size, 1, (SequenceGroup(self.batch_size, 1),), first_tokens, empty=self.empty)

    def without_masks(self) -> TokenLayout:
        """Return the layout in which padding counts like any token."""
        return replace(self, groups=tuple(replace(group, mask=None) for group in self.groups))

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
        return self.join([function(block, group.mask) for block, group in blocks]).view_as(tokens)

    def split(self, tokens: Tensor) -> list[Tensor]:
        """Return the groups' parts of `tokens` (T, D) as views (b, s, D), in the order of `groups`."""
        # One split and not a slice a group: its gradient is one concatenation, a slice's is a tensor of zeros each.
        parts = tokens.split([group.count * group.length for group in self.groups])
        return [part.unflatten(0, (group.count, group.length)) for part, group in zip(parts, self.groups, strict=True)]

    def join(self, blocks: list[Tensor]) -> Tensor:
        """Lay the groups' results (b, s, D), given in the order of `groups`, one after the other as (T, D)."""
        flat = [block.flatten(0, 1) for block in blocks]
        return flat[0] if len(flat) == 1 else torch.cat(flat)


def unpadded_layout(attention_mask: Tensor, device: torch.device | None = None) -> TokenLayout:
    """Lay out the real tokens of a batch, wherever in its row each of them stands.

    Args:
        attention_mask: (B, S), non-zero at real tokens. The layout is computed where the mask is: one on the CPU spares
            a GPU the wait for how many tokens there are.
        device: where the indices go; None leaves them where the mask is.

    Returns:
        The layout without any padding; the padded one when every token is real (then without a mask) or none is.
    """
    batch_size, width = attention_mask.shape
    device = attention_mask.device if device is None else device
    real = attention_mask != 0
    lengths = real.sum(dim=1)
    lengths_in_order, order = lengths.sort(stable=True)
    sizes = lengths_in_order.tolist()
    if not sizes or sizes[0] == width:
        return padded_layout(batch_size, width, device)
    if sizes[-1] == 0:
        return padded_layout(batch_size, width, device, attention_mask)
    row, column = real[order].nonzero(as_tuple=True)
    ends = lengths_in_order.cumsum(0)
    groups = [SequenceGroup(len(list(members)), length) for length, members in groupby(sizes) if length]
    first_tokens = torch.empty_like(order).scatter_(0, order, ends - lengths_in_order)
    return TokenLayout(
        batch_size=batch_size,
        width=width,
        groups=tuple(groups),
        first_tokens=first_tokens.to(device, non_blocking=True),
        positions=(order[row] * width + column).to(device, non_blocking=True),
        empty=(lengths == 0).to(device, non_blocking=True) if sizes[0] == 0 else None,
    )


def padded_layout(
    batch_size: int,
    width: int,
    device: torch.device,
    attention_mask: Tensor | None = None,
    keep_padding: bool = False,
) -> TokenLayout:
    """Lay out a batch as it is, padding included.

    Args:
        batch_size: number of sequences, B.
        width: padded length, S.
        device: where the indices go.
        attention_mask: (B, S), non-zero at real tokens; None when all are.
        keep_padding: treat padding as the released code does: callers see its hidden states, and a row's first place is
            read even if it is padding. Otherwise padding comes back as zeros, and the first real token is read.

    Returns:
        A layout of one group, whose mask is `attention_mask`. Nothing is fetched from the device.
    """
    first_tokens = torch.arange(batch_size, device=device) * width
    if attention_mask is None:
        return TokenLayout(batch_size, width, (SequenceGroup(batch_size, width),), first_tokens)
    real = attention_mask.to(device, non_blocking=True) != 0
    groups = (SequenceGroup(batch_size, width, real),)
    if keep_padding:
        return TokenLayout(batch_size, width, groups, first_tokens)
    return TokenLayout(
        batch_size=batch_size,
        width=width,
        groups=groups,
        first_tokens=first_tokens + real.int().argmax(dim=1),
        filler=~real.flatten(),
        empty=~real.any(dim=1),
    )


def layout_of_batch(
    shape: tuple[int, int],
    attention_mask: Tensor | None,
    device: torch.device,
    *,
    keep_padding: bool,
    unpad: bool,
) -> TokenLayout:
    """Choose the layout of a batch: unpadded where that is possible, for it is the same function and cheaper.

    Args:
        shape: (B, S) of the batch.
        attention_mask: (B, S), non-zero at real tokens; None when all are. Best on the CPU, see `unpadded_layout`.
        device: where the model runs.
        keep_padding: see `padded_layout`; padding is then computed with, and nothing is left out.
        unpad: leave padding out.

    Raises:
        ValueError: the mask's shape is not (B, S).
    """
    if attention_mask is None:
        return padded_layout(*shape, device)
    if tuple(attention_mask.shape) != tuple(shape):
        raise ValueError(
            f"attention_mask has shape {tuple(attention_mask.shape)}, but the batch is {tuple(shape)}: expected one "
            "entry a token, non-zero at real tokens (masks of two tokens at a time are not supported)"
        )
    # A compiled graph wants shapes that do not depend on the data.
    if unpad and not keep_padding and not torch.compiler.is_compiling():
        return unpadded_layout(attention_mask, device)
    return padded_layout(*shape, device, attention_mask, keep_padding)
