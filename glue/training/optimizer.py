"""The optimizer and its schedule, as the paper's recipe has them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LRScheduler

from transformers import get_scheduler
from transformers.contranorm import LearnedMethod

from ..cli.arguments import RunArguments


class PyTorchAdamW(AdamW):
    """PyTorch's AdamW in two halves, so that an update can be recorded and replayed: `--optim adamw_torch`.

    What changes from one update to the next is settled by the host, and the update itself may read it from tensors.

    Args:
        params, **settings: as for `torch.optim.AdamW`, with `fused=True`.
    """

    first_step = 0.0

    def step(self, closure: Any = None) -> Any:
        """Make one update."""
        return self.update(self.settle(), closure)

    def settle(self) -> list[tuple[float, float]]:
        """Count an update; returns for each group the rate that the kernel takes, and the learning rate."""
        return [(group["lr"], group["lr"]) for group in self.param_groups]

    def prepare(self) -> None:
        """Begin the moments of the parameters that have a gradient and none yet."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None and not self.state[parameter]:
                    self.state[parameter] = {
                        "step": torch.full((), self.first_step, device=parameter.device),
                        "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
                        "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
                    }

    def update(self, rates: Sequence[tuple[Any, Any]], closure: Any = None) -> Any:
        """Make an update with what `settle` returned, as floats, or as scalar tensors that hold it."""
        asked = [group["lr"] for group in self.param_groups]
        self.prepare()
        for group, (rate, _) in zip(self.param_groups, rates, strict=True):
            group["lr"] = rate
        loss = super().step(closure)
        for group, learning_rate in zip(self.param_groups, asked, strict=True):
            group["lr"] = learning_rate
        return loss


class EpsilonFirstAdamW(PyTorchAdamW):
    """AdamW as the stock library's own class of that name had it, which the paper's runs used: `--optim adamw_hf`.

    Epsilon joins the second moment before that is corrected for its bias, and weight decay follows the update. With m
    and v the moments after t updates:

        x <- x - lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + eps)
        x <- x - lr weight_decay x

    The fused kernel does the work: both corrections are in the rate that it is given, and it is told that so many
    updates have been made that it has none to make itself. Every parameter with a gradient in one update has to have
    one in all.

    Example:
        >>> weight = nn.Parameter(torch.ones(1))
        >>> weight.grad = torch.full((1,), 1e-6)
        >>> EpsilonFirstAdamW([weight], lr=1.0, eps=1e-6, weight_decay=0.0, fused=True).step()
        >>> round(1 - weight.item(), 4)  # PyTorch's rule would give 0.5
        0.0307
    """

    first_step = math.inf

    def settle(self) -> list[tuple[float, float]]:
        rates = []
        for group in self.param_groups:
            group["updates"] = t = group.get("updates", 0) + 1  # kept with the state
            beta1, beta2 = group["betas"]
            rates.append((group["lr"] * math.sqrt(1 - beta2**t) / (1 - beta1**t), group["lr"]))
        return rates

    def update(self, rates: Sequence[tuple[Any, Any]], closure: Any = None) -> Any:
        decays = [group["weight_decay"] for group in self.param_groups]
        for group in self.param_groups:
            group["weight_decay"] = 0.0
        loss = super().update(rates, closure)
        for group, decay, (_, learning_rate) in zip(self.param_groups, decays, rates, strict=True):
            group["weight_decay"] = decay
            decayed = [p for p in group["params"] if p.grad is not None]
            if decay and decayed:
                with torch.no_grad():
                    torch._foreach_mul_(decayed, 1 - learning_rate * decay)
        return loss


OPTIMIZERS: dict[str, type[PyTorchAdamW]] = {"adamw_hf": EpsilonFirstAdamW, "adamw_torch": PyTorchAdamW}


def build_optimizer(args: RunArguments, model: nn.Module, capturable: bool = False) -> PyTorchAdamW:
    """Return the AdamW that `--optim` names over the model's parameters, fused into one kernel.

    Args:
        capturable: whether its updates will be recorded by a CUDA graph.
    """
    optimizer = OPTIMIZERS[args.optim](
        parameter_groups(model, args.weight_decay, args.method_learning_rate),
        lr=args.learning_rate,
        betas=(args.adam_beta1, args.adam_beta2),
        eps=args.adam_epsilon,
        fused=True,
        capturable=capturable,
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
