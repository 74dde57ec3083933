"""Prediction files: names, header, words and rounding of the GLUE server, and label values of own files."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from glue.data.tasks import GLUE_TASKS, OWN_FILES, Task
from glue.output.submission import write_predictions
from transformers.utils.errors import CheckpointError

FILES = {
    ("cola", "test"): ("CoLA.tsv", ["0", "1"]),
    ("sst2", "test"): ("SST-2.tsv", ["0", "1"]),
    ("mrpc", "test"): ("MRPC.tsv", ["0", "1"]),
    ("qqp", "test"): ("QQP.tsv", ["0", "1"]),
    ("wnli", "test"): ("WNLI.tsv", ["0", "1"]),
    ("mnli", "test_matched"): ("MNLI-m.tsv", ["entailment", "neutral", "contradiction"]),
    ("mnli", "test_mismatched"): ("MNLI-mm.tsv", ["entailment", "neutral", "contradiction"]),
    ("qnli", "test"): ("QNLI.tsv", ["entailment", "not_entailment"]),
    ("rte", "test"): ("RTE.tsv", ["entailment", "not_entailment"]),
}


def own_task(*label_names: str) -> Task:
    metrics = ("accuracy",) if label_names else ("pearson", "spearmanr")
    return Task(OWN_FILES, ("sentence",), label_names, metrics)


@pytest.mark.parametrize(("task", "split"), FILES, ids="-".join)
def test_a_submission_file(task: str, split: str, tmp_path: Path) -> None:
    name, words = FILES[task, split]
    ids = np.arange(len(words))[::-1]
    path = write_predictions(tmp_path / "predictions", GLUE_TASKS[task], split, ids)
    assert path == tmp_path / "predictions" / name
    expected = "index\tprediction\n" + "".join(f"{row}\t{word}\n" for row, word in enumerate(reversed(words)))
    assert path.read_bytes() == expected.encode()


def test_similarities_have_three_decimals_and_stay_on_the_scale(tmp_path: Path) -> None:
    scores = np.array([-0.3, -0.0, 0.0004, 2.34567, 4.9996, 5.7], dtype=np.float32)
    path = write_predictions(tmp_path, GLUE_TASKS["stsb"], "test", scores)
    assert path.name == "STS-B.tsv"
    assert path.read_text() == "index\tprediction\n0\t0.000\n1\t0.000\n2\t0.000\n3\t2.346\n4\t5.000\n5\t5.000\n"


def test_every_test_split_has_a_file(tmp_path: Path) -> None:
    splits = [(name, split) for name, task in GLUE_TASKS.items() for split in task.test_splits]
    files = {write_predictions(tmp_path, GLUE_TASKS[name], split, np.array([0])).name for name, split in splits}
    assert len(files) == len(splits) == 11


def test_own_files_get_their_label_values_back(tmp_path: Path) -> None:
    labels = ("007", "tab\there", "two\nlines", 'a "quoted" word', "é 😀", "x, y")
    path = write_predictions(tmp_path, own_task(*labels), "test", np.array([5, 4, 3, 2, 1, 0]))
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    assert path.name == "test.tsv"
    assert rows[0] == ["index", "prediction"]
    assert rows[1:] == [[str(row), label] for row, label in enumerate(reversed(labels))]
    assert "0\tx, y\n" in path.read_text(encoding="utf-8")  # quotes only where they are needed


def test_own_numbers_are_not_clipped_and_read_back_exactly(tmp_path: Path) -> None:
    scores = np.array([-12.5, 0.1, 1234567.0, 1 / 3], dtype=np.float32)
    path = write_predictions(tmp_path, own_task(), "test", scores)
    texts = [line.split("\t")[1] for line in path.read_text().splitlines()[1:]]
    assert texts[:2] == ["-12.5", "0.1"]
    assert np.array_equal(np.array(texts, dtype=np.float32), scores)


def test_no_rows_leave_the_header(tmp_path: Path) -> None:
    path = write_predictions(tmp_path, GLUE_TASKS["rte"], "test", np.array([], dtype=np.int64))
    assert path.read_text() == "index\tprediction\n"


def test_an_older_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    for ids in ([0, 1, 1], [1, 1]):
        path = write_predictions(tmp_path, GLUE_TASKS["sst2"], "test", np.array(ids))
    assert path.read_text() == "index\tprediction\n0\t1\n1\t1\n"
    assert list(tmp_path.iterdir()) == [path]


def test_an_older_file_survives_a_failure(tmp_path: Path) -> None:
    task = own_task("fine", "\ud800")  # half a character, which no UTF-8 file can hold: fails in mid-write
    path = write_predictions(tmp_path, task, "test", np.array([0]))
    with pytest.raises(UnicodeEncodeError):
        write_predictions(tmp_path, task, "test", np.array([0, 1]))
    assert path.read_text() == "index\tprediction\n0\tfine\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ids", [[0, 2], [-1, 0], [0.0, 1.0]], ids=str)
def test_what_is_no_class_is_refused(ids: list[float], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected class ids"):
        write_predictions(tmp_path, GLUE_TASKS["rte"], "test", np.array(ids))
    assert not list(tmp_path.iterdir())


def test_a_split_without_a_submission_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected one of test_matched, test_mismatched"):
        write_predictions(tmp_path, GLUE_TASKS["mnli"], "test", np.array([0]))


def test_a_file_in_the_folders_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="file cannot be made a folder"):
        write_predictions(tmp_path / "file", GLUE_TASKS["rte"], "test", np.array([0]))


def test_rows_keep_their_numbers(tmp_path: Path) -> None:
    path = write_predictions(tmp_path, own_task("no", "yes"), "test", np.array([1, 0]), ["q7", "q3"])
    assert path.read_text() == "index\tprediction\nq7\tyes\nq3\tno\n"
