"""Scores of a split: GLUE's metrics, the constant guess to hold them against, and the average over the tasks.

The numbers come from scikit-learn and SciPy, and nothing is fetched from anywhere. `load_metric` wraps them as an
`evaluate.Metric` of our own, which collects a split batch by batch. What is slow to import is imported on first use.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..data.tasks import GLUE_TASKS, Task

if TYPE_CHECKING:
    from .metric_module import GlueMetric

logger = logging.getLogger(__name__)

# MNLI's second validation set, in the names that the stock example writes: accuracy, accuracy_mm.
MISMATCHED_SUFFIX = "_mm"


def load_metric(task: Task) -> GlueMetric:
    """Return the task's metric as an `evaluate.Metric`: `add_batch` for each batch, `compute` at the end of a split.

    Args:
        task: decides which scores are computed.
    """
    from .metric_module import GlueMetric

    return GlueMetric(task)


def compute_metrics(task: Task, predictions: ArrayLike, references: ArrayLike) -> dict[str, float]:
    """Score predictions against the labels.

    A correlation is undefined where all predictions or all labels are equal (or not finite); it then counts as 0.0, as
    a model that says the same about everything has found nothing. So does an F1 without a single positive.

    Args:
        task: decides which scores are computed; F1 is that of class 1.
        predictions: (N,) class ids, or scores for regression.
        references: (N,) labels of the same kind.

    Returns:
        Name of each of `task.metrics` to its value, all finite.

    Raises:
        ValueError: there are no rows, or the two differ in length.

    Example:
        >>> compute_metrics(GLUE_TASKS["mrpc"], predictions=[1, 1, 0, 0], references=[1, 0, 1, 0])
        {'accuracy': 0.5, 'f1': 0.5}
    """
    predicted, expected = np.asarray(predictions).reshape(-1), np.asarray(references).reshape(-1)
    if len(predicted) != len(expected):
        raise ValueError(f"{len(predicted)} predictions for {len(expected)} labels")
    if not len(expected):
        raise ValueError("no predictions to score")
    return {name: _METRICS[name](predicted, expected) for name in task.metrics}


def majority_baseline(task: Task, labels: ArrayLike) -> dict[str, float]:
    """Score the best constant guess, the most frequent label (for regression any constant), on the same labels.

    Args:
        task: decides which scores are computed.
        labels: (N,) labels of the split.

    Returns:
        What `compute_metrics` gives for that guess. A run whose own score is not above it has learned nothing.

    Example:
        >>> majority_baseline(GLUE_TASKS["cola"], [1, 1, 0]), majority_baseline(GLUE_TASKS["sst2"], [1, 1, 1, 0])
        ({'matthews_correlation': 0.0}, {'accuracy': 0.75})
    """
    values = np.asarray(labels).reshape(-1)
    if task.is_regression:
        return dict.fromkeys(task.metrics, 0.0)
    guess = Counter(values.tolist()).most_common(1)[0][0]
    return compute_metrics(task, np.full_like(values, guess), values)


def glue_average(scores: Mapping[str, Mapping[str, float]]) -> float:
    """Average the tasks as the papers on BERT and ContraNorm do.

    Each task counts with its main metric: Matthews correlation for CoLA, F1 for MRPC and QQP, Spearman for STS-B,
    accuracy elsewhere. MNLI counts twice, matched and mismatched, and WNLI is left out.

    Args:
        scores: name of each task to its scores. Those of MNLI's mismatched set end in `_mm`. The average is over the
            tasks that are there, so it compares with the papers' only where all of them are.

    Returns:
        The average, in the unit of the scores.

    Raises:
        ValueError: there is no task that counts.

    Example:
        >>> glue_average({"rte": {"accuracy": 0.6}, "mnli": {"accuracy": 0.8, "accuracy_mm": 0.85}})
        0.75
    """
    columns = []
    for name, of_task in scores.items():
        if name != "wnli":
            main = GLUE_TASKS[name].main_metric
            columns.append(of_task[main])
            columns.extend(of_task[key] for key in of_task if key == main + MISMATCHED_SUFFIX)
    if not columns:
        raise ValueError("no task to average: WNLI does not count, and there is no other")
    return float(np.mean(columns))


def higher_is_better(name: str) -> bool:
    """Return whether a higher value of a score is a better one: of all but losses.

    Args:
        name: as in a run's results, such as "f1", "accuracy_mm" or "eval_loss".

    Example:
        >>> higher_is_better("spearmanr"), higher_is_better("eval_loss")
        (True, False)
    """
    return "loss" not in name.split("_")


def _accuracy(predicted: np.ndarray, expected: np.ndarray) -> float:
    return float((predicted == expected).mean())


def _f1(predicted: np.ndarray, expected: np.ndarray) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(expected, predicted, zero_division=0.0))


def _matthews_correlation(predicted: np.ndarray, expected: np.ndarray) -> float:
    from sklearn.metrics import matthews_corrcoef

    return _correlation(matthews_corrcoef, predicted, expected)


def _pearson(predicted: np.ndarray, expected: np.ndarray) -> float:
    from scipy.stats import pearsonr

    return _correlation(lambda a, b: pearsonr(a, b).statistic, predicted, expected)


def _spearmanr(predicted: np.ndarray, expected: np.ndarray) -> float:
    from scipy.stats import spearmanr

    return _correlation(lambda a, b: spearmanr(a, b).statistic, predicted, expected)


def _correlation(
    function: Callable[[np.ndarray, np.ndarray], float], predicted: np.ndarray, expected: np.ndarray
) -> float:
    """Call `function` where it is defined; elsewhere SciPy would raise, or warn and return NaN."""
    for values, what in ((predicted, "prediction"), (expected, "label")):
        if not np.isfinite(values).all():
            logger.warning("a %s is not finite: the correlation counts as 0", what)
            return 0.0
        if (values == values[0]).all():
            logger.info("every %s is %g: the correlation is not defined and counts as 0", what, values[0])
            return 0.0
    return float(function(expected, predicted))


_METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "matthews_correlation": _matthews_correlation,
    "pearson": _pearson,
    "spearmanr": _spearmanr,
}
