"""GLUE from a folder on disk: `<task>/<split>.jsonl[.gz]` or `.parquet`, or the official TSV folders as published.

The official files differ from task to task in columns, header and label words; `_OFFICIAL` has what is needed of each.
They are read without quoting: a double quote in them is a character like any other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..output.table import Table
from .readers import RawTable, read_table, read_tsv_records
from .tasks import Task


@dataclass(frozen=True)
class _Official:
    """One official folder: its name, its text columns in the task's order, and its label column."""

    folder: str
    text: tuple[str, ...]
    label: str


_OFFICIAL = {
    "cola": _Official("CoLA", ("sentence",), "label"),
    "sst2": _Official("SST-2", ("sentence",), "label"),
    "mrpc": _Official("MRPC", ("#1 String", "#2 String"), "Quality"),
    "stsb": _Official("STS-B", ("sentence1", "sentence2"), "score"),
    "qqp": _Official("QQP", ("question1", "question2"), "is_duplicate"),
    "mnli": _Official("MNLI", ("sentence1", "sentence2"), "gold_label"),
    "qnli": _Official("QNLI", ("question", "sentence"), "label"),
    "rte": _Official("RTE", ("sentence1", "sentence2"), "label"),
    "wnli": _Official("WNLI", ("sentence1", "sentence2"), "label"),
}
_COLA_WITHOUT_HEADER = ["source", "label", "original_label", "sentence"]


def find_splits(folder: Path, task: Task, splits: Iterable[str]) -> dict[str, list[Path]]:
    """Find the files of a task in a GLUE folder.

    Args:
        folder: the folder with one sub-folder a task.
        task: the task.
        splits: the splits that are wanted.

    Returns:
        Each split that is there and its files (a parquet split may have several parts).
    """
    found = {}
    for split in splits:
        paths = next((paths for paths in map(sorted, _candidates(folder, task, split)) if paths), None)
        if paths:
            found[split] = paths
    return found


def describe_places(folder: Path, task: Task, split: str) -> str:
    """Say in words where `find_splits` looks for a split."""
    official = f"{_OFFICIAL[task.name].folder}/{_official_name(split)}"
    return f"{task.name}/{split}.jsonl[.gz], {task.name}/{split}.parquet and {official} in {folder}"


def read_split(paths: list[Path], task: Task, split: str) -> Table:
    """Read a split that `find_splits` found.

    Raises:
        UsageError: a file is broken, lacks a column, or has a label that the task does not know.
    """
    parts = [_read_official(path, task) if path.suffix == ".tsv" else read_table(path) for path in paths]
    return to_table(parts, task, split, source=str(paths[0] if len(paths) == 1 else paths[0].parent))


def to_table(parts: Iterable[RawTable], task: Task, split: str, source: str) -> Table:
    """Check the parts of a GLUE split and join them.

    Args:
        parts: columns as they were read; labels are ids, label words or scores, also as text.
        task: the task.
        split: name of the split; labels of a test split may be missing (no column, None, "" or -1).
        source: what the result says that it was read from.

    Returns:
        The text columns and "label": class ids or scores, -1 or NaN where a test split has none.

    Raises:
        UsageError: a column is missing, or a label is missing outside of a test split, or unknown.
    """
    columns: dict[str, list[Any]] = {name: [] for name in (*task.text_columns, "label")}
    for raw in parts:
        for name in task.text_columns:
            columns[name].extend(raw.text(name))
        columns["label"].extend(_labels(raw, task, may_miss=split.startswith("test")))
    return Table(columns, source)


def _candidates(folder: Path, task: Task, split: str) -> Iterable[Iterable[Path]]:
    ours, split = (folder / "ax", "test") if split == "test_ax" else (folder / task.name, split)
    for suffix in (".jsonl", ".jsonl.gz", ".parquet"):
        yield [path for path in (ours / f"{split}{suffix}",) if path.is_file()]
    yield ours.glob(f"{split}-*-of-*.parquet")  # a copy of the Hub's repository
    official = folder / _OFFICIAL[task.name].folder / _official_name(split)
    yield [official] if official.is_file() else []


def _official_name(split: str) -> str:
    return f"{split.replace('validation', 'dev')}.tsv"


def _read_official(path: Path, task: Task) -> RawTable:
    """Read an official file into the columns and names of the Hub's data set."""
    layout = _OFFICIAL[task.name]
    records = read_tsv_records(path)
    is_test = path.name.startswith("test")
    header = _COLA_WITHOUT_HEADER if task.name == "cola" and not is_test else next(records, (0, []))[1]
    wanted = dict(zip(task.text_columns, layout.text, strict=True)) | ({} if is_test else {"label": layout.label})
    absent = [name for name in wanted.values() if name not in header]
    if absent:
        raise UsageError(f"{path}, header: no column {absent[0]!r} (columns there: {', '.join(header) or 'none'})")
    places = {name: header.index(column) for name, column in wanted.items()}
    width = max(places.values()) + 1
    columns: dict[str, list[Any]] = {name: [] for name in wanted}
    lines = []
    for row, (line, record) in enumerate(records, 1):
        if len(record) < width:
            # The published QQP has a few rows that are cut short; the Hub's copy leaves them out as well.
            if task.name == "qqp":
                continue
            raise UsageError(f"{path}, row {row} (line {line}): broken row with {len(record)} fields, expected {width}")
        for name, place in places.items():
            columns[name].append(record[place])
        lines.append(line)
    if not lines:
        raise UsageError(f"{path}: no rows")
    return RawTable(path, columns, is_typed=False, lines=lines)


def _labels(raw: RawTable, task: Task, may_miss: bool) -> list[Any]:
    if "label" not in raw.columns and not may_miss:
        raise UsageError(f"{raw.path}: no column 'label' (columns there: {', '.join(raw.columns)})")
    ids = {name: index for index, name in enumerate(task.label_names)}
    ids.update({str(index): index for index in range(len(task.label_names))})
    labels: list[Any] = []
    for index, value in enumerate(raw.columns.get("label", [None] * len(raw))):
        label = _score(value) if task.is_regression else ids.get(str(value))
        if label is not None:
            labels.append(label)
        elif may_miss:
            labels.append(math.nan if task.is_regression else -1)
        else:
            expected = "a score" if task.is_regression else f"one of {', '.join(ids)}"
            raise UsageError(f"{raw.where(index)}: label {value!r}, expected {expected}")
    return labels


def _score(value: Any) -> float | None:
    try:
        score = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return score if math.isfinite(score) and score >= 0 else None  # the Hub writes -1 where a test row has none
