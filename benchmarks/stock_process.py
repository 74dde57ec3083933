"""The process of the stock library: `python -I benchmarks/stock_process.py`, where this repository is not on the path.

Without arguments it answers jobs. With the JSON of a job "open" it is a command like any other: it trains one batch and
says so in a line, which is how its start-up is timed.
"""

import importlib.util
import json
import sys
from functools import partial
from pathlib import Path


def import_benchmarks() -> None:
    """Make the package `benchmarks` importable without its parent folder, which holds another `transformers`."""
    folder = Path(__file__).resolve().parent
    spec = importlib.util.spec_from_file_location(
        "benchmarks", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    sys.modules["benchmarks"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["benchmarks"])


def make_jobs() -> dict:
    """Return the jobs of this side."""
    from benchmarks.gpu.usual import measure_usual
    from benchmarks.host import time_host
    from benchmarks.measuring import matrix_rate, resident_memory
    from benchmarks.stock import Stock

    stock = Stock()

    return {
        "usual": partial(measure_usual, Stock()),
        "host": time_host,
        "start": stock.start,
        "open": stock.open,
        "train": stock.train,
        "evaluate": stock.evaluate,
        "close": stock.close,
        "matrix_rate": matrix_rate,
        "memory": resident_memory,
    }


def first_step(case: dict) -> None:
    """Do what the command does up to its first update, and say so."""
    from benchmarks.stock import Stock

    stock = Stock()
    stock.start("fp32", case.pop("threads"))
    stock.open(**case)
    stock.train([list(range(case["batch_size"]))])
    print("first step", flush=True)


if __name__ == "__main__":
    import_benchmarks()
    if len(sys.argv) > 1:
        first_step(json.loads(sys.argv[1]))
    else:
        from benchmarks.serve import serve

        serve(make_jobs)
