"""Which method a run uses, where and how: the command line, else the checkpoint's config, else the paper's setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transformers.contranorm_sites import parse_positions
from transformers.methods import find_method, knobs_of

from ..cli.arguments import RunArguments


@dataclass(frozen=True)
class MethodSettings:
    """The chosen value of the position and of every knob, and where it came from.

    Attributes:
        values: "method", "pos" and the method's knobs; fields of the model's configuration.
        origins: the same names to "command line", "checkpoint" or "default".
        sites: the sites that the position names, in the model's numbering; empty for the plain model.
    """

    values: dict[str, Any]
    origins: dict[str, str]
    sites: tuple[str, ...]

    @property
    def attracts(self) -> bool:
        """Whether the scale is negative, which pulls the tokens together."""
        return bool(self.sites) and self.values.get("scale", 0) < 0

    def summary(self) -> str:
        """Return all settings in one line."""
        knobs = ", ".join(f"{name} {value} ({self.origins[name]})" for name, value in self.values.items())
        state = f"on, at {' and '.join(self.sites)}" if self.sites else "off, the plain model"
        return f"ContraNorm {state}: {knobs}" if "contranorm" in self.values["method"] else f"Method {state}: {knobs}"


def choose_settings(args: RunArguments, config_dict: Mapping[str, Any], model_type: str) -> MethodSettings:
    """Settle method, position and every knob for one run.

    Args:
        args: what was not given is None.
        config_dict: the checkpoint's config.json as it is in the file: a key that is not there has not been chosen.
        model_type: the kind of model, whose numbering `pos` is in.

    Raises:
        ConfigurationError: the method is unknown, a knob has a value that it may not have, or the position is none of
            the model's.
    """
    given = args.method_settings
    stored = {name: value for name, value in config_dict.items() if value is not None}
    if stored.pop("use_v2", False):
        stored.setdefault("method", "contranorm_v2")
    method = find_method(given.get("method") or stored.get("method") or "contranorm")
    if method.name != stored.get("method", "contranorm"):
        stored = {}  # knobs of another method
    defaults = {"method": method.name, "pos": method.pos, **method.defaults(model_type)}
    values, origins = {}, {}
    for name, default in defaults.items():
        sources = (("command line", given), ("checkpoint", stored), ("default", {name: default}))
        origins[name], source = next((origin, source) for origin, source in sources if name in source)
        values[name] = source[name]
    sites = parse_positions(values["pos"], model_type)
    plain = method(**{name: values[name] for name in knobs_of(method)}).is_neutral
    return MethodSettings(values, origins, () if plain else sites)
