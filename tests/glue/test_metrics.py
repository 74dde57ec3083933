"""Scores against numbers worked out by hand, and where a correlation is not defined."""

import pytest

from glue.data.tasks import GLUE_TASKS
from glue.scoring.metrics import higher_is_better
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
