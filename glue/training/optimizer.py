"""The optimizer and its schedule, as the paper's recipe has them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LRScheduler

from transformers import get_scheduler
from transformers.contranorm import LearnedMethod

from ..cli.arguments import RunArguments


class EpsilonFirstAdamW(AdamW):
    """AdamW as the stock library's own class of that name had it, which the paper's runs used: `--optim adamw_hf`.

    Epsilon joins the second moment before that is corrected for its bias, and weight decay follows the update. With m
    and v the moments after t updates:

        x <- x - lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + eps)
        x <- x - lr weight_decay x

    which is PyTorch's rule with eps / sqrt(1 - beta2^t) in each update, so that its fused kernel does the work. Every
    parameter with a gradient in one update has to have one in all.

    Args:
        params, **settings: as for `torch.optim.AdamW`.

    Example:
        >>> weight = nn.Parameter(torch.ones(1))
        >>> weight.grad = torch.full((1,), 1e-6)
        >>> EpsilonFirstAdamW([weight], lr=1.0, eps=1e-6, weight_decay=0.0).step()
        >>> round(1 - weight.item(), 4)  # PyTorch's rule would give 0.5
        0.0307
    """

    def step(self, closure: Any = None) -> Any:
        """Make one update."""
        asked = [{name: group[name] for name in ("eps", "weight_decay")} for group in self.param_groups]
        for group in self.param_groups:
            group["updates"] = group.get("updates", 0) + 1  # kept with the state
            group["eps"] /= math.sqrt(1 - group["betas"][1] ** group["updates"])
            group["weight_decay"] = 0.0
        loss = super().step(closure)
        for group, settings in zip(self.param_groups, asked, strict=True):
            group.update(settings)
            decayed = [p for p in group["params"] if p.grad is not None]
            if group["weight_decay"] and decayed:
                with torch.no_grad():
                    torch._foreach_mul_(decayed, 1 - group["lr"] * group["weight_decay"])
        return loss


OPTIMIZERS: dict[str, type[AdamW]] = {"adamw_hf": EpsilonFirstAdamW, "adamw_torch": AdamW}


def build_optimizer(args: RunArguments, model: nn.Module) -> AdamW:
    """Return the AdamW that `--optim` names over the model's parameters, fused into one kernel."""
    optimizer = OPTIMIZERS[args.optim](
        parameter_groups(model, args.weight_decay, args.method_learning_rate),
        lr=args.learning_rate,
        betas=(args.adam_beta1, args.adam_beta2),
        eps=args.adam_epsilon,
        fused=True,
    )
    # In fp16 the kernel would skip an update by itself, and nobody would know.
    optimizer._step_supports_amp_scaling = False
    return optimizer


def parameter_groups(
    model: nn.Module, weight_decay: float, method_learning_rate: float | None = None
) -> list[dict[str, Any]]:
    """Split the parameters into those with weight decay and those without: biases, all of every LayerNorm, and what a
    method against oversmoothing has learned; these form a third group where there are any.

    The kind of module decides, not its name, so that ALBERT's `full_layer_layer_norm` is found as well.
    """
    groups: list[dict[str, Any]] = [
        {"params": [], "weight_decay": weight_decay},
        {"params": [], "weight_decay": 0.0},
        {"params": [], "weight_decay": 0.0},
    ]
    decayed, exempt, learned = groups
    if method_learning_rate is not None:
        learned["lr"] = method_learning_rate
    seen: set[int] = set()
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad and id(parameter) not in seen:
                seen.add(id(parameter))
                is_exempt = name == "bias" or isinstance(module, nn.LayerNorm)
                group = learned if isinstance(module, LearnedMethod) else exempt if is_exempt else decayed
                group["params"].append(parameter)
    return groups if learned["params"] else groups[:2]


def build_schedule(args: RunArguments, optimizer: torch.optim.Optimizer, total_updates: int) -> LRScheduler:
    """Return the learning-rate schedule over `total_updates` updates; `--warmup_ratio` is a share of them."""
    warmup = math.ceil(args.warmup_ratio * total_updates) if args.warmup_ratio else args.num_warmup_steps
    return get_scheduler(args.lr_scheduler_type, optimizer, warmup, total_updates)


def check_moments(optimizer: Any) -> None:
    """Check the shapes of a state that was loaded from a file; the fused kernel takes the sizes on trust.

    Raises:
        ValueError: one does not fit its parameter.
    """
    for parameter, state in optimizer.state.items():
        expected = {"step": torch.Size(), "exp_avg": parameter.shape, "exp_avg_sq": parameter.shape}
        good = {name: value.shape for name, value in state.items()} == expected
        if not (good and all(value.is_contiguous() for value in state.values())):
            raise ValueError("the state of the optimizer is not one of this run")
