"""A padded batch in one piece of memory, which a single copy brings to the device; and which sizes batches have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

_NARROWEST = 16


def bucket_widths(longest: int) -> tuple[int, ...]:
    """Return the lengths that batches are padded to where few shapes are wanted: 16, 24, 32, 48, 64, 96, 128 and so on.

    Args:
        longest: of all rows; the last of them.

    Example:
        >>> bucket_widths(128), bucket_widths(40)
        ((16, 24, 32, 48, 64, 96, 128), (16, 24, 32, 40))
    """
    widths, width = [], _NARROWEST
    while width < longest:
        widths += [width, width * 3 // 2]
        width *= 2
    return (*(width for width in widths if width < longest), longest)


@dataclass(frozen=True)
class Batch:
    """Rows of a split, padded. Those that fill a batch up come last, and count nothing.

    Attributes:
        memory: int64 tensor that holds everything: the features and the mask, labels, which rows count, and of how many
            rows the mean is taken.
        names: of the features, the mask's being the last.
        shape: B and S.
        labels_type: of the labels; None where there are none.
        count: rows that count.
    """

    memory: Tensor
    names: tuple[str, ...]
    shape: tuple[int, int]
    labels_type: torch.dtype | None
    count: int

    @classmethod
    def of(
        cls,
        features: Mapping[str, np.ndarray],
        labels: np.ndarray | None,
        count: int,
        total: int,
        pin: bool = False,
    ) -> Batch:
        """Put a batch together.

        Args:
            features: (B, S) each, the mask last.
            labels: (B,), int64 or float32.
            count: how many rows count; they come first.
            total: rows that the mean loss is taken over.
            pin: use memory that a GPU reads by itself.
        """
        shape: tuple[int, int] = next(iter(features.values())).shape
        labels_type = None if labels is None else torch.from_numpy(labels[:0]).dtype
        size = len(features) * shape[0] * shape[1] + 2 * shape[0] + 1
        memory = torch.empty(size, dtype=torch.int64, pin_memory=pin)
        batch = cls(memory, tuple(features), shape, labels_type, count)
        for name, tensor in batch.inputs.items():
            tensor.copy_(torch.from_numpy(features[name]))
        if labels is not None:
            batch.labels.copy_(torch.from_numpy(labels))
        batch.counts.copy_(torch.arange(shape[0]) < count)
        batch.total.fill_(total)
        return batch

    @property
    def inputs(self) -> dict[str, Tensor]:
        """What a model is called with: int64 (B, S) each."""
        width = self.shape[0] * self.shape[1]
        parts = self.memory[: len(self.names) * width].view(-1, *self.shape)
        return dict(zip(self.names, parts.unbind(), strict=True))

    @property
    def labels(self) -> Tensor:
        """(B,), int64 or float32."""
        assert self.labels_type is not None
        rows = self.shape[0]
        return self.memory[-2 * rows - 1 : -rows - 1].view(self.labels_type)[:rows]

    @property
    def counts(self) -> Tensor:
        """(B,): 1 at rows that count, 0 at those that fill the batch up."""
        return self.memory[-self.shape[0] - 1 : -1]

    @property
    def total(self) -> Tensor:
        """Scalar: rows that the mean loss is taken over."""
        return self.memory[-1]

    def mean(self, losses: Tensor) -> Tensor:
        """Return this batch's part of the mean loss over all `total` rows.

        Args:
            losses: (B,), of each row.
        """
        return (losses * self.counts).sum() / self.total

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device; out of pinned memory nothing waits for it."""
        return self if device == self.memory.device else replace(self, memory=self.memory.to(device, non_blocking=True))
