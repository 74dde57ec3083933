"""The other side on a GPU: the usual fine-tuning of `benchmarks/stock.py`, one row at a time. Knows neither library."""

from __future__ import annotations

import random
from statistics import median
from typing import Any

import torch

from benchmarks.stock import Usual

from .profiling import ROUNDS, profile


def measure_usual(
    side: Usual,
    case: dict[str, Any],
    precision: str,
    device: str,
    compiled: bool,
    warm_up: int,
    steps: int,
    profiled: int,
) -> dict[str, Any]:
    """Train with it, and measure it.

    Args:
        side: of the stock library, or of ours in its place.
        case: see `benchmarks.ours.Ours.open`.
        precision: "bf16", "tf32" or "fp32".
        device: "cuda" or "cpu".
        compiled: whether the model is compiled.
        warm_up, steps, profiled: batches that are not measured, timed, and profiled.

    Returns:
        As `benchmarks.gpu.ours.measure`.
    """
    place, size = torch.device(device), case["batch_size"]
    if compiled:
        torch.compiler.reset()  # or what was compiled for other rows counts against the limit of this one
    side.start("bf16" if precision == "bf16" else "fp32", torch.get_num_threads(), cpu=device == "cpu")
    # Matrix products are in single precision in both libraries, unless somebody asks for less.
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    rows = list(range(side.open(**case, compiled=compiled)["train_rows"]))
    random.Random(case["seed"]).shuffle(rows)
    whole = [rows[begin : begin + size] for begin in range(0, len(rows) - size + 1, size)]
    batches = [whole[number % len(whole)] for number in range(warm_up + steps + profiled)]
    side.train(batches[:warm_up])
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    each = steps // ROUNDS
    begins = range(warm_up, warm_up + steps, each)
    seconds = [side.train(batches[begin : begin + each])["seconds"] / each for begin in begins]
    peak = torch.cuda.max_memory_allocated() if device == "cuda" else None
    last = batches[warm_up + steps :]
    profiled_steps = profile(lambda: side.train(last), len(last), place)
    side.close()
    if device == "cuda":
        torch.cuda.empty_cache()
    step = median(seconds)
    return {"seconds": step, "rounds": seconds, "examples_per_second": size / step, "peak": peak, **profiled_steps}
