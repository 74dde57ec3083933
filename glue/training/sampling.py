"""Which rows form which batch: an order that follows from the seed alone, whatever the number of processes.

An update takes `accumulation` micro-batches; a micro-batch is `batch_size` rows on each process. Every process knows
the order of all rows and takes its share of each micro-batch, so that nothing has to be sent, no row is drawn twice,
and a run continues in the middle of an epoch by skipping updates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Update:
    """The rows of one optimizer update on one process.

    Attributes:
        micro_batches: row numbers of each micro-batch's share; a share may be empty at the end of an epoch.
        num_examples: rows of the update on all processes together, which the loss is the mean over.
        rows: their row numbers, in the order of the epoch.
    """

    micro_batches: tuple[np.ndarray, ...]
    num_examples: int
    rows: Sequence[int] | np.ndarray = ()


_WINDOW = 50  # updates; the stock library's Trainer sorts as many batches


@dataclass(frozen=True)
class TrainingOrder:
    """The updates of every epoch.

    Args:
        num_rows: rows of the training split.
        batch_size: rows of a micro-batch on one process.
        accumulation: micro-batches of an update.
        num_processes, process_index: how many share the work, and which of them this is.
        seed: decides the order together with the epoch's number.
        lengths: tokens of each row, where rows of similar length are to meet in a batch: within windows of `_WINDOW`
            updates they are sorted by length, and the window's full updates come in a random order.

    Example:
        >>> order = TrainingOrder(num_rows=10, batch_size=2, accumulation=2, seed=0)
        >>> order.updates_per_epoch, [update.num_examples for update in order.epoch(0)]
        (3, [4, 4, 2])
    """

    num_rows: int
    batch_size: int
    accumulation: int = 1
    num_processes: int = 1
    process_index: int = 0
    seed: int = 0
    lengths: np.ndarray | None = None

    @property
    def update_size(self) -> int:
        """Rows of a full update on all processes."""
        return self.batch_size * self.accumulation * self.num_processes

    @property
    def updates_per_epoch(self) -> int:
        """Updates of one epoch; the last one takes what is left over."""
        return -(-self.num_rows // self.update_size)

    def epoch(self, number: int, start: int = 0) -> Iterator[Update]:
        """Yield the updates of epoch `number` (from 0), without the first `start`."""
        rng = np.random.default_rng([self.seed, number])
        order = rng.permutation(self.num_rows)
        if self.lengths is not None:
            order = self._grouped(order, self.lengths, rng)
        micro_size = self.batch_size * self.num_processes
        for begin in range(start * self.update_size, self.num_rows, self.update_size):
            rows = order[begin : begin + self.update_size]
            micro_batches = [rows[first : first + micro_size] for first in range(0, len(rows), micro_size)]
            yield Update(tuple(self._share(batch) for batch in micro_batches), len(rows), rows)

    def _grouped(self, order: np.ndarray, lengths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Bring rows of similar length together; what is left over at the end of the epoch stays at its end."""
        size, parts = self.update_size, []
        full = len(order) - len(order) % size
        for begin in range(0, full, size * _WINDOW):
            window = order[begin : min(begin + size * _WINDOW, full)]
            window = window[np.argsort(lengths[window], kind="stable")]
            parts.append(rng.permutation(window.reshape(-1, size)).reshape(-1))
        return np.concatenate([*parts, order[full:]])

    def _share(self, micro_batch: np.ndarray) -> np.ndarray:
        return np.array_split(micro_batch, self.num_processes)[self.process_index]


def evaluation_batches(
    lengths: np.ndarray, batch_size: int, num_processes: int = 1, process_index: int = 0
) -> list[np.ndarray]:
    """Cut a split into batches of rows of similar length, so that little padding is needed.

    The batches do not depend on the number of processes, nor therefore do the scores, to the last digit.

    Args:
        lengths: tokens of each row.
        batch_size: rows of a batch.
        num_processes, process_index: every process takes each `num_processes`-th batch.

    Returns:
        Row numbers of this process's batches; over all processes every row occurs once.
    """
    order = np.argsort(-lengths, kind="stable")  # the longest first: a lack of memory shows at once
    batches = [order[begin : begin + batch_size] for begin in range(0, len(order), batch_size)]
    return batches[process_index::num_processes]
