"""How the layer alone grows with the length of a sequence: seconds and memory, forward and backward."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from transformers.contranorm import ContraNorm, OverSequences
from transformers.padding import layout_of_module

from .ours import SCALE

WIDTH = 768  # BERT-base's


def direct_form(tokens: Tensor) -> Tensor:
    """Return (1 + s) x - s softmax(n n^T) x with x (B, S, D), written down as it stands; keeps tensors (B, S, S)."""
    directions = tokens / tokens.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    weights = (directions @ directions.transpose(1, 2)).softmax(dim=-1)
    return (1 + SCALE) * tokens - SCALE * (weights @ tokens)


def in_a_model(tokens: Tensor) -> Tensor:
    """Return the same as a model computes it, with the kernel for the CPU."""
    return OverSequences(ContraNorm(SCALE))(tokens, layout=layout_of_module(tokens, None))


FORMS: dict[str, Callable[[Tensor], Tensor]] = {"direct": direct_form, "library": in_a_model}


def measure_length(length: int, form: str, width: int = WIDTH, seconds: float = 0.5) -> dict[str, Any]:
    """Run the layer on one sequence.

    Args:
        length: tokens, S.
        form: "direct" or "library".
        width: D.
        seconds: how long to repeat it, three times at least.

    Returns:
        "seconds": median of forward and backward together. In multiples of the size of x: "peak", the most that is
        allocated at once on top of x and of the gradient that comes in, the result and the gradient of x included; and
        "kept", what is left of it between forward and backward, without the result.
    """
    generator = torch.Generator().manual_seed(length)
    x = torch.randn(1, length, width, generator=generator, requires_grad=True)
    incoming = torch.randn(1, length, width, generator=generator)
    layer = FORMS[form]
    times: list[float] = []
    while len(times) < 3 or sum(times) < seconds:
        x.grad = None
        began = time.perf_counter()
        layer(x).backward(incoming)
        times.append(time.perf_counter() - began)
    x.grad = None
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as forward:
        result = layer(x)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as backward:
        result.backward(incoming)
    peak_forward, left = _allocated(forward)
    peak_backward, _ = _allocated(backward)
    peak = max(peak_forward, left + peak_backward)
    size = x.numel() * x.element_size()
    return {"seconds": statistics.median(times[1:]), "peak": peak / size, "kept": left / size - 1}


def _allocated(profiled: profile) -> tuple[int, int]:
    """Return the highest and the last count of bytes allocated since profiling began."""
    assert profiled.profiler is not None and profiled.profiler.kineto_results is not None
    every: Any = profiled.profiler.kineto_results.events()
    events = [event for event in every if event.name() == "[memory]"]
    highest = count = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        count += event.nbytes()
        highest = max(highest, count)
    return highest, count
