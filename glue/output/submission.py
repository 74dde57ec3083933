"""Predictions as files: what the GLUE server takes for its tasks, the original label values for own files."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transformers.utils.files import make_folder, write_whole

from ..cli.console import say
from ..data.tasks import GLUE_TASKS, OWN_FILES, Task
from ..errors import UsageError

# For each test split of a task the name of its file on the server, and how many rows it has there.
SERVER_FILES = {
    (task.name, split): (task.prediction_file(split), rows)
    for task in GLUE_TASKS.values()
    for split, rows in zip(task.test_splits, task.rows, strict=True)
}
_HEADER = ("index", "prediction")
_HEADER_LINE = "\t".join(_HEADER).encode()
_TASKS_IN_WORDS = ("mnli", "qnli", "rte", OWN_FILES)
_HIGHEST_SIMILARITY = 5.0  # of STS-B


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
        row_numbers: what the data number their rows with; None counts from 0.

    Returns:
        The file. It replaces an older one only once it is complete.

    Raises:
        CheckpointError: the file cannot be written.
    """
    texts = _as_text(task, predictions)
    numbers = range(len(texts)) if row_numbers is None else row_numbers
    path = make_folder(folder) / task.prediction_file(split)
    write_whole(path, lambda temporary: _write_rows(temporary, [_HEADER, *zip(numbers, texts, strict=True)]))
    return path


def check_replaceable(path: Path) -> None:
    """Check that the file of a split's predictions is not there yet, or is one of predictions.

    Raises:
        UsageError: it is somebody's own, such as the test file itself.
    """
    try:
        is_own = path.exists() and path.read_bytes().splitlines()[:1] != [_HEADER_LINE]
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    if is_own:
        raise UsageError(f"{path} is no file of predictions, and would be replaced: give another --pred_dir")


def gather_submission(folders: Sequence[Path], output: Path) -> None:
    """Put the eleven prediction files of several runs into the zip file that the GLUE server takes.

    Args:
        folders: output folders of runs with `--do_predict`, or folders that were given as `--pred_dir`.
        output: the zip file; it replaces an older one only once it is complete.

    Raises:
        UsageError: a folder or a file is missing, or a file is in two folders or none of predictions.
        CheckpointError: the zip file cannot be written.
    """
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder")
    chosen: dict[str, Path] = {}
    missing, counts = [], []
    places = dict.fromkeys(place.resolve() for folder in folders for place in (folder, folder / "predictions"))
    for (task, _), (name, rows) in SERVER_FILES.items():
        found = [place / name for place in places if (place / name).is_file()]
        if len(found) > 1:
            raise UsageError(f"{name} is there twice, {found[0]} and {found[1]}: name one folder for each task")
        if not found:
            missing.append(f"{name} (of {task})")
            continue
        chosen[name] = found[0]
        lines = found[0].read_bytes().splitlines()
        if lines[:1] != [_HEADER_LINE]:
            raise UsageError(f"{found[0]} has no header 'index<TAB>prediction': expected what --do_predict writes")
        if len(lines) - 1 != rows:
            counts.append(f"{name} {len(lines) - 1} instead of {rows}")
    if missing:
        raise UsageError(f"missing in these folders: {', '.join(missing)}; a run with --do_predict writes them")
    if counts:
        say(f"Warning: the server will not take these numbers of rows: {', '.join(counts)}")
    make_folder(output.parent)
    write_whole(output, lambda temporary: _write_zip(temporary, chosen))
    say(f"Written: {output}, {len(chosen)} files")


def _as_text(task: Task, predictions: np.ndarray) -> list[str]:
    if task.name == "stsb":
        # Adding 0.0 turns the -0.0 that clipping may leave into 0.0.
        return [f"{score:.3f}" for score in np.clip(predictions, 0.0, _HIGHEST_SIMILARITY) + 0.0]
    if task.is_regression:  # a model's numbers have single precision: the shortest text that reads back as it
        return [str(score) for score in predictions.astype(np.float32)]
    words = task.label_names if task.name in _TASKS_IN_WORDS else [str(index) for index in range(task.num_labels)]
    return [words[index] for index in predictions]


def _write_rows(path: Path, rows: Sequence[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t", lineterminator="\n").writerows(rows)


def _write_zip(path: Path, files: dict[str, Path]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in files.items():
            archive.write(file, name)
