"""The user's own files: which columns are text, what the labels are, and what kind of task it is.

The training labels decide: numbers with a decimal point make it a regression, anything else a classification whose
classes are the distinct values in their natural order. Without training the labels are those of the checkpoint.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..cli.console import say
from ..errors import UsageError
from .labels import (
    LabelValue,
    checkpoint_labels,
    class_ids,
    label_text,
    listed,
    placeholders,
    quoted,
    read_labels,
    scores,
)
from .readers import RawTable, read_table
from .table import Table
from .tasks import OWN_FILES, Task

_PAIRS = (
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("question", "sentence"),
    ("text", "text_pair"),
    ("text_a", "text_b"),
    ("text1", "text2"),
    ("text",),
    ("sentence",),
)
_NO_TEXT_NAME = re.compile(r"label.*|.*(id|idx|index|uid|guid|key)|unnamed: \d+|__index_level_\d+__|", re.IGNORECASE)
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?")
_MANY_ROWS, _FEW_VALUES = 100, 20


@dataclass(frozen=True)
class OwnFiles:
    """What the user says about own files; what is left open follows from their content.

    Args:
        paths: "train", "validation" and "test" to a file, as far as they are read.
        text_columns: `--text_column_names`.
        label_column: `--label_column_name`.
        problem_type: `--problem_type`.
        trained: whether a model is going to be trained on them.
    """

    paths: Mapping[str, Path]
    text_columns: Sequence[str] | None = None
    label_column: str | None = None
    problem_type: str | None = None
    trained: bool = True


def read_own_files(files: OwnFiles, config_dict: Mapping[str, Any]) -> tuple[Task, dict[str, Table]]:
    """Read own files and find out what task they are.

    Args:
        files: where they are, and what is known of them.
        config_dict: the checkpoint's config.json, for the labels where nothing is trained, and for the text columns.

    Returns:
        The task, with the splits that there are, and a table for each file with the text columns and "label".

    Raises:
        UsageError: a file cannot be read, or its rows or labels do not fit; the message names file and row.
    """
    raws = {split: read_table(path, whole=split == "test") for split, path in files.paths.items()}
    label_columns = {split: _label_column(files, raw) for split, raw in raws.items() if split != "test"}
    first_split, first = next(iter(raws.items()))
    hidden = files.label_column or label_columns.get(first_split)
    text_columns = _choose_text_columns(files, first, hidden, config_dict.get("text_columns"))
    labels = {split: read_labels(raws[split], column) for split, column in label_columns.items()}
    if files.trained:
        origin, names = str(files.paths["train"]), _class_names(raws["train"], labels["train"], files.problem_type)
    else:
        origin, names = "the checkpoint", _names_of_checkpoint(config_dict, labels)
        if files.problem_type not in (None, "classification" if names else "regression"):
            raise UsageError(f"--problem_type {files.problem_type}: not what the checkpoint was trained for")
    task = Task(
        OWN_FILES,
        text_columns,
        tuple(names),
        ("accuracy",) if names else ("pearson", "spearmanr"),
        validation_splits=("validation",) if "validation" in raws else (),
        test_splits=("test",) if "test" in raws else (),
    )
    tables = {}
    for split, raw in raws.items():
        columns: dict[str, list[Any]] = {name: raw.text(name) for name in text_columns}
        if split == "test":
            columns["label"] = [math.nan if task.is_regression else -1] * len(raw)
        elif task.is_regression:
            columns["label"] = scores(raw, labels[split], f"a finite number as in {origin}")
        else:
            columns["label"] = class_ids(raw, label_columns[split], labels[split], names, origin)
        tables[split] = Table(columns, str(raw.path), raw.row_numbers())
    return task, tables


def _label_column(files: OwnFiles, raw: RawTable) -> str:
    wanted = (files.label_column,) if files.label_column else ("label", "labels")
    found = next((name for name in wanted if name in raw.columns), wanted[0])
    raw.values(found, "; name the one that holds the labels with --label_column_name")
    return found


def _choose_text_columns(files: OwnFiles, raw: RawTable, label_column: str | None, saved: Any) -> tuple[str, ...]:
    """Choose the one or two text columns: those asked for, the saved model's, ones of a known name, what is left."""
    there = f"(columns there: {listed(list(raw.columns))})"
    advice = "name one or two with --text_column_names"
    if files.text_columns:
        chosen = tuple(files.text_columns)
        if len(chosen) == 1 and chosen[0] not in raw.columns:
            chosen = tuple(chosen[0].split())
        if label_column in chosen:
            raise UsageError(f"--text_column_names {' '.join(chosen)}: {label_column} holds the labels")
        if len(chosen) > 2:
            raise UsageError(f"--text_column_names {' '.join(chosen)}: expected one column, or two for pairs")
        return chosen  # that they are there is found out where they are read
    if isinstance(saved, list) and 1 <= len(saved) <= 2:
        missing = [str(name) for name in saved if name not in raw.columns]
        if not missing:
            return tuple(saved)
        if not files.trained:
            raise UsageError(f"{raw.path}: no column {missing[0]!r}, which the model was trained on {there}; {advice}")
        say(f"Note: {raw.path} has no column {missing[0]!r}, which the checkpoint was trained on: others are chosen")
    for wanted in _PAIRS:
        if set(wanted) <= raw.columns.keys() - {label_column}:
            return wanted
    names = [
        name
        for name, values in raw.columns.items()
        if name != label_column and not _NO_TEXT_NAME.fullmatch(name) and _may_be_text(values)
    ]
    found = [name for name in names if None not in raw.columns[name]] or names
    if not 1 <= len(found) <= 2:
        reason = f"which columns are text is not clear: {listed(found)}" if found else f"no text column {there}"
        raise UsageError(f"{raw.path}: {reason}; {advice}")
    return tuple(found)


def _may_be_text(values: list[Any]) -> bool:
    """Whether the content of a column may be text: no numbers, dates, names of rows, nor one of a few categories."""
    given = [value for value in values if value not in (None, "")]
    different = set(map(str, given))
    if not all(isinstance(value, str) for value in given) or (len(different) <= 1 and len(values) > 1):
        return False
    are_words = len(different) == len(given) and not any(re.search(r"\s", value.strip()) for value in given)
    is_few = len(values) >= _MANY_ROWS and len(different) <= _FEW_VALUES
    return not (are_words or is_few or all(map(_is_numeral, given)) or all(map(_ISO_DATE.fullmatch, given)))


def _is_numeral(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _class_names(raw: RawTable, values: list[LabelValue], problem_type: str | None) -> list[str]:
    """Return the class names of training labels in the natural order of their values, or nothing for a regression."""
    distinct = sorted(set(values))
    kind = type(distinct[0])
    looks_alike = kind is float and all(value.is_integer() for value in distinct) and len(distinct) <= _FEW_VALUES
    if problem_type is None and (looks_alike or (kind is int and len(distinct) > _FEW_VALUES)):
        say(
            f"Warning: {raw.path}: the labels are {len(distinct)} different whole numbers, "
            + (
                "written as decimals, and taken for scores: --problem_type classification makes them classes"
                if kind is float
                else "and taken for classes: --problem_type regression makes them scores"
            )
        )
    if problem_type == "regression" or (problem_type is None and kind is float):
        return []
    if len(distinct) == 1:
        raise UsageError(
            f"{raw.path}: every label is {quoted(distinct[0])}; a classifier needs at least two different ones"
        )
    return [label_text(value) for value in distinct]


def _names_of_checkpoint(config_dict: Mapping[str, Any], labels: Mapping[str, list[LabelValue]]) -> list[str]:
    """Return the class names of a checkpoint that is not trained, or nothing for a regression.

    One that has given its classes no names has those of a training file with as many, or the placeholders where the
    files use them, or else numbers.
    """
    names = checkpoint_labels(config_dict)
    count = len(config_dict.get("id2label") or ()) or config_dict.get("num_labels", 2)
    if config_dict.get("problem_type") == "regression" or count == 1:
        return []
    trained_on = sorted(set(labels.get("train", ())))
    if not names and len(trained_on) == count:
        names = [label_text(value) for value in trained_on]
    used = {value for values in labels.values() for value in values}
    if not names and used and used <= set(placeholders(count)):
        names = placeholders(count)
    return names or [str(index) for index in range(count)]
