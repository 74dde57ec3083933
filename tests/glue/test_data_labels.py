"""The task's label ids and the checkpoint's."""

import json

import numpy as np
import pytest

from glue.data.labels import checkpoint_labels, make_label_mapping
from glue.data.tasks import GLUE_TASKS, OWN_FILES, Task
from glue.errors import UsageError
from transformers import BertConfig

OWN = Task(OWN_FILES, ("text",), ("A", "a", "b"), ("accuracy",))
TASKS = {**GLUE_TASKS, "own": OWN}

# task, labels in the checkpoint's config, the model's label names in id order, what the note says
MAPPINGS = [
    ("rte", None, ["entailment", "not_entailment"], ""),
    ("rte", ["LABEL_0", "LABEL_1"], ["entailment", "not_entailment"], ""),
    ("rte", ["entailment", "not_entailment"], ["entailment", "not_entailment"], ""),
    ("rte", ["Not-Entailment", "ENTAILMENT"], ["not_entailment", "entailment"], "labels keep the checkpoint's order"),
    ("mnli", ["contradiction", "entailment", "neutral"], ["contradiction", "entailment", "neutral"], "keep"),
    ("mnli", ["entailment", "not_entailment"], ["entailment", "neutral", "contradiction"], "give way to the task's"),
    ("mnli", ["neutral", "neutral", "neutral"], ["entailment", "neutral", "contradiction"], "give way to the task's"),
    ("mrpc", ["equivalent", "not_equivalent"], ["equivalent", "not_equivalent"], "keep"),
    ("stsb", None, ["LABEL_0"], ""),
    ("stsb", ["negative", "positive"], ["LABEL_0"], ""),
    ("own", ["b", "A", "a"], ["b", "A", "a"], "keep"),
    ("own", ["B", "A", "a"], ["A", "a", "b"], "give way to the task's"),
]


@pytest.mark.parametrize(("name", "stored", "names", "note"), MAPPINGS, ids=str)
def test_which_id_a_label_has_in_the_model(name, stored, names, note):
    config = {} if stored is None else {"id2label": {str(index): label for index, label in enumerate(stored)}}
    mapping = make_label_mapping(TASKS[name], config)
    assert mapping.id2label == dict(enumerate(names))
    assert mapping.label2id == {label: index for index, label in enumerate(names)}
    assert note in mapping.note and bool(note) == bool(mapping.note)


@pytest.mark.parametrize("stored", [["bad", "good"], ["contradiction", "neutral", "entailment"]], ids=str)
def test_labels_that_are_not_the_task_s_are_refused_where_nothing_is_trained(stored):
    config = {"id2label": dict(enumerate(stored))}
    with pytest.raises(UsageError, match=r"are not the task's .entailment, not_entailment., and nothing is trained"):
        make_label_mapping(GLUE_TASKS["rte"], config, trained=False)


@pytest.mark.parametrize("stored", [["LABEL_0", "LABEL_1"], ["0", "1"], ["Not Entailment", "entailment"]], ids=str)
def test_labels_that_may_be_the_task_s_are_not(stored):
    mapping = make_label_mapping(GLUE_TASKS["rte"], {"id2label": dict(enumerate(stored))}, trained=False)
    assert sorted(mapping.label2id) == ["entailment", "not_entailment"]


def test_ids_of_the_task_and_of_the_model_translate_into_each_other():
    task = GLUE_TASKS["mnli"]
    mapping = make_label_mapping(task, {"id2label": {0: "contradiction", 1: "entailment", 2: "neutral"}})
    assert mapping.model_ids(task).tolist() == [1, 2, 0]
    assert mapping.task_ids(task).tolist() == [2, 0, 1]
    ids = np.array([0, 1, 2, 2, 0])
    assert mapping.task_ids(task)[mapping.model_ids(task)[ids]].tolist() == ids.tolist()


# id2label of a config.json, the names
STORED = [
    ({"0": "no", "1": "yes"}, ["no", "yes"]),
    ({"1": "yes", "0": "no"}, ["no", "yes"]),
    ({10: "k", **{index: f"x{index}" for index in range(10)}}, [*(f"x{index}" for index in range(10)), "k"]),
    ({"0": 5, "1": 7}, ["5", "7"]),
    ({"0": "LABEL_0"}, []),
    ({"0": "LABEL_1", "1": "LABEL_0"}, ["LABEL_1", "LABEL_0"]),
    ({"0": "no", "2": "yes"}, []),
    ({"zero": "no"}, []),
    (["no", "yes"], []),
    ({}, []),
    (None, []),
]


@pytest.mark.parametrize(("id2label", "names"), STORED, ids=str)
def test_label_names_of_a_config(id2label, names):
    assert checkpoint_labels({"id2label": id2label}) == names


def test_placeholders_are_names_in_a_model_of_own_files():
    assert checkpoint_labels({"id2label": {"0": "LABEL_0"}, "text_columns": ["text"]}) == ["LABEL_0"]
    assert checkpoint_labels({"id2label": None, "text_columns": ["text"]}) == ["LABEL_0", "LABEL_1"]


def test_placeholders_that_a_saved_config_leaves_out_are_names_too(tmp_path):
    config = BertConfig(id2label={0: "LABEL_0", 1: "LABEL_1"}, text_columns=["text"])
    config.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert checkpoint_labels(saved) == ["LABEL_0", "LABEL_1"]
