"""The demo: balanced tasks in GLUE's columns, no shared sentences, a vocabulary that covers them, a run that learns."""

import json
import math
import re
from collections import Counter
from random import Random

import numpy as np
import pytest
from runs import run, run_here

from glue.cli.arguments import DEMO_TASK
from glue.data.glue_folder import find_splits, read_split
from glue.data.tasks import GLUE_TASKS
from glue.demo.checkpoint import build_demo_checkpoint, demo_splits, write_demo_data
from glue.demo.grammar import PLACES, changed, draw_scene
from glue.demo.tasks import ROW_MAKERS
from transformers import AutoModel, AutoTokenizer
from transformers.contranorm import MethodSites, unchanged

ALL_TASKS = list(GLUE_TASKS)


def texts_of(table, task):
    return [text for column in task.text_columns for text in table.columns[column]]


@pytest.mark.parametrize("name", ALL_TASKS)
def test_a_task_has_every_split_in_the_columns_of_glue_with_balanced_labels(name):
    task, splits = GLUE_TASKS[name], demo_splits(name)
    assert set(splits) == {"train", *task.validation_splits, *task.test_splits}
    for split, table in splits.items():
        assert tuple(table.columns) == (*task.text_columns, "label")
        assert len(table) == (5000 if split == "train" else 400)
        labels = table.columns["label"]
        if split in task.test_splits:
            assert all(math.isnan(label) if task.is_regression else label == -1 for label in labels)
        else:
            counts = Counter(labels)
            assert set(counts) == set(range(6 if task.is_regression else task.num_labels))
            assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("name", ALL_TASKS)
def test_training_shares_no_sentence_with_what_is_held_out(name):
    task, splits = GLUE_TASKS[name], demo_splits(name)
    train = set(texts_of(splits["train"], task))
    for split in (*task.validation_splits, *task.test_splits):
        assert train.isdisjoint(texts_of(splits[split], task))


@pytest.mark.parametrize("name", [name for name in ALL_TASKS if not GLUE_TASKS[name].is_regression])
def test_no_word_gives_a_label_away(name):
    """Bayes' rule on single words (both texts pooled) stays far from what the labels allow."""
    task, splits = GLUE_TASKS[name], demo_splits(name)
    validation = splits[task.validation_splits[0]]

    def bags(table):
        rows = zip(*(table.columns[column] for column in task.text_columns), strict=True)
        return [set(re.findall(r"\w+", " ".join(row).lower())) for row in rows]

    counts = [Counter() for _ in range(task.num_labels)]
    for words, label in zip(bags(splits["train"]), splits["train"].columns["label"], strict=True):
        counts[label].update(words)
    vocabulary = set().union(*counts)
    hits = []
    for words, label in zip(bags(validation), validation.columns["label"], strict=True):
        scores = [sum(math.log(count[word] + 1) for word in words & vocabulary) for count in counts]
        hits.append(int(np.argmax(scores)) == label)
    assert np.mean(hits) < 0.75


def test_the_same_splits_come_on_every_call():
    first = demo_splits("rte")["train"].columns
    demo_splits.cache_clear()
    assert demo_splits("rte")["train"].columns == first


def test_a_changed_scene_differs_in_the_named_slots_and_excludes_the_other():
    rng = Random(3)
    for _ in range(200):
        scene = draw_scene(rng)
        other = changed(rng, scene, "thing", "setting")
        assert {slot for slot in scene if scene[slot] != other[slot]} == {"thing", "setting"}
        assert (scene["setting"] in PLACES) == (other["setting"] in PLACES)  # a place for a place, a time for a time


@pytest.mark.parametrize("name", ALL_TASKS)
def test_texts_read_like_sentences(name):
    rng = Random(7)
    for label in range(GLUE_TASKS[name].num_labels if GLUE_TASKS[name].label_names else 6):
        for _ in range(100):
            for text in ROW_MAKERS[name](rng, label):
                assert (
                    text[0].isupper() and text[-1] in ".?!" and not re.search(r"[][{}|]|  | [.,]|\ba [aeiou]", text)
                ), text


def test_what_is_written_is_read_back_as_the_same_rows(tmp_path):
    write_demo_data(tmp_path)
    for name in ALL_TASKS:
        task = GLUE_TASKS[name]
        found = find_splits(tmp_path, task, demo_splits(name))
        assert set(found) == set(demo_splits(name))
        for split, paths in found.items():
            read, made = read_split(paths, task, split), demo_splits(name)[split]
            for column in (*task.text_columns, "label"):
                np.testing.assert_array_equal(read.columns[column], made.columns[column])
    row = json.loads((tmp_path / "mnli" / "validation_matched.jsonl").read_text().splitlines()[3])
    assert set(row) == {"premise", "hypothesis", "label", "idx"} and row["idx"] == 3


@pytest.mark.parametrize("model_type", ["bert", "albert"])
def test_the_checkpoint_covers_the_vocabulary_and_leaves_contranorm_to_the_run(tmp_path, model_type):
    build_demo_checkpoint(tmp_path, model_type)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    for name in ALL_TASKS:
        texts = texts_of(demo_splits(name)["train"], GLUE_TASKS[name])[:500]
        ids = tokenizer(texts)["input_ids"]
        assert not any(tokenizer.unk_token_id in row for row in ids)
        words = [re.findall(r"\w+|[^\w\s]", text) for text in texts]
        assert [len(row) - 2 for row in ids] == [len(row) for row in words]
    assert tokenizer.unk_token_id not in tokenizer("unheard-of words, 100 % spelled out!")["input_ids"]
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["model_type"] == model_type and not {"pos", "scale", "tau"} & set(written)
    assert AutoModel.from_pretrained(tmp_path).config.vocab_size == len(tokenizer)


def test_a_slot_or_method_of_any_name_leaves_the_demo_alone(tmp_path, monkeypatch):
    plain = AutoModel.from_pretrained(build_demo_checkpoint(tmp_path / "plain", "bert"))
    monkeypatch.setattr(MethodSites, "query", unchanged, raising=False)
    model = AutoModel.from_pretrained(build_demo_checkpoint(tmp_path / "other", "bert"))
    attention = [layer.attention.self for layer in (*model.encoder.layer, *plain.encoder.layer)]
    assert len({(part.query.weight.norm().item(), part.key.weight.norm().item()) for part in attention}) == 2


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_default_demo_learns():
    result = run("--pos", "7", "--scale", "0.005")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Demo: ") and DEMO_TASK in lines[0]
    accuracy, constant = re.findall(r"accuracy (\S+) \(constant guess (\S+)\)", result.stdout)[-1]
    assert float(accuracy) >= 0.9 and float(constant) == 0.5


@pytest.mark.parametrize("model_type", ["bert", "albert"])
def test_a_demo_model_has_as_many_layers_as_are_asked_for(model_type, tmp_path):
    model = AutoModel.from_pretrained(build_demo_checkpoint(tmp_path, model_type, num_hidden_layers=5))
    assert model.config.num_hidden_layers == 5


def test_nothing_is_said_of_where_the_model_was_made(capfd):
    words = ["--demo", "--max_train_samples", "8", "--max_eval_samples", "8", "--max_train_steps", "1", "--cpu"]
    assert run_here(*words) == 0
    assert "contranorm-demo-" not in "".join(capfd.readouterr())
