"""The nine GLUE tasks as records: columns, label words in id order, metrics and splits. Imports nothing heavy.

Names, columns and label ids are those of the Hub's `nyu-mll/glue`. A run on the user's own files has a record of the
same kind, with the name `OWN_FILES` (see `glue/data/user_files.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UsageError

OWN_FILES = "files"


@dataclass(frozen=True)
class Task:
    """What a run has to know about one task.

    Args:
        name: a key of `GLUE_TASKS`, or `OWN_FILES`.
        text_columns: the one or two columns that hold the text.
        label_names: label words in id order; empty for regression.
        metrics: names of the metrics, out of accuracy, f1, matthews_correlation, pearson, spearmanr.
        main_metric: the metric that stands for the task in the GLUE average.
        validation_splits: names of the splits that an evaluation covers (MNLI has two).
        test_splits: names of the splits that a prediction covers.

    Example:
        >>> GLUE_TASKS["mrpc"].num_labels, GLUE_TASKS["stsb"].is_regression
        (2, True)
    """

    name: str
    text_columns: tuple[str, ...]
    label_names: tuple[str, ...]
    metrics: tuple[str, ...]
    main_metric: str
    validation_splits: tuple[str, ...] = ("validation",)
    test_splits: tuple[str, ...] = ("test",)

    @property
    def is_regression(self) -> bool:
        """Whether the label is a number to predict instead of a class."""
        return not self.label_names

    @property
    def num_labels(self) -> int:
        """Width of the classifier: the number of classes, 1 for regression."""
        return len(self.label_names) or 1

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of all splits, training first."""
        return ("train", *self.validation_splits, *self.test_splits)


_TASKS = (
    Task(
        name="cola",
        text_columns=("sentence",),
        label_names=("unacceptable", "acceptable"),
        metrics=("matthews_correlation",),
        main_metric="matthews_correlation",
    ),
    Task(
        name="sst2",
        text_columns=("sentence",),
        label_names=("negative", "positive"),
        metrics=("accuracy",),
        main_metric="accuracy",
    ),
    Task(
        name="mrpc",
        text_columns=("sentence1", "sentence2"),
        label_names=("not_equivalent", "equivalent"),
        metrics=("accuracy", "f1"),
        main_metric="f1",
    ),
    Task(
        name="stsb",
        text_columns=("sentence1", "sentence2"),
        label_names=(),
        metrics=("pearson", "spearmanr"),
        main_metric="spearmanr",
    ),
    Task(
        name="qqp",
        text_columns=("question1", "question2"),
        label_names=("not_duplicate", "duplicate"),
        metrics=("accuracy", "f1"),
        main_metric="f1",
    ),
    Task(
        name="mnli",
        text_columns=("premise", "hypothesis"),
        label_names=("entailment", "neutral", "contradiction"),
        metrics=("accuracy",),
        main_metric="accuracy",
        validation_splits=("validation_matched", "validation_mismatched"),
        test_splits=("test_matched", "test_mismatched", "test_ax"),
    ),
    Task(
        name="qnli",
        text_columns=("question", "sentence"),
        label_names=("entailment", "not_entailment"),
        metrics=("accuracy",),
        main_metric="accuracy",
    ),
    Task(
        name="rte",
        text_columns=("sentence1", "sentence2"),
        label_names=("entailment", "not_entailment"),
        metrics=("accuracy",),
        main_metric="accuracy",
    ),
    Task(
        name="wnli",
        text_columns=("sentence1", "sentence2"),
        label_names=("not_entailment", "entailment"),
        metrics=("accuracy",),
        main_metric="accuracy",
    ),
)

GLUE_TASKS: dict[str, Task] = {task.name: task for task in _TASKS}


def find_task(name: str) -> Task:
    """Look up a GLUE task by its name, however it is written ("mrpc", "MRPC", "SST-2", "sts_b").

    Raises:
        UsageError: there is no such task; the message lists them.
    """
    task = GLUE_TASKS.get(name.lower().replace("-", "").replace("_", ""))
    if task is None:
        raise UsageError(
            f"unknown task {name!r}: expected one of {', '.join(GLUE_TASKS)}, or own data with --train_file"
        )
    return task
