"""Scores of a split: GLUE's metrics, which of them are better when higher, and the constant guess beside them.

The numbers come from scikit-learn and SciPy; nothing is fetched, and nothing is kept on disk. What is slow to import is
imported on first use.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..data.tasks import Task

# MNLI's second validation set, in the names that the stock example writes: accuracy, accuracy_mm.
MISMATCHED_SUFFIX = "_mm"
# How far apart, in proportion, scores can be that the sums of a whole model should have made equal, by its precision.
ROUNDING = {"no": 1e-5, "fp16": 2**-10, "bf16": 2**-7}
# A score with one of these words in its name is the better the lower it is.
_ERRORS = {"loss", "error", "mse", "rmse", "mae", "perplexity"}


def higher_is_better(name: str) -> bool:
    """Whether of two values of a score the higher one is the better: not of a loss or another measure of error.

    Args:
        name: of the score, with a prefix or suffix or without: "accuracy", "loss", "eval_loss", "loss_mm".

    Example:
        >>> higher_is_better("accuracy_mm"), higher_is_better("eval_loss")
        (True, False)
    """
    return _ERRORS.isdisjoint(name.lower().split("_"))


def compute_metrics(
    task: Task, predictions: ArrayLike, references: ArrayLike, rounding: float = ROUNDING["no"]
) -> dict[str, float]:
    """Score predictions against the labels.

    A correlation is undefined where all predictions or all labels are equal (or not finite); it then counts as 0.0, as
    a model that says the same about everything has found nothing. So does an F1 without a single positive.

    Args:
        task: decides which scores are computed; F1 is that of class 1.
        predictions: (N,) class ids, or scores for regression.
        references: (N,) labels of the same kind.
        rounding: how far apart two predicted scores may be and count as equal, see `are_equal`.

    Returns:
        Name of each of `task.metrics` to its value, all finite.

    Raises:
        ValueError: there are no rows, or the two differ in length.

    Example:
        >>> from glue.data.tasks import GLUE_TASKS
        >>> compute_metrics(GLUE_TASKS["mrpc"], predictions=[1, 1, 0, 0], references=[1, 0, 1, 0])
        {'accuracy': 0.5, 'f1': 0.5}
    """
    predicted, expected = np.asarray(predictions).reshape(-1), np.asarray(references).reshape(-1)
    if len(predicted) != len(expected):
        raise ValueError(f"{len(predicted)} predictions for {len(expected)} labels")
    if not len(expected):
        raise ValueError("no predictions to score")
    undefined = are_equal(predicted, rounding) or are_equal(expected, 0.0)
    return {
        name: 0.0 if undefined and name not in ("accuracy", "f1") else _score(name, predicted, expected)
        for name in task.metrics
    }


def are_equal(values: np.ndarray, rounding: float = ROUNDING["no"]) -> bool:
    """Whether there is nothing to tell (N,) predictions apart by: they are equal up to rounding, or not all finite.

    A model gives the same text not quite the same score in two batches, as sums are rounded in another order.

    Args:
        values: classes or scores.
        rounding: in proportion to the largest of them, or to 0.1 where all are smaller.

    Example:
        >>> are_equal(np.array([2.7000001, 2.7])), are_equal(np.array([2.71, 2.7])), are_equal(np.array([0, 1]))
        (True, False, False)
    """
    return not np.isfinite(values).all() or bool(np.ptp(values) <= rounding * max(0.1, np.abs(values).max()))


def majority_baseline(task: Task, labels: ArrayLike) -> dict[str, float]:
    """Score the best constant guess, the most frequent label (for regression any constant), on the same labels.

    Args:
        task: decides which scores are computed.
        labels: (N,) labels of the split.

    Returns:
        What `compute_metrics` gives for that guess. A run whose own score is not above it has learned nothing.

    Example:
        >>> from glue.data.tasks import GLUE_TASKS
        >>> majority_baseline(GLUE_TASKS["cola"], [1, 1, 0]), majority_baseline(GLUE_TASKS["sst2"], [1, 1, 1, 0])
        ({'matthews_correlation': 0.0}, {'accuracy': 0.75})
    """
    values = np.asarray(labels).reshape(-1)
    if task.is_regression:
        return dict.fromkeys(task.metrics, 0.0)
    return compute_metrics(task, np.full_like(values, np.bincount(values).argmax()), values)


def _score(name: str, predicted: np.ndarray, expected: np.ndarray) -> float:
    if name == "accuracy":
        return float((predicted == expected).mean())
    from scipy.stats import pearsonr, spearmanr
    from sklearn.metrics import f1_score, matthews_corrcoef

    if name == "f1":
        return float(f1_score(expected, predicted, zero_division=0.0))
    if name == "matthews_correlation":
        return float(matthews_corrcoef(expected, predicted))
    return float((pearsonr if name == "pearson" else spearmanr)(expected, predicted).statistic)
