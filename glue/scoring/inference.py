"""Running a model over a split without training it: predictions, loss and scores, every row counted once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch.nn import functional as F

from ..cli.console import progress_bar
from ..data.encoding import EncodedDataset
from ..data.labels import LabelMapping
from ..data.tasks import Task
from ..training.sampling import evaluation_batches
from .metrics import load_metric


@dataclass(frozen=True)
class Predictions:
    """What a model says about the N rows of a split, in their order.

    Attributes:
        values: the task's class ids (int64), or numbers for regression (float64).
        losses: the loss of each row (float64); empty where rows have no label.
    """

    values: np.ndarray
    losses: np.ndarray


def predict(
    model: Any,
    dataset: EncodedDataset,
    task: Task,
    mapping: LabelMapping,
    batch_size: int,
    accelerator: Accelerator,
    title: str = "evaluating",
) -> Predictions:
    """Predict every row of a split.

    Args:
        model: as `accelerator.prepare` returned it; it is left in evaluation mode.
        dataset: the split.
        task: classes or regression.
        mapping: the model's class ids against the task's.
        batch_size: rows of a batch on one process.
        accelerator: shares the batches between the processes and collects their results.
        title: what the progress bar says.

    Returns:
        The same on every process, and to the last digit whatever their number.
    """
    model = accelerator.unwrap_model(model).eval()
    batches = evaluation_batches(dataset.lengths, batch_size, accelerator.num_processes, accelerator.process_index)
    logits, losses = [], []
    with torch.inference_mode():
        for rows in progress_bar(batches, desc=title, leave=False, delay=2, disable=not accelerator.is_main_process):
            inputs = dataset.collate(rows, device=accelerator.device)
            labels = inputs.pop("labels", None)
            output = model(**inputs).logits.float()
            logits.append(output)
            if labels is not None:
                losses.append(_losses(output, labels))
    # One transfer from the device at the end, not one a batch.
    mine = {
        "rows": np.concatenate(batches) if batches else np.empty(0, dtype=np.int64),
        "logits": torch.cat(logits).cpu().numpy() if logits else np.empty((0, task.num_labels), dtype=np.float32),
        "losses": torch.cat(losses).cpu().numpy() if losses else np.empty(0, dtype=np.float32),
    }
    parts = gather_object([mine])
    order = np.argsort(np.concatenate([part["rows"] for part in parts]))
    all_logits = np.concatenate([part["logits"] for part in parts])[order]
    if task.is_regression:
        values = all_logits[:, 0].astype(np.float64)
    else:
        values = mapping.task_ids(task)[all_logits.argmax(axis=1)]
    all_losses = np.concatenate([part["losses"] for part in parts]).astype(np.float64)
    return Predictions(values, all_losses[order] if len(all_losses) else all_losses)


def evaluate(
    model: Any,
    dataset: EncodedDataset,
    task: Task,
    mapping: LabelMapping,
    batch_size: int,
    accelerator: Accelerator,
) -> dict[str, float]:
    """Score a labelled split.

    Returns:
        The task's metrics, and "loss", the mean over all rows.
    """
    references = reference_labels(dataset, task, mapping)
    predictions = predict(model, dataset, task, mapping, batch_size, accelerator)
    scores = load_metric(task).compute(predictions=predictions.values, references=references)
    return {**scores, "loss": float(predictions.losses.mean())}


def reference_labels(dataset: EncodedDataset, task: Task, mapping: LabelMapping) -> np.ndarray:
    """Return a split's labels in the task's numbering, (N,)."""
    if dataset.labels is None:
        raise ValueError("a split without labels has nothing to compare with")
    return dataset.labels if task.is_regression else mapping.task_ids(task)[dataset.labels]


def _losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The loss of each row (B,), without label smoothing."""
    if labels.is_floating_point():
        return (logits[:, 0] - labels).square()
    return F.cross_entropy(logits, labels, reduction="none")
