"""The optimizer and its schedule, as the paper's recipe has them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LRScheduler

from transformers import get_scheduler

from ..cli.arguments import RunArguments


def build_optimizer(args: RunArguments, model: nn.Module) -> AdamW:
    """Return AdamW over the model's parameters, fused into one kernel."""
    return AdamW(
        parameter_groups(model, args.weight_decay),
        lr=args.learning_rate,
        betas=(args.adam_beta1, args.adam_beta2),
        eps=args.adam_epsilon,
        fused=True,
    )


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Split the parameters into those with weight decay and those without: biases and all of every LayerNorm.

    The kind of module decides, not its name, so that ALBERT's `full_layer_layer_norm` is found as well.
    """
    exempt = {
        id(parameter)
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if name == "bias" or isinstance(module, nn.LayerNorm)
    }
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in parameters if id(p) not in exempt], "weight_decay": weight_decay},
        {"params": [p for p in parameters if id(p) in exempt], "weight_decay": 0.0},
    ]


def build_schedule(args: RunArguments, optimizer: torch.optim.Optimizer, total_updates: int) -> LRScheduler:
    """Return the learning-rate schedule over `total_updates` updates; `--warmup_ratio` is a share of them."""
    warmup = math.ceil(args.warmup_ratio * total_updates) if args.warmup_ratio else args.num_warmup_steps
    return get_scheduler(args.lr_scheduler_type, optimizer, warmup, total_updates)


def check_optimizer_state(optimizer: Any, stored: Any, updates: int) -> None:
    """Check that a state which was read from a file fits an AdamW; its kernels take the sizes on trust.

    Args:
        optimizer: the new one, with the settings that the state has to have; only its learning rate may differ.
        stored: what may be the `state_dict` of such a one.
        updates: how many it had done.

    Raises:
        ValueError: it does not fit.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    ours = optimizer.state_dict()["param_groups"]
    good = len(stored["param_groups"]) == len(ours) and set(stored["state"]) <= set(range(len(parameters)))
    for group, expected in zip(stored["param_groups"], ours, strict=False):
        good = good and group.keys() <= expected.keys() and _is_rate(group["lr"])
        good = good and all(value == expected[name] for name, value in group.items() if name != "lr")
    for number, state in stored["state"].items() if good else ():
        step, shape = state["step"], parameters[number].shape
        good = good and state.keys() == {"step", "exp_avg", "exp_avg_sq"} and step.numel() == 1 and 0 < step <= updates
        for moment in (state["exp_avg"], state["exp_avg_sq"]):
            good = good and moment.shape == shape and moment.is_floating_point() and moment.is_contiguous()
    if not good:
        raise ValueError("the state of the optimizer is not one of this run")


def check_schedule_state(schedule: LRScheduler, stored: Any, updates: int) -> None:
    """The same for a schedule, whose state is everything that the object holds.

    Raises:
        ValueError: it does not fit.
    """
    ours, rates = schedule.state_dict(), stored["_last_lr"]
    moving = ("last_epoch", "_step_count", "_last_lr")
    good = stored.keys() <= ours.keys() and stored["last_epoch"] == updates and stored["_step_count"] == updates + 1
    good = good and all(value == ours[name] for name, value in stored.items() if name not in moving)
    if not (good and len(rates) == len(ours["_last_lr"]) and all(map(_is_rate, rates))):
        raise ValueError("the state of the schedule is not one of this run")


def _is_rate(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)
