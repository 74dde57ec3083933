"""Which ContraNorm a run uses: the command line, else the checkpoint's config, else the paper's setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transformers.contranorm_sites import parse_positions

from ..cli.arguments import RunArguments

# The paper's setting for BERT; what it leaves open is as in its released code, but for the padding (see README.md).
PAPER_SETTINGS: dict[str, Any] = {
    "pos": "7",
    "scale": 0.005,
    "tau": 1.0,
    "use_v2": False,
    "contranorm_padding": "exclude",
}


@dataclass(frozen=True)
class ContraNormSettings:
    """The chosen value of every knob, and where it came from.

    Attributes:
        values: knob to value; fields of the model's configuration.
        origins: knob to "command line", "checkpoint" or "default".
        sites: the sites that the position names, in the model's numbering; empty for the plain model.
    """

    values: dict[str, Any]
    origins: dict[str, str]
    sites: tuple[str, ...]

    @property
    def attracts(self) -> bool:
        """Whether the scale is negative, which pulls the tokens together."""
        return bool(self.sites) and self.values["scale"] < 0

    def summary(self) -> str:
        """Return all settings in one line."""
        knobs = ", ".join(f"{name} {value} ({self.origins[name]})" for name, value in self.values.items())
        state = f"on, at {' and '.join(self.sites)}" if self.sites else "off, the plain model"
        return f"ContraNorm {state}: {knobs}"


def choose_settings(args: RunArguments, config_dict: Mapping[str, Any], model_type: str) -> ContraNormSettings:
    """Settle every knob for one run.

    Args:
        args: knobs that were not given are None.
        config_dict: the checkpoint's config.json as it is in the file: a key that is not there has not been chosen.
        model_type: "bert" or "albert", whose numbering `pos` is in.

    Raises:
        ConfigurationError: the position is none of the model's.
    """
    values, origins = {}, {}
    for name, default in PAPER_SETTINGS.items():
        given = getattr(args, name)
        if given is not None:
            values[name], origins[name] = given, "command line"
        elif config_dict.get(name) is not None:
            values[name], origins[name] = config_dict[name], "checkpoint"
        else:
            values[name], origins[name] = default, "default"
    positions = parse_positions(values["pos"], model_type)
    return ContraNormSettings(values, origins, positions if values["scale"] else ())
