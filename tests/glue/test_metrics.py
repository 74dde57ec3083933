"""Scores against numbers worked out by hand, and where a correlation is not defined."""

import json
import subprocess
import sys
import warnings

import numpy as np
import pytest
import runs

from glue.data.tasks import GLUE_TASKS
from glue.scoring.metrics import compute_metrics, higher_is_better, majority_baseline
from glue.training.state import TrainingState


@pytest.mark.parametrize("name", ["accuracy", "f1", "matthews_correlation", "pearson", "spearmanr", "eval_accuracy_mm"])
def test_scores_are_better_when_higher(name):
    assert higher_is_better(name)


@pytest.mark.parametrize("name", ["loss", "eval_loss", "loss_mm", "Loss", "mean_squared_error", "rmse"])
def test_errors_are_better_when_lower(name):
    assert not higher_is_better(name)


def test_every_metric_of_a_task_is_better_when_higher():
    assert all(higher_is_better(name) for task in GLUE_TASKS.values() for name in task.metrics)


@pytest.mark.parametrize(("metric", "best"), [("accuracy", 2), ("loss", 1), ("loss_mm", 1)])
def test_the_best_epoch_is_that_of_the_metrics_direction(metric, best):
    state = TrainingState()
    found = []
    for epoch, score in enumerate((0.5, 0.4, 0.6, 0.6)):
        state.history.append({"epoch": epoch, "updates": epoch, metric: score})
        found.append(state.note_score(metric))
    assert state.best_epoch == best and state.best_score == (0.6 if best == 2 else 0.4)
    assert found == [True, best == 1, best == 2, False]


def test_scores_worked_out_by_hand():
    labels = [1, 1, 1, 0, 0, 0, 0, 0]
    found = [1, 1, 0, 1, 0, 0, 0, 0]  # 2 hits of class 1, 4 of class 0, 1 false alarm, 1 miss
    assert compute_metrics(GLUE_TASKS["rte"], found, labels) == {"accuracy": 0.75}
    assert compute_metrics(GLUE_TASKS["mrpc"], found, labels) == {"accuracy": 0.75, "f1": pytest.approx(2 / 3)}
    matthews = (2 * 4 - 1 * 1) / (3 * 3 * 5 * 5) ** 0.5
    assert compute_metrics(GLUE_TASKS["cola"], found, labels) == {"matthews_correlation": pytest.approx(matthews)}
    scores = compute_metrics(GLUE_TASKS["stsb"], [1.0, 2.0, 4.0], [0.0, 5.0, 2.0])
    # Deviations (-4, -1, 5) / 3 and (-7, 8, -1) / 3: the sum of products over the root of the product of squares.
    assert scores == {"pearson": pytest.approx(15 / (42 * 114) ** 0.5), "spearmanr": pytest.approx(0.5)}


@pytest.mark.parametrize(
    "predictions",
    [
        [2.5, 2.5, 2.5],
        [2.7100001, 2.71, 2.7100003],
        [2e-8, 1e-8, -3e-8],
        [-4e6, -4e6 - 1, -4e6 + 1],
        [float("nan"), 1.0, 2.0],
    ],
    ids=["equal", "rounding", "about zero", "large", "not finite"],
)
def test_a_correlation_with_equal_predictions_is_zero_without_a_warning(predictions):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compute_metrics(GLUE_TASKS["stsb"], np.array(predictions), np.array([1.0, 3.0, 2.0]))
    assert found == {"pearson": 0.0, "spearmanr": 0.0}


@pytest.mark.parametrize("predictions", [[2.71, 2.7102, 2.7101], [1e-4, 3e-4, 2e-4]], ids=str)
def test_small_differences_count(predictions):
    assert compute_metrics(GLUE_TASKS["stsb"], predictions, [1.0, 3.0, 2.0])["spearmanr"] == pytest.approx(1)


def test_a_half_precision_model_rounds_more():
    predictions = np.array([2.703125, 2.71875, 2.703125])  # neighbours in bfloat16
    assert compute_metrics(GLUE_TASKS["stsb"], predictions, [1.0, 3.0, 2.0])["pearson"] > 0.8
    assert compute_metrics(GLUE_TASKS["stsb"], predictions, [1.0, 3.0, 2.0], rounding=2**-7)["pearson"] == 0


def test_one_class_has_no_correlation():
    for labels, found in (([0, 1, 1], [1, 1, 1]), ([1, 1, 1], [0, 1, 1]), ([1, 1], [1, 1])):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert compute_metrics(GLUE_TASKS["cola"], found, labels) == {"matthews_correlation": 0.0}


def test_the_constant_guess_is_the_most_frequent_label():
    assert majority_baseline(GLUE_TASKS["mrpc"], [1, 1, 1, 0]) == {"accuracy": 0.75, "f1": pytest.approx(6 / 7)}
    assert majority_baseline(GLUE_TASKS["stsb"], [1.0, 2.0]) == {"pearson": 0.0, "spearmanr": 0.0}


@pytest.mark.parametrize(("found", "labels"), [([1, 0], [1]), ([], [])])
def test_what_cannot_be_scored_is_an_error(found, labels):
    with pytest.raises(ValueError, match=r"2 predictions for 1 labels|no predictions"):
        compute_metrics(GLUE_TASKS["rte"], found, labels)


def test_scores_need_neither_a_home_nor_a_cache():
    code = (
        "from glue.data.tasks import GLUE_TASKS; from glue.scoring.metrics import compute_metrics\n"
        "for name, task in GLUE_TASKS.items(): print(name, compute_metrics(task, [0, 1, 1], [0, 1, 0]))\n"
        "import sys; assert not {'datasets', 'evaluate', 'torch'} & set(sys.modules)"
    )
    environment = runs.environment() | dict.fromkeys(("HOME", "HF_HOME", "XDG_CACHE_HOME", "TMPDIR"), "/dev/null/none")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=runs.ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(GLUE_TASKS)


def test_predictions_of_one_number_are_pointed_out_once(tmp_path, capsys):
    """A model that hears nothing of its input: in another batch its constant is rounded in another way."""
    checkpoint = runs.make_checkpoint(tmp_path / "model", num_labels=1, problem_type="regression")
    data = runs.make_data(tmp_path / "glue", {"validation": 40})
    rows = (data / "stsb" / "validation.jsonl").read_text().splitlines()
    same = [json.dumps({**json.loads(row), "sentence1": "red stone", "sentence2": "is ."}) for row in rows]
    (data / "stsb" / "validation.jsonl").write_text("\n".join(same) + "\n")
    words = [*runs.words_for(checkpoint, data, "stsb"), "--no-do_train", "--do_eval"]
    words += ["--per_device_eval_batch_size", "3", "--output_dir", tmp_path / "out"]
    assert runs.run_here(*words) == 0
    results = json.loads((tmp_path / "out" / "eval_results.json").read_text())
    assert results["eval_pearson"] == results["eval_spearmanr"] == 0 and results["eval_predicted_numbers"] == 1
    assert capsys.readouterr().out.count("Warning: every prediction of the validation split is the same number") == 1
