"""Bringing the tensors of a checkpoint into a model: which goes where, what is left, and the report about it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from .errors import CheckpointError
from .text import printable

if TYPE_CHECKING:
    from ..modeling_utils import PreTrainedModel
    from .weight_files import TensorSource

# Heads of pretraining, and buffers that older versions saved: every pretrained checkpoint has them, no model here does.
_DROPPED = re.compile(r"(cls|predictions|sop_classifier)\.|(.*\.)?embeddings\.(position_ids|token_type_ids)$")
_OLD_NAMES = {"gamma": "weight", "beta": "bias"}

# Stacks of layers: the name in front of a layer's index, and the setting that says how many there are.
_STACKS = (
    ("encoder.layer.", "num_hidden_layers"),
    ("encoder.albert_layer_groups.", "num_hidden_groups"),
    (".albert_layers.", "inner_group_num"),
)

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
        lines = []
        if self.missing:
            lines.append(f"  not in the checkpoint, newly drawn (train before use): {_listed(self.missing)}")
        if self.mismatched:
            lines.append(f"  of another shape, newly drawn (train before use): {_listed(describe(self.mismatched))}")
        if self.unexpected:
            lines.append(f"  in the checkpoint, not used: {_listed(self.unexpected)}")
        return "\n".join(lines)

    def as_info(self) -> dict[str, Any]:
        """Return the dictionary that `from_pretrained(output_loading_info=True)` hands out."""
        return {
            "missing_keys": [*self.missing],
            "unexpected_keys": [*self.unexpected],
            "mismatched_keys": [*self.mismatched],
            "error_msgs": [],
        }


def match_tensors(model: PreTrainedModel, source: TensorSource, origin: str) -> LoadingReport:
    """Find the place of every tensor of a checkpoint in a model, by name and shape; nothing is read yet.

    Names are found with and without the prefix of the base model (`bert.`), and under LayerNorm's old names gamma and
    beta. Of a longer stack of layers than the model's the first ones are taken.

    Args:
        model: the model to fill.
        source: the checkpoint.
        origin: what to call the checkpoint in an error.

    Raises:
        CheckpointError: the model has more layers than the checkpoint, or nothing fits.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    prefix = f"{model.base_model_prefix}."
    report = LoadingReport()
    depths = _depths(wanted)
    held = _depths(source.shapes)
    for stack, setting in _STACKS:
        if 0 < held[stack] < depths[stack]:
            raise CheckpointError(f"{setting} is {depths[stack]}, but {origin} has only {held[stack]}: ask for no more")

    for name, shape in source.shapes.items():
        if _DROPPED.match(name):
            continue
        place = _place(name, wanted, prefix)
        if place is None:
            if not _beyond(name, depths):
                report.unexpected.append(name)
        elif place in report.sources:
            raise CheckpointError(f"{origin} has {place} twice: as {report.sources[place]} and as {name}")
        elif shape != wanted[place]:
            report.mismatched.append((place, shape, wanted[place]))
        else:
            report.sources[place] = name
    other = {name for name, _, _ in report.mismatched}
    report.missing = [name for name in wanted if name not in report.sources and name not in other]
    if not report.sources and not report.mismatched:
        raise CheckpointError(f"nothing in {origin} fits {type(model).__name__}: it has {_listed(source.shapes)}")
    return report


@torch.no_grad()
def fill_model(model: PreTrainedModel, source: TensorSource, report: LoadingReport, origin: str) -> None:
    """Draw anew what the checkpoint does not have, and copy the rest from it.

    Raises:
        CheckpointError: a tensor cannot be read, or holds integers where the model has floating-point numbers.
    """
    drawn = {*report.missing, *(name for name, _, _ in report.mismatched)}
    # A module is initialised as a whole; those of its tensors that the checkpoint has are overwritten below.
    for name in dict.fromkeys(key.rpartition(".")[0] for key in drawn):
        model._init_weights(model.get_submodule(name))
    places = model.state_dict()
    for place, name in report.sources.items():
        value = source.read(name)
        if value.is_floating_point() != places[place].is_floating_point():
            kinds = f"{value.dtype} where the model has {places[place].dtype}".replace("torch.", "")
            raise CheckpointError(f"{origin}: {name} is {kinds} (quantised checkpoints are not supported)")
        places[place].copy_(value)


def describe(mismatched: Iterable[tuple[str, tuple[int, ...], tuple[int, ...]]]) -> list[str]:
    """Return one phrase for each tensor of another shape."""
    return [f"{name} (checkpoint {_shape(there)}, model {_shape(here)})" for name, there, here in mismatched]


def _place(name: str, wanted: Mapping[str, Any], prefix: str) -> str | None:
    """Return the model's name for a tensor of the checkpoint, or None."""
    head, dot, last = name.rpartition(".")
    for candidate in (name, f"{head}{dot}{_OLD_NAMES.get(last, last)}"):
        for place in (candidate, prefix + candidate, candidate.removeprefix(prefix)):
            if place in wanted:
                return place
    return None


def _depths(names: Iterable[str]) -> dict[str, int]:
    """Return for every kind of stack how many layers the names tell of."""
    depths = {stack: 0 for stack, _ in _STACKS}
    for name in names:
        for stack, index in _layer_indices(name):
            depths[stack] = max(depths[stack], index + 1)
    return depths


def _beyond(name: str, depths: Mapping[str, int]) -> bool:
    """Whether a tensor belongs to a layer that the model has been asked to do without."""
    return any(0 < depths[stack] <= index for stack, index in _layer_indices(name))


def _layer_indices(name: str) -> Iterable[tuple[str, int]]:
    for stack, _ in _STACKS:
        _, found, rest = name.partition(stack)
        index = rest.partition(".")[0]
        if found and index.isdigit():
            yield stack, int(index)


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(printable(name) for name in list(names)[:_LISTED])
    return shown if len(names) <= _LISTED else f"{shown} and {len(names) - _LISTED} more"


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"
