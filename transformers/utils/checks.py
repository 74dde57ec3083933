"""Checks of single configuration values; an error names the value and what was expected."""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from numbers import Integral, Real
from typing import Any

from .errors import CheckpointError, ConfigurationError

ATTENTIONS = ("eager", "sdpa")  # names of ways to compute attention that give the same here

# Arguments of the stock library that make no difference here, and what may be given for them; () for anything.
_WITHOUT_EFFECT: dict[str, tuple[Any, ...]] = {
    "trust_remote_code": (),  # nothing that a checkpoint brings is ever executed
    **dict.fromkeys(("low_cpu_mem_usage", "resume_download", "save_function", "max_shard_size", "code_revision"), ()),
    **dict.fromkeys(("use_fast", "from_slow", "legacy", "legacy_format", "verbose", "add_prefix_space"), ()),
    **dict.fromkeys(("use_auth_token", "variant", "quantization_config", "proxies", "mirror", "gguf_file"), (None,)),
    **dict.fromkeys(("tp_plan", "key_mapping", "max_memory", "offload_folder", "filename_prefix"), (None,)),
    **dict.fromkeys(("from_tf", "from_flax", "push_to_hub", "use_kernels", "load_in_8bit", "load_in_4bit"), (False,)),
    **dict.fromkeys(("safe_serialization", "do_basic_tokenize", "remove_space", "weights_only"), (True,)),
    "attn_implementation": (None, *ATTENTIONS),
}


def drop_without_effect(arguments: dict[str, Any], only: bool = False, kept: Collection[str] = ()) -> None:
    """Take those arguments out that the stock library has and that make no difference here.

    Args:
        arguments: names and values; changed.
        only: whether there may be no others.
        kept: those that are left in.

    Raises:
        ConfigurationError: one asks for something that is not done here.
    """
    for name in [name for name in arguments if name not in kept and (only or name in _WITHOUT_EFFECT)]:
        value, allowed = arguments.pop(name), _WITHOUT_EFFECT.get(name)
        if allowed is None:
            raise ConfigurationError(f"{name!r} is no argument here")
        if allowed and value not in allowed:
            raise ConfigurationError(f"{name} {value!r}: expected {' or '.join(map(repr, allowed))}")


def check_count(name: str, value: Any) -> int:
    """Return a whole number of at least 1, or raise ConfigurationError."""
    if not is_whole(value) or value < 1:
        raise ConfigurationError(f"{name} {value!r}: expected a whole number of at least 1")
    return int(value)


def check_number(name: str, value: Any) -> float:
    """Return a finite number as a float, or raise ConfigurationError."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ConfigurationError(f"{name} {value!r}: expected a finite number")
    return float(value)


def check_switch(name: str, value: Any) -> bool:
    """Return true or false (0 and 1 are accepted), or raise ConfigurationError."""
    if not isinstance(value, (bool, int)) or value not in (0, 1):
        raise ConfigurationError(f"{name} {value!r}: expected true or false")
    return bool(value)


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_memory(what: str, num_bytes: int) -> None:
    """Check that a machine has the memory that something is about to take.

    Raises:
        CheckpointError: it has less than that in all.
    """
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # a system that does not say
        return
    if num_bytes > memory:
        raise CheckpointError(f"{what} takes {num_bytes / 2**30:.0f} GiB, and this machine has {memory / 2**30:.0f}")
