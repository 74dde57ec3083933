"""Functions of the singular values of sequences, with gradients that stay finite where singular values coincide.

With X = U S V^T, U h(S) V^T = H X, where H = U diag(h(s) / s) U^T is a function of X X^T alone. Its gradient needs the
divided differences of h(s) / s, not PyTorch's gradient of singular vectors, which has poles. It has no gradient itself:
asking for one is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def map_singular_values(x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Return U f(S) V^T of sequences U S V^T, computed in double precision.

    Args:
        x: (b, s, D); rows of zeros stay zeros.
        function: maps singular values (b, s), in rising order, to others. Values that are 0 up to rounding are handed
            to it as 1 and stay 0 whatever it returns, so its result must not depend on them.

    Returns:
        (b, s, D), in double precision.
    """
    x = x.double()
    gram = x @ x.mT
    squares, vectors = torch.linalg.eigh(gram)
    is_zero = squares <= torch.finfo(x.dtype).eps * x.shape[-1] * squares[:, -1:]
    values = squares.masked_fill(is_zero, 1.0).sqrt()
    factors = (function(values) / values).masked_fill(is_zero, 0.0)
    return _SymmetricFunction.apply(gram, squares.detach(), vectors.detach(), factors) @ x


class _SymmetricFunction(torch.autograd.Function):
    """Q diag(h) Q^T, a function of the symmetric matrix Q diag(l) Q^T: (b, s, s).

    With M = Q^T dH Q, the gradient for h is the diagonal of M, and the one for the matrix, at given h, is
    Q (K * M) Q^T with K_ij = (h_i - h_j) / (l_i - l_j) off the diagonal.
    """

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, squares: Tensor, vectors: Tensor, factors: Tensor) -> Tensor:
        ctx.save_for_backward(squares, vectors, factors)
        return (vectors * factors[:, None, :]) @ vectors.mT

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Any) -> Any:
        squares, vectors, factors = ctx.saved_tensors
        m = vectors.mT @ gradients[0] @ vectors
        gaps = squares[:, :, None] - squares[:, None, :]
        coincide = gaps.abs() <= torch.finfo(gaps.dtype).eps * squares[:, -1:, None]
        differences = (factors[:, :, None] - factors[:, None, :]) / gaps.masked_fill(coincide, 1.0)
        inner = m * differences.masked_fill(coincide, 0.0)
        return vectors @ inner @ vectors.mT, None, None, m.diagonal(dim1=1, dim2=2)


__all__ = ["map_singular_values"]
