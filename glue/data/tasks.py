"""The nine GLUE tasks as records: columns, label words in id order, metrics and splits. Imports nothing heavy.

Names, columns and label ids are those of the Hub's `nyu-mll/glue`. A run on the user's own files has a record of the
same kind, with the name `OWN_FILES` (see `glue/data/user_files.py`), and so has one that predicts masked tokens, with
the name `LANGUAGE_MODEL`. The list of the tasks stands here and nowhere else.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from ..errors import UsageError

OWN_FILES = "files"
LANGUAGE_MODEL = "masked language modelling"
_SERVER_SUFFIXES = {"test_matched": "-m", "test_mismatched": "-mm"}


@dataclass(frozen=True)
class Task:
    """What a run has to know about one task.

    Args:
        name: a key of `GLUE_TASKS`, or `OWN_FILES`.
        text_columns: the one or two columns that hold the text.
        label_names: label words in id order; empty for regression.
        metrics: names of the metrics, out of accuracy, f1, matthews_correlation, pearson, spearmanr; the last one is
            the main one.
        official: name of the task's folder in GLUE's own files, and of its file on the GLUE server ("CoLA").
        rows: how many rows the GLUE server expects of each test split; none for own files.
        validation_splits: names of the splits that an evaluation covers (MNLI has two; own files may have none).
        test_splits: names of the splits that a prediction covers (GLUE's diagnostics, `test_ax`, are one of MNLI's).

    Example:
        >>> GLUE_TASKS["mrpc"].num_labels, GLUE_TASKS["mrpc"].main_metric, GLUE_TASKS["stsb"].is_regression
        (2, 'f1', True)
    """

    name: str
    text_columns: tuple[str, ...]
    label_names: tuple[str, ...]
    metrics: tuple[str, ...]
    _: KW_ONLY
    official: str = ""
    validation_splits: tuple[str, ...] = ("validation",)
    test_splits: tuple[str, ...] = ("test",)
    rows: tuple[int, ...] = ()

    @property
    def main_metric(self) -> str:
        """The metric that stands for the task in the GLUE average."""
        return self.metrics[-1]

    @property
    def is_regression(self) -> bool:
        """Whether the label is a number to predict instead of a class."""
        return not self.label_names

    @property
    def num_labels(self) -> int:
        """Width of the classifier: the number of classes, 1 for regression."""
        return len(self.label_names) or 1

    def prediction_file(self, split: str) -> str:
        """Name of the file with the predictions of a test split; for GLUE's tasks the server's name of it."""
        name = "AX" if split == "test_ax" else self.official + _SERVER_SUFFIXES.get(split, "")
        return f"{name or split}.tsv"


_SENTENCES = ("sentence1", "sentence2")
_QUESTIONS = ("question1", "question2")
_TASKS = (
    Task(
        "cola", ("sentence",), ("unacceptable", "acceptable"), ("matthews_correlation",), official="CoLA", rows=(1063,)
    ),
    Task("sst2", ("sentence",), ("negative", "positive"), ("accuracy",), official="SST-2", rows=(1821,)),
    Task("mrpc", _SENTENCES, ("not_equivalent", "equivalent"), ("accuracy", "f1"), official="MRPC", rows=(1725,)),
    Task("stsb", _SENTENCES, (), ("pearson", "spearmanr"), official="STS-B", rows=(1379,)),
    Task("qqp", _QUESTIONS, ("not_duplicate", "duplicate"), ("accuracy", "f1"), official="QQP", rows=(390965,)),
    Task(
        "mnli",
        ("premise", "hypothesis"),
        ("entailment", "neutral", "contradiction"),
        ("accuracy",),
        official="MNLI",
        validation_splits=("validation_matched", "validation_mismatched"),
        test_splits=("test_matched", "test_mismatched", "test_ax"),
        rows=(9796, 9847, 1104),
    ),
    Task(
        "qnli", ("question", "sentence"), ("entailment", "not_entailment"), ("accuracy",), official="QNLI", rows=(5463,)
    ),
    Task("rte", _SENTENCES, ("entailment", "not_entailment"), ("accuracy",), official="RTE", rows=(3000,)),
    Task("wnli", _SENTENCES, ("not_entailment", "entailment"), ("accuracy",), official="WNLI", rows=(146,)),
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
