"""Methods against oversmoothing, by name. A new one is a file in this folder and a line in `METHODS`.

What a method is, and the three kinds there are, stands in `base.py`. Nothing here imports torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any

from ..contranorm_sites import parse_positions, site_numbers
from ..utils.errors import ConfigurationError
from .base import ContextMap, Method, ScoreChange, TokenMap, check_knob, knob, of_each_layer


def _method(module: str, name: str) -> type[Method]:
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)


METHODS: dict[str, type[Method]] = {
    "contranorm": _method("contranorm", "ContraNorm"),
    "contranorm_v2": _method("contranorm_v2", "ContraNormV2"),
    "contranorm_learned": _method("contranorm_learned", "ContraNormLearned"),
    "centering": _method("centering", "Centering"),
    "pairnorm": _method("pairnorm", "PairNorm"),
    "featscale": _method("featscale", "FeatScale"),
    "attnscale": _method("attnscale", "AttnScale"),
    "gfsa": _method("gfsa", "GFSA"),
    "neutreno": _method("neutreno", "NeuTRENO"),
    "resformer": _method("resformer", "ResFormer"),
    "shaped": _method("shaped", "ShapedAttention"),
    "exclusive": _method("exclusive", "Exclusive"),
    "gated_exclusive": _method("exclusive", "GatedExclusive"),
    "gated": _method("gated", "GatedAttention"),
    "tempscale": _method("tempscale", "TempScale"),
    "softdecay": _method("softdecay", "SoftDecay"),
}


def find_method(method: str | type[Method]) -> type[Method]:
    """Return the class of a name; a class is its own.

    Raises:
        ConfigurationError: there is no method of that name.

    Example:
        >>> find_method("centering").pos
        '7'
    """
    if isinstance(method, type) and issubclass(method, Method):
        return method
    if not isinstance(method, str) or method not in METHODS:
        raise ConfigurationError(
            f"method {method!r} is not one of {', '.join(METHODS)}: give one of these, or a class of your own"
        )
    return METHODS[method]


def method_sites(method: str | type[Method], pos: str | int | None, model_type: str) -> tuple[str, ...]:
    """Return the sites that a position names, at all of which the method is defined.

    Raises:
        ConfigurationError: it is not, or `pos` is no position.

    Example:
        >>> method_sites("softdecay", "8", "albert")
        ('layer_output',)
    """
    found, sites = find_method(method), parse_positions(pos, model_type)
    if not set(sites) <= set(found.sites):
        numbers = site_numbers(model_type)
        raise ConfigurationError(
            f"pos {pos!r}: {found.name} is defined at {', '.join(found.sites)} only: give pos "
            f"{' or '.join(numbers[site] for site in found.sites)}"
        )
    return sites


def knobs_of(method: str | type[Method]) -> dict[str, Field[Any]]:
    """Return the knobs of a method by name; `default` and `metadata["help"]` of each say what it is."""
    return {item.name: item for item in fields(find_method(method))}


def all_knobs() -> dict[str, Field[Any]]:
    """Return the knobs of all methods by name; one that several share is that of the first."""
    found: dict[str, Field[Any]] = {}
    for method in METHODS.values():
        for name, item in knobs_of(method).items():
            found.setdefault(name, item)
    return found


def settings_of(method: str | type[Method], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a method's knobs for a configuration: the values that are there, checked; neutral ones elsewhere.

    Raises:
        ConfigurationError: a value is none of those that its knob may have.
    """
    found = find_method(method)
    plain = {name: found.neutral.get(name, item.default) for name, item in knobs_of(found).items()}
    return {name: check_knob(item, values.get(name, plain[name])) for name, item in knobs_of(found).items()}


__all__ = [
    "METHODS",
    "ContextMap",
    "Method",
    "ScoreChange",
    "TokenMap",
    "all_knobs",
    "check_knob",
    "find_method",
    "knob",
    "knobs_of",
    "method_sites",
    "of_each_layer",
    "settings_of",
]
