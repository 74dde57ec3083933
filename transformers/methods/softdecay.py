"""SoftDecay: squash the singular values of the last layer's tokens, so that none of them stands out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ..contranorm_sites import site_numbers
from .base import TokenMap, knob

if TYPE_CHECKING:
    from torch import Tensor

    from ..padding import TokenLayout


class SoftDecay(TokenMap):
    """U f(S) V^T of the tokens U S V^T of each sequence, in the last layer only.

    With alpha < 0, f(s) = -log(1 - alpha (s + alpha)) / alpha, times the factor that leaves the largest singular value
    as it is. Singular values of 0, of tokens that repeat, stay 0.

    Source: Yan et al., "Addressing Token Uniformity in Transformers via Singular Value Transformation" (UAI 2022). The
    default of alpha is that of the released code, where it is learned; here it stays. The factor could not be checked
    against the paper.

    Example:
        >>> import torch
        >>> from dataclasses import replace
        >>> from transformers.padding import padded_layout
        >>> x, layout = torch.tensor([[[8.0, 0.0], [0.0, 1.0]]]), padded_layout(1, 2)
        >>> [round(value, 2) for value in SoftDecay()(x, layout=replace(layout, is_last=True)).flatten().tolist()]
        [8.0, 0.0, 0.0, 1.26]
    """

    name = "softdecay"
    sites = ("layer_output",)
    pos = "6"
    neutral: ClassVar[Mapping[str, Any]] = {"softdecay_alpha": 0.0}

    softdecay_alpha: float = knob(
        -0.2, "how strongly large values are squashed, above -1; 0 is the plain model", above=-1
    )

    @classmethod
    def defaults(cls, model_type: str) -> dict[str, Any]:
        return {**super().defaults(model_type), "pos": site_numbers(model_type)["layer_output"]}

    def __call__(self, tokens: Tensor, *, layout: TokenLayout) -> Tensor:
        return layout.map_sequences(self.squash, tokens) if layout.is_last else tokens

    def squash(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Squash the singular values of sequences (b, s, D); `mask` (b, s) says which tokens count."""
        from ..kernels.spectral import map_singular_values

        counted = x if mask is None else x.masked_fill(~mask[:, :, None], 0.0)
        return map_singular_values(counted, self.decayed).to(x.dtype)

    def decayed(self, values: Tensor) -> Tensor:
        """Return f of singular values (b, s) in rising order, the last one as it was."""
        alpha = self.softdecay_alpha
        decayed = -(1 - alpha * (values + alpha)).log() / alpha
        return decayed * values[:, -1:] / decayed[:, -1:]
