"""What the processes of a run settle together, so that none of them waits for one that has gone another way."""

from __future__ import annotations

import importlib
import os
import platform
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import DistributedDataParallelKwargs, GradientAccumulationPlugin, broadcast_object_list
from torch import distributed

from transformers.utils.errors import UserError

from ..cli.console import say
from ..errors import UsageError

# What launchers leave in the environment: how many processes there are, and which of them this is.
_PAIRS = (
    ("WORLD_SIZE", "RANK"),
    ("PMI_SIZE", "PMI_RANK"),
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    ("MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"),
)
_NOT_SUPPORTED = {
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "a parallelism config",
    "ACCELERATE_DYNAMO_BACKEND": "a dynamo backend other than by --torch_compile",
}
# Every process computes the same buffers, and every parameter has a gradient in every update: nothing is looked for,
# and nothing is sent but gradients, out of the memory that they are in. Not `static_graph`: PyTorch does not allow it
# where the first micro-batch of an update is not exchanged.
_EXCHANGE = DistributedDataParallelKwargs(broadcast_buffers=False, gradient_as_bucket_view=True)
_SUPPORTED = "one process, or several that each hold the whole model, as of `accelerate launch --multi_gpu` or torchrun"


def join(mixed_precision: str | None = None, **settings: Any) -> Accelerator:
    """Return the accelerator of a run whose other processes, if it has any, do the same.

    Another run in this process may have had other settings, and accelerate would keep those.

    Args:
        mixed_precision: None takes the launcher's.
        **settings: as for `Accelerator`.

    Raises:
        UsageError: the launcher asks for what is not supported, or for what this machine cannot do.
    """
    mixed_precision = (mixed_precision or os.environ.get("ACCELERATE_MIXED_PRECISION") or "no").lower()
    processes = _check_launcher(mixed_precision)
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    if processes > 1:
        # Keeps the group that it finds when it is imported for good; DDP would import it when there is one.
        importlib.import_module("torch.distributed.nn")
    try:
        accelerator = Accelerator(
            mixed_precision=mixed_precision,
            # A launcher's own number of steps would divide the loss, which `backward` has weighted already.
            gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
            kwargs_handlers=[_EXCHANGE],
            **settings,
        )
    except (ImportError, LookupError, RuntimeError, ValueError) as error:
        raise UsageError(f"the run cannot be started as its launcher asks for: {error}") from error
    if accelerator.num_processes != processes:
        raise UsageError(
            f"the launcher speaks of {processes} processes, but they do not find each other: on the CPU add --cpu, on "
            "GPUs start the run with `accelerate launch` or torchrun"
        )
    if mixed_precision == "fp16" and accelerator.device.type == "cpu":
        raise UsageError("--mixed_precision fp16 needs a GPU: on the CPU give bf16 or no")
    if mixed_precision == "bf16" and accelerator.device.type == "cpu" and _emulates_bf16():
        say("Warning: this processor has no AVX-512, and computes bf16 many times slower than --mixed_precision no")
    return accelerator


def _emulates_bf16() -> bool:
    """Whether matrix products in bf16 run without instructions for them, at a hundredth of the speed of fp32."""
    return torch.backends.cpu.get_cpu_capability() in ("AVX2", "DEFAULT") and platform.machine() in ("x86_64", "AMD64")


def _check_launcher(mixed_precision: str) -> int:
    """Check what the launcher left in the environment; returns the number of processes."""
    for name, plugin in _NOT_SUPPORTED.items():
        if os.environ.get(name, "").lower() not in ("", "0", "no", "false"):
            raise UsageError(f"{plugin} ({name}) is not supported: start {_SUPPORTED}")
    if mixed_precision not in ("no", "fp16", "bf16"):
        raise UsageError(f"precision {mixed_precision} is not supported: expected no, bf16 or fp16")
    for size, rank in _PAIRS:
        processes, index = os.environ.get(size, ""), os.environ.get(rank, "")
        if processes == "1" or not processes + index:
            continue
        if not (processes.isdecimal() and index.isdecimal() and int(index) < int(processes)):
            raise UsageError(
                f"the environment speaks of several processes, but not in full ({size}={processes} {rank}={index}): "
                f"unset these, or start {_SUPPORTED}"
            )
        return int(processes)
    return 1


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


def on_main(accelerator: Accelerator, work: Callable[[], Any]) -> Any:
    """Let the main process do something, and all of them have its result or its error; all of them have to call this.

    Args:
        work: what it does.
    """
    result = error = None
    if accelerator.is_main_process:
        try:
            result = work()
        except (UserError, OSError) as problem:
            error = problem
    result, error = broadcast_object_list([result, error])
    if error is not None:
        raise error
    return result


def is_lost_peer(accelerator: Accelerator, error: RuntimeError) -> bool:
    """Whether an error means that another process of this run is no longer there."""
    in_exchange = isinstance(error, distributed.DistBackendError) or "gloo" in str(error)
    return accelerator.num_processes > 1 and in_exchange


@cache
def _cpu_group() -> Any:
    """The processes as they talk through gloo; None, the default group, where they do so anyway."""
    return None if distributed.get_backend() == "gloo" else distributed.new_group(backend="gloo")
