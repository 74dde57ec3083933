"""Learning-rate schedules; mirrors Hugging Face's `get_scheduler` and the functions behind it.

Each returns a `LambdaLR`, whose factor multiplies the learning rate that the optimizer was made with. With s the number
of updates done, w the warm-up and n all updates, every schedule but the constant one rises as s / w while s < w; what
comes after is written as a function of the progress p = (s - w) / (n - w).
"""

from __future__ import annotations

import math
from collections.abc import Callable
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
    return _schedule(optimizer, lambda p: 1.0, 0, 0, last_epoch)


def get_constant_schedule_with_warmup(optimizer: Optimizer, num_warmup_steps: int, last_epoch: int = -1) -> LambdaLR:
    """Keep the learning rate after the warm-up: 1."""
    return _schedule(optimizer, lambda p: 1.0, num_warmup_steps, num_warmup_steps, last_epoch)


def get_linear_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, num_training_steps: int, last_epoch: int = -1
) -> LambdaLR:
    """Fall to 0 in a straight line: 1 - p."""
    return _schedule(optimizer, lambda p: 1.0 - p, num_warmup_steps, num_training_steps, last_epoch)


def get_cosine_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, num_training_steps: int, num_cycles: float = 0.5, last_epoch: int = -1
) -> LambdaLR:
    """Follow a cosine: (1 + cos(2 pi num_cycles p)) / 2; the default half cycle ends at 0."""

    def decay(p: float) -> float:
        return 0.5 * (1.0 + math.cos(2.0 * math.pi * num_cycles * p))

    return _schedule(optimizer, decay, num_warmup_steps, num_training_steps, last_epoch)


def get_cosine_with_hard_restarts_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, num_training_steps: int, num_cycles: int = 1, last_epoch: int = -1
) -> LambdaLR:
    """Fall to 0 along half a cosine `num_cycles` times: (1 + cos(pi (num_cycles p mod 1))) / 2, and 0 at the end."""

    def decay(p: float) -> float:
        return 0.0 if p >= 1.0 else 0.5 * (1.0 + math.cos(math.pi * (num_cycles * p % 1.0)))

    return _schedule(optimizer, decay, num_warmup_steps, num_training_steps, last_epoch)


def get_polynomial_decay_schedule_with_warmup(
    optimizer: Optimizer,
    num_warmup_steps: int,
    num_training_steps: int,
    lr_end: float | None = None,
    power: float = 1.0,
    last_epoch: int = -1,
) -> LambdaLR:
    """Fall from the learning rate lr to `lr_end`: ((lr - lr_end) (1 - p)^power + lr_end) / lr.

    Args:
        lr_end: float, the last learning rate; default 1e-7, or 0 where the optimizer's is not above that.

    Raises:
        ConfigurationError: `lr_end` is given and not below the optimizer's learning rate.
    """
    start = optimizer.defaults["lr"]
    if lr_end is None:
        lr_end = 1e-7 if start > 1e-7 else 0.0
    elif not lr_end < start:
        raise ConfigurationError(f"lr_end {lr_end:g} is not below the learning rate {start:g}")
    end = lr_end / start if start else 0.0
    return _schedule(
        optimizer, lambda p: (1.0 - end) * (1.0 - p) ** power + end, num_warmup_steps, num_training_steps, last_epoch
    )


def _schedule(
    optimizer: Optimizer, decay: Callable[[float], float], warmup: int, total: int, last_epoch: int
) -> LambdaLR:
    """Rise from 0 to 1 over `warmup` steps, then follow `decay` of the progress, which stays at 1 after the end."""

    def factor(step: int) -> float:
        if step < warmup:
            return step / warmup
        return decay(min(1.0, (step - warmup) / max(1, total - warmup)))

    return LambdaLR(optimizer, factor, last_epoch)


_DECAYING: dict[SchedulerType, Callable[..., LambdaLR]] = {
    SchedulerType.LINEAR: get_linear_schedule_with_warmup,
    SchedulerType.COSINE: get_cosine_schedule_with_warmup,
    SchedulerType.COSINE_WITH_RESTARTS: get_cosine_with_hard_restarts_schedule_with_warmup,
    SchedulerType.POLYNOMIAL: get_polynomial_decay_schedule_with_warmup,
}
