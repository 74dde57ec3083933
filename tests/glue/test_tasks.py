"""The records of the nine tasks against GLUE's published facts."""

import pytest

from glue.data.tasks import GLUE_TASKS, find_task
from glue.errors import UsageError

# task, text columns, number of labels, label word of id 0, metrics, the one of the GLUE average
FACTS = [
    ("cola", "sentence", 2, "unacceptable", "matthews_correlation", "matthews_correlation"),
    ("sst2", "sentence", 2, "negative", "accuracy", "accuracy"),
    ("mrpc", "sentence1 sentence2", 2, "not_equivalent", "accuracy f1", "f1"),
    ("stsb", "sentence1 sentence2", 1, None, "pearson spearmanr", "spearmanr"),
    ("qqp", "question1 question2", 2, "not_duplicate", "accuracy f1", "f1"),
    ("mnli", "premise hypothesis", 3, "entailment", "accuracy", "accuracy"),
    ("qnli", "question sentence", 2, "entailment", "accuracy", "accuracy"),
    ("rte", "sentence1 sentence2", 2, "entailment", "accuracy", "accuracy"),
    ("wnli", "sentence1 sentence2", 2, "not_entailment", "accuracy", "accuracy"),
]


@pytest.mark.parametrize(("name", "columns", "labels", "first", "metrics", "main"), FACTS, ids=lambda value: str(value))
def test_a_record_states_the_facts_of_its_task(name, columns, labels, first, metrics, main):
    task = GLUE_TASKS[name]
    assert (task.name, task.text_columns, task.num_labels) == (name, tuple(columns.split()), labels)
    assert task.is_regression == (first is None)
    assert task.label_names[:1] == ((first,) if first else ())
    assert (task.metrics, task.main_metric) == (tuple(metrics.split()), main)


def test_there_are_nine_tasks_in_glue_order():
    assert list(GLUE_TASKS) == [fact[0] for fact in FACTS]


def test_mnli_alone_has_two_validation_splits_and_the_diagnostics():
    mnli = GLUE_TASKS["mnli"]
    assert mnli.validation_splits == ("validation_matched", "validation_mismatched")
    assert mnli.test_splits == ("test_matched", "test_mismatched", "test_ax")
    others = {(task.validation_splits, task.test_splits) for task in GLUE_TASKS.values() if task != mnli}
    assert others == {(("validation",), ("test",))}


@pytest.mark.parametrize(
    ("written", "name"), [("mrpc", "mrpc"), ("MRPC", "mrpc"), ("SST-2", "sst2"), ("sts_b", "stsb"), ("CoLA", "cola")]
)
def test_a_task_is_found_however_it_is_written(written, name):
    assert find_task(written) is GLUE_TASKS[name]


def test_an_unknown_task_is_refused_with_the_list():
    with pytest.raises(UsageError, match="unknown task 'copa': expected one of cola, sst2, mrpc, stsb, qqp, mnli"):
        find_task("copa")
