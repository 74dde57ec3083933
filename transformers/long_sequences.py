"""ContraNorm for long sequences, in memory that grows linearly with their length.

Nothing of the size s x s exists at any time: the rows of the matrix of similarities are made a few at a time, and made
again for the backward pass, for which the tokens alone are kept. The idea is FlashAttention's (Dao et al., NeurIPS
2022); here queries, keys and values are one tensor and the matrix is symmetric, so that one sweep over its rows gives
the whole gradient of a row, and no second buffer has to collect what other rows add to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from .grouped_attention import SHORT, trains_on_cpu
from .padding import TokenLayout

_AT_ONCE = 1 << 17  # similarities: half a mebibyte in single precision


def needs_linear_memory(tokens: Tensor, layout: TokenLayout) -> bool:
    """Whether a training on the CPU looks at sequences so long that their matrices weigh more than the tokens."""
    return trains_on_cpu(tokens) and layout.longest > SHORT and all(group.mask is None for group in layout.groups)


class LinearMemoryContraNorm(torch.autograd.Function):
    """c x - scale softmax(n n^T / tau) x with n = x / max(||x||, 1e-12), for tokens x (b, s, D) that all count; c is
    1 + scale with the identity, else 1.

    With P the softmax, l the logarithm of its denominators, G the gradient of the result and d = rowsum((G x^T) P), the
    gradient of a row j of x is

        dx_j = c G_j - scale (sum_i P_ij G_i + N_j(dn_j))      dn_j = 1/tau sum_i (dS_ij + dS_ji) n_i
        dS_ij = P_ij (G_i x_j - d_i)                           P_ij = exp(n_i n_j / tau - l_i)

    where N_j is the gradient of the normalisation.
    """

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, scale: float, tau: float, identity: bool) -> Tensor:
        ctx.save_for_backward(tokens)
        ctx.settings = scale, tau, 1 + scale if identity else 1.0
        result = torch.empty_like(tokens)
        with torch.autocast(tokens.device.type, enabled=False):
            for sequence, out in zip(tokens, result, strict=True):
                x, n, _lengths = _normalized(sequence)
                for rows in _row_blocks(len(x)):
                    mean = ((n[rows] @ n.T) / tau).softmax(-1) @ x
                    out[rows] = ctx.settings[2] * x[rows] - scale * mean
        return result

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (tokens,) = ctx.saved_tensors
        result = torch.empty_like(tokens)
        with torch.autocast(tokens.device.type, enabled=False):
            for sequence, g, dx in zip(tokens, gradient, result, strict=True):
                _backward_of_sequence(sequence, g.to(_working_type(g)), dx, *ctx.settings)
        return result, None, None, None


def _backward_of_sequence(sequence: Tensor, g: Tensor, dx: Tensor, scale: float, tau: float, kept: float) -> None:
    """Write the gradient of one sequence (s, D) into `dx`."""
    x, n, lengths = _normalized(sequence)
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
        dn -= n[rows] * (n[rows] * dn).sum(-1, keepdim=True)
        # A token of length zero has no direction, and no gradient through it.
        dn.div_(lengths[rows].clamp_min(1e-12)).masked_fill_(lengths[rows] < 1e-12, 0.0)
        dx[rows] = kept * g[rows] - scale * (through_values + dn)


def _normalized(sequence: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return x, n (s, D) and the lengths (s, 1), in at least single precision."""
    x = sequence.to(_working_type(sequence))
    lengths = x.norm(dim=-1, keepdim=True)
    return x, (x / lengths.clamp_min(1e-12)).masked_fill_(lengths < 1e-12, 0.0), lengths


def _working_type(tensor: Tensor) -> torch.dtype:
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def _row_blocks(length: int) -> Iterator[slice]:
    step = max(1, _AT_ONCE // length)
    return (slice(begin, begin + step) for begin in range(0, length, step))


__all__ = ["LinearMemoryContraNorm", "needs_linear_memory"]
