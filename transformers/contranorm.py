"""Methods against oversmoothing in a model: the slots that put them into a layer.

`MethodSites` holds slots of one transformer layer by the names of `contranorm_sites.py`: those that the configuration
names carry its method, the others hand their input on, so that a layer's forward reads the same in either case.
ContraNorm itself is defined in `contranorm/`; `OverSequences` lays it over the sequences of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from contranorm import ContraNorm, ContraNormV2

from .kernels.contranorm import fast_kernel
from .padding import TokenLayout

if TYPE_CHECKING:
    from .configuration_utils import PretrainedConfig


class MethodSites(nn.Module):
    """Slots of one layer, by name: each is called as slot(tokens, layout=layout), and returns tokens.

    Args:
        config: `contranorm_sites` say which slots carry the method, `build_method()` which one.
        *names: the slots that are wanted, out of `contranorm_sites.SITES`.
    """

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Callable[..., Tensor]: ...  # type: ignore[override]

    def __init__(self, config: PretrainedConfig, *names: str) -> None:
        super().__init__()
        for name in names:
            taken = name in config.contranorm_sites
            setattr(self, name, config.build_method().build(config) if taken else unchanged)


def unchanged(tokens: Tensor, **_: Any) -> Tensor:
    """What an empty slot does: the tokens themselves, not a copy."""
    return tokens


class LearnedMethod(nn.Module):
    """A method in a layer with the parameters that it learns, which its formula is given by keyword.

    Args:
        formula: the method, or whatever is called in its place.
        start: names of the parameters, and what they begin with.
        shapes: the size of each.
    """

    def __init__(
        self, formula: Callable[..., Tensor], start: Mapping[str, float], shapes: Mapping[str, tuple[int, ...]]
    ) -> None:
        super().__init__()
        self.formula = formula
        self.start = start
        for name in start:
            self.register_parameter(name, nn.Parameter(torch.empty(shapes[name])))

    def reset_parameters(self) -> None:
        """Let all parameters begin anew."""
        for name, start in self.start.items():
            nn.init.constant_(getattr(self, name), start)

    def forward(self, tokens: Tensor, **context: Any) -> Tensor:
        """Apply the method."""
        learned = {name: getattr(self, name).to(tokens.dtype) for name in self.start}
        return self.formula(tokens, **context, **learned)


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
        if self.count_padding:
            layout = layout.without_masks()
        if layout.cu_seqlens is not None:  # its groups are no views, which kernels write into
            return layout.flatten(self(layout.restore(tokens), layout=layout.restored()))
        kernel = fast_kernel(self.layer, tokens, layout)
        return layout.map_sequences(self.layer, tokens) if kernel is None else kernel(tokens)


__all__ = ["ContraNorm", "ContraNormV2", "LearnedMethod", "MethodSites", "OverSequences"]
