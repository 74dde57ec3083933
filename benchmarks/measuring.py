"""What both sides measure in the same way: the rate of matrix products, resident memory. Knows neither library."""

from __future__ import annotations

import platform
import re
import statistics
import sys
import time
from pathlib import Path


def matrix_rate(precision: str, seconds: float = 0.4) -> float:
    """Measure how many operations a second a large matrix product reaches in this process.

    Args:
        precision: "fp32" or "bf16".
        seconds: how long to measure, one product at least.

    Returns:
        2 x 2048 x 768 x 3072 over the median seconds of a product of (2048, 768) by (768, 3072).
    """
    import torch

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    left, right = torch.ones(2048, 768, dtype=dtype), torch.ones(768, 3072, dtype=dtype)
    torch.mm(left, right)
    times: list[float] = []
    while not times or sum(times) < seconds:
        began = time.perf_counter()
        torch.mm(left, right)
        times.append(time.perf_counter() - began)
    return 2 * 2048 * 768 * 3072 / statistics.median(times)


def resident_memory() -> dict[str, int]:
    """Return this process's resident memory in bytes: "now" and the highest so far, "peak".

    The peak comes from the kernel's count for this address space where there is one (Linux): `ru_maxrss` can be that of
    the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        sizes = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB", status.read_text(), flags=re.MULTILINE))
        return {"now": int(sizes["VmRSS"]) * 1024, "peak": int(sizes["VmHWM"]) * 1024}
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"now": peak, "peak": peak}


def processor_name() -> str:
    """Return the name of the processor as the system has it."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", information.read_text(), flags=re.MULTILINE)
        if found:
            return found[1]
    return platform.processor() or platform.machine()
