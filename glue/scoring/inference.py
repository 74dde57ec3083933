"""Running a model over a split without training it: predictions, loss and scores, every row counted once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from ..cli.console import progress_bar
from ..data.encoding import EncodedDataset
from ..data.labels import LabelMapping
from ..data.tasks import Task
from ..errors import DivergedError
from ..training.loss import row_losses
from ..training.sampling import evaluation_batches


def predict(
    model: Any,
    dataset: EncodedDataset,
    task: Task,
    mapping: LabelMapping,
    batch_size: int,
    accelerator: Accelerator,
    title: str = "evaluating",
) -> tuple[np.ndarray, np.ndarray]:
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
        For the N rows in their order the task's class ids (int64) or numbers (float64), and the loss of each (float64;
        empty where rows have no label): the same on every process, and to the last digit whatever their number.

    Raises:
        DivergedError: an output of the model is not finite.
    """
    model, device = accelerator.unwrap_model(model).eval(), accelerator.device
    batches = evaluation_batches(dataset.lengths, batch_size, accelerator.num_processes, accelerator.process_index)
    logits, losses = [torch.empty(0, task.num_labels, device=device)], [torch.empty(0, device=device)]
    with torch.inference_mode():
        for rows in progress_bar(batches, desc=title, leave=False, delay=2):
            batch = dataset.batch(rows, batch_size).to(device)
            logits.append(model(**batch.inputs).logits.float()[: batch.count])
            if dataset.labels is not None:
                losses.append(row_losses(logits[-1], batch.labels[: batch.count]))
    # One transfer from the device at the end, not one a batch.
    mine = [np.concatenate([np.empty(0, dtype=np.int64), *batches])]
    mine += [torch.cat(parts).cpu().numpy() for parts in (logits, losses)]
    order, all_logits, all_losses = map(np.concatenate, zip(*gather_object([mine]), strict=True))
    order = np.argsort(order)
    broken = np.flatnonzero(~np.isfinite(all_logits[order]).all(axis=1))
    if len(broken):
        raise DivergedError(
            f"{title}: the model's output for {len(broken)} of {len(order)} rows is not finite, the first of them "
            f"{broken[0]}, counted from 0: its weights have diverged or are damaged"
        )
    if task.is_regression:
        values = all_logits[order, 0].astype(np.float64)
    else:
        values = mapping.task_ids(task)[all_logits[order].argmax(axis=1)]
    return values, all_losses.astype(np.float64)[order if len(all_losses) else []]
