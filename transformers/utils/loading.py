"""Bringing the tensors of a checkpoint into a model: which goes where, what is left, and the report about it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from ..backbones import Backbone
from .errors import CheckpointError
from .text import printable

# Buffers that older versions saved and that no model here has, and LayerNorm's parameters in the first checkpoints.
_OLD_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")
_OLD_NAMES = {"gamma": "weight", "beta": "bias"}
# What torch.compile and DistributedDataParallel put in front of the names of the model that they wrap.
_WRAPPERS = re.compile(r"(?<![^.])(_orig_mod|module)\.")

# Within a name: what a method against oversmoothing has learned, in the slots of a layer.
METHOD_PREFIX = ".sites."

_LISTED = 8  # names that a report shows before it only counts


@dataclass
class LoadingReport:
    """What became of the tensors of a checkpoint; names are the model's, those of `unexpected` the checkpoint's.

    Attributes:
        sources: for every loaded tensor of the model, its name in the checkpoint.
        missing: tensors of the model that the checkpoint does not have.
        unexpected: tensors of the checkpoint that the model does not have.
        mismatched: (name, shape in the checkpoint, shape in the model).
    """

    sources: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = field(default_factory=list)

    def summary(self) -> str:
        """Return the lines that a person should read; empty if every tensor found its place."""
        learned = [name for name in self.missing if METHOD_PREFIX in name]
        parts = {
            "not in the checkpoint, newly drawn (train before use)": [n for n in self.missing if n not in learned],
            "not in the checkpoint, at the start that the method gives them": learned,
            "of another shape, newly drawn (train before use)": describe(self.mismatched),
            "in the checkpoint, not used": self.unexpected,
        }
        return "\n".join(f"  {what}: {_listed(names)}" for what, names in parts.items() if names)

    def as_info(self) -> dict[str, Any]:
        """Return the dictionary that `from_pretrained(output_loading_info=True)` hands out."""
        return {
            "missing_keys": {*self.missing},
            "unexpected_keys": {*self.unexpected},
            "mismatched_keys": {*self.mismatched},
            "error_msgs": [],
        }


def match_tensors(
    model: nn.Module,
    prefix: str,
    backbone: Backbone,
    stored: Mapping[str, Tensor],
    origin: str,
    tied: Collection[str] = (),
) -> LoadingReport:
    """Find the place of every tensor of a checkpoint in a model, by name and shape; nothing is read yet.

    Names are found with and without the prefix of the base model (`bert.`), under LayerNorm's old names gamma and
    beta, and as a wrapped model saved them. Of a longer stack of layers than the model's the first ones are taken.

    Args:
        model: the model to fill.
        prefix: what stands in front of the base model's names in a model with a head, such as "bert.".
        backbone: the record of the kind of model: where its layers are, and what nobody misses.
        stored: the tensors of the checkpoint.
        origin: what to call the checkpoint in an error.
        tied: names of tensors of the model that are others of it; what a checkpoint has there is not read.

    Raises:
        CheckpointError: the model has more layers than the checkpoint, or nothing fits.
    """
    report = LoadingReport()
    wanted = {name: tensor for name, tensor in model.state_dict().items() if name not in tied}
    plain_names = {name: plain_name(name) for name in stored}
    depths, held = _depths(wanted, backbone), _depths(plain_names.values(), backbone)
    for setting, depth in depths.items():
        if 0 < held[setting] < depth:
            raise CheckpointError(f"{setting} is {depth}, but {origin} has only {held[setting]}: ask for no more")

    for name, tensor in stored.items():
        plain = plain_names[name]
        place = _place(plain, wanted, prefix)
        if place is None and _place(plain, tied, prefix) is not None:
            continue
        if place is None:
            left_out = any(0 < depths[setting] <= index for setting, index in _layers(plain, backbone))
            if not (left_out or plain.startswith(backbone.unused_keys) or plain.endswith(_OLD_BUFFERS)):
                report.unexpected.append(name)
        elif place in report.sources:
            raise CheckpointError(f"{origin} has {place} twice: as {report.sources[place]} and as {name}")
        elif tensor.shape != wanted[place].shape:
            report.mismatched.append((place, tuple(tensor.shape), tuple(wanted[place].shape)))
        else:
            report.sources[place] = name
    found = {*report.sources, *(name for name, _, _ in report.mismatched)}
    report.missing = [name for name in wanted if name not in found]
    if not found:
        raise CheckpointError(f"nothing in {origin} fits {type(model).__name__}: it has {_listed(stored)}")
    return report


def plain_name(name: str) -> str:
    """Return the name of a tensor as the model alone has it, without what a wrapper put in front.

    Example:
        >>> plain_name("module._orig_mod.bert.pooler.dense.bias")
        'bert.pooler.dense.bias'
    """
    return _WRAPPERS.sub("", name)


def describe(mismatched: Iterable[tuple[str, tuple[int, ...], tuple[int, ...]]]) -> list[str]:
    """Return one phrase for each tensor of another shape."""
    return [f"{name} (checkpoint {_shape(there)}, model {_shape(here)})" for name, there, here in mismatched]


def _place(name: str, wanted: Collection[str], prefix: str) -> str | None:
    """Return the model's name for a tensor of the checkpoint, or None."""
    head, dot, last = name.rpartition(".")
    for candidate in (name, f"{head}{dot}{_OLD_NAMES.get(last, last)}"):
        for place in (candidate, prefix + candidate, candidate.removeprefix(prefix)):
            if place in wanted:
                return place
    return None


def _depths(names: Iterable[str], backbone: Backbone) -> dict[str, int]:
    """Return how many layers the names tell of, by the setting that counts them."""
    depths = {setting: 0 for _, setting in backbone.stacks}
    for setting, index in (layer for name in names for layer in _layers(name, backbone)):
        depths[setting] = max(depths[setting], index + 1)
    return depths


def _layers(name: str, backbone: Backbone) -> list[tuple[str, int]]:
    """Return the index of the layer that a tensor is in, for each setting that counts such layers."""
    found = [
        (setting, re.search(rf"(?<![^.]){re.escape(stack)}(\d{{1,9}})\.", name)) for stack, setting in backbone.stacks
    ]
    return [(setting, int(match[1])) for setting, match in found if match]


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(printable(name) for name in list(names)[:_LISTED])
    return shown if len(names) <= _LISTED else f"{shown} and {len(names) - _LISTED} more"


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"
