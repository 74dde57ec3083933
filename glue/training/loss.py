"""The loss of each row of a batch, by itself, so that rows can be left out and means be taken over any of them."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from ..data.batch import Batch


def row_losses(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return the loss of each row, in at least single precision (B,): what a model's own loss is the mean of.

    Args:
        logits: (B, num_labels).
        labels: (B,), class ids, or floats for regression.
        label_smoothing: of the cross-entropy.
    """
    logits = logits if logits.element_size() > 4 else logits.float()
    if labels.is_floating_point():
        return (logits[:, 0] - labels).square()
    return F.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)


def batch_loss(model: Any, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
    """Return a batch's part of the mean loss of its update.

    Args:
        model: a classifier.
        batch: on the model's device, with labels.
    """
    return batch.mean(row_losses(model(**batch.inputs).logits, batch.labels, label_smoothing))
