"""Updates that are recorded once for each shape of a batch, and replayed: forward and backward pass, clipping and AdamW
as one launch of a CUDA graph, in place of a thousand.

What changes from update to update is read from tensors: the batch, and the rates that the optimizer has settled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from ..data.batch import Batch
from .optimizer import PyTorchAdamW

_WARM_UPS = 3


@dataclass
class RecordedUpdates:
    """Makes updates; the first one of each shape is recorded.

    Args:
        compute: returns the loss of a batch on the device.
        norm_of: returns the norm of the gradient, after clipping it.
        optimizer: makes the update.
        device: where the model is.
        record: records a function, before which another one has to have run, and returns what replays it.
    """

    compute: Callable[[Batch], Tensor]
    norm_of: Callable[[], Tensor]
    optimizer: PyTorchAdamW
    device: torch.device
    record: Callable[[Callable[[], None], Callable[[], None]], Callable[[], object]] | None = None
    _recorded: dict[tuple[int, int], tuple[Batch, Callable[[], object]]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.record = self.record or partial(record_cuda_graph, torch.cuda.graph_pool_handle())
        self._rates = torch.zeros(len(self.optimizer.param_groups), 2, device=self.device)
        self._results = torch.zeros(2, device=self.device)
        self.optimizer._opt_called = True  # type: ignore[attr-defined]  # which the schedule asks, as step() is not called

    def __call__(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Make an update with a batch, on the CPU; returns its loss and the gradient's norm, on the device."""
        if batch.shape not in self._recorded:
            self._recorded[batch.shape] = self._record(batch)
        static, replay = self._recorded[batch.shape]
        static.memory.copy_(batch.memory, non_blocking=True)
        rates = torch.tensor(list(chain(*self.optimizer.settle())), pin_memory=self.device.type == "cuda")
        self._rates.copy_(rates.view_as(self._rates), non_blocking=True)
        replay()
        loss, norm = self._results.clone().unbind()
        return loss, norm

    def _record(self, batch: Batch) -> tuple[Batch, Callable[[], object]]:
        """Record the update of a shape; neither weights nor moments nor random numbers change."""
        static = replace(batch, memory=batch.memory.to(self.device, copy=True))

        def backward() -> Tensor:
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.compute(static)
            loss.backward()
            return loss.detach()

        def warm_up() -> None:
            backward()
            self.optimizer.prepare()  # within the recording the moments would begin anew at each replay
            self.optimizer.zero_grad(set_to_none=True)

        def update() -> None:
            loss = backward()
            norm = self.norm_of()
            self.optimizer.update([(rate, learning_rate) for rate, learning_rate in map(torch.unbind, self._rates)])
            self._results.copy_(torch.stack([loss.to(self._results.dtype), norm.to(self._results.dtype)]))

        assert self.record is not None
        replay = self.record(warm_up, update)
        self.optimizer.zero_grad(set_to_none=True)  # what the recording holds is its own
        return static, replay


def record_cuda_graph(pool: Any, warm_up: Callable[[], None], function: Callable[[], None]) -> Callable[[], None]:
    """Record what a function launches, without running it; returns what replays it.

    Args:
        pool: memory that all recordings share, as they are replayed one after the other.
        warm_up: run before, so that libraries are loaded and what is compiled has been.
        function: is recorded.
    """
    generator, stream = torch.cuda.get_rng_state(), torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UPS):
            warm_up()
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.set_rng_state(generator)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool):
        function()
    return graph.replay
