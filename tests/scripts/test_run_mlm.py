"""Continued pretraining: what is hidden, how that is scored, that it resumes bit for bit, that its model fine-tunes."""

import json
import random
import shutil

import numpy as np
import pytest
import runs
import torch
from safetensors.torch import load_file

import run_mlm_no_trainer
from glue.cli.mlm_arguments import parse_mlm_args
from glue.data.encoding import EncodedDataset
from glue.training.language_model import _joined, _masked_once, _masked_while_read, _with_something_to_hide
from transformers import AutoModelForMaskedLM, AutoTokenizer, DataCollatorForLanguageModeling


def run(*words):
    try:
        return run_mlm_no_trainer.main([str(word) for word in words])
    except SystemExit as stop:
        return int(stop.code or 0)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A tiny model, texts in which colours and things go together, and GLUE."""
    folder = tmp_path_factory.mktemp("texts")
    runs.make_checkpoint(folder / "model")
    runs.make_data(folder / "glue")
    choose = random.Random(0).choice
    pairs = [("red", "stone"), ("green", "river"), ("blue", "house")]
    texts = ["the {} {} is not a {} {} .".format(*choose(pairs), *choose(pairs)) for _ in range(120)]
    (folder / "texts.txt").write_text("\n".join(texts) + "\n\n")
    return folder


@pytest.fixture(scope="module")
def flags(inputs):
    return [
        *("--model_name_or_path", inputs / "model", "--train_file", inputs / "texts.txt", "--cpu", "--max_length", 32),
        *("--pos", 7, "--scale", 0.1, "--per_device_train_batch_size", 8, "--learning_rate", 0.01, "--max_train_steps"),
    ]


@pytest.fixture(scope="module")
def trained(flags, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "out"
    assert run(*flags, 16, "--checkpointing_steps", 6, "--output_dir", folder) == 0
    return folder


def test_the_loss_falls_and_everything_is_kept(trained):
    rows = runs.log_rows(trained)
    losses = [row["loss"] for row in rows]
    assert len(losses) == 16 and sum(losses[-4:]) < 0.92 * sum(losses[:4])
    results = json.loads((trained / "all_results.json").read_text())
    assert 1 < results["eval_perplexity"] < 19 and results["best_score"] == min(
        row["perplexity"] for row in results["history"]
    )
    assert {"config.json", "model.safetensors", "tokenizer.json", "0.1_7_2_loss.txt"} < runs.files_in(trained)
    card = (trained / "README.md").read_text()
    assert "masked language model" in card and "AutoModelForMaskedLM" in card and "own files" in card
    model, info = AutoModelForMaskedLM.from_pretrained(trained, output_loading_info=True)
    assert not any(info.values()) and model.config.contranorm_sites == ("attention_residual",)


def test_a_resumed_run_equals_the_uninterrupted_one(flags, trained, tmp_path):
    folder = tmp_path / "out"
    shutil.copytree(trained, folder)
    shutil.rmtree(folder / "checkpoints" / "step_000012")
    torch.manual_seed(99)
    assert run(*flags, 16, "--checkpointing_steps", 6, "--output_dir", folder, "--resume_from_checkpoint") == 0
    assert (folder / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()
    assert (folder / "0.1_7_2_loss.txt").read_text() == (trained / "0.1_7_2_loss.txt").read_text()
    assert (folder / "eval_log.jsonl").read_text() == (trained / "eval_log.jsonl").read_text()


def test_its_model_fine_tunes_and_is_scored_again(inputs, flags, trained, tmp_path, capsys):
    words = runs.words_for(trained, inputs / "glue")
    assert (
        runs.run_here(*words, "--max_train_steps", 1, "--learning_rate", "1e-9", "--output_dir", tmp_path / "rte") == 0
    )
    ours, theirs = load_file(tmp_path / "rte" / "model.safetensors"), load_file(trained / "model.safetensors")
    shared = [name for name in theirs if name.startswith("bert.")]
    assert shared and all(torch.allclose(ours[name], theirs[name], atol=1e-6) for name in shared)
    assert "pos 7 (checkpoint)" in capsys.readouterr().out
    again = [trained if word == inputs / "model" else word for word in flags[:-1]]
    assert run(*again, "--do_eval", "--output_dir", tmp_path / "again") == 0
    found = json.loads((tmp_path / "again" / "eval_results.json").read_text())
    expected = json.loads((trained / "all_results.json").read_text())
    assert found == pytest.approx({name: expected[name] for name in found}, rel=1e-5)


@pytest.mark.parametrize(
    "extra", [["--line_by_line"], ["--gradient_checkpointing"], ["--contranorm_padding", "include"]]
)
def test_other_settings_run(flags, extra):
    assert run(*flags, 2, *extra) == 0


def test_the_texts_of_a_task_and_of_columns(inputs, tmp_path, capsys):
    words = ["--model_name_or_path", inputs / "model", "--cpu", "--max_train_steps", 1, "--max_length", 16]
    assert run(*words, "--data_dir", inputs / "glue", "--task_name", "rte") == 0
    assert "Data: sentence1 and sentence2, as texts" in capsys.readouterr().out
    (tmp_path / "x.jsonl").write_text(
        "".join(json.dumps({"idx": i, "note": f"the red river {w}"}) + "\n" for i, w in enumerate(runs.WORDS))
    )
    assert run(*words, "--train_file", tmp_path / "x.jsonl", "--line_by_line", "--validation_split_percentage", 20) == 0
    shown = capsys.readouterr().out
    assert "the first 3 of 14 rows are kept for validation" in shown and "train 11 rows of" in shown


def test_what_is_wrong_is_one_line(inputs, tmp_path, capsys):
    (tmp_path / "empty.txt").write_text("\n\n")
    (tmp_path / "one.txt").write_text("red\n")
    model = ["--model_name_or_path", inputs / "model", "--cpu"]
    for words, message in (
        ((*model, "--train_file", tmp_path / "no.txt"), "no such file"),
        ((*model, "--train_file", tmp_path / "empty.txt"), "the file is empty"),
        ((*model, "--train_file", tmp_path / "one.txt"), "too few to keep some for validation"),
        ((*model, "--validation_file", tmp_path / "one.txt", "--do_train"), "training needs --train_file"),
        ((*model, "--train_file", inputs / "texts.txt", "--max_length", 4000), "--max_length 4000"),
        ((*model, "--train_file", inputs / "texts.txt", "--mlm_probability", 0), "--mlm_probability 0"),
        ((*model, "--train_file", inputs / "texts.txt", "--metric_for_best_model", "f1"), "accuracy, perplexity, loss"),
        ((*model, "--train_file", inputs / "texts.txt", "--label_smoothing", 0.1), "--label_smoothing"),
        ((*model, "--train_file", inputs / "texts.txt", "--max_train_steps", 1, "--pos", 9), "pos '9'"),
    ):
        assert run(*words) == 2
        error = capsys.readouterr().err
        assert message in error and "run_mlm_no_trainer.py: error: " in error, error


@pytest.fixture
def rows():
    ids = np.array([2, 7, 8, 3, 2, 3, 2, 9, 10, 11, 3], dtype=np.int32)
    return EncodedDataset({"input_ids": ids}, np.array([0, 4, 6, 11]), None, {"input_ids": 0})


@pytest.fixture
def tokenizer(inputs):
    return AutoTokenizer.from_pretrained(inputs / "model")


def test_texts_are_joined_and_split(rows, tokenizer):
    assert [_joined(rows, 4)[i]["input_ids"] for i in range(3)] == [[2, 7, 8, 3], [2, 3, 2, 9], [10, 11, 3]]
    kept = _with_something_to_hide(rows, tokenizer)
    assert [row["input_ids"] for row in (kept[0], kept[1])] == [[2, 7, 8, 3], [2, 9, 10, 11, 3]] and len(kept) == 2
    assert len(_joined(rows, 11)) == 1 and _joined(rows, 11).lengths.tolist() == [11]


def test_training_hides_anew_and_validation_hides_once(rows, tokenizer):
    masking = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.5)
    batches = [_masked_while_read(rows, masking, seed).collate([0, 2]) for seed in range(6)]
    assert len({str(batch["labels"].tolist()) for batch in batches}) > 1
    assert all((batch["labels"] != -100).any() and batch["labels"].shape == (2, 5) for batch in batches)
    again = _masked_while_read(rows, masking, 3).collate([0, 2])
    assert torch.equal(again["labels"], batches[3]["labels"])
    one, other = _masked_once(rows, masking), _masked_once(rows, masking)
    assert one.digest() == other.digest() != rows.digest()
    batch = one.collate([0, 1, 2])
    hidden = batch["labels"] != -100
    assert hidden.any() and not hidden[1].any()
    assert torch.equal(torch.where(hidden, batch["labels"], batch["input_ids"]), rows.collate([0, 1, 2])["input_ids"])


def test_help_answers_without_the_flags_of_labels(capsys):
    with pytest.raises(SystemExit):
        parse_mlm_args(["--help"])
    shown = capsys.readouterr().out
    assert "--mlm_probability" in shown and "--do_predict" not in shown and "--label_smoothing" not in shown
