"""The script on tiny data: what a run writes, prints and computes."""

import csv
import json
import math
import shutil

import pytest
import runs
import tiny
import torch

from transformers import AutoModelForSequenceClassification, AutoTokenizer


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return runs.make_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return runs.make_data(tmp_path_factory.mktemp("data") / "glue")


@pytest.fixture
def flags(checkpoint, data):
    return [
        *("--model_name_or_path", checkpoint, "--data_dir", data, "--max_length", "32", "--cpu"),
        *("--per_device_train_batch_size", "4", "--num_train_epochs", "2", "--learning_rate", "0.01"),
    ]


@pytest.fixture(scope="module")
def finished(checkpoint, data, tmp_path_factory):
    """One whole run with everything on, for the tests that look at what it left."""
    folder = tmp_path_factory.mktemp("runs") / "a run"
    status = runs.run_here(
        *("--model_name_or_path", checkpoint, "--data_dir", data, "--task_name", "rte", "--max_length", "32", "--cpu"),
        *(
            "--per_device_train_batch_size",
            "4",
            "--num_train_epochs",
            "3",
            "--learning_rate",
            "0.01",
            "--logging_steps",
            "4",
        ),
        *("--pos", "17", "--scale", "0.05", "--do_predict", "--checkpointing_steps", "epoch", "--output_dir", folder),
    )
    assert status == 0
    return folder


def test_files_of_a_run(finished):
    inner = {
        "model.safetensors",
        "optimizer.pt",
        "scheduler.pt",
        "training_state.json",
        "random_states.pt",
        "checksums.json",
    }
    tokenizer = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"}
    assert runs.files_in(finished) == {
        *("config.json", "model.safetensors", "README.md", "run.json", "all_results.json", "train_log.jsonl"),
        *("0.05_17_2_loss.txt", "eval_log.jsonl", "eval_predictions.json", "predictions/RTE.tsv", ".run_files.json"),
        *tokenizer,
        *(f"checkpoints/step_{step:06d}/{name}" for step in (6, 12, 18) for name in inner),
    }


def test_log_has_a_row_an_update(finished):
    rows = runs.log_rows(finished)
    assert [row["step"] for row in rows] == list(range(1, 19))
    assert [row["epoch"] for row in rows] == [0] * 6 + [1] * 6 + [2] * 6
    assert rows[0]["learning_rate"] == 0.01 and rows[-1]["learning_rate"] == pytest.approx(0.01 / 18)
    assert all(row["grad_norm"] > 0 and row["examples_per_second"] > 0 for row in rows)
    losses = [float(line) for line in (finished / "0.05_17_2_loss.txt").read_text().splitlines()]
    assert losses == [row["loss"] for row in rows]


def test_results_are_those_of_the_saved_model(finished, data, capsys):
    results = json.loads((finished / "all_results.json").read_text())
    assert [row["epoch"] for row in results["history"]] == [1, 2, 3] and results["updates"] == 18
    assert list(map(json.loads, (finished / "eval_log.jsonl").read_text().splitlines())) == results["history"]
    assert results["eval_accuracy"] == results["history"][-1]["accuracy"]
    status = runs.run_here(
        *("--model_name_or_path", finished, "--data_dir", data, "--task_name", "rte", "--max_length", "32", "--cpu"),
        *("--do_eval", "--output_dir", finished),
    )
    again = json.loads((finished / "eval_results.json").read_text())
    (finished / "eval_results.json").unlink()
    assert status == 0
    assert again["eval_accuracy"] == results["eval_accuracy"]
    assert again["eval_loss"] == pytest.approx(results["eval_loss"], rel=1e-6)
    assert "pos 17 (checkpoint), scale 0.05 (checkpoint)" in capsys.readouterr().out


def test_scores_are_those_of_the_model_row_by_row(finished, data):
    """Recomputed one row at a time by a few independent lines."""
    model = AutoModelForSequenceClassification.from_pretrained(finished)
    tokenizer = AutoTokenizer.from_pretrained(finished)
    rows = [json.loads(line) for line in (data / "rte" / "validation.jsonl").read_text().splitlines()]
    predicted = json.loads((finished / "eval_predictions.json").read_text())["validation"]
    losses, hits = [], 0
    for row, prediction in zip(rows, predicted, strict=True):
        encoded = tokenizer(row["sentence1"], row["sentence2"], truncation=True, max_length=32, return_tensors="pt")
        output = model(**encoded, labels=torch.tensor([row["label"]]))
        losses.append(output.loss.item())
        assert output.logits.argmax() == prediction
        hits += int(prediction == row["label"])
    results = json.loads((finished / "all_results.json").read_text())
    assert results["eval_accuracy"] == pytest.approx(hits / len(rows))
    assert results["eval_loss"] == pytest.approx(sum(losses) / len(rows), rel=1e-5)


def test_run_json_says_what_was_run(finished):
    content = json.loads((finished / "run.json").read_text())
    assert content["arguments"]["pos"] == "17" and content["contranorm"]["sites"] == [
        "layer_input",
        "attention_residual",
    ]
    origins = content["contranorm"]["origins"]
    assert (origins["pos"], origins["scale"], origins["tau"]) == ("command line", "command line", "checkpoint")
    assert content["versions"]["torch"] == torch.__version__ and content["hardware"]["cpus"] >= 1


def test_model_card_warns_of_the_stock_library(finished):
    card = (finished / "README.md").read_text()
    assert "leaves it out without a word" in card and "layer_input, attention_residual" in card
    assert "| accuracy |" in card


def test_predictions_of_the_test_split(finished):
    lines = (finished / "predictions" / "RTE.tsv").read_text().splitlines()
    assert lines[0] == "index\tprediction" and [line.split("\t")[0] for line in lines[1:]] == [str(i) for i in range(5)]
    assert {line.split("\t")[1] for line in lines[1:]} <= {"entailment", "not_entailment"}


def test_same_seed_same_run_and_another_seed_another(flags, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert runs.run_here(*flags, "--task_name", "rte", "--seed", seed, "--output_dir", tmp_path / name) == 0
    weights = {name: (tmp_path / name / "model.safetensors").read_bytes() for name in "abc"}
    assert weights["a"] == weights["b"] != weights["c"]


def test_scale_reaches_the_model(flags, tmp_path):
    """For a checkpoint of any name: the released code used the setting for four names only."""
    for scale in ("0", "0.3"):
        assert runs.run_here(*flags, "--task_name", "rte", "--scale", scale, "--output_dir", tmp_path / scale) == 0
    configs = [json.loads((tmp_path / scale / "config.json").read_text()) for scale in ("0", "0.3")]
    assert [config["scale"] for config in configs] == [0.0, 0.3] and configs[1]["pos"] == "7"
    losses = [[row["loss"] for row in runs.log_rows(tmp_path / scale)] for scale in ("0", "0.3")]
    assert losses[0] != losses[1]
    assert (tmp_path / "0.3" / "0.3_7_2_loss.txt").exists()


@pytest.mark.parametrize("model_type", tiny.MODELS)
def test_every_kind_of_model_trains_and_is_evaluated_again(model_type, data, tmp_path, capsys):
    """The checkpoint's tokenizer makes token types, which two of the models have no use for."""
    checkpoint = runs.make_checkpoint(tmp_path / "checkpoint", model_type)
    words = [*runs.words_for(checkpoint, data), "--num_hidden_layers", "1", "--output_dir", tmp_path / "out"]
    assert runs.run_here(*words, "--max_train_steps", "2", "--logging_steps", "1", "--scale", "0.1") == 0
    assert len(runs.log_rows(tmp_path / "out")) == 2
    assert runs.run_here(*runs.words_for(tmp_path / "out", data), "--do_eval") == 0
    scores = [line for line in capsys.readouterr().out.splitlines() if line.startswith("validation: ")]
    assert len(scores) >= 2 and scores[-1] == scores[-2]
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["n_layers" if model_type == "distilbert" else "num_hidden_layers"] == 1


@pytest.mark.parametrize("model_type", ["bert", "albert"])
def test_regression_with_a_last_batch_of_one_row(model_type, data, tmp_path):
    checkpoint = runs.make_checkpoint(tmp_path / "checkpoint", model_type)
    status = runs.run_here(
        *("--model_name_or_path", checkpoint, "--data_dir", data, "--task_name", "stsb", "--cpu", "--max_length", "32"),
        *("--per_device_train_batch_size", "7", "--per_device_eval_batch_size", "4", "--num_train_epochs", "1"),
        *("--ignore_mismatched_sizes", "--do_predict", "--output_dir", tmp_path / "out"),
    )
    results = json.loads((tmp_path / "out" / "all_results.json").read_text())
    assert status == 0 and math.isfinite(results["eval_pearson"]) and math.isfinite(results["eval_spearmanr"])
    values = (tmp_path / "out" / "predictions" / "STS-B.tsv").read_text().splitlines()[1:]
    assert all(len(value.split("\t")[1].split(".")[1]) == 3 for value in values)


def test_mnli_on_both_validation_splits(flags, tmp_path):
    checkpointless = [*flags, "--task_name", "mnli", "--ignore_mismatched_sizes", "--do_predict"]
    assert runs.run_here(*checkpointless, "--output_dir", tmp_path / "out") == 0
    results = json.loads((tmp_path / "out" / "all_results.json").read_text())
    assert {"eval_accuracy", "eval_accuracy_mm", "eval_loss", "eval_loss_mm"} <= results.keys()
    assert {"predictions/MNLI-m.tsv", "predictions/MNLI-mm.tsv"} <= runs.files_in(tmp_path / "out")


def test_own_files_of_any_labels(checkpoint, tmp_path):
    rows = [
        {"sentence": f"{word} stone .", "label": label}
        for word, label in zip(runs.WORDS[:12], ["yes", "no", "maybe"] * 4, strict=True)
    ]
    for name in ("train", "validation", "test"):
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(
                file, ["sentence", "label"] if name != "test" else ["sentence"], extrasaction="ignore"
            )
            writer.writeheader()
            writer.writerows(rows)
    status = runs.run_here(
        *("--model_name_or_path", checkpoint, "--train_file", tmp_path / "train.csv", "--cpu", "--max_length", "32"),
        *("--validation_file", tmp_path / "validation.csv", "--test_file", tmp_path / "test.csv", "--do_predict"),
        *("--ignore_mismatched_sizes", "--output_dir", tmp_path / "out"),
    )
    assert status == 0
    predictions = (tmp_path / "out" / "predictions" / "test.tsv").read_text().splitlines()[1:]
    assert len(predictions) == 12 and {line.split("\t")[1] for line in predictions} <= {"yes", "no", "maybe"}
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["label2id"].keys() == {"yes", "no", "maybe"} and config["text_columns"] == ["sentence"]


def test_accumulation_is_the_bigger_batch(flags, tmp_path, data):
    """Without dropout, two micro-batches of 4 are one batch of 8: the incomplete last update of an epoch included."""
    quiet = runs.make_checkpoint(tmp_path / "quiet", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    for name, size, accumulation in (("big", "8", "1"), ("small", "4", "2")):
        status = runs.run_here(
            *("--model_name_or_path", quiet, "--data_dir", data, "--task_name", "rte", "--cpu", "--max_length", "32"),
            *("--per_device_train_batch_size", size, "--gradient_accumulation_steps", accumulation),
            *("--num_train_epochs", "2", "--learning_rate", "0.001", "--output_dir", tmp_path / name),
        )
        assert status == 0
    big, small = runs.log_rows(tmp_path / "big"), runs.log_rows(tmp_path / "small")
    assert len(big) == len(small) == 2 * 3
    for key in ("loss", "grad_norm", "learning_rate"):
        assert [row[key] for row in small] == pytest.approx([row[key] for row in big], rel=1e-4)


def test_max_train_steps_and_warmup(flags, tmp_path):
    steps = ["--max_train_steps", "7", "--warmup_ratio", "0.4"]
    assert runs.run_here(*flags, "--task_name", "rte", *steps, "--output_dir", tmp_path / "out") == 0
    rates = [row["learning_rate"] for row in runs.log_rows(tmp_path / "out")]
    assert len(rates) == 7 and rates[0] == 0 and max(rates) == rates[3] == pytest.approx(0.01)


def test_best_model_is_kept_and_training_stops_early(flags, tmp_path):
    """Accuracy cannot exceed its first value forever: a learning rate of next to nothing never improves it."""
    status = runs.run_here(
        *flags,
        *("--task_name", "rte", "--num_train_epochs", "9", "--learning_rate", "1e-12", "--load_best_model_at_end"),
        *("--early_stopping_patience", "2", "--output_dir", tmp_path / "out"),
    )
    results = json.loads((tmp_path / "out" / "all_results.json").read_text())
    assert status == 0 and results["epochs"] == 3 and results["best_epoch"] == 1
    assert results["eval_accuracy"] == results["best_score"]


def test_best_model_is_the_best_epochs(flags, tmp_path, data):
    status = runs.run_here(
        *flags,
        *("--task_name", "rte", "--num_train_epochs", "4", "--learning_rate", "0.05", "--load_best_model_at_end"),
        *("--metric_for_best_model", "loss", "--output_dir", tmp_path / "out"),
    )
    results = json.loads((tmp_path / "out" / "all_results.json").read_text())
    losses = [row["loss"] for row in results["history"]]
    assert status == 0 and results["best_epoch"] == losses.index(min(losses)) + 1 != 4
    assert results["eval_loss"] == min(losses)
    again = runs.run_here(
        *("--model_name_or_path", tmp_path / "out", "--data_dir", data, "--task_name", "rte", "--max_length", "32"),
        *("--cpu", "--do_eval", "--output_dir", tmp_path / "out"),
    )
    stored = json.loads((tmp_path / "out" / "eval_results.json").read_text())
    assert again == 0 and stored["eval_loss"] == pytest.approx(min(losses), rel=1e-6)


def test_a_loss_that_is_not_finite_ends_the_run(flags, tmp_path, capsys):
    diverge = ["--learning_rate", "1e30", "--logging_steps", "1", "--output_dir", tmp_path / "out"]
    assert runs.run_here(*flags, "--task_name", "rte", *diverge) == 3
    error = capsys.readouterr().err
    assert "at update 2" in error.splitlines()[-1] and "9.16667e+29" in error
    assert not (tmp_path / "out" / "model.safetensors").exists()


@pytest.mark.parametrize(
    "extra",
    [
        ["--gradient_checkpointing"],
        ["--label_smoothing", "0.1"],
        ["--mixed_precision", "bf16"],
        ["--max_grad_norm", "0.5"],
        ["--pad_to_max_length"],
        ["--use_v2", "--tau", "0.5"],
        ["--contranorm_padding", "include"],
        ["--num_hidden_layers", "1"],
        ["--lr_scheduler_type", "cosine", "--num_warmup_steps", "2"],
        ["--weight_decay", "0.1"],
        ["--max_train_samples", "6", "--max_eval_samples", "3"],
    ],
    ids=lambda extra: extra[0].removeprefix("--"),
)
def test_every_flag_has_its_effect(flags, extra, tmp_path, capsys):
    base = [*flags, "--task_name", "rte", "--num_train_epochs", "1", "--pos", "7", "--scale", "0.3"]
    assert runs.run_here(*base, "--output_dir", tmp_path / "plain") == 0
    assert runs.run_here(*base, *extra, "--output_dir", tmp_path / "other") == 0
    plain, other = runs.log_rows(tmp_path / "plain"), runs.log_rows(tmp_path / "other")
    if extra[0] in ("--gradient_checkpointing", "--pad_to_max_length"):
        assert [row["loss"] for row in other] == pytest.approx([row["loss"] for row in plain], rel=1e-4)
    else:
        weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("plain", "other")]
        assert weights[0] != weights[1]
    if extra[0] == "--max_grad_norm":
        assert max(row["grad_norm"] for row in plain) > 0.5
    if extra[0] == "--max_train_samples":
        assert "train 6 rows" in capsys.readouterr().out and len(other) == 2


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None and shutil.which("g++") is None, reason="no C++ compiler")
@pytest.mark.timeout(900)
def test_a_compiled_model_is_the_same_function(flags, tmp_path):
    """Training and evaluation; without dropout, whose random numbers are others in a compiled graph."""
    quiet = runs.make_checkpoint(tmp_path / "quiet", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    base = [*flags, "--model_name_or_path", quiet, "--task_name", "rte", "--num_train_epochs", "1"]
    base += ["--pos", "7", "--scale", "0.3", "--num_hidden_layers", "1", "--max_train_samples", "8"]
    assert runs.run_here(*base, "--output_dir", tmp_path / "plain") == 0
    compiled = runs.run(*base, "--torch_compile", "--output_dir", tmp_path / "compiled", patience=800)
    assert compiled.returncode == 0, compiled.stderr
    for key in ("loss", "grad_norm"):
        plain, other = ([row[key] for row in runs.log_rows(tmp_path / name)] for name in ("plain", "compiled"))
        assert other == pytest.approx(plain, rel=1e-4)
    plain, other = (json.loads((tmp_path / name / "all_results.json").read_text()) for name in ("plain", "compiled"))
    assert other["eval_loss"] == pytest.approx(plain["eval_loss"], rel=1e-4)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "compiled")
    assert loaded.config.scale == 0.3


def test_trackers_get_losses_and_scores(flags, tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed (requirements-dev.txt has it)")
    tracked = ["--report_to", "tensorboard", "--output_dir", tmp_path / "out"]
    assert runs.run_here(*flags, "--task_name", "rte", *tracked) == 0
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "out" / "tracking" / "glue_no_trainer"))
    events.Reload()
    assert len(events.Scalars("train_loss")) == 12 and len(events.Scalars("eval_accuracy")) == 2


def test_oversmoothing_of_every_epoch_is_logged(flags, data, tmp_path):
    """In the log and the tracker; the last epoch's is what the command for it finds in the saved model."""
    pytest.importorskip("tensorboard", reason="tensorboard is not installed (requirements-dev.txt has it)")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    import run_oversmoothing

    watched, plain = tmp_path / "watched", tmp_path / "plain"
    words = [*flags, "--task_name", "rte", "--pos", "7", "--scale", "0.2"]
    assert runs.run_here(*words, "--log_oversmoothing", "--report_to", "tensorboard", "--output_dir", watched) == 0
    assert runs.run_here(*words, "--output_dir", plain) == 0
    assert (watched / "model.safetensors").read_bytes() == (plain / "model.safetensors").read_bytes()
    first, last = (json.loads(line) for line in (watched / "eval_log.jsonl").read_text().splitlines())
    assert first["oversmoothing"] != last["oversmoothing"] and last["oversmoothing"]["sequences"] == 13
    model = ["--model_name_or_path", str(watched), "--task_name", "rte", "--data_dir", str(data), "--max_length", "32"]
    assert run_oversmoothing.main([*model, "--cpu", "--output_dir", str(tmp_path / "out")]) == 0
    (again,) = json.loads((tmp_path / "out" / "oversmoothing.json").read_text())["models"].values()
    assert set(again) == {*last["oversmoothing"], "spectrum", "method"}
    of_lengths = last["oversmoothing"].pop("by_length")
    pairs = [(again, last["oversmoothing"]), *((again["by_length"][key], of_lengths[key]) for key in of_lengths)]
    for found, logged in pairs:
        for name, values in logged.items():
            assert found[name] == pytest.approx(values, rel=1e-4, abs=1e-6), name
    events = EventAccumulator(str(watched / "tracking" / "glue_no_trainer"))
    events.Reload()
    for name, layer in (("effective_rank", 0), ("effective_rank", 2), ("attention_similarity", 1)):
        shown = [event.value for event in events.Scalars(f"oversmoothing/{name}/layer_{layer}")]
        values = [row["oversmoothing"][name][layer - (name == "attention_similarity")] for row in (first, last)]
        assert shown == pytest.approx(values, rel=1e-5)


def test_without_output_folder_nothing_is_written(flags, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert runs.run_here(*flags, "--task_name", "rte") == 0
    assert list(tmp_path.iterdir()) == []
    assert "accuracy" in capsys.readouterr().out


def test_earlier_runs_are_not_overwritten(flags, tmp_path, capsys):
    base = [*flags, "--task_name", "rte", "--max_train_steps", "2", "--output_dir", tmp_path / "out"]
    assert runs.run_here(*base) == 0
    before = {name: (tmp_path / "out" / name).read_bytes() for name in runs.files_in(tmp_path / "out")}
    for extra, message in (([], "this very run, finished"), (["--seed", "5"], "other settings")):
        assert runs.run_here(*base, *extra) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert message in error and "--overwrite_output_dir" in error
    assert {name: (tmp_path / "out" / name).read_bytes() for name in runs.files_in(tmp_path / "out")} == before
    (tmp_path / "out" / "my notes.txt").write_text("mine")
    assert runs.run_here(*base, "--seed", "5", "--overwrite_output_dir") == 0
    assert (tmp_path / "out" / "my notes.txt").read_text() == "mine"
    assert json.loads((tmp_path / "out" / "run.json").read_text())["arguments"]["seed"] == 5


@pytest.mark.parametrize(("rule", "multiple"), [("include", 8), ("exclude", 1)])
def test_batches_are_as_wide_as_in_the_released_code_where_padding_counts(
    checkpoint, data, monkeypatch, rule, multiple
):
    from glue.data.encoding import EncodedDataset

    widths, make = [], EncodedDataset.batch

    def noting(data, rows, *options):
        batch = make(data, rows, *options)
        widths.append((batch.shape[1], max(data.lengths[rows])))
        return batch

    monkeypatch.setattr(EncodedDataset, "batch", noting)
    words = [*runs.words_for(checkpoint, data), "--contranorm_padding", rule, "--max_train_steps", "3"]
    assert runs.run_here(*words, "--per_device_train_batch_size", "2") == 0
    assert all(width == -(-longest // multiple) * multiple for width, longest in widths)
    assert len({width for width, _ in widths}) > 1
