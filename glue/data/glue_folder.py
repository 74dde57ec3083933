"""GLUE from a folder on disk: `<task>/<split>.jsonl[.gz]` or `.parquet`, or the official TSV folders as published.

The official files differ from task to task in columns, header and label words; what is needed of each stands here.
They are read without quoting: a double quote in them is a character like any other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from transformers.utils.text import quoted

from ..errors import UsageError
from .readers import read_table
from .table import Table
from .tasks import Task

# Columns that have another name in the official files than on the Hub.
_OFFICIAL_NAMES = {
    "mrpc": {"sentence1": "#1 String", "sentence2": "#2 String", "label": "Quality"},
    "stsb": {"label": "score"},
    "qqp": {"label": "is_duplicate"},
    "mnli": {"premise": "sentence1", "hypothesis": "sentence2", "label": "gold_label"},
}
_COLA_WITHOUT_HEADER = ("source", "label", "original_label", "sentence")
_DIAGNOSTICS = ("diagnostic/diagnostic.tsv", "AX/AX.tsv", "AX/diagnostic.tsv", "AX/test.tsv", "AX.tsv")


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
        paths = next(filter(None, _candidates(folder, task, split)), None)
        if paths is not None:
            found[split] = paths
    return found


def describe_places(folder: Path, task: Task, split: str) -> str:
    """Say in words where `find_splits` looks for a split."""
    name = "ax/test" if split == "test_ax" else f"{task.name}/{split}"
    return f"{name}.jsonl[.gz], {name}.parquet and {_official_paths(task, split)[0]} in {folder}"


def read_split(paths: list[Path], task: Task, split: str) -> Table:
    """Read a split that `find_splits` found.

    Raises:
        UsageError: a file is broken, lacks a column, or has a label that the task does not know.
    """
    is_official, is_test = paths[0].suffix == ".tsv", split.startswith("test")
    header = _COLA_WITHOUT_HEADER if is_official and task.name == "cola" and not is_test else None
    parts = [read_table(path, whole=is_test, header=header) for path in paths]
    source = str(paths[0] if len(paths) == 1 else paths[0].parent)
    return to_table(parts, task, split, source, _OFFICIAL_NAMES.get(task.name, {}) if is_official else {})


def to_table(parts: list[Table], task: Task, split: str, source: str, names: Mapping[str, str] | None = None) -> Table:
    """Check the parts of a GLUE split and join them.

    Args:
        parts: columns as they were read; labels are ids, label words or scores, also as text.
        task: the task.
        split: name of the split; labels of a test split may be missing (no column, None, "" or -1).
        source: what the result says that it was read from.
        names: columns that have another name in `parts`.

    Returns:
        The text columns and "label": class ids or scores, -1 or NaN where a test split has none.

    Raises:
        UsageError: a column is missing, or a label is missing outside of a test split, or unknown.
    """
    names = names or {}
    columns: dict[str, list[Any]] = {name: [] for name in (*task.text_columns, "label")}
    for raw in parts:
        for name in task.text_columns:
            columns[name].extend(raw.text(names.get(name, name)))
        columns["label"].extend(_labels(raw, names.get("label", "label"), task, may_miss=split.startswith("test")))
    return Table(columns, source, parts[0].own_numbers() if len(parts) == 1 else None)


def _candidates(folder: Path, task: Task, split: str) -> Iterator[list[Path]]:
    places = [folder / task.name / split, *([folder / "ax" / "test"] if split == "test_ax" else [])]
    for place in places:
        for suffix in (".jsonl", ".jsonl.gz", ".parquet"):
            yield [path for path in (place.with_suffix(suffix),) if path.is_file()]
        yield _complete(sorted(place.parent.glob(f"{place.name}-*-of-*.parquet")))  # a copy of the Hub's repository
    yield [path for path in (folder / name for name in _official_paths(task, split)) if path.is_file()][:1]


def _official_paths(task: Task, split: str) -> tuple[str, ...]:
    official = f"{task.official}/{split.replace('validation', 'dev')}.tsv"
    return _DIAGNOSTICS if split == "test_ax" else (official,)


def _complete(shards: list[Path]) -> list[Path]:
    """Check that the parts of a split are all there, and each of them once."""
    places = [[int(number) for number in re.findall(r"\d+", path.stem.split("-", 1)[1])] for path in shards]
    totals = {total for _, total in places}
    if len(totals) > 1:
        raise UsageError(f"{shards[0].parent}: parts of two copies, such as {shards[0].name} and {shards[-1].name}")
    missing = sorted(set(range(max(totals, default=0))) - {number for number, _ in places})
    if missing:
        number, total = missing[0], max(totals)
        raise UsageError(
            f"{shards[0]} is there, but shard {number} of {total} is missing (-{number:05d}-of-{total:05d}, from 0 on)"
        )
    return shards


def _labels(raw: Table, column: str, task: Task, may_miss: bool) -> list[Any]:
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
