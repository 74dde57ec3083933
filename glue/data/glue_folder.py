"""GLUE from a folder on disk: `<task>/<split>.jsonl[.gz]` or `.parquet`, or the official TSV folders as published.

The official files differ from task to task in columns, header and label words; what is needed of each stands here.
They are read without quoting: a double quote in them is a character like any other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from transformers.utils.text import quoted

from ..errors import UsageError
from .readers import RawTable, read_table
from .table import Table
from .tasks import Task

# Columns that have another name in the official files than on the Hub.
_OFFICIAL_NAMES = {
    "mrpc": {"sentence1": "#1 String", "sentence2": "#2 String", "label": "Quality"},
    "stsb": {"label": "score"},
    "qqp": {"label": "is_duplicate"},
    "mnli": {"premise": "sentence1", "hypothesis": "sentence2", "label": "gold_label"},
}
# The last one is that of a copy of the Hub's repository.
_SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet", "-00000-of-00001.parquet")
_COLA_WITHOUT_HEADER = ("source", "label", "original_label", "sentence")
_DIAGNOSTICS = ("diagnostic/diagnostic.tsv", "AX/AX.tsv", "AX/diagnostic.tsv", "AX/test.tsv", "AX.tsv")


def find_splits(folder: Path, task: Task, splits: Iterable[str]) -> dict[str, Path]:
    """Find the files of a task in a GLUE folder.

    Args:
        folder: the folder with one sub-folder a task.
        task: the task.
        splits: the splits that are wanted.

    Returns:
        Each split that is there and its file.
    """
    found = {}
    for split in splits:
        places = [folder / task.name / split, *([folder / "ax" / "test"] if split == "test_ax" else [])]
        paths = [place.with_name(place.name + suffix) for place in places for suffix in _SUFFIXES]
        paths += [folder / name for name in _official_paths(task, split)]
        path = next(filter(Path.is_file, paths), None)
        if path is not None:
            found[split] = path
    return found


def describe_places(folder: Path, task: Task, split: str) -> str:
    """Say in words where `find_splits` looks for a split."""
    name = "ax/test" if split == "test_ax" else f"{task.name}/{split}"
    return f"{name}.jsonl[.gz], {name}.parquet and {_official_paths(task, split)[0]} in {folder}"


def read_split(path: Path, task: Task, split: str) -> Table:
    """Read a split that `find_splits` found.

    Raises:
        UsageError: the file is broken, lacks a column, or has a label that the task does not know.
    """
    is_official, is_test = path.suffix == ".tsv", split.startswith("test")
    header = _COLA_WITHOUT_HEADER if is_official and task.name == "cola" and not is_test else None
    raw = read_table(path, whole=is_test, header=header)
    return to_table(raw, task, split, _OFFICIAL_NAMES.get(task.name) if is_official else None)


def to_table(raw: RawTable, task: Task, split: str, names: Mapping[str, str] | None = None) -> Table:
    """Check a GLUE split.

    Args:
        raw: columns as they were read; labels are ids, label words or scores, also as text.
        task: the task.
        split: name of the split; labels of a test split may be missing (no column, None, "" or -1).
        names: columns that have another name in `raw`.

    Returns:
        The text columns and "label": class ids or scores, -1 or NaN where a test split has none.

    Raises:
        UsageError: a column is missing, or a label is missing outside of a test split, or unknown.
    """
    names = names or {}
    columns: dict[str, list[Any]] = {name: raw.text(names.get(name, name)) for name in task.text_columns}
    columns["label"] = _labels(raw, names.get("label", "label"), task, may_miss=split.startswith("test"))
    return Table(columns, str(raw.path), raw.row_numbers())


def _official_paths(task: Task, split: str) -> tuple[str, ...]:
    official = f"{task.official}/{split.replace('validation', 'dev')}.tsv"
    return _DIAGNOSTICS if split == "test_ax" else (official,)


def _labels(raw: RawTable, column: str, task: Task, may_miss: bool) -> list[Any]:
    ids = {name: index for index, name in enumerate(task.label_names)}
    ids.update({str(index): index for index in range(len(task.label_names))})
    labels: list[Any] = []
    for index, value in enumerate(raw.columns.get(column, [None] * len(raw)) if may_miss else raw.values(column)):
        label = _score(value) if task.is_regression else ids.get(str(value))
        if label is not None:
            labels.append(label)
        elif may_miss:
            labels.append(math.nan if task.is_regression else -1)
        else:
            expected = "a score" if task.is_regression else f"one of {', '.join(ids)}"
            raise UsageError(f"{raw.where(index)}: label {quoted(value)}, expected {expected}")
    return labels


def _score(value: Any) -> float | None:
    try:
        score = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return score if math.isfinite(score) and score >= 0 else None  # the Hub writes -1 where a test row has none
