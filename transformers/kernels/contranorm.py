"""ContraNorm's kernels: the layer's gradient as one formula instead of one operation after the other.

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

V2's takes one sequence after the other, for a processor's cache; on other devices V2 is computed as it is defined.

Everything is computed in at least single precision. A token shorter than 1e-12 has N = 0 and no gradient through it.

Shape letters: T tokens, D width, b sequences of a group, s their length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from contranorm import ContraNorm, ContraNormV2, at_least_single, directions

from ..padding import SequenceGroup, TokenLayout
from ..utils import logging
from .attention import SHORT, attend, runs_eagerly, runs_eagerly_on_cpu
from .kernel import Kernel

logger = logging.get_logger(__name__)


def fast_kernel(layer: Any, tokens: Tensor, layout: TokenLayout) -> Kernel | None:
    """Return a kernel that computes what `layer` defines, if there is one for exactly this layer and these tokens.

    A subclass has none, nor has a layer with a hook, a method of its own, a learned scale or dual weights; and where
    the definition in `contranorm/` has been changed, so that a kernel gives another result, none is used from then on.

    Args:
        layer: a layer over padded sequences.
        tokens: hidden states of the layout.
    """
    kind: Any = type(layer)
    runs = runs_eagerly_on_cpu(tokens) if kind is ContraNormV2 else runs_eagerly()
    if kind not in (ContraNorm, ContraNormV2) or layer.learnable or layer.dual or not runs:
        return None
    if layer._forward_hooks or layer._forward_pre_hooks or not vars(layer).keys().isdisjoint(_DEFINITION):
        return None
    agrees = _agree(kind, layer.over, tuple(getattr(kind, name) for name in _DEFINITION))
    return _KERNELS[layer.over](layout, layer) if agrees else None


class _KernelOfLayer(Kernel):
    """A layer on the tokens (T, D) of a layout."""

    def __init__(self, layout: TokenLayout, layer: ContraNorm) -> None:
        self.layout, self.layer = layout, layer
        self.scale, self.tau = layer.scale, layer.tau
        self.c = 1 + layer.scale if layer.identity else 1.0

    def define(self, inputs: Sequence[Tensor], saved: Sequence[Tensor]) -> Tensor:
        return self.layout.map_sequences(self.layer, inputs[0])

    def blocks(self, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """The parts (b, s, D) of tensors, group by group, as views."""
        return zip(*(self.layout.split(tensor) for tensor in tensors), strict=True)

    def sequences(self, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """The parts (s, D) of tensors, sequence by sequence, as views."""
        return (parts for blocks in self.blocks(*tensors) for parts in zip(*blocks, strict=True))


class ContraNormKernel(_KernelOfLayer):
    """`ContraNorm` up to `SHORT` tokens: c x - scale P x.

    The tokens go into matrix products alone; what is done element by element is done to matrices (b, s, s).
    """

    def compute(self, *inputs: Tensor) -> tuple[Tensor, list[Tensor | None]]:
        x = at_least_single(inputs[0])
        inverse = _inverse_lengths(x)
        result, saved = torch.empty_like(x), [inverse]
        for group, (x_group, r, y) in zip(self.layout.groups, self.blocks(x, inverse, result), strict=True):
            cosines = torch.bmm(x_group, x_group.mT).mul_(r).mul_(r.mT)
            bias = group.bias(cosines.dtype)
            scores = cosines / self.tau if bias is None else torch.add(bias[:, 0], cosines, alpha=1 / self.tau)
            probabilities = scores.softmax(-1)
            torch.baddbmm(x_group, probabilities, x_group, beta=self.c, alpha=-self.scale, out=y)
            saved += [cosines, probabilities]
        return result.to(inputs[0].dtype), [*saved]

    def differentiate(self, gradient: Tensor, inputs: Sequence[Tensor], saved: Sequence[Tensor]) -> tuple[Tensor]:
        x, g, (inverse, *matrices) = at_least_single(inputs[0]), at_least_single(gradient), saved
        result = torch.empty_like(x)
        blocks = self.blocks(x, inverse, g, result)
        for cosines, probabilities, (x_group, r, g_group, dx) in zip(
            matrices[::2], matrices[1::2], blocks, strict=True
        ):
            ds = torch._softmax_backward_data(torch.bmm(g_group, x_group.mT), probabilities, -1, probabilities.dtype)
            e = ds + ds.mT
            e.diagonal(dim1=-2, dim2=-1).sub_((e * cosines).sum(-1))
            e.mul_(r).mul_(r.mT)
            torch.baddbmm(g_group, probabilities.mT, g_group, beta=self.c, alpha=-self.scale, out=dx)
            dx.baddbmm_(e, x_group, alpha=-self.scale / self.tau)
        return (result.to(gradient.dtype),)


class LongContraNormKernel(_KernelOfLayer):
    """`ContraNorm` on longer sequences, as attention; it is computed again for the backward pass."""

    def compute(self, *inputs: Tensor) -> tuple[Tensor, list[Tensor | None]]:
        x = at_least_single(inputs[0])
        n = directions(x)
        mean = attend(n, n, x, self.layout, num_heads=1, scale=1 / self.tau)
        return self.layer.push(x, mean).to(inputs[0].dtype), []

    def differentiate(self, gradient: Tensor, inputs: Sequence[Tensor], saved: Sequence[Tensor]) -> tuple[Tensor, ...]:
        with torch.enable_grad():
            x = inputs[0].detach().requires_grad_()
            return torch.autograd.grad(self.compute(x)[0], x, gradient)


class OverFeaturesKernel(_KernelOfLayer):
    """`ContraNorm` over features: c x - scale x P, with P = softmax(n^T n / tau) (D, D) for each sequence.

    One sequence at a time, so that its matrices stay in the processor's cache; P is made again for the backward pass.
    The gradient is c G - scale (G P^T + N(n (dS + dS^T) / tau)), where N is that of the directions n.
    """

    def compute(self, *inputs: Tensor) -> tuple[Tensor, list[Tensor | None]]:
        x = at_least_single(inputs[0])
        inverse, result = _inverse_lengths(x), torch.empty_like(x)
        for group, (block,) in zip(self.layout.groups, self.blocks(inverse), strict=True):
            if group.mask is not None:
                block.masked_fill_(~group.mask[:, :, None], 0.0)  # as good as of length zero: no influence
        for x_sequence, n, y in self.sequences(x, x * inverse, result):
            torch.addmm(x_sequence, x_sequence, self._weights(n), beta=self.c, alpha=-self.scale, out=y)
        return result.to(inputs[0].dtype), [inverse]

    def differentiate(self, gradient: Tensor, inputs: Sequence[Tensor], saved: Sequence[Tensor]) -> tuple[Tensor]:
        x, g, (inverse,) = at_least_single(inputs[0]), at_least_single(gradient), saved
        n, dn, result = x * inverse, torch.empty_like(x), torch.empty_like(x)
        for x_sequence, n_sequence, g_sequence, dn_sequence, dx in self.sequences(x, n, g, dn, result):
            weights = self._weights(n_sequence)
            ds = torch._softmax_backward_data(torch.mm(x_sequence.T, g_sequence), weights, -1, weights.dtype)
            torch.mm(n_sequence, (ds + ds.T).div_(self.tau), out=dn_sequence)
            torch.addmm(g_sequence, g_sequence, weights.T, beta=self.c, alpha=-self.scale, out=dx)
        dn.addcmul_(n, (n * dn).sum(-1, keepdim=True), value=-1).mul_(inverse)  # from the directions to the tokens
        return (result.sub_(dn, alpha=self.scale).to(gradient.dtype),)

    def _weights(self, n: Tensor) -> Tensor:
        return torch.mm(n.T, n).div_(self.tau).softmax(-1)


def _for_tokens(layout: TokenLayout, layer: ContraNorm) -> Kernel:
    return (ContraNormKernel if layout.longest <= SHORT else LongContraNormKernel)(layout, layer)


_KERNELS: dict[str, Callable[[TokenLayout, Any], Kernel]] = {"tokens": _for_tokens, "features": OverFeaturesKernel}
_DEFINITION = ("forward", "weighted_mean", "push", "strength")


@cache
def _agree(layer: Any, over: str, definition: tuple[Any, ...]) -> bool:
    """Whether the kernels of a layer give what it defines, tried once on four tokens."""
    x = torch.arange(12.0, dtype=torch.float64).view(1, 4, 3).sin()
    layout, example = TokenLayout(1, 4, (SequenceGroup(1, 4),)), layer(0.5, 0.7)
    example.over = over
    with torch.no_grad():
        agree = torch.allclose(_KERNELS[over](layout, example)(x), example(x), rtol=1e-10)
    if not agree:
        logger.warning("The definition of %s has been changed: it is used as it is, without kernels", layer.__name__)
    return agree


def _inverse_lengths(tokens: Tensor) -> Tensor:
    """1 / ||x|| of each token, 0 for those shorter than 1e-12: (..., D) -> (..., 1)."""
    lengths = torch.linalg.vector_norm(tokens, dim=-1, keepdim=True)
    return lengths.reciprocal().masked_fill_(lengths < 1e-12, 0.0)
