"""Activation functions by their configuration name; mirrors Hugging Face's `ACT2FN`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from .utils.errors import ConfigurationError


class _Activations(dict[str, Callable[[], nn.Module]]):
    """Look-up that builds the module anew each time, so that no two layers share one."""

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            raise ConfigurationError(f"hidden_act {name!r} is not known: expected one of {', '.join(self)}")
        return super().__getitem__(name)()


# GELU by its tanh approximation: 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). Three names for one formula: they
# differ in how it is written down, not in its value.
_tanh_gelu = partial(nn.GELU, approximate="tanh")

ACT2FN = _Activations(
    gelu=nn.GELU,
    gelu_python=nn.GELU,
    gelu_new=_tanh_gelu,
    gelu_fast=_tanh_gelu,
    gelu_pytorch_tanh=_tanh_gelu,
    relu=nn.ReLU,
    silu=nn.SiLU,
    swish=nn.SiLU,
    tanh=nn.Tanh,
)


def get_activation(name: str) -> nn.Module:
    """Return a new module for the activation `name`, such as "gelu".

    Raises:
        ConfigurationError: the name is not known; the message lists those that are.

    Example:
        >>> get_activation("relu")
        ReLU()
    """
    return ACT2FN[name]
