"""What the device did in some steps: how many kernels, what the host called to start them, how busy it was.

Knows neither library: both sides are measured by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.autograd import DeviceType

ROUNDS = 5  # of a measurement; its value is their median
# Calls of CUDA's two interfaces that hand work to a device: one kernel each, or a whole graph of them.
_CALLS = ("LaunchKernel", "GraphLaunch", "MemcpyAsync", "MemsetAsync", "LaunchCooperativeKernel")


def profile(work: Callable[[], Any], steps: int, device: torch.device) -> dict[str, Any]:
    """Do some steps under PyTorch's profiler.

    Args:
        work: does them.
        steps: how many they are.
        device: where they run.

    Returns:
        See `summarize`.
    """
    with start_profiler(device) as profiler:
        work()
        synchronize(device)
    return summarize(profiler.events() or (), steps)


def start_profiler(device: torch.device) -> torch.profiler.profile:
    """Return a profiler of what the device does (of a CPU: of PyTorch's operations), not yet started."""
    kinds = torch.profiler.ProfilerActivity
    return torch.profiler.profile(activities=[kinds.CUDA if device.type == "cuda" else kinds.CPU])


def summarize(events: Iterable[Any], steps: int) -> dict[str, Any]:
    """Count the events of a profile.

    Returns:
        "kernels", "copies" and "calls" (of the host) a step, and "busy": the share of the time between the first and
        the last of them in which the device did something; None where there was no device.
    """
    kernels = copies = calls = 0
    spans: list[tuple[float, float]] = []
    for event in events:
        if event.device_type == DeviceType.CUDA:
            if getattr(event, "is_user_annotation", False):
                continue  # a name that somebody has given to a stretch of time
            if event.name.startswith(("Memcpy", "Memset")):
                copies += 1
            else:
                kernels += 1
            spans.append((event.time_range.start, event.time_range.end))
        elif event.name.startswith(("cuda", "cu")) and any(call in event.name for call in _CALLS):
            calls += 1
    return {"kernels": kernels / steps, "copies": copies / steps, "calls": calls / steps, "busy": _covered(spans)}


def _covered(spans: list[tuple[float, float]]) -> float | None:
    """Return what share of the time from the first to the last lies in at least one of the spans."""
    if not spans:
        return None
    spans.sort()
    covered, end = 0.0, spans[0][0]
    for begin, stop in spans:
        covered += max(0.0, stop - max(begin, end))
        end = max(end, stop)
    whole = end - spans[0][0]
    return covered / whole if whole else 1.0


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
