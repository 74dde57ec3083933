"""Label values: from what a file holds to class ids, and from the task's class ids to the checkpoint's.

Two numberings meet in a run. Tables, metrics and predictions use the task's (the position in `Task.label_names`). A
checkpoint that was trained on the same labels may have them in another order; its order is kept, so that its classifier
stays valid, and `LabelMapping` translates.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import UsageError
from .readers import RawTable
from .tasks import OWN_FILES, Task

LabelValue = str | int | float | bool

# A leading zero ("007") makes a code, not a number.
_INTEGER = re.compile(r"[+-]?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[+-]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][+-]?[0-9]+)?")
_NOT_A_NUMBER = ("nan", "inf", "+inf", "-inf", "infinity", "-infinity")
_KINDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


class LabelMapping(NamedTuple):
    """The label part of a model's config, and how its ids differ from the task's.

    Args:
        id2label: id in the model to name.
        label2id: name to id in the model.
        note: one line for the user where the checkpoint's labels had an influence; otherwise empty.
    """

    id2label: dict[int, str]
    label2id: dict[str, int]
    note: str

    def model_ids(self, task: Task) -> np.ndarray:
        """Return the model's id of each of the task's class ids (int64), for the labels that a model is trained on."""
        return np.array([self.label2id[name] for name in task.label_names], dtype=np.int64)

    def task_ids(self, task: Task) -> np.ndarray:
        """Return the task's id of each of the model's class ids (int64), for what a model predicts."""
        return np.argsort(self.model_ids(task))


def make_label_mapping(task: Task, config_dict: Mapping[str, Any]) -> LabelMapping:
    """Decide which id each label has in the model.

    Where the checkpoint's label names are the task's (but for case and the kind of dash), their ids are kept; else the
    task's own order is used.

    Args:
        task: the task; for regression the mapping is Hugging Face's placeholder `LABEL_0`.
        config_dict: the checkpoint's config.json.

    Example:
        >>> from glue.data.tasks import GLUE_TASKS
        >>> mapping = make_label_mapping(GLUE_TASKS["rte"], {"id2label": {"0": "NOT_ENTAILMENT", "1": "ENTAILMENT"}})
        >>> mapping.id2label, mapping.model_ids(GLUE_TASKS["rte"])
        ({0: 'not_entailment', 1: 'entailment'}, array([1, 0]))
    """
    if task.is_regression:
        return LabelMapping({0: "LABEL_0"}, {"LABEL_0": 0}, "")
    ours = {_fold(name, task): name for name in task.label_names}
    stored = checkpoint_labels(config_dict)
    theirs = [_fold(name, task) for name in stored]
    names, note = list(task.label_names), ""
    if sorted(theirs) == sorted(ours) and len(ours) == len(names):
        names = [ours[name] for name in theirs]
        if tuple(names) != task.label_names:
            note = f"labels keep the checkpoint's order: {', '.join(names)}"
    elif stored:
        note = f"the checkpoint's labels ({', '.join(stored)}) give way to the task's ({', '.join(names)})"
    id2label = dict(enumerate(names))
    return LabelMapping(id2label, {name: index for index, name in id2label.items()}, note)


def checkpoint_labels(config_dict: Mapping[str, Any]) -> list[str]:
    """Return the label names of a config.json in id order; empty where it has none but the placeholders LABEL_0 ..."""
    id2label = config_dict.get("id2label") or {}
    try:
        by_id = {int(index): str(name) for index, name in id2label.items()}
    except (AttributeError, ValueError):
        return []
    names = [by_id[index] for index in sorted(by_id)]
    is_placeholder = all(name == f"LABEL_{index}" for index, name in by_id.items())
    return [] if is_placeholder or sorted(by_id) != list(range(len(by_id))) else names


def label_text(value: LabelValue) -> str:
    """Return how a label value is written in configs and prediction files: 1 and 1.0 as "1", true as "true"."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def parse_labels(raw: RawTable, column: str) -> list[LabelValue]:
    """Read a label column whose values all have to be of one kind: text, whole numbers, numbers, or true and false.

    Args:
        raw: the file.
        column: its label column.

    Returns:
        The values, all of one Python type (str, int, float or bool).

    Raises:
        UsageError: a label is missing, not finite, or of another kind than those above it.
    """
    values = raw.columns[column] if raw.is_typed else _from_text(raw.columns[column])
    kinds = set(map(type, values))
    numeric = kinds <= {int, float}
    for index, value in enumerate(values):
        if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
            raise UsageError(f"{raw.where(index)}: the label is missing{' (NaN)' if isinstance(value, float) else ''}")
        if (isinstance(value, float) or kinds == {int, float}) and not is_finite(value):
            raise UsageError(f"{raw.where(index)}: label {value}, expected a finite number")
        if type(value) not in _KINDS:
            raise UsageError(f"{raw.where(index)}: label {value!r}, expected text, a number, true or false")
        if type(value) is not type(values[0]) and not numeric:
            raise UsageError(
                f"{raw.where(index)}: label {value!r} is {_KINDS[type(value)]}, but label {values[0]!r} above it is "
                f"{_KINDS[type(values[0])]}; all labels have to be of one kind"
            )
    return [float(value) for value in values] if kinds == {int, float} else values


def is_finite(value: float) -> bool:
    """Whether a number, which may be a whole one of any size, is a finite number as a float."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def class_ids(raw: RawTable, values: Sequence[LabelValue], names: Sequence[str], origin: str) -> list[int]:
    """Translate label values into positions in `names`.

    Args:
        raw: the file that the values are from, for messages.
        values: the labels, one a row.
        names: the labels of training, as `label_text` writes them.
        origin: where `names` come from, for messages.

    Raises:
        UsageError: a value is none of the names.
    """
    ids = {name: index for index, name in enumerate(names)}
    found = [ids.get(label_text(value), -1) for value in values]
    if -1 in found:
        row = found.index(-1)
        known = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        raise UsageError(f"{raw.where(row)}: label {values[row]!r} does not occur in {origin} (labels there: {known})")
    return found


def _from_text(column: Sequence[str]) -> list[LabelValue]:
    """Give the labels of a text file types: numbers only where not a single label is a word."""
    stripped = [value.strip() for value in column]
    numbers = [_to_number(value) for value in stripped]
    words = [text for text, number in zip(stripped, numbers, strict=True) if number is None and text]
    if len(words) == len([text for text in stripped if text]):
        return [value if text else "" for value, text in zip(column, stripped, strict=True)]
    # Among numbers "nan" is one too; among words it is a word, as "NA" and "null" are.
    return [
        float(text) if text.lower() in _NOT_A_NUMBER else value if number is None else number
        for value, text, number in zip(column, stripped, numbers, strict=True)
    ]


def _to_number(text: str) -> int | float | None:
    if _INTEGER.fullmatch(text):
        with contextlib.suppress(ValueError):  # thousands of digits
            return int(text)
    return float(text) if _NUMBER.fullmatch(text) else None


def _fold(name: str, task: Task) -> str:
    """Make GLUE's label words comparable; the labels of own files are the user's, and `A` may differ from `a`."""
    return name if task.name == OWN_FILES else name.lower().replace("-", "_").replace(" ", "_")
