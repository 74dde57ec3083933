"""ContraNorm: a layer without parameters against oversmoothing (Guo et al., ICLR 2023, arXiv 2303.06562).

It pushes the tokens of one sequence apart, so that they keep using the whole space. This file is the definition, it
needs nothing but torch, and whoever changes a formula changes it here. Copied into a project it works alone; `attach`,
which puts the layer into a model of the Hugging Face library, has `hooks.py` beside it.

    >>> layer = ContraNorm(scale=0.1)
    >>> layer(torch.randn(2, 5, 8), mask=torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])).shape
    torch.Size([2, 5, 8])

Shape letters: B batch, S padded length, D width, T tokens of all sequences together.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from .hooks import Attached

__version__ = "0.1.0"


class ContraNorm(nn.Module):
    """Push the tokens of a sequence apart: subtract from each the mean of all, weighted by similarity.

    With n = x / max(||x||, 1e-12) for each token and the weights P = softmax(n n^T / tau), whose rows sum to 1:

        (1 + scale) x - scale P x      identity=True, the released BERT
                    x - scale P x      identity=False, the released ALBERT and ViT

    Over features the roles are exchanged, as in the released BERT code's V2: P = softmax(n^T n / tau) and x P in the
    place of P x. Its D x D matrix costs less than S x S where sequences are longer than the model is wide.

    A subclass may override `weighted_mean`, `push` or both. Everything but the last sum is computed in at least single
    precision, so that half-precision inputs are safe; a token of zeros stays finite.

    Args:
        scale: strength s; 0 returns the input itself, negative values attract.
        tau: temperature of the softmax, above 0.
        identity: add s x, so that a token that resembles only itself stays as it is.
        over: "tokens", or "features".
        learnable: make s a parameter, `weight`, which begins at `scale`: True for one number, D for one a feature.
        positive: the parameter is the logarithm of s, which so stays above 0.
        dual: P + P^T in the place of P, a softmax over the rows and another one over the columns; of tokens only.

    Raises:
        ValueError: an argument is none of these values, or they do not go together.

    Source: equation (6) of the paper with the released code's normalisation. Identity, features, a learned scale,
    `positive` and `dual` are the released code's alone. Its ViT learns one s a feature, without the 1 of (1 + s) where
    it has the identity, which is taken for a slip here, and has a LayerNorm behind, which is no part of this layer.

    Example:
        >>> x = torch.eye(3)[None] + 1
        >>> y = ContraNorm(scale=0.5)(x)
        >>> bool(torch.cosine_similarity(y[0, 0], y[0, 1], dim=0) < torch.cosine_similarity(x[0, 0], x[0, 1], dim=0))
        True
    """

    def __init__(
        self,
        scale: float,
        tau: float = 1.0,
        identity: bool = True,
        over: str = "tokens",
        learnable: bool | int = False,
        positive: bool = False,
        dual: bool = False,
    ) -> None:
        super().__init__()
        if over not in ("tokens", "features"):
            raise ValueError(f"over {over!r}: expected tokens or features")
        if not tau > 0:
            raise ValueError(f"tau {tau}: expected more than 0")
        if positive and not (learnable and scale > 0):
            raise ValueError("positive is for a learned scale that begins above 0: give learnable=True and a scale")
        if dual and over != "tokens":
            raise ValueError("dual is defined over tokens only")
        if scale == 0 and not learnable:
            warnings.warn("ContraNorm with scale 0 returns its input: it does nothing", stacklevel=2)
        self.scale = scale
        self.tau = tau
        self.identity = identity
        self.over = over
        self.learnable = learnable
        self.positive = positive
        self.dual = dual
        if learnable:
            self.weight = nn.Parameter(torch.empty(() if learnable is True else learnable))
            self.reset_parameters()

    @classmethod
    def bert(cls, scale: float = 0.005, **options: Any) -> ContraNorm:
        """Return the layer of the released BERT; `over="features"` is its V2."""
        return cls(scale, **{"identity": True, **options})

    @classmethod
    def albert(cls, scale: float = 0.005, **options: Any) -> ContraNorm:
        """Return the layer of the released ALBERT."""
        return cls(scale, **{"identity": False, **options})

    @classmethod
    def vit(cls, scale: float, **options: Any) -> ContraNorm:
        """Return the layer of the released ViT, whose options are tau, identity, dual, learnable (D) and positive."""
        return cls(scale, **{"identity": False, **options})

    def reset_parameters(self) -> None:
        """Let a learned scale begin anew."""
        if self.learnable:
            nn.init.constant_(self.weight, math.log(self.scale) if self.positive else self.scale)

    @property
    def strength(self) -> float | Tensor:
        """The scale that acts: a number, or what has been learned."""
        if not self.learnable:
            return self.scale
        return self.weight.exp() if self.positive else self.weight

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        cu_seqlens: Tensor | None = None,
        batch: Tensor | None = None,
    ) -> Tensor:
        """Apply the layer to every sequence.

        Args:
            x: (B, S, D); or (T, D), sequences one after the other with `cu_seqlens`, or in any order with `batch`.
            mask: (B, S), non-zero at the tokens that count. The others neither push nor are counted; what stands in
                their own places afterwards has no meaning. None counts all.
            cu_seqlens: (sequences + 1,), where each sequence of (T, D) begins, and where the last one ends.
            batch: (T,), the number of each token's sequence, or of each node's graph.

        Returns:
            Tensor of the shape and type of `x`.

        Raises:
            ValueError: `x` has another number of dimensions, two of the three are given, or one does not fit `x`.
        """
        if self.scale == 0 and not self.learnable:
            return x
        if sum(given is not None for given in (mask, cu_seqlens, batch)) > 1:
            raise ValueError("mask, cu_seqlens and batch exclude each other: with the last two all tokens count")
        is_flat = cu_seqlens is not None or batch is not None
        if x.dim() != (2 if is_flat else 3):
            raise ValueError(
                f"tokens of shape {tuple(x.shape)}: expected (B, S, D), or (T, D) with cu_seqlens or batch"
            )
        if cu_seqlens is not None:
            bounds = cu_seqlens.tolist()
            if bounds != sorted(bounds) or bounds[:1] != [0] or bounds[-1] != len(x):
                raise ValueError(f"cu_seqlens {bounds}: expected to rise from 0 to the number of tokens, {len(x)}")
            return self._each(x.tensor_split(bounds[1:-1]))
        if batch is not None:
            if batch.shape != x.shape[:1]:
                raise ValueError(f"batch of shape {tuple(batch.shape)}: expected a number a token, {len(x)}")
            order = batch.argsort(stable=True)
            lengths = batch[order].unique_consecutive(return_counts=True)[1].tolist()
            return self._each(x[order].split(lengths))[order.argsort()]
        mean = self.weighted_mean(x, None if mask is None else mask != 0)
        return self.push(x, mean.to(x.dtype))

    def _each(self, sequences: Sequence[Tensor]) -> Tensor:
        return torch.cat([self(sequence[None])[0] for sequence in sequences])

    def weighted_mean(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return P x, for each token the mean of its sequence, weighted by similarity; or x P: (B, S, D)."""
        x = at_least_single(x)
        n = directions(x)
        if self.over == "features":
            if mask is not None:
                n = n.masked_fill(~mask[:, :, None], 0.0)
            return x @ (n.mT @ n / self.tau).softmax(dim=-1)  # (B, D, D)
        similarity = n @ n.mT / self.tau  # (B, S, S)
        if mask is not None:
            # The lowest finite number, never -inf, so that a row without any real token stays finite.
            similarity = similarity.masked_fill(~mask[:, None, :], torch.finfo(similarity.dtype).min)
        weights = similarity.softmax(dim=-1)
        if self.dual:
            columns = weights.mT if mask is None else weights.mT.masked_fill(~mask[:, None, :], 0.0)
            weights = weights + columns
        return weights @ x

    def push(self, x: Tensor, mean: Tensor) -> Tensor:
        """Push each token away from its mean: (1 + s) x - s mean, or x - s mean."""
        s = self.strength
        if isinstance(s, Tensor):
            s = s.to(x.dtype)
        return torch.lerp(x, mean, -s) if self.identity else x - s * mean

    def extra_repr(self) -> str:
        names = ("scale", "tau", "identity", "over", "learnable", "positive", "dual")
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)


class ContraNormV2(ContraNorm):
    """`ContraNorm` over features, under the name of the released BERT code (`--use_v2`).

    Example:
        >>> ContraNormV2(scale=0.1)(torch.ones(1, 2, 3)).shape
        torch.Size([1, 2, 3])
    """

    def __init__(self, scale: float, tau: float = 1.0, identity: bool = True, **options: Any) -> None:
        super().__init__(scale, tau, identity, over="features", **options)


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
        ValueError: the model is of another kind, has ContraNorm already, is a decoder or cuts sequences into chunks, a
            position is none of its sites, or the scale is to be learned.
    """
    from .hooks import attach_layer, model_type_of

    if padding not in ("exclude", "include"):
        raise ValueError(f"padding {padding!r}: expected exclude or include")
    if isinstance(method, str):
        if method not in METHODS:
            raise ValueError(f"method {method!r}: expected {' or '.join(METHODS)}, or a class")
        method = METHODS[method]
    if knobs.get("learnable"):
        raise ValueError("learnable: what is attached is no part of the model, and no optimizer would find its scale")
    if method in METHODS.values():
        knobs = {"scale": 0.005, "identity": model_type_of(model) != "albert", **knobs}
    return attach_layer(model, method(**knobs), pos, count_padding=padding == "include")


def detach(model: nn.Module) -> None:
    """Take out of a model what `attach` put into it; nothing happens where nothing is."""
    from . import hooks

    hooks.detach(model)


__all__ = ["METHODS", "ContraNorm", "ContraNormV2", "at_least_single", "attach", "detach", "directions"]
