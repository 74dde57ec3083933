"""Attention within the sequences of a layout.

For every sequence and every head, `attend` computes softmax(scale q k^T) v. Which kernel runs:

- PyTorch's `scaled_dot_product_attention`, group by group, which keeps nothing of the size s x s for the backward pass;
- for packed tokens on a GPU one for sequences of all lengths, see `varlen.py`;
- in training on the CPU, with dropout or up to `SHORT` tokens, a function with a backward pass of its own: PyTorch's
  would go through some forty small operations a group with dropout, and its kernel without is made for long sequences.

Shape letters: T tokens, D width, b sequences of a group, s their length, H heads, K = D / H.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from contranorm import at_least_single

from ..dropout import draws_own_masks, keep_mask
from ..padding import TokenLayout
from .kernel import Kernel
from .varlen import attend_varlen, takes

SHORT = 512  # tokens; longer sequences without dropout keep no matrix of probabilities


def attend(
    query: Tensor, key: Tensor, value: Tensor, layout: TokenLayout, num_heads: int, scale: float, dropout: float = 0.0
) -> Tensor:
    """Return softmax(scale q k^T) v within each sequence and head.

    Args:
        query, key, value: hidden states of this layout, heads side by side.
        layout: which tokens form a sequence; masked tokens are not attended to.
        num_heads: H.
        scale: factor of the products.
        dropout: rate at which probabilities are dropped.

    Returns:
        Hidden states, heads merged.
    """
    if takes(query, layout, num_heads):
        return attend_varlen(query, key, value, layout, num_heads, scale, dropout)
    trains = torch.is_grad_enabled() and (query.requires_grad or key.requires_grad or value.requires_grad)
    if (
        trains
        and runs_eagerly_on_cpu(query)
        and (draws_own_masks(query, dropout) or (not dropout and layout.longest <= SHORT))
    ):
        return _GroupedAttention(layout, num_heads, scale, dropout)(query, key, value)
    if torch._C._are_functorch_transforms_active():  # which PyTorch's own kernels for the CPU cannot take
        return attend_visibly(query, key, value, layout, num_heads, scale, partial(F.dropout, p=dropout))[0]
    parts = (_split_heads(layout, tensor, num_heads) for tensor in (query, key, value))
    contexts = [
        F.scaled_dot_product_attention(q, k, v, group.bias(q.dtype), dropout, scale=scale)
        for q, k, v, group in zip(*parts, layout.groups, strict=True)
    ]
    return layout.join([context.transpose(1, 2).flatten(2) for context in contexts])


def attend_visibly(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: TokenLayout,
    num_heads: int,
    scale: float,
    drop: Callable[[Tensor], Tensor],
) -> tuple[Tensor, list[Tensor]]:
    """The same as it is defined, one operation after the other, with the probabilities (b, H, s, s) of each group.

    Args:
        drop: the dropout, applied to the probabilities of one group after the other.
    """
    seen = []
    queries, keys = (_split_heads(layout, tensor, num_heads) for tensor in (query, key))
    for q, k, group in zip(queries, keys, layout.groups, strict=True):
        scores = q @ k.mT * scale
        bias = group.bias(scores.dtype)
        seen.append(drop((scores if bias is None else scores + bias).softmax(dim=-1)))
    return weighted(value, seen, layout, num_heads), seen


def weighted(value: Tensor, probabilities: list[Tensor], layout: TokenLayout, num_heads: int) -> Tensor:
    """Return the means of values, weighted by the probabilities (b, H, s, s) of each group: heads merged."""
    pairs = zip(probabilities, _split_heads(layout, value, num_heads), strict=True)
    return layout.join([(weights @ v).transpose(1, 2).flatten(2) for weights, v in pairs])


def runs_eagerly_on_cpu(tensor: Tensor) -> bool:
    """Whether kernels made for the CPU may be called."""
    return tensor.device.type == "cpu" and runs_eagerly()


def runs_eagerly() -> bool:
    """Whether kernels may be called: not where a graph is traced, nor in torch.func."""
    return (
        not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and not torch._C._are_functorch_transforms_active()
    )


def _split_heads(layout: TokenLayout, tokens: Tensor, num_heads: int) -> list[Tensor]:
    """Hidden states -> (b, H, s, K) for each group, as views."""
    return [block.unflatten(-1, (num_heads, -1)).transpose(1, 2) for block in layout.split(tokens)]


class _GroupedAttention(Kernel):
    """softmax(scale q k^T), with dropout, times v, for training on the CPU.

    In at least single precision, whatever the type of the inputs: the products are small, and half-precision kernels
    for the CPU are made anew for each shape. With P the probabilities, M the dropout's mask times its factor, C the
    result, and dX the gradient of X:

        C = (P M) v    dP = (dC v^T) M    dS = P (dP - rowsum(dP P))    dq = scale dS k    dk = scale dS^T q
    """

    def __init__(self, layout: TokenLayout, num_heads: int, scale: float, dropout: float) -> None:
        self.layout, self.num_heads, self.scale, self.dropout = layout, num_heads, scale, dropout
        self.sizes = [group.count * num_heads * group.length**2 for group in layout.groups]
        self.factor = 1.0

    def compute(self, *inputs: Tensor) -> tuple[Tensor, list[Tensor | None]]:
        keep = None
        if self.dropout:
            keep, self.factor = keep_mask((sum(self.sizes),), self.dropout)
        context, saved = torch.empty_like(inputs[-1]), [keep]
        parts = self._parts(keep, *inputs, context)
        for group, mask, (q, k, v, c) in zip(self.layout.groups, *parts, strict=True):
            q, k, v = (_heads(block, self.num_heads) for block in (q, k, v))
            scores = _product(q, k.transpose(1, 2), self.scale)
            bias = group.bias(scores.dtype)
            if bias is not None:
                scores.unflatten(0, (-1, self.num_heads)).add_(bias)
            probabilities = scores.softmax(-1)
            saved.append(probabilities)
            _set_heads(c, _product(_dropped(probabilities, mask), v, self.factor))
        return context, saved

    def differentiate(self, gradient: Tensor, inputs: Sequence[Tensor], saved: Sequence[Tensor]) -> list[Tensor]:
        gradients = [torch.empty_like(tensor) for tensor in inputs]
        parts = self._parts(saved[0], *inputs, gradient, *gradients)
        for probabilities, mask, (q, k, v, dc, dq, dk, dv) in zip(saved[1:], *parts, strict=True):
            q, k, v, dc = (_heads(block, self.num_heads) for block in (q, k, v, dc))
            dp = _dropped(_product(dc, v.transpose(1, 2)), mask)
            ds = torch._softmax_backward_data(dp, probabilities, -1, probabilities.dtype)
            _set_heads(dq, _product(ds, k, self.scale * self.factor))
            _set_heads(dk, _product(ds.transpose(1, 2), q, self.scale * self.factor))
            _set_heads(dv, _product(_dropped(probabilities, mask).transpose(1, 2), dc, self.factor))
        return gradients

    def define(self, inputs: Sequence[Tensor], saved: Sequence[Tensor]) -> Tensor:
        masks = iter(self._parts(saved[0])[0])
        drop = lambda probabilities: _dropped(probabilities, next(masks)) * self.factor  # noqa: E731
        query, key, value = inputs
        return attend_visibly(query, key, value, self.layout, self.num_heads, self.scale, drop)[0]

    def _parts(
        self, keep: Tensor | None, *tensors: Tensor
    ) -> tuple[Sequence[Tensor | None], Iterable[tuple[Tensor, ...]]]:
        """The dropout's mask, and the blocks of tensors, of each group."""
        masks = [None] * len(self.sizes) if keep is None else keep.split(self.sizes)
        return masks, zip(*(self.layout.split(tensor) for tensor in tensors), strict=True)


def _dropped(probabilities: Tensor, keep: Tensor | None) -> Tensor:
    return probabilities if keep is None else probabilities * keep.view_as(probabilities)


def _product(left: Tensor, right: Tensor, factor: float = 1.0) -> Tensor:
    """factor * left @ right, in one pass."""
    return torch.baddbmm(left.new_empty(()), left, right, beta=0, alpha=factor)


def _heads(block: Tensor, num_heads: int) -> Tensor:
    """(b, s, D) -> (b * H, s, K), contiguous, in at least single precision."""
    heads = block.unflatten(-1, (num_heads, -1)).transpose(1, 2).flatten(0, 1)
    return at_least_single(heads)


def _set_heads(block: Tensor, heads: Tensor) -> None:
    """Write (b * H, s, K) into `block` (b, s, D)."""
    count, (_, length, head_width) = block.shape[0], heads.shape
    block.view(count, length, -1, head_width).copy_(heads.view(count, -1, length, head_width).transpose(1, 2))
