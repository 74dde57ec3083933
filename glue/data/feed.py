"""The batches of a training: on a GPU those of the next update are made while this one is computed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from .batch import Batch
from .encoding import EncodedDataset

if TYPE_CHECKING:
    from ..training.sampling import Update


class Feed:
    """Makes the batches of updates.

    Args:
        size: rows of a micro-batch on one process.
        ahead: make those of the next update in a thread of their own, in memory that a GPU reads by itself; what
            computes on the CPU would have to share its cores with that thread.
        pin: whether that memory can be had.
    """

    def __init__(self, size: int, ahead: bool = False, pin: bool = False) -> None:
        self.size, self.is_ahead, self.pin = size, ahead, pin
        self._pending: deque[tuple[Update, Future[list[Batch]]]] = deque()

    def ahead(self, dataset: EncodedDataset, updates: Iterable[Update]) -> Iterator[Update]:
        """Yield the updates as they are; while one is being computed, the batches of the next are made."""
        if not self.is_ahead:
            yield from updates
            return
        with ThreadPoolExecutor(1, "batches") as thread:
            self._pending.clear()
            for update in updates:
                self._pending.append((update, thread.submit(self._make, dataset, update)))
                if len(self._pending) > 1:
                    yield self._pending[0][0]
                    self._pending.popleft()
            while self._pending:
                yield self._pending[0][0]
                self._pending.popleft()

    def batches(self, dataset: EncodedDataset, update: Update) -> list[Batch]:
        """Return the micro-batches of an update, on the CPU."""
        for announced, batches in self._pending:
            if announced is update:
                return batches.result()
        return self._make(dataset, update)

    def _make(self, dataset: EncodedDataset, update: Update) -> list[Batch]:
        return [dataset.batch(rows, self.size, update.num_examples, self.pin) for rows in update.micro_batches]
