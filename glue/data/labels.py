"""Label values: from what a file holds to class ids, and from the task's class ids to the checkpoint's.

Two numberings meet in a run. Tables, metrics and predictions use the task's (the position in `Task.label_names`). A
checkpoint that was trained on the same labels may have them in another order; its order is kept, so that its classifier
stays valid, and `LabelMapping` translates.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from transformers.utils.text import quoted

from ..errors import UsageError
from .table import Table
from .tasks import OWN_FILES, Task

LabelValue = str | int | float | bool

# Plain numbers. A leading zero ("007") makes a code, and so does an exponent other than Python's own ("1E2").
_INTEGER = re.compile(r"[+-]?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-][0-9]+)?")
_NOT_A_NUMBER = ("nan", "inf", "+inf", "-inf", "infinity", "-infinity")
_LONGEST = 80  # characters of a value in a message
_LONGEST_NUMBER = 18  # digits; a longer one is a code
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


def make_label_mapping(task: Task, config_dict: Mapping[str, Any], trained: bool = True) -> LabelMapping:
    """Decide which id each label has in the model.

    Where the checkpoint's label names are the task's (but for case and the kind of dash), their ids are kept; else the
    task's own order is used.

    Args:
        task: the task; for regression the mapping is Hugging Face's placeholder `LABEL_0`.
        config_dict: the checkpoint's config.json.
        trained: whether the model is going to be trained on the task.

    Raises:
        UsageError: nothing is trained, and the checkpoint's labels are not the task's.

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
            note = f"labels keep the checkpoint's order: {listed(names)}"
    elif stored and not trained and stored != [str(index) for index in range(task.num_labels)]:
        raise UsageError(
            f"the checkpoint's labels ({listed(stored)}) are not the task's ({listed(names)}), and nothing is trained"
        )
    elif stored and trained:
        note = f"the checkpoint's labels ({listed(stored)}) give way to the task's ({listed(names)})"
    id2label = dict(enumerate(names))
    return LabelMapping(id2label, {name: index for index, name in id2label.items()}, note)


def checkpoint_labels(config_dict: Mapping[str, Any]) -> list[str]:
    """Return the label names of a config.json in id order.

    Empty where it has none but the placeholders LABEL_0 ...; in a model that was trained on own files these are names
    like any other.
    """
    is_own = bool(config_dict.get("text_columns"))
    id2label = config_dict.get("id2label") or {}
    if is_own and not id2label:  # a config leaves out what is the default: two classes of these very names
        return placeholders(2)
    try:
        by_id = {int(index): str(name) for index, name in id2label.items()}
    except (AttributeError, ValueError):
        return []
    names = [by_id[index] for index in sorted(by_id)]
    is_placeholder = names == placeholders(len(names)) and not is_own
    return [] if is_placeholder or sorted(by_id) != list(range(len(by_id))) else names


def placeholders(count: int) -> list[str]:
    """Return the names that a config has where nobody has given the classes any."""
    return [f"LABEL_{index}" for index in range(count)]


def listed(names: Sequence[object], most: int = 20) -> str:
    """Return names as a message lists them: only the first ones of very many, each cut where it is very long."""
    rest = f", ... ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(str(name)[:_LONGEST] for name in names[:most]) + rest


def label_text(value: LabelValue) -> str:
    """Return how a label value is written in configs and prediction files: 1 and 1.0 as "1", true as "true"."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def comparable(value: LabelValue) -> LabelValue:
    """Return what tells a label from others: of a text its composed form (NFC), as é can be one character or two."""
    return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


def read_labels(raw: Table, column: str) -> list[Any]:
    """Read a label column whose values all have to be of one kind: text, whole numbers, numbers, or true and false.

    The values of a text file are numbers where all of them are plain ones; otherwise they are text. Blanks at both ends
    of a text do not count, nor whether accents are composed: predictions give back the first spelling seen in training.
    "Yes" and "yes" are two classes.

    Args:
        raw: the file.
        column: its label column.

    Returns:
        The values, all of one Python type (str, int, float or bool).

    Raises:
        UsageError: a label is missing, not finite, or of another kind than those above it.
    """
    values = [value.strip() if isinstance(value, str) else value for value in raw.values(column)]
    if not raw.is_typed:
        values = _as_numbers(values)
    kinds = set(map(type, values))
    for index, value in enumerate(values):
        if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
            raise UsageError(f"{raw.where(index)}: the label is missing{' (NaN)' if isinstance(value, float) else ''}")
        if type(value) not in _KINDS:
            raise UsageError(f"{raw.where(index)}: label {quoted(value)}, expected text, a number, true or false")
        if type(value) is not type(values[0]) and not kinds <= {int, float}:
            raise UsageError(
                f"{raw.where(index)}: label {quoted(value)} is {_KINDS[type(value)]}, but label {quoted(values[0])} "
                f"above it is {_KINDS[type(values[0])]}; all labels have to be of one kind"
            )
    return scores(raw, values, "a finite number") if float in kinds else values


LARGEST_SCORE = 1e18  # its square, a loss, is still a number of single precision


def scores(raw: Table, values: Sequence[LabelValue], expected: str) -> list[float]:
    """Return labels as the numbers of a regression.

    Raises:
        UsageError: a label is text, true or false, or no finite number.
    """
    numbers = []
    for index, value in enumerate(values):
        try:
            number = math.nan if isinstance(value, bool) else float(value)
            numbers.append(number if abs(number) < LARGEST_SCORE else math.nan)
        except (ValueError, OverflowError):
            numbers.append(math.nan)
        if not math.isfinite(numbers[-1]):
            raise UsageError(f"{raw.where(index)}: label {quoted(value)}, expected {expected}")
    return numbers


def class_ids(raw: Table, column: str, values: Sequence[LabelValue], names: Sequence[str], origin: str) -> list[int]:
    """Translate label values into positions in `names`.

    Args:
        raw: the file that the values are from.
        column: its label column; a label that is a name as it stands there is that one, whatever kind it has.
        values: the same as `read_labels` returns them.
        names: the labels of training, as `label_text` writes them.
        origin: where `names` come from, for messages.

    Raises:
        UsageError: a value is none of the names.
    """
    ids = {comparable(name): index for index, name in enumerate(names)}
    if set(names) == {"true", "false"}:  # as JSON writes what pandas writes to csv as True and False
        ids |= {name.capitalize(): ids[name] for name in names}
    found = [
        ids.get(comparable(str(written).strip()), ids.get(comparable(label_text(value)), -1))
        for written, value in zip(raw.columns[column], values, strict=True)
    ]
    if -1 in found:
        row = found.index(-1)
        raise UsageError(
            f"{raw.where(row)}: label {quoted(values[row])} does not occur in {origin} (labels there: {listed(names)})"
        )
    return found


def _as_numbers(texts: list[str]) -> list[Any]:
    """Give the labels of a text file types: numbers where every one of them is plain, among which nan counts as one."""
    given = {text for text in texts if text}
    plain = set(filter(_NUMBER.fullmatch, given))
    is_whole = all(map(_INTEGER.fullmatch, given))
    if not plain or any(text.lower() not in _NOT_A_NUMBER for text in given - plain):
        return texts
    if is_whole and max(map(len, given)) > _LONGEST_NUMBER:
        return texts
    return [(int(text) if is_whole else float(text)) if text else text for text in texts]


def _fold(name: str, task: Task) -> str:
    """Make GLUE's label words comparable; the labels of own files are the user's, and `A` may differ from `a`."""
    return str(comparable(name)) if task.name == OWN_FILES else name.lower().replace("-", "_").replace(" ", "_")
