"""Dropout that costs next to nothing on the CPU.

PyTorch draws a random number for every element on the CPU, at several times the price of the layer that the dropout
follows. Here one 64-bit number decides about four elements, 16 bits each, and comes from a counter and a few
multiplications (the finalizer of SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
OOPSLA 2014) instead of a sequential generator. A call draws one number from PyTorch's generator, the seed of its
counter: so a run is reproducible from its seed, resumes from PyTorch's state, and recomputes the same mask under
gradient checkpointing.

The rate is rounded to a multiple of 2^-16, and what is kept is scaled by the inverse of the rounded rate, so the mean
is exact. On other devices this is PyTorch's own dropout.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

_LEVELS = 1 << 16
_CHUNK = 1 << 17  # 64-bit numbers at once: a mebibyte, which stays in the cache of a core


class Dropout(nn.Dropout):
    """`nn.Dropout`, with the mask of `keep_mask` on the CPU."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or not draws_own_masks(input, self.p):
            return super().forward(input)
        return _MaskedScale.apply(input, *keep_mask(input.shape, self.p))


def draws_own_masks(tensor: Tensor, p: float) -> bool:
    """Whether dropout of rate `p` on `tensor` goes by `keep_mask`: on the CPU, unless nothing or everything is dropped
    or the graph is compiled.
    """
    return tensor.device.type == "cpu" and 0 < _dropped_levels(p) < _LEVELS and not torch.compiler.is_compiling()


def keep_mask(shape: tuple[int, ...], p: float) -> tuple[Tensor, float]:
    """Draw which elements a dropout keeps.

    Args:
        shape: of the tensor that elements are dropped from.
        p: share to drop, in steps of 2^-16.

    Returns:
        Bool tensor of that shape on the CPU, True at what is kept; and the factor that keeps the mean as it was.
    """
    dropped = _dropped_levels(p)
    keep = torch.empty(shape, dtype=torch.bool)
    flat, seed = keep.view(-1), int(torch.randint(-(2**63), 2**63 - 1, ()))
    for begin in range(0, flat.numel(), 4 * _CHUNK):
        part = flat[begin : begin + 4 * _CHUNK]
        words = _random_words(-(-part.numel() // 4), seed, begin // 4)
        torch.ge(words.view(torch.int16)[: part.numel()], dropped - _LEVELS // 2, out=part)
    return keep, _LEVELS / (_LEVELS - dropped)


def _dropped_levels(p: float) -> int:
    """How many of the 65,536 values of 16 bits mean "drop"."""
    return round(p * _LEVELS)


def _random_words(count: int, seed: int, begin: int) -> Tensor:
    """Return the SplitMix64 numbers `begin` to `begin + count` of `seed`, as int64."""
    z = _multiples()[:count] + _wrapped(seed + begin * _STEP)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        _xor_with_shifted(z, shift)
        z.mul_(_wrapped(factor))
    return _xor_with_shifted(z, 31)


_STEP = 0x9E3779B97F4A7C15


@cache
def _multiples() -> Tensor:
    """The first multiples of SplitMix64's step."""
    return torch.arange(1, _CHUNK + 1).mul_(_wrapped(_STEP))


def _xor_with_shifted(z: Tensor, shift: int) -> Tensor:
    """z ^= z >> shift, without the copies of the sign that a signed shift brings in from the left."""
    return z.bitwise_xor_((z >> shift).bitwise_and_((1 << (64 - shift)) - 1))


def _wrapped(number: int) -> int:
    """`number` modulo 2^64 as a signed 64-bit number."""
    return (number + 2**63) % 2**64 - 2**63


class _MaskedScale(torch.autograd.Function):
    """input * keep * factor; keeps nothing but the mask, a byte an element, for the backward pass."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, keep: Tensor, factor: float) -> Tensor:
        ctx.save_for_backward(keep)
        ctx.factor = factor
        return (input * keep).mul_(factor)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (keep,) = ctx.saved_tensors
        return (grad * keep).mul_(ctx.factor), None, None
