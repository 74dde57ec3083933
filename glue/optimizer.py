"""The optimizer and its schedule, as the paper's recipe has them."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LRScheduler

from transformers import get_scheduler

from .arguments import RunArguments


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
