"""The loss of a sequence classifier, for BERT and ALBERT alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from .utils.errors import ConfigurationError

if TYPE_CHECKING:
    from .configuration_utils import PretrainedConfig

PROBLEM_TYPES = ("regression", "single_label_classification", "multi_label_classification")


def classification_loss(logits: Tensor, labels: Tensor, config: PretrainedConfig) -> Tensor:
    """Compute the mean loss of a batch.

    Args:
        logits: (B, num_labels).
        labels: floats of the shape of logits (or (B,) if num_labels is 1) for regression; ints (B,) for one label of
            several, -100 where there is none; 0/1 (B, num_labels) for several labels at once.
        config: `problem_type` chooses mean squared error, cross-entropy or binary cross-entropy. Where it is None, one
            label means regression, integer labels cross-entropy and others binary cross-entropy; the choice is stored
            there, as Hugging Face's models do.

    Returns:
        A scalar.

    Raises:
        ConfigurationError: `problem_type` is unknown.
    """
    if config.problem_type is None:
        config.problem_type = _infer_problem_type(labels, config.num_labels)
    if config.problem_type == "regression":
        return F.mse_loss(logits.squeeze(-1), labels.to(logits.dtype).view_as(logits.squeeze(-1)))
    if config.problem_type == "single_label_classification":
        return F.cross_entropy(logits.view(-1, config.num_labels), labels.view(-1))
    if config.problem_type == "multi_label_classification":
        return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
    raise ConfigurationError(
        f"problem_type {config.problem_type!r} is unknown: expected one of {', '.join(PROBLEM_TYPES)}"
    )


def _infer_problem_type(labels: Tensor, num_labels: int) -> str:
    if num_labels == 1:
        return "regression"
    if labels.dtype in (torch.int32, torch.int64):
        return "single_label_classification"
    return "multi_label_classification"
