"""`GlueMetric`: the scores of `glue/scoring/metrics.py` as an `evaluate.Metric`. Importing this takes a second."""

from __future__ import annotations

from typing import Any

import datasets
import evaluate
import numpy as np

from ..data.tasks import Task
from .metrics import compute_metrics


class GlueMetric(evaluate.Metric):
    """Collects predictions and labels of a split and scores them; needs no network and writes no file.

    With several processes gather the rows first and give them to the metric of every process.

    Args:
        task: decides which scores are computed.

    Example:
        >>> from glue.data.tasks import GLUE_TASKS
        >>> metric = GlueMetric(GLUE_TASKS["rte"])
        >>> metric.add_batch(predictions=[0, 1], references=[0, 0])
        >>> metric.add_batch(predictions=[1], references=[1])
        >>> round(metric.compute()["accuracy"], 3)
        0.667
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        super().__init__(config_name=task.name, keep_in_memory=True)

    def _info(self) -> evaluate.MetricInfo:
        kind = "float64" if self.task.is_regression else "int64"
        return evaluate.MetricInfo(
            description=f"{', '.join(self.task.metrics)} ({self.task.name})",
            citation="",
            inputs_description="predictions and references: class ids, or scores for regression",
            features=datasets.Features({"predictions": datasets.Value(kind), "references": datasets.Value(kind)}),
        )

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return compute_metrics(self.task, np.asarray(predictions), np.asarray(references))
