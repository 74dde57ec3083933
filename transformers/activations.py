"""Activation functions by their configuration name; mirrors Hugging Face's `ACT2FN`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from torch import nn

from .utils.errors import ConfigurationError


def _tanh_gelu() -> nn.Module:
    """GELU by its tanh approximation: 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))."""
    return nn.GELU(approximate="tanh")


_FACTORIES: dict[str, Callable[[], nn.Module]] = {
    "gelu": nn.GELU,
    "gelu_python": nn.GELU,
    # Three names for one formula: they differ in how it is written down, not in its value.
    "gelu_new": _tanh_gelu,
    "gelu_fast": _tanh_gelu,
    "gelu_pytorch_tanh": _tanh_gelu,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "swish": nn.SiLU,
    "tanh": nn.Tanh,
}


class _Activations(Mapping[str, nn.Module]):
    """Look-up that builds the module anew each time, so that no two layers share one."""

    def __getitem__(self, name: str) -> nn.Module:
        if name not in _FACTORIES:
            raise ConfigurationError(f"hidden_act {name!r} is not known: expected one of {', '.join(_FACTORIES)}")
        return _FACTORIES[name]()

    def __contains__(self, name: object) -> bool:
        return name in _FACTORIES

    def __iter__(self) -> Iterator[str]:
        return iter(_FACTORIES)

    def __len__(self) -> int:
        return len(_FACTORIES)


ACT2FN = _Activations()


def get_activation(name: str) -> nn.Module:
    """Return a new module for the activation `name`, such as "gelu".

    Raises:
        ConfigurationError: the name is not known; the message lists those that are.

    Example:
        >>> get_activation("relu")
        ReLU()
    """
    return ACT2FN[name]
