"""The real GLUE files, where they are at hand: the number of rows of every split, and their labels."""

from collections import Counter
from pathlib import Path

import pytest

from glue.cli.arguments import RunArguments
from glue.data.loading import load_splits

FOLDER = Path(__file__).parents[3] / "shared" / "glue"
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no GLUE files in {FOLDER}"),
]

# task, split, rows of each label (of stsb: rows, lowest, highest, mean score)
COUNTS = [
    ("cola", "train", [2528, 6023]),
    ("cola", "validation", [322, 721]),
    ("sst2", "train", [29780, 37569]),
    ("sst2", "validation", [428, 444]),
    ("mrpc", "train", [1194, 2474]),
    ("mrpc", "validation", [129, 279]),
    ("stsb", "train", [5749, 0.0, 5.0, 2.701]),
    ("stsb", "validation", [1500, 0.0, 5.0, 2.364]),
    ("qqp", "train", [20881, 12283]),
    ("qqp", "validation", [25545, 14885]),
    ("mnli", "train", [3565, 3470, 3436]),
    ("mnli", "validation_matched", [3479, 3123, 3213]),
    ("mnli", "validation_mismatched", [3463, 3129, 3240]),
    ("qnli", "train", [5173, 5120]),
    ("qnli", "validation", [2702, 2761]),
    ("rte", "train", [1249, 1241]),
    ("rte", "validation", [146, 131]),
    ("wnli", "train", [323, 312]),
    ("wnli", "validation", [40, 31]),
]


@pytest.mark.parametrize(("name", "split", "counts"), COUNTS, ids=[f"{row[0]}-{row[1]}" for row in COUNTS])
def test_rows_and_labels(name, split, counts):
    is_train = split == "train"
    args = RunArguments(
        model_name_or_path="m", task_name=name, data_dir=str(FOLDER), do_train=is_train, do_eval=not is_train
    )
    task, tables = load_splits(args)
    labels = tables[split].columns["label"]
    assert len(tables[split]) == len(labels) and all(len(tables[split].columns[name]) for name in task.text_columns)
    if task.is_regression:
        assert [len(labels), min(labels), max(labels), round(sum(labels) / len(labels), 3)] == counts
    else:
        assert [Counter(labels)[label] for label in range(task.num_labels)] == counts
        assert len(labels) == sum(counts)
