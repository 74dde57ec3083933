"""`SchedulerType` and `set_seed`; mirrors the parts of Hugging Face's module of that name which a plain loop needs."""

from __future__ import annotations

import random
from enum import Enum

from .utils.errors import ConfigurationError


class SchedulerType(str, Enum):
    """Shapes of the learning rate over a run, for `get_scheduler`.

    Raises:
        ConfigurationError: a string that is none of them.

    Example:
        >>> SchedulerType("cosine") is SchedulerType.COSINE
        True
    """

    LINEAR = "linear"
    COSINE = "cosine"
    COSINE_WITH_RESTARTS = "cosine_with_restarts"
    POLYNOMIAL = "polynomial"
    CONSTANT = "constant"
    CONSTANT_WITH_WARMUP = "constant_with_warmup"
    INVERSE_SQRT = "inverse_sqrt"
    WARMUP_STABLE_DECAY = "warmup_stable_decay"

    @classmethod
    def _missing_(cls, value: object) -> SchedulerType:
        raise ConfigurationError(f"{value!r} is no scheduler: expected one of {', '.join(kind.value for kind in cls)}")

    def __str__(self) -> str:
        return self.value


def set_seed(seed: int, deterministic: bool = False) -> None:
    """Seed the random numbers of Python, NumPy and torch, on every device.

    Args:
        seed: int, 0 or above and below 2**32.
        deterministic: make torch use deterministic algorithms only, which can be slower.
    """
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries that draw from NumPy's global state are the reason for this
    torch.manual_seed(seed)
    if deterministic:
        torch.use_deterministic_algorithms(True)
