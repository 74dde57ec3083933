"""The worker process of this library: `python -m benchmarks.ours_process`, from the repository's root."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .serve import serve


def make_jobs() -> Mapping[str, Callable[..., Any]]:
    """Return the jobs of this side."""
    from .growth import measure_length
    from .measuring import matrix_rate, resident_memory
    from .ours import Ours
    from .sites import Sites

    ours, sites = Ours(), Sites()
    return {
        "start": ours.start,
        "open": ours.open,
        "train": ours.train,
        "evaluate": ours.evaluate,
        "close": ours.close,
        "open_sites": sites.open,
        "time_sites": sites.time,
        "close_sites": sites.close,
        "measure_length": measure_length,
        "matrix_rate": matrix_rate,
        "memory": resident_memory,
    }


if __name__ == "__main__":
    serve(make_jobs)
