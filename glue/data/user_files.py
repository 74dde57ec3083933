"""The user's own files: which columns are text, what the labels are, and what kind of task it is.

The training labels decide: numbers with a decimal point make it a regression, anything else a classification whose
classes are the distinct values in their natural order. Without training data the labels are those of the checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..output.table import Table
from .labels import LabelValue, checkpoint_labels, class_ids, is_finite, label_text, parse_labels
from .readers import RawTable, read_table
from .tasks import GLUE_TASKS, OWN_FILES, Task

_LABEL_COLUMNS = ("label", "labels")
_ROW_NUMBERS = ("idx", "index", "id", "", "Unnamed: 0")  # the last two are how pandas writes its index


def read_own_files(paths: Mapping[str, Path], config_dict: Mapping[str, Any]) -> tuple[Task, dict[str, Table]]:
    """Read own files and find out what task they are.

    Args:
        paths: "train", "validation" and "test" to a file, as far as they are given.
        config_dict: the checkpoint's config.json, for the labels where there is no training file.

    Returns:
        The task, and a table for each file with the text columns and "label".

    Raises:
        UsageError: a file cannot be read, or its rows or labels do not fit; the message names file and row.
    """
    raws = {split: read_table(path) for split, path in paths.items()}
    text_columns = _choose_text_columns(next(iter(raws.values())))
    labels = {split: _labels_of(raw) for split, raw in raws.items() if split != "test"}
    if "train" in raws:
        origin = str(paths["train"])
        names = _class_names(raws["train"], labels["train"])
    else:
        origin = "the checkpoint's config"
        names = _names_of_checkpoint(config_dict)
    task = Task(
        name=OWN_FILES,
        text_columns=text_columns,
        label_names=tuple(names),
        metrics=("accuracy",) if names else ("pearson", "spearmanr"),
        main_metric="accuracy" if names else "spearmanr",
    )
    tables = {}
    for split, raw in raws.items():
        columns: dict[str, list[Any]] = {name: raw.text(name) for name in text_columns}
        if split in labels:
            columns["label"] = _to_labels(raw, labels[split], task, origin)
        else:
            columns["label"] = [math.nan if task.is_regression else -1] * len(raw)
        tables[split] = Table(columns, source=str(raw.path))
    return task, tables


def _choose_text_columns(raw: RawTable) -> tuple[str, ...]:
    """Pick a pair of columns that GLUE knows, else "sentence", else the first one or two that hold text."""
    names = [name for name in raw.columns if name not in (*_LABEL_COLUMNS, *_ROW_NUMBERS)]
    known = [task.text_columns for task in GLUE_TASKS.values()]
    for wanted in sorted(known, key=len, reverse=True):
        if set(wanted) <= set(names):
            return wanted
    found = tuple(name for name in names if _holds_text(raw, name))[:2]
    if not found:
        raise UsageError(f"{raw.path}: no text column, expected sentence, or sentence1 and sentence2{_columns_of(raw)}")
    return found


def _holds_text(raw: RawTable, name: str) -> bool:
    values = raw.columns[name]
    if raw.is_typed:
        return any(isinstance(value, str) for value in values)
    return not all(_is_numeral(value) for value in values)


def _is_numeral(text: str) -> bool:
    try:
        float(text or 0)
    except ValueError:
        return False
    return True


def _columns_of(raw: RawTable) -> str:
    return f" (columns there: {', '.join(raw.columns)})"


def _labels_of(raw: RawTable) -> list[LabelValue]:
    column = next((name for name in _LABEL_COLUMNS if name in raw.columns), None)
    if column is None:
        raise UsageError(f"{raw.path}: no column 'label'{_columns_of(raw)}; rename the one that holds the labels")
    return parse_labels(raw, column)


def _class_names(raw: RawTable, values: Iterable[LabelValue]) -> list[str]:
    """Return the class names of training labels in the natural order of their values, or nothing for a regression."""
    distinct = sorted(set(values))
    if isinstance(distinct[0], float):
        return []
    if len(distinct) == 1:
        raise UsageError(f"{raw.path}: every label is {distinct[0]!r}; a classifier needs at least two different ones")
    return [label_text(value) for value in distinct]


def _names_of_checkpoint(config_dict: Mapping[str, Any]) -> list[str]:
    names = checkpoint_labels(config_dict)
    if names:
        return names
    count = len(config_dict.get("id2label") or ()) or config_dict.get("num_labels", 2)
    if count == 1 or config_dict.get("problem_type") == "regression":
        return []
    return [str(index) for index in range(count)]


def _to_labels(raw: RawTable, values: list[LabelValue], task: Task, origin: str) -> list[Any]:
    if not task.is_regression:
        return class_ids(raw, values, task.label_names, origin)
    for index, value in enumerate(values):
        if isinstance(value, (str, bool)):
            raise UsageError(f"{raw.where(index)}: label {value!r}, expected a number as in {origin}")
        if not is_finite(value):
            raise UsageError(f"{raw.where(index)}: label {value}, expected a finite number")
    return [float(value) for value in values]
