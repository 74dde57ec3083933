"""Learning-rate schedules; mirrors Hugging Face's `get_scheduler` and the functions behind it.

Each returns a `LambdaLR`, whose factor multiplies the learning rate that the optimizer was made with. With s the number
of updates done, w the warm-up and n all updates, every schedule but the constant one rises as s / w while s < w; what
comes after is written as a function of the progress p = (s - w) / (n - w), where nothing else is said.
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
        scheduler_specific_kwargs: further arguments of the schedule: `num_cycles`, or `lr_end` and `power`,
            `timescale`, `num_decay_steps` and others of `get_wsd_schedule`.

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
    if kind in _ENDLESS:
        return _ENDLESS[kind](optimizer, num_warmup_steps, **extra)
    if num_training_steps is None:
        raise ConfigurationError(f"the schedule {kind} needs num_training_steps: give the number of updates of the run")
    if kind is SchedulerType.WARMUP_STABLE_DECAY:
        if "num_decay_steps" not in extra:
            raise ConfigurationError(f"the schedule {kind} needs num_decay_steps: give scheduler_specific_kwargs")
        return get_wsd_schedule(optimizer, num_warmup_steps, num_training_steps=num_training_steps, **extra)
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


def get_inverse_sqrt_schedule(
    optimizer: Optimizer, num_warmup_steps: int, timescale: int | None = None, last_epoch: int = -1
) -> LambdaLR:
    """Fall with the root of the updates that have been done since the warm-up: 1 / sqrt(1 + (s - w) / timescale).

    Args:
        timescale: int, updates after which 1 / sqrt(2) is left; default the warm-up, or 10,000 without one.
    """
    scale = timescale or num_warmup_steps or 10_000

    def factor(step: int) -> float:
        return step / num_warmup_steps if step < num_warmup_steps else (1 + (step - num_warmup_steps) / scale) ** -0.5

    return LambdaLR(optimizer, factor, last_epoch)


def get_wsd_schedule(
    optimizer: Optimizer,
    num_warmup_steps: int,
    num_decay_steps: int,
    num_training_steps: int | None = None,
    num_stable_steps: int | None = None,
    warmup_type: str = "linear",
    decay_type: str = "cosine",
    min_lr_ratio: float = 0.0,
    num_cycles: float = 0.5,
    last_epoch: int = -1,
) -> LambdaLR:
    """Rise, stay at 1, and fall: from m up to 1 and down to m, as shapes f from 0 to 1: m + (1 - m) f.

    With q the progress of the rise, f is q, (1 - cos(pi q)) / 2 or 1 - sqrt(1 - q). With q that of the fall,
    f is 1 - q, (1 + cos(2 pi num_cycles q)) / 2 or 1 - sqrt(q). These are the types linear, cosine and 1-sqrt.

    Args:
        num_decay_steps: int, updates of the fall.
        num_training_steps, num_stable_steps: int, all updates, or those between rise and fall; one of them is needed.
        warmup_type, decay_type: str, see above.
        min_lr_ratio: float, m.
        num_cycles: float, waves of the cosine; default 0.5, a fall to m.

    Raises:
        ConfigurationError: a type is unknown, or the numbers of updates are not given, or do not fit each other.
    """
    wave = 2.0 * math.pi * num_cycles
    shapes: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
        "linear": (lambda q: q, lambda q: 1.0 - q),
        "cosine": (lambda q: 0.5 * (1.0 - math.cos(math.pi * q)), lambda q: 0.5 * (1.0 + math.cos(wave * q))),
        "1-sqrt": (lambda q: 1.0 - math.sqrt(1.0 - q), lambda q: 1.0 - math.sqrt(q)),
    }
    for name, value in (("warmup_type", warmup_type), ("decay_type", decay_type)):
        if value not in shapes:
            raise ConfigurationError(f"{name} {value!r}: expected one of {', '.join(shapes)}")
    rest = None if num_training_steps is None else num_training_steps - num_warmup_steps - num_decay_steps
    if num_stable_steps is None:
        num_stable_steps = rest
    if num_stable_steps is None or num_stable_steps < 0 or rest not in (None, num_stable_steps):
        raise ConfigurationError(
            f"num_warmup_steps {num_warmup_steps}, num_stable_steps {num_stable_steps} and num_decay_steps "
            f"{num_decay_steps} do not make up num_training_steps {num_training_steps}"
        )
    begin = num_warmup_steps + num_stable_steps  # of the fall

    def factor(step: int) -> float:
        shape = 1.0
        if step < num_warmup_steps:
            shape = shapes[warmup_type][0](step / num_warmup_steps)
        elif step >= begin:
            q = (step - begin) / max(1, num_decay_steps)
            shape = shapes[decay_type][1](q) if q < 1.0 else 0.0
        return min_lr_ratio + (1.0 - min_lr_ratio) * max(0.0, shape)

    return LambdaLR(optimizer, factor, last_epoch)


def _schedule(
    optimizer: Optimizer, decay: Callable[[float], float], warmup: int, total: int, last_epoch: int
) -> LambdaLR:
    """Rise from 0 to 1 over `warmup` steps, then follow `decay` of the progress, which stays at 1 after the end."""

    def factor(step: int) -> float:
        if step < warmup:
            return step / warmup
        return decay(min(1.0, (step - warmup) / max(1, total - warmup)))

    return LambdaLR(optimizer, factor, last_epoch)


_ENDLESS: dict[SchedulerType, Callable[..., LambdaLR]] = {
    SchedulerType.CONSTANT_WITH_WARMUP: get_constant_schedule_with_warmup,
    SchedulerType.INVERSE_SQRT: get_inverse_sqrt_schedule,
}
_DECAYING: dict[SchedulerType, Callable[..., LambdaLR]] = {
    SchedulerType.LINEAR: get_linear_schedule_with_warmup,
    SchedulerType.COSINE: get_cosine_schedule_with_warmup,
    SchedulerType.COSINE_WITH_RESTARTS: get_cosine_with_hard_restarts_schedule_with_warmup,
    SchedulerType.POLYNOMIAL: get_polynomial_decay_schedule_with_warmup,
}
