"""ContraNorm on the CPU: the layer's gradient as one formula instead of one operation after the other.

With tokens x of a sequence, R the diagonal matrix of 1 / ||x||, cosines N = R x x^T R, P = softmax(N / tau),
c = 1 + scale with the identity, else 1, and * for products element by element,

    y = c x - scale P x

and with G the gradient of y, the gradient of x is

    dx = c G - scale (P^T G + R (E - diag(rowsum(E * N))) R x / tau)
    E = dS + dS^T
    dS = P * (G x^T - rowsum(P * G x^T))

Queries, keys and values are one tensor, which spares one matrix product of four and nearly all sweeps over the tokens.
Up to `SHORT` tokens N and P are kept for the backward pass. Beyond, ContraNorm is computed as the attention that it
looks like, with the directions as queries and keys and the tokens as values: PyTorch's kernel for it keeps nothing of
the size s x s.

Everything is computed in at least single precision. A token shorter than 1e-12 has N = 0 and no gradient through it.

Shape letters: T tokens, D width, b sequences of a group, s their length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor

from contranorm import ContraNorm, ContraNormV2, at_least_single, directions

from ..padding import SequenceGroup, TokenLayout
from ..utils import logging
from .attention import SHORT, attend, gradients_of, mask_bias, runs_eagerly_on_cpu

logger = logging.get_logger(__name__)

Kernel = Callable[[Tensor, TokenLayout, Any], Tensor]


def fast_kernel(layer: Any, tokens: Tensor, layout: TokenLayout) -> Kernel | None:
    """Return a kernel that computes what `layer` defines, if there is one for exactly this layer and these tokens.

    A subclass has none, nor has a layer with a hook or with a method of its own; and where the definition in
    `contranorm/` has been changed, so that a kernel gives another result, none is used from then on.

    Args:
        layer: a layer over padded sequences.
        tokens: hidden states of the layout.
    """
    kind: Any = type(layer)
    if kind not in _KERNELS or not runs_eagerly_on_cpu(tokens):
        return None
    if layer._forward_hooks or layer._forward_pre_hooks or not vars(layer).keys().isdisjoint(_DEFINITION):
        return None
    return _KERNELS[kind] if _agree(kind, tuple(getattr(kind, name) for name in _DEFINITION)) else None


def contranorm(tokens: Tensor, layout: TokenLayout, layer: ContraNorm) -> Tensor:
    """`ContraNorm`, in the way that suits the length of the sequences."""
    if layout.longest <= SHORT:
        return _Kernel.apply(tokens, layout, layer, _tokens_apart, _gradient_of_tokens_apart)
    with torch.autocast("cpu", enabled=False):
        x = at_least_single(tokens)
        n = directions(x)
        return layer.push(x, attend(n, n, x, layout, num_heads=1, scale=1 / layer.tau)).to(tokens.dtype)


def contranorm_v2(tokens: Tensor, layout: TokenLayout, layer: ContraNorm) -> Tensor:
    """`ContraNormV2`: c x - scale x P, with P = softmax(n^T n / tau) (D, D) for each sequence.

    One sequence at a time, so that its matrices stay in the processor's cache; P is made again for the backward pass.
    The gradient is c G - scale (G P^T + N(n (dS + dS^T) / tau)), where N is that of the directions n.
    """
    return _Kernel.apply(tokens, layout, layer, _features_apart, _gradient_of_features_apart)


_KERNELS: dict[type, Kernel] = {ContraNorm: contranorm, ContraNormV2: contranorm_v2}
_DEFINITION = ("forward", "weighted_mean", "push")


@cache
def _agree(layer: Any, definition: tuple[Any, ...]) -> bool:
    """Whether the kernels of a layer give what it defines, tried once on four tokens."""
    x = torch.arange(12.0, dtype=torch.float64).view(1, 4, 3).sin()
    layout, example = TokenLayout(1, 4, (SequenceGroup(1, 4),)), layer(0.5, 0.7)
    with torch.no_grad():
        agree = torch.allclose(_KERNELS[layer](x, layout, example), example(x), rtol=1e-10)
    if not agree:
        logger.warning("The definition of %s has been changed: it is used as it is, without kernels", layer.__name__)
    return agree


class _Kernel(torch.autograd.Function):
    """A layer on the tokens (T, D) of a layout by a function of ours, with a gradient by another one."""

    @staticmethod
    def forward(
        ctx: Any,
        tokens: Tensor,
        layout: TokenLayout,
        layer: ContraNorm,
        compute: Callable[..., tuple[Tensor, list[Tensor]]],
        differentiate: Callable[..., Tensor],
    ) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            result, saved = compute(at_least_single(tokens), layout, *_numbers(layer))
        ctx.save_for_backward(tokens, *saved)
        ctx.settings = layout, layer, differentiate
        return result.to(tokens.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        tokens, *saved = ctx.saved_tensors
        layout, layer, differentiate = ctx.settings
        if torch.is_grad_enabled():  # a gradient of this gradient will be wanted: the definition has one
            (found,) = gradients_of(layout.map_sequences(layer, tokens), (tokens,), gradient)
            return found, None, None, None, None
        x, g = at_least_single(tokens), at_least_single(gradient)
        with torch.autocast("cpu", enabled=False):
            found = differentiate(x, g, layout, *_numbers(layer), *saved)
        return found.to(gradient.dtype), None, None, None, None


def _numbers(layer: ContraNorm) -> tuple[float, float, float]:
    """Scale, temperature, and the factor c of the tokens themselves."""
    return layer.scale, layer.tau, 1 + layer.scale if layer.identity else 1.0


def _tokens_apart(x: Tensor, layout: TokenLayout, scale: float, tau: float, c: float) -> tuple[Tensor, list[Tensor]]:
    """c x - scale P x, group by group, and 1 / ||x|| and N and P (b, s, s) of each group, for the gradient.

    The tokens go into matrix products alone; what is done element by element is done to matrices (b, s, s).
    """
    inverse = _inverse_lengths(x)
    result, saved = torch.empty_like(x), [inverse]
    blocks = zip(*(layout.split(tensor) for tensor in (x, inverse, result)), strict=True)
    for group, (x_group, r, y) in zip(layout.groups, blocks, strict=True):
        cosines = (x_group @ x_group.mT).mul_(r).mul_(r.mT)
        scores, bias = cosines / tau, mask_bias(group, cosines.dtype)
        probabilities = (scores if bias is None else scores.add_(bias[:, 0])).softmax(-1)
        torch.baddbmm(y, probabilities, x_group, beta=0, alpha=-scale, out=y)
        saved += [cosines, probabilities]
    return result.add_(x, alpha=c), saved


def _gradient_of_tokens_apart(
    x: Tensor, g: Tensor, layout: TokenLayout, scale: float, tau: float, c: float, inverse: Tensor, *saved: Tensor
) -> Tensor:
    result = torch.empty_like(x)
    blocks = zip(*(layout.split(tensor) for tensor in (x, inverse, g, result)), strict=True)
    for cosines, probabilities, (x_group, r, g_group, dx) in zip(saved[::2], saved[1::2], blocks, strict=True):
        ds = torch._softmax_backward_data(g_group @ x_group.mT, probabilities, -1, probabilities.dtype)
        e = ds + ds.mT
        e.diagonal(dim1=-2, dim2=-1).sub_((e * cosines).sum(-1))
        e.mul_(r / tau).mul_(r.mT)
        torch.baddbmm(dx, probabilities.mT, g_group, beta=0, alpha=-scale, out=dx)
        dx.baddbmm_(e, x_group, alpha=-scale)
    return result.add_(g, alpha=c)


def _features_apart(x: Tensor, layout: TokenLayout, scale: float, tau: float, c: float) -> tuple[Tensor, list[Tensor]]:
    inverse = _inverse_lengths(x)
    for group, block in zip(layout.groups, layout.split(inverse), strict=True):
        if group.mask is not None:
            block.masked_fill_(~group.mask[:, :, None], 0.0)  # as good as of length zero: no influence
    result = torch.empty_like(x)
    sequences = (_sequences(layout, tensor) for tensor in (x, x * inverse, result))
    for x_sequence, n, y in zip(*sequences, strict=True):
        weights = torch.mm(n.T, n).div_(tau).softmax(-1)
        torch.addmm(x_sequence, x_sequence, weights, beta=c, alpha=-scale, out=y)
    return result, [inverse]


def _gradient_of_features_apart(
    x: Tensor, g: Tensor, layout: TokenLayout, scale: float, tau: float, c: float, inverse: Tensor
) -> Tensor:
    n, dn, result = x * inverse, torch.empty_like(x), torch.empty_like(x)
    sequences = (_sequences(layout, tensor) for tensor in (x, n, g, dn, result))
    for x_sequence, n_sequence, g_sequence, dn_sequence, dx in zip(*sequences, strict=True):
        weights = torch.mm(n_sequence.T, n_sequence).div_(tau).softmax(-1)
        ds = torch._softmax_backward_data(torch.mm(x_sequence.T, g_sequence), weights, -1, weights.dtype)
        torch.mm(n_sequence, (ds + ds.T).div_(tau), out=dn_sequence)
        torch.addmm(g_sequence, g_sequence, weights.T, beta=c, alpha=-scale, out=dx)
    dn.addcmul_(n, (n * dn).sum(-1, keepdim=True), value=-1).mul_(inverse)  # from the directions to the tokens
    return result.sub_(dn, alpha=scale)


def _inverse_lengths(tokens: Tensor) -> Tensor:
    """1 / ||x|| of each token, 0 for those shorter than 1e-12: (..., D) -> (..., 1)."""
    lengths = tokens.norm(dim=-1, keepdim=True)
    return lengths.reciprocal().masked_fill_(lengths < 1e-12, 0.0)


def _sequences(layout: TokenLayout, tokens: Tensor) -> Iterator[Tensor]:
    """The sequences (s, D) of `tokens` (T, D), one after the other, as views."""
    return (sequence for block in layout.split(tokens) for sequence in block)


__all__ = ["contranorm", "contranorm_v2", "fast_kernel"]
