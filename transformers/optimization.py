"""Learning-rate schedules; mirrors Hugging Face's `get_scheduler` and the functions behind it.

Each returns a `LambdaLR`, whose factor multiplies the learning rate that the optimizer was made with. With s the number
of updates done, w the warm-up and n all updates, every schedule but the constant one rises as s / w while s < w; what
comes after is written as a function of the progress p = (s - w) / (n - w).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from .trainer_utils import SchedulerType
from .utils.errors import ConfigurationError


def get_scheduler(
    name: str | SchedulerType,
    optimizer: Optimizer,
    num_warmup_steps: int | None = None,
    num_training_steps: int | None = None,
    scheduler_specific_kwargs: dict[str, Any] | None = None,
) -> LambdaLR:
    """Build a schedule by its name.

    Args:
        name: a `SchedulerType` or its value, such as "linear".
        optimizer: the optimizer whose learning rate is set.
        num_warmup_steps: int, updates of the warm-up; needed by all but "constant".
        num_training_steps: int, updates of the whole run; needed by all but the constant ones.
        scheduler_specific_kwargs: further arguments of the schedule: `num_cycles`, or `lr_end` and `power`.

    Raises:
        ConfigurationError: the name is unknown, or a number that the schedule needs is missing.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        >>> scheduler = get_scheduler("linear", optimizer, num_warmup_steps=0, num_training_steps=4)
        >>> for _ in range(3):
        ...     optimizer.step()
        ...     scheduler.step()
        >>> scheduler.get_last_lr()
        [0.25]
    """
    kind = SchedulerType(name)
    extra = scheduler_specific_kwargs or {}
    if kind is SchedulerType.CONSTANT:
        return get_constant_schedule(optimizer, **extra)
    if num_warmup_steps is None:
        raise ConfigurationError(f"the schedule {kind} needs num_warmup_steps: give it (0 for no warm-up)")
    if kind is SchedulerType.CONSTANT_WITH_WARMUP:
        return get_constant_schedule_with_warmup(optimizer, num_warmup_steps, **extra)
    if num_training_steps is None:
        raise ConfigurationError(f"the schedule {kind} needs num_training_steps: give the number of updates of the run")
    return _DECAYING[kind](optimizer, num_warmup_steps, num_training_steps, **extra)


def get_constant_schedule(optimizer: Optimizer, last_epoch: int = -1) -> LambdaLR:
    """Keep the learning rate: 1."""
    return LambdaLR(optimizer, _one, last_epoch)


def get_constant_schedule_with_warmup(optimizer: Optimizer, num_warmup_steps: int, last_epoch: int = -1) -> LambdaLR:
    """Keep the learning rate after the warm-up: 1."""
    return LambdaLR(optimizer, partial(_after_warmup, _one, num_warmup_steps, num_warmup_steps + 1), last_epoch)


def get_linear_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, num_training_steps: int, last_epoch: int = -1
) -> LambdaLR:
    """Fall to 0 in a straight line: 1 - p."""
    return LambdaLR(optimizer, partial(_after_warmup, _linear, num_warmup_steps, num_training_steps), last_epoch)


def get_cosine_schedule_with_warmup(
    optimizer: Optimizer,
    num_warmup_steps: int,
    num_training_steps: int,
    num_cycles: float = 0.5,
    last_epoch: int = -1,
) -> LambdaLR:
    """Follow a cosine: (1 + cos(2 pi num_cycles p)) / 2; the default half cycle ends at 0."""
    decay = partial(_cosine, num_cycles)
    return LambdaLR(optimizer, partial(_after_warmup, decay, num_warmup_steps, num_training_steps), last_epoch)


def get_cosine_with_hard_restarts_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, num_training_steps: int, num_cycles: int = 1, last_epoch: int = -1
) -> LambdaLR:
    """Fall to 0 along half a cosine `num_cycles` times: (1 + cos(pi (num_cycles p mod 1))) / 2, and 0 at the end."""
    decay = partial(_cosine_with_restarts, num_cycles)
    return LambdaLR(optimizer, partial(_after_warmup, decay, num_warmup_steps, num_training_steps), last_epoch)


def get_polynomial_decay_schedule_with_warmup(
    optimizer: Optimizer,
    num_warmup_steps: int,
    num_training_steps: int,
    lr_end: float = 1e-7,
    power: float = 1.0,
    last_epoch: int = -1,
) -> LambdaLR:
    """Fall from the learning rate lr to `lr_end`: ((lr - lr_end) (1 - p)^power + lr_end) / lr.

    Raises:
        ConfigurationError: `lr_end` is not below the optimizer's learning rate.
    """
    start = optimizer.defaults["lr"]
    if not lr_end < start:
        raise ConfigurationError(f"lr_end {lr_end:g} is not below the learning rate {start:g}")
    decay = partial(_polynomial, lr_end / start, power)
    return LambdaLR(optimizer, partial(_after_warmup, decay, num_warmup_steps, num_training_steps), last_epoch)


def _after_warmup(decay: Callable[[float], float], warmup: int, total: int, step: int) -> float:
    """Rise from 0 to 1 over `warmup` steps, then follow `decay` of the progress, which stays at 1 after the end."""
    if step < warmup:
        return step / warmup
    return decay(min(1.0, (step - warmup) / max(1, total - warmup)))


def _one(_: float) -> float:
    return 1.0


def _linear(progress: float) -> float:
    return 1.0 - progress


def _cosine(cycles: float, progress: float) -> float:
    return 0.5 * (1.0 + math.cos(2.0 * math.pi * cycles * progress))


def _cosine_with_restarts(cycles: int, progress: float) -> float:
    return 0.0 if progress >= 1.0 else 0.5 * (1.0 + math.cos(math.pi * (cycles * progress % 1.0)))


def _polynomial(end: float, power: float, progress: float) -> float:
    return (1.0 - end) * (1.0 - progress) ** power + end


_DECAYING: dict[SchedulerType, Callable[..., LambdaLR]] = {
    SchedulerType.LINEAR: get_linear_schedule_with_warmup,
    SchedulerType.COSINE: get_cosine_schedule_with_warmup,
    SchedulerType.COSINE_WITH_RESTARTS: get_cosine_with_hard_restarts_schedule_with_warmup,
    SchedulerType.POLYNOMIAL: get_polynomial_decay_schedule_with_warmup,
}
