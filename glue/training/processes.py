"""What the processes of a run settle together, so that none of them waits for one that has gone another way."""

from __future__ import annotations

import importlib
import os
from functools import cache
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import gather_object
from torch import distributed

from transformers.utils.errors import CheckpointError

from ..errors import UsageError


def join(**settings: Any) -> Accelerator:
    """Return the accelerator of a run whose other processes, if it has any, do the same.

    Another run in this process may have had other settings; accelerate keeps the first ones that it is given.
    """
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        # Keeps the group that it finds when it is imported for good; DDP would import it when there is one.
        importlib.import_module("torch.distributed.nn")
    return Accelerator(**settings)


def leave(accelerator: Accelerator) -> None:
    """End the trackers, and what the processes have in common.

    Nothing may refer to the wrapped model any more. The threads of gloo end with the last reference to their group; one
    that still frees a tensor while the interpreter goes down takes the process with it, finished as it is.
    """
    if accelerator.num_processes > 1:
        accelerator.free_memory()
        _cpu_group.cache_clear()
    accelerator.end_training()


def agree(accelerator: Accelerator, *values: int) -> tuple[int, ...]:
    """Return the highest of each value over all processes; all of them have to call this.

    One process decides alone. Several exchange a few bytes through the CPU: nothing waits for a GPU.
    """
    if accelerator.num_processes == 1:
        return values
    tensor = torch.tensor(values)
    distributed.all_reduce(tensor, op=distributed.ReduceOp.MAX, group=_cpu_group())
    return tuple(tensor.tolist())


def raise_together(accelerator: Accelerator, error: Exception | None) -> None:
    """Raise on every process what went wrong on one of them; all of them have to call this.

    Args:
        error: a `UsageError` or a `CheckpointError`; None where all is well on this process.
    """
    mine = None if error is None else (isinstance(error, UsageError), str(error))
    found = [mine] if accelerator.num_processes == 1 else gather_object([mine])
    first = next((problem for problem in found if problem is not None), None)
    if first is not None:
        is_usage, message = first
        raise (UsageError(message) if is_usage else CheckpointError(message)) from error


def is_lost_peer(accelerator: Accelerator, error: RuntimeError) -> bool:
    """Whether an error means that another process of this run is no longer there."""
    in_exchange = isinstance(error, distributed.DistBackendError) or "gloo" in str(error)
    return accelerator.num_processes > 1 and in_exchange


@cache
def _cpu_group() -> Any:
    """The processes as they talk through gloo; None, the default group, where they do so anyway."""
    return None if distributed.get_backend() == "gloo" else distributed.new_group(backend="gloo")
