"""Predictions as files: what the GLUE server takes for its tasks, the original label values for own files."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transformers.utils.files import make_folder, write_whole

from ..data.tasks import OWN_FILES, Task

# The names of the server; MNLI's two test sets are two files.
_SUBMISSION_FILES = {
    ("cola", "test"): "CoLA.tsv",
    ("sst2", "test"): "SST-2.tsv",
    ("mrpc", "test"): "MRPC.tsv",
    ("stsb", "test"): "STS-B.tsv",
    ("qqp", "test"): "QQP.tsv",
    ("mnli", "test_matched"): "MNLI-m.tsv",
    ("mnli", "test_mismatched"): "MNLI-mm.tsv",
    ("mnli", "test_ax"): "AX.tsv",
    ("qnli", "test"): "QNLI.tsv",
    ("rte", "test"): "RTE.tsv",
    ("wnli", "test"): "WNLI.tsv",
}
_TASKS_IN_WORDS = ("mnli", "qnli", "rte", OWN_FILES)
_HIGHEST_SIMILARITY = 5.0  # of STS-B


def prediction_file_name(task: Task, split: str) -> str:
    """Return the name of the file that holds a split's predictions ("CoLA.tsv"; "test.tsv" for own files)."""
    return _SUBMISSION_FILES.get((task.name, split), f"{split}.tsv" if task.name == OWN_FILES else "")


def write_predictions(
    folder: Path, task: Task, split: str, predictions: np.ndarray, row_numbers: Sequence[Any] | None = None
) -> Path:
    """Write the predictions of a split, a row each, under the header `index<TAB>prediction`.

    MNLI, QNLI and RTE get label words, the other classifications 0 or 1, STS-B a number in 0..5 with three decimals.
    Own files get their label values back; one with a tab, a line end or a double quote in it is put in double quotes,
    as spreadsheets and pandas read it.

    Args:
        folder: where to write; created where it does not exist.
        task: decides name and form.
        split: one of the task's test splits; for own files any.
        predictions: (N,) the task's class ids, or scores for regression, in the order of the split.
        row_numbers: what stands under `index`; left out: 0 to N - 1.

    Returns:
        The file. It replaces an older one only once it is complete.

    Raises:
        CheckpointError: the file cannot be written.
        ValueError: the split has no predictions, or a prediction is not a class of the task.
    """
    name = prediction_file_name(task, split)
    if not name:
        raise ValueError(f"predictions for {split} of {task.name}: expected one of {', '.join(task.test_splits)}")
    texts = _as_text(task, np.asarray(predictions).reshape(-1))
    path = make_folder(folder) / name
    write_whole(path, lambda temporary: _write_rows(temporary, row_numbers or range(len(texts)), texts))
    return path


def _as_text(task: Task, predictions: np.ndarray) -> list[str]:
    if task.name == "stsb":
        # Adding 0.0 turns the -0.0 that clipping may leave into 0.0.
        return [f"{score:.3f}" for score in np.clip(predictions, 0.0, _HIGHEST_SIMILARITY) + 0.0]
    if task.is_regression:
        return [str(score) for score in predictions]  # of a numpy scalar: the shortest text that reads back as it
    if not np.issubdtype(predictions.dtype, np.integer):
        raise ValueError(f"predictions for {task.name} are {predictions.dtype}: expected class ids")
    count = len(task.label_names)
    if len(predictions) and not (predictions.min() >= 0 and predictions.max() < count):
        raise ValueError(f"predictions for {task.name}: expected class ids in 0..{count - 1}")
    words = task.label_names if task.name in _TASKS_IN_WORDS else [str(index) for index in range(count)]
    return [words[index] for index in predictions]


def _write_rows(path: Path, row_numbers: Sequence[Any], texts: list[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(("index", "prediction"))
        writer.writerows(zip(row_numbers, texts, strict=True))
