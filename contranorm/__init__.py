"""ContraNorm: a layer without parameters against oversmoothing (Guo et al., ICLR 2023, arXiv 2303.06562).

It pushes the tokens of one sequence apart, so that they keep using the whole space. `ContraNorm` compares tokens,
`ContraNormV2` features. This file is the definition of both, it needs nothing but torch, and whoever changes a formula
changes it here. `attach` puts them into a model of the Hugging Face library.

    >>> layer = ContraNorm(scale=0.1)
    >>> layer(torch.randn(2, 5, 8), mask=torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])).shape
    torch.Size([2, 5, 8])

Shape letters: B batch, S padded length, D width, T tokens of all sequences together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .hooks import Attached, attach_layer, detach, model_type_of

__version__ = "0.1.0"


class ContraNorm(nn.Module):
    """Push the tokens of a sequence apart: subtract from each the mean of all, weighted by similarity.

    With n = x / max(||x||, 1e-12) for each token:

        (1 + scale) x - scale softmax(n n^T / tau) x      identity=True, the released BERT
                    x - scale softmax(n n^T / tau) x      identity=False, the released ALBERT

    A subclass may override `weighted_mean`, `push` or both. Everything but the last sum is computed in at least single
    precision, so that half-precision inputs are safe; a token of zeros stays finite.

    Args:
        scale: strength s; 0 returns the input itself, negative values attract.
        tau: temperature of the softmax, above 0.
        identity: add s x, so that a token that resembles only itself stays as it is.

    Source: equation (6) of the paper with the released code's normalisation; the identity is the released code's alone.

    Example:
        >>> x = torch.eye(3)[None] + 1
        >>> y = ContraNorm(scale=0.5)(x)
        >>> bool(torch.cosine_similarity(y[0, 0], y[0, 1], dim=0) < torch.cosine_similarity(x[0, 0], x[0, 1], dim=0))
        True
    """

    def __init__(self, scale: float, tau: float = 1.0, identity: bool = True) -> None:
        super().__init__()
        self.scale = scale
        self.tau = tau
        self.identity = identity

    def forward(self, x: Tensor, mask: Tensor | None = None, cu_seqlens: Tensor | None = None) -> Tensor:
        """Apply the layer to every sequence.

        Args:
            x: (B, S, D); or (T, D), sequences one after the other, with `cu_seqlens`.
            mask: (B, S), non-zero at the tokens that count. The others neither push nor are counted; what stands in
                their own places afterwards has no meaning. None counts all.
            cu_seqlens: (sequences + 1,), where each sequence of (T, D) begins, and where the last one ends.

        Returns:
            Tensor of the shape and type of `x`.

        Raises:
            ValueError: `x` has another number of dimensions, or both `mask` and `cu_seqlens` are given.
        """
        if self.scale == 0:
            return x
        if cu_seqlens is not None:
            if x.dim() != 2 or mask is not None:
                raise ValueError("cu_seqlens goes with tokens (T, D) and no mask: they all count")
            sequences = x.tensor_split(cu_seqlens[1:-1].cpu())
            return torch.cat([self(sequence[None])[0] for sequence in sequences])
        if x.dim() != 3:
            raise ValueError(f"tokens of shape {tuple(x.shape)}: expected (B, S, D), or (T, D) with cu_seqlens")
        mean = self.weighted_mean(x, None if mask is None else mask != 0)
        return self.push(x, mean.to(x.dtype))

    def weighted_mean(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return softmax(n n^T / tau) x: for each token the mean of its sequence, weighted by similarity (B, S, D)."""
        x = at_least_single(x)
        n = directions(x)
        similarity = n @ n.mT / self.tau  # (B, S, S)
        if mask is not None:
            # The lowest finite number, never -inf, so that a row without any real token stays finite.
            similarity = similarity.masked_fill(~mask[:, None, :], torch.finfo(similarity.dtype).min)
        return similarity.softmax(dim=-1) @ x

    def push(self, x: Tensor, mean: Tensor) -> Tensor:
        """Push each token away from its mean: (1 + scale) x - scale mean, or x - scale mean."""
        return torch.lerp(x, mean, -self.scale) if self.identity else x.sub(mean, alpha=self.scale)

    def extra_repr(self) -> str:
        return f"scale={self.scale}, tau={self.tau}, identity={self.identity}"


class ContraNormV2(ContraNorm):
    """The dual form of `ContraNorm`: it pushes the D features of a sequence apart instead of its tokens.

        (1 + scale) x - scale x softmax(n^T n / tau)

    Its D x D matrix costs less than S x S where sequences are longer than the model is wide. Arguments as for
    `ContraNorm`.

    Source: `ContraNormV2` of the released BERT code (`--use_v2`).

    Example:
        >>> ContraNormV2(scale=0.1)(torch.ones(1, 2, 3)).shape
        torch.Size([1, 2, 3])
    """

    def weighted_mean(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return x softmax(n^T n / tau): for each feature the mean of all, weighted by similarity (B, S, D)."""
        x = at_least_single(x)
        n = directions(x)
        if mask is not None:
            n = n.masked_fill(~mask[:, :, None], 0.0)
        similarity = n.mT @ n / self.tau  # (B, D, D)
        return x @ similarity.softmax(dim=-1)


def directions(x: Tensor) -> Tensor:
    """Tokens scaled to length 1; those shorter than 1e-12 become zeros.

    Nor do these pass a gradient on: the formula's own would be 1e12 times too large for half precision.
    """
    lengths = x.norm(dim=-1, keepdim=True)
    return (x / lengths.clamp_min(1e-12)).masked_fill(lengths < 1e-12, 0.0)


def at_least_single(x: Tensor) -> Tensor:
    """Half precision as single precision; single and double as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


METHODS: dict[str, type[ContraNorm]] = {"contranorm": ContraNorm, "contranorm_v2": ContraNormV2}


def attach(
    model: nn.Module,
    method: str | Callable[..., nn.Module] = "contranorm",
    *,
    pos: str | int = "7",
    padding: str = "exclude",
    **knobs: Any,
) -> Attached:
    """Put ContraNorm into every layer of a model of the Hugging Face library, whatever trains it afterwards.

    Checkpoints get no new key and say nothing about it: attach it again after loading.

    Args:
        model: BERT, RoBERTa, ELECTRA, ALBERT, DistilBERT or ModernBERT, with a head or without, wrapped or not.
        method: a key of `METHODS`, or what is called as `method(**knobs)` and returns a module that is called as
            `layer(tokens, mask=mask)`, with tokens (B, S, D) and a mask (B, S) or None.
        pos: digits of the released code's numbering, combined freely; `hooks.SITES` has them. "7" is the paper's for
            BERT, the sum of attention's output and its input.
        padding: "exclude", so that padding neither pushes nor is counted, or "include" as in the released code.
        **knobs: for ContraNorm scale (default 0.005), tau and identity (default as in the released code of the model).

    Returns:
        A handle: `remove()` takes the layer out again, as `detach(model)` does.

    Raises:
        ValueError: the model is of another kind, has ContraNorm already, is a decoder or cuts sequences into chunks, or
            a position is none of its sites.
    """
    if padding not in ("exclude", "include"):
        raise ValueError(f"padding {padding!r}: expected exclude or include")
    if isinstance(method, str):
        if method not in METHODS:
            raise ValueError(f"method {method!r}: expected {' or '.join(METHODS)}, or a class")
        method = METHODS[method]
    if method in METHODS.values():
        knobs = {"scale": 0.005, "identity": model_type_of(model) != "albert", **knobs}
    return attach_layer(model, method(**knobs), pos, count_padding=padding == "include")


__all__ = ["METHODS", "ContraNorm", "ContraNormV2", "at_least_single", "attach", "detach", "directions"]
