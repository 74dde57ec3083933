"""How a run is executed: which form its batches have, and what its products, its layers and its updates are made by.

    packed      real tokens only, (T, D): what the CPU computes with, and a GPU if asked to
    padded      (B, S, D), each batch as wide as its longest row
    bucketed    (B, S, D) with B always the same and S one of a few sizes, so that a GPU sees few shapes

All are the same function. They draw other dropout masks, so that a run goes on in the form that it was begun in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from transformers import PretrainedConfig

from ..cli.arguments import RunArguments
from ..cli.console import say
from ..errors import UsageError

_MOST_KINDS = 128  # of compiled layers


@dataclass(frozen=True)
class Execution:
    """The settled choice.

    Attributes:
        execution: "packed", "padded" or "bucketed".
        tf32: whether products of single precision go by TF32.
        cuda_graphs: whether updates are recorded once a shape, and replayed.
    """

    execution: str
    tf32: bool = False
    cuda_graphs: bool = False


def choose_execution(args: RunArguments, config: PretrainedConfig, accelerator: Any) -> Execution:
    """Settle what `--execution`, `--tf32` and `--cuda_graphs` leave open, and let the whole process compute so.

    Raises:
        UsageError: what was asked for is not possible on this device, or with the run's other settings.
    """
    device = accelerator.device.type
    is_cuda = device == "cuda" and torch.version.hip is None
    counts_padding = config.contranorm_padding == "include" and bool(config.contranorm_sites)
    form = args.execution
    if form == "auto":
        if counts_padding:
            form = "padded"
        elif is_cuda:
            form = "bucketed"
        else:
            form = "packed" if device == "cpu" and config.packs and not args.torch_compile else "padded"
    if form != "padded" and counts_padding:
        raise UsageError(f"--execution {form} changes how much padding there is, which counts: leave it out")
    if form == "packed" and device != "cpu" and not is_cuda:
        raise UsageError(
            f"--execution packed is made for the CPU and NVIDIA GPUs, and this run is on {device}: leave it out"
        )
    if form == "packed" and args.torch_compile:
        raise UsageError("--torch_compile compiles layers on padded tokens, not --execution packed: leave one out")
    if form == "packed" and not config.packs:
        raise UsageError("--execution packed: the checkpoint's config says unpad_inputs false; leave the flag out")
    if args.tf32 and not (is_cuda and torch.cuda.is_tf32_supported()):
        raise UsageError("--tf32 needs an NVIDIA GPU of the Ampere generation or newer: leave it out")
    tf32 = is_cuda and not counts_padding if args.tf32 is None else args.tf32
    if is_cuda:
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        say(f"Execution {form}; matrix products of fp32 in {'TF32 (--no-tf32: in full)' if tf32 else 'full precision'}")
    if is_cuda and form == "packed":
        say(
            "Note: packed has not been measured on a GPU; attention is by PyTorch's flash kernel in half precision, "
            "by its memory-efficient one in fp32 and before Ampere"
        )
    return Execution(form, tf32, _settle_graphs(args, form, is_cuda, accelerator))


def _settle_graphs(args: RunArguments, form: str, is_cuda: bool, accelerator: Any) -> bool:
    """Whether updates are recorded; where they cannot be, one line says why."""
    if not args.cuda_graphs:
        return False
    reasons = {
        "there is no NVIDIA GPU": not is_cuda,
        "several processes exchange their gradients": accelerator.num_processes > 1,
        "several batches make up an update": args.gradient_accumulation_steps > 1,
        "fp16 decides about each update when it has been computed": accelerator.mixed_precision == "fp16",
        "only --execution bucketed has few shapes": form != "bucketed",
    }
    reason = next((reason for reason, holds in reasons.items() if holds), None)
    if reason is not None:
        say(f"Note: --cuda_graphs is left out: {reason}")
    return reason is None


def compile_layers(model: Any, dynamic: bool, backend: str = "inductor") -> None:
    """Compile the layers of a model in their places: all of them by what was compiled for the first one.

    Args:
        model: a classifier of ours that computes on padded tokens.
        dynamic: compile once for all shapes; else for each, which is faster where there are few.
        backend: as for `torch.compile`.
    """
    # A layer comes in many kinds: for each shape those that train and those that do not, the last one and the others.
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, _MOST_KINDS)
    for layer in dict.fromkeys(model.base_model.encoder.layers()):
        layer.compile(dynamic=dynamic, backend=backend)
