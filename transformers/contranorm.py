"""ContraNorm: the layer itself (Guo et al., ICLR 2023, arXiv 2303.06562) and the slots that put it into a model.

`ContraNorm` and `ContraNormV2` are plain layers over (B, S, D), free to be used in any model. `ContraNormSites` holds
the eight slots of one transformer layer (drawn in `contranorm_sites.py`): those that the configuration names carry a
ContraNorm, the others hand their input on, so that a layer's forward reads the same in either case. There are no
parameters, so no position adds a key to a checkpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .contranorm_sites import SITES
from .contranorm_training import has_gradient_formula, train_contranorm, train_contranorm_v2
from .grouped_attention import at_least_single, attend, trains_on_cpu
from .padding import TokenLayout, padded_layout

if TYPE_CHECKING:
    from .configuration_utils import PretrainedConfig


class ContraNorm(nn.Module):
    """Push the tokens of a sequence apart: subtract from each the mean of all, weighted by similarity.

    With n = x / max(||x||, 1e-12) for each token:

        (1 + scale) x - scale softmax(n n^T / tau) x      identity=True, the released BERT
                    x - scale softmax(n n^T / tau) x      identity=False, the released ALBERT

    Normalisation and softmax are computed in at least single precision, so that half-precision inputs are safe; a token
    of zeros stays finite.

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

    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Apply the layer to every sequence.

        Args:
            hidden_states: (B, S, D).
            attention_mask: (B, S), non-zero at the tokens that count. The others neither push nor are counted; what
                stands in their own places afterwards has no meaning. None counts all.

        Returns:
            Tensor of the shape and type of `hidden_states`.
        """
        if self.scale == 0:
            return hidden_states
        batch_size, width, _ = hidden_states.shape
        layout = padded_layout(batch_size, width, hidden_states.device, attention_mask)
        return self.over_layout(hidden_states.flatten(0, 1), layout).view_as(hidden_states)

    def over_layout(self, tokens: Tensor, layout: TokenLayout) -> Tensor:
        """Apply the layer to the sequences of a layout: (T, D) -> (T, D)."""
        if has_gradient_formula(tokens, layout):
            return train_contranorm(tokens, layout, self.scale, self.tau, self.identity)
        return self.push(tokens, self.weighted_mean(tokens, layout))

    def weighted_mean(self, tokens: Tensor, layout: TokenLayout) -> Tensor:
        """Return softmax(n n^T / tau) x: for each token the mean of its sequence, weighted by similarity (T, D)."""
        directions = _normalize(tokens)
        return attend(directions, directions, tokens, layout, num_heads=1, scale=1 / self.tau)

    def push(self, tokens: Tensor, mean: Tensor) -> Tensor:
        """Push each token away from its mean: (1 + scale) x - scale mean, or x - scale mean."""
        mean = mean.to(tokens.dtype)
        return torch.lerp(tokens, mean, -self.scale) if self.identity else tokens.sub(mean, alpha=self.scale)

    def extra_repr(self) -> str:
        return f"scale={self.scale}, tau={self.tau}, identity={self.identity}"


class ContraNormV2(ContraNorm):
    """The dual form of `ContraNorm`: it pushes the D features of a sequence apart instead of its tokens.

        (1 + scale) x - scale x softmax(n^T n / tau)

    Its D x D matrix costs less than S x S where sequences are longer than the model is wide. Arguments as for
    `ContraNorm`.

    Source: `ContraNormV2` of the released BERT code (`--use_v2`).
    """

    def over_layout(self, tokens: Tensor, layout: TokenLayout) -> Tensor:
        if trains_on_cpu(tokens):
            return train_contranorm_v2(tokens, layout, self.scale, self.tau, self.identity)
        return self.push(tokens, self.weighted_mean(tokens, layout))

    def weighted_mean(self, tokens: Tensor, layout: TokenLayout) -> Tensor:
        """Return x softmax(n^T n / tau): for each feature the mean of all, weighted by similarity (T, D)."""
        means = []
        for group, x, n in zip(layout.groups, layout.split(tokens), layout.split(_normalize(tokens)), strict=True):
            counted = n if group.mask is None else n.masked_fill(~group.mask[:, :, None], 0.0)
            similarity = at_least_single(counted.transpose(1, 2) @ counted) / self.tau  # (b, D, D)
            means.append(x @ similarity.softmax(dim=-1).to(x.dtype))
        return layout.join(means)


class ContraNormSites(nn.Module):
    """The eight slots of one transformer layer, by name: each is called as slot(tokens (T, D), layout) -> (T, D).

    Args:
        config: its `contranorm_sites` say which slots carry a ContraNorm; scale, tau, use_v2, contranorm_identity and
            contranorm_padding how it works.
    """

    layer_input: nn.Module
    context: nn.Module
    attention_output: nn.Module
    attention_residual: nn.Module
    attention_norm: nn.Module
    ffn_output: nn.Module
    ffn_residual: nn.Module
    layer_output: nn.Module

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        for site in SITES:
            self.add_module(site, _ContraNormSlot(config) if site in config.contranorm_sites else _EmptySlot())
        self.last_site = config.contranorm_sites[-1] if config.contranorm_sites else None

    def end_by(self, site: str) -> bool:
        """Whether no ContraNorm follows `site` in the layer, so that nothing behind it looks at whole sequences."""
        return self.last_site is None or SITES.index(self.last_site) <= SITES.index(site)


class _ContraNormSlot(nn.Module):
    """A ContraNorm over the sequences of a layout."""

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        layer = ContraNormV2 if config.use_v2 else ContraNorm
        identity = config.contranorm_identity
        if identity is None:
            identity = config.model_type != "albert"
        self.norm = layer(config.scale, config.tau, identity)
        self.count_padding = config.contranorm_padding == "include"

    def forward(self, tokens: Tensor, layout: TokenLayout) -> Tensor:
        return self.norm.over_layout(tokens, layout.without_masks() if self.count_padding else layout)


class _EmptySlot(nn.Module):
    """No ContraNorm here: the tokens themselves, not a copy."""

    def forward(self, tokens: Tensor, layout: TokenLayout) -> Tensor:
        return tokens


def _normalize(hidden_states: Tensor) -> Tensor:
    """Tokens scaled to length 1, in the type of the input; those shorter than 1e-12 become zeros.

    Nor do these pass a gradient on: the formula's own would be 1e12 times too large for half precision.
    """
    tokens = at_least_single(hidden_states)
    lengths = tokens.norm(dim=-1, keepdim=True)
    directions = (tokens / lengths.clamp_min(1e-12)).masked_fill(lengths < 1e-12, 0.0)
    return directions.to(hidden_states.dtype)


class OverSequences(nn.Module):
    """A layer over padded sequences, laid over the sequences of a layout.

    Args:
        layer: maps (b, s, D) and a mask (b, s) or None to (b, s, D).
        count_padding: let it see padding as tokens like all others.
    """

    def __init__(self, layer: nn.Module, count_padding: bool = False) -> None:
        super().__init__()
        self.layer = layer
        self.count_padding = count_padding

    def forward(self, tokens: Tensor, *, layout: TokenLayout) -> Tensor:
        """Return tokens of the same shape."""
        return (layout.without_masks() if self.count_padding else layout).map_sequences(self.layer, tokens)
