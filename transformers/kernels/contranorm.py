"""ContraNorm on the CPU: the layer's gradient as one formula instead of one operation after the other.

With tokens x of a sequence, R the diagonal matrix of 1 / ||x||, cosines N = R x x^T R, P = softmax(N / tau),
c = 1 + scale with the identity, else 1, and * for products element by element,

    y = c x - scale P x

and with G the gradient of y, the gradient of x is

    dx = c G - scale (P^T G + R (E - diag(rowsum(E * N))) R x / tau)
    E = dS + dS^T
    dS = P * (G x^T - rowsum(P * G x^T))

Queries, keys and values are one tensor, which spares one matrix product of four and nearly all sweeps over the tokens.
Up to `SHORT` tokens N and P are kept for the backward pass. Beyond, nothing of the size s x s exists
at any time: its rows are made a few at a time, and made again for the backward pass, for which the tokens alone are
kept. That idea is FlashAttention's (Dao et al., NeurIPS 2022); as E is symmetric, one sweep over its rows gives the
whole gradient of a row, and no second buffer has to collect what other rows add to it.

Everything is computed in at least single precision. A token shorter than 1e-12 has N = 0 and no gradient through it.

Shape letters: T tokens, D width, b sequences of a group, s their length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor

from contranorm import ContraNorm, ContraNormV2, at_least_single

from ..padding import SequenceGroup, TokenLayout
from ..utils import logging
from .attention import SHORT, gradients_of, mask_bias, runs_eagerly_on_cpu

logger = logging.get_logger(__name__)

_AT_ONCE = 1 << 17  # similarities: half a mebibyte in single precision

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
    kernels = _KERNELS.get(kind)
    if kernels is None or not runs_eagerly_on_cpu(tokens):
        return None
    if layer._forward_hooks or layer._forward_pre_hooks or not vars(layer).keys().isdisjoint(_DEFINITION):
        return None
    kernel = kernels(layout)
    definition = tuple(getattr(kind, name) for name in _DEFINITION)
    return kernel if kernel is not None and _agree(kind, definition) else None


def _for_tokens(layout: TokenLayout) -> Kernel | None:
    if layout.longest <= SHORT:
        return ShortContraNorm.apply
    return LinearMemoryContraNorm.apply if all(group.mask is None for group in layout.groups) else None


_KERNELS: dict[type, Callable[[TokenLayout], Kernel | None]] = {
    ContraNorm: _for_tokens,
    ContraNormV2: lambda layout: FeatureContraNorm.apply,
}
_DEFINITION = ("forward", "weighted_mean", "push")


@cache
def _agree(layer: Any, definition: tuple[Any, ...]) -> bool:
    """Whether the kernels of a layer give what it defines, tried once on four tokens."""
    x = torch.arange(12.0, dtype=torch.float64).view(1, 4, 3).sin()
    layout, example = TokenLayout(1, 4, (SequenceGroup(1, 4),)), layer(0.5, 0.7)
    with torch.no_grad():
        kernel = _KERNELS[layer](layout)
        agree = kernel is not None and torch.allclose(kernel(x, layout, example), example(x), rtol=1e-10)
    if not agree:
        logger.warning("The definition of %s has been changed: it is used as it is, without kernels", layer.__name__)
    return agree


class ShortContraNorm(torch.autograd.Function):
    """c x - scale P x for tokens (T, D), group by group; N and P (b, s, s) are kept for the backward pass.

    The tokens go into matrix products alone; what is done element by element is done to matrices (b, s, s).
    """

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, layout: TokenLayout, layer: ContraNorm) -> Tensor:
        scale, tau, c = _numbers(layer)
        x = at_least_single(tokens)
        inverse = _inverse_lengths(x)
        result, saved = torch.empty_like(x), []
        blocks = zip(*(layout.split(tensor) for tensor in (x, inverse, result)), strict=True)
        with torch.autocast("cpu", enabled=False):
            for group, (x_group, r, y) in zip(layout.groups, blocks, strict=True):
                cosines = (x_group @ x_group.mT).mul_(r).mul_(r.mT)
                scores, bias = cosines / tau, mask_bias(group, cosines.dtype)
                probabilities = (scores if bias is None else scores.add_(bias[:, 0])).softmax(-1)
                torch.baddbmm(y, probabilities, x_group, beta=0, alpha=-scale, out=y)
                saved += [cosines, probabilities]
        ctx.save_for_backward(tokens, inverse, *saved)
        ctx.settings = layout, layer
        return result.add_(x, alpha=c).to(tokens.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, None]:
        tokens, inverse, *saved = ctx.saved_tensors
        layout, layer = ctx.settings
        if torch.is_grad_enabled():
            return _gradient_with_a_gradient(tokens, layout, layer, gradient)
        scale, tau, c = _numbers(layer)
        x, g = at_least_single(tokens), at_least_single(gradient)
        result = torch.empty_like(x)
        blocks = zip(*(layout.split(tensor) for tensor in (x, inverse, g, result)), strict=True)
        with torch.autocast("cpu", enabled=False):
            for cosines, probabilities, (x_group, r, g_group, dx) in zip(saved[::2], saved[1::2], blocks, strict=True):
                ds = torch._softmax_backward_data(g_group @ x_group.mT, probabilities, -1, probabilities.dtype)
                e = ds + ds.mT
                e.diagonal(dim1=-2, dim2=-1).sub_((e * cosines).sum(-1))
                e.mul_(r / tau).mul_(r.mT)
                torch.baddbmm(dx, probabilities.mT, g_group, beta=0, alpha=-scale, out=dx)
                dx.baddbmm_(e, x_group, alpha=-scale)
        return result.add_(g, alpha=c).to(gradient.dtype), None, None


class LinearMemoryContraNorm(torch.autograd.Function):
    """c x - scale P x for tokens (T, D) that all count, a sequence and some rows of P at a time."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, layout: TokenLayout, layer: ContraNorm) -> Tensor:
        scale, tau, c = _numbers(layer)
        ctx.save_for_backward(tokens)
        ctx.settings = layout, layer
        result = torch.empty_like(tokens)
        with torch.autocast("cpu", enabled=False):
            for sequence, y in zip(_sequences(layout, tokens), _sequences(layout, result), strict=True):
                x = at_least_single(sequence)
                n = x * _inverse_lengths(x)
                for rows in _row_blocks(len(x)):
                    mean = ((n[rows] @ n.T) / tau).softmax(-1) @ x
                    y[rows] = c * x[rows] - scale * mean
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, None]:
        (tokens,) = ctx.saved_tensors
        layout, layer = ctx.settings
        if torch.is_grad_enabled():
            return _gradient_with_a_gradient(tokens, layout, layer, gradient)
        result = torch.empty_like(tokens)
        sequences = (_sequences(layout, tensor) for tensor in (tokens, gradient, result))
        with torch.autocast("cpu", enabled=False):
            for x, g, dx in zip(*sequences, strict=True):
                _backward_of_sequence(at_least_single(x), at_least_single(g), dx, *_numbers(layer))
        return result, None, None


class FeatureContraNorm(torch.autograd.Function):
    """ContraNormV2: c x - scale x P for tokens (T, D), with P = softmax(n^T n / tau) (D, D) for each sequence.

    One sequence at a time, so that its matrices stay in the processor's cache; P is made again for the backward pass.
    The gradient is c G - scale (G P^T + N(n (dS + dS^T) / tau)), where N is that of the directions n.
    """

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, layout: TokenLayout, layer: ContraNorm) -> Tensor:
        scale, tau, c = _numbers(layer)
        x = at_least_single(tokens)
        inverse = _inverse_lengths(x)
        for group, block in zip(layout.groups, layout.split(inverse), strict=True):
            if group.mask is not None:
                block.masked_fill_(~group.mask[:, :, None], 0.0)  # as good as of length zero: no influence
        result = torch.empty_like(x)
        sequences = (_sequences(layout, tensor) for tensor in (x, x * inverse, result))
        with torch.autocast("cpu", enabled=False):
            for x_sequence, n, y in zip(*sequences, strict=True):
                weights = torch.mm(n.T, n).div_(tau).softmax(-1)
                torch.addmm(x_sequence, x_sequence, weights, beta=c, alpha=-scale, out=y)
        ctx.save_for_backward(tokens, inverse)
        ctx.settings = layout, layer
        return result.to(tokens.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, None]:
        tokens, inverse = ctx.saved_tensors
        layout, layer = ctx.settings
        if torch.is_grad_enabled():
            return _gradient_with_a_gradient(tokens, layout, layer, gradient)
        scale, tau, c = _numbers(layer)
        x, g = at_least_single(tokens), at_least_single(gradient)
        n, dn, result = x * inverse, torch.empty_like(x), torch.empty_like(x)
        sequences = (_sequences(layout, tensor) for tensor in (x, n, g, dn, result))
        with torch.autocast("cpu", enabled=False):
            for x_sequence, n_sequence, g_sequence, dn_sequence, dx in zip(*sequences, strict=True):
                weights = torch.mm(n_sequence.T, n_sequence).div_(tau).softmax(-1)
                ds = torch._softmax_backward_data(torch.mm(x_sequence.T, g_sequence), weights, -1, weights.dtype)
                torch.mm(n_sequence, (ds + ds.T).div_(tau), out=dn_sequence)
                torch.addmm(g_sequence, g_sequence, weights.T, beta=c, alpha=-scale, out=dx)
        return result.sub_(_through_directions(dn, n, inverse), alpha=scale).to(gradient.dtype), None, None


def _numbers(layer: ContraNorm) -> tuple[float, float, float]:
    """Scale, temperature, and the factor c of the tokens themselves."""
    return layer.scale, layer.tau, 1 + layer.scale if layer.identity else 1.0


def _gradient_with_a_gradient(
    tokens: Tensor, layout: TokenLayout, layer: ContraNorm, gradient: Tensor
) -> tuple[Tensor | None, None, None]:
    """The gradient by the definition, for a gradient of it that will be wanted."""
    (found,) = gradients_of(layout.map_sequences(layer, tokens), (tokens,), gradient)
    return found, None, None


def _backward_of_sequence(x: Tensor, g: Tensor, dx: Tensor, scale: float, tau: float, c: float) -> None:
    """Write the gradient of one sequence (s, D) into `dx`.

    With n = R x the directions, l the logarithms of the softmax's denominators and P_ij = exp(n_i n_j / tau - l_i).
    """
    inverse = _inverse_lengths(x)
    n = x * inverse
    logs, dots = x.new_empty(len(x)), x.new_empty(len(x))
    for rows in _row_blocks(len(x)):
        scores = (n[rows] @ n.T).div_(tau)
        logs[rows] = scores.logsumexp(-1)
        dots[rows] = scores.sub_(logs[rows, None]).exp_().mul_(g[rows] @ x.T).sum(-1)
    for rows in _row_blocks(len(x)):
        scores = (n[rows] @ n.T).div_(tau)
        to_row = (scores - logs).exp_()  # P_ij for the rows j of the block and all i
        of_row = scores.sub_(logs[rows, None]).exp_()  # P_ji
        through_values = to_row @ g
        of_row.mul_((g[rows] @ x.T).sub_(dots[rows, None]))  # dS_ji
        of_row.add_(to_row.mul_((x[rows] @ g.T).sub_(dots)))  # and dS_ij
        dn = (of_row @ n).div_(tau)
        dx[rows] = c * g[rows] - scale * (through_values + _through_directions(dn, n[rows], inverse[rows]))


def _through_directions(dn: Tensor, n: Tensor, inverse: Tensor) -> Tensor:
    """Turn the gradient of the directions into the tokens', in the place of `dn`."""
    return dn.addcmul_(n, (n * dn).sum(-1, keepdim=True), value=-1).mul_(inverse)


def _inverse_lengths(tokens: Tensor) -> Tensor:
    """1 / ||x|| of each token, 0 for those shorter than 1e-12: (..., D) -> (..., 1)."""
    lengths = tokens.norm(dim=-1, keepdim=True)
    return lengths.reciprocal().masked_fill_(lengths < 1e-12, 0.0)


def _sequences(layout: TokenLayout, tokens: Tensor) -> Iterator[Tensor]:
    """The sequences (s, D) of `tokens` (T, D), one after the other, as views."""
    return (sequence for block in layout.split(tokens) for sequence in block)


def _row_blocks(length: int) -> Iterator[slice]:
    step = max(1, _AT_ONCE // length)
    return (slice(begin, begin + step) for begin in range(0, length, step))


__all__ = ["FeatureContraNorm", "LinearMemoryContraNorm", "ShortContraNorm", "fast_kernel"]
