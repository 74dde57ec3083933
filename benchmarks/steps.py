"""What each measure for speed brings: training steps of this library with one of them switched off at a time.

    python -m benchmarks.steps --model checkpoints/bert --data_dir glue_data --tasks cola,mrpc,rte

Prints a table: seconds of a step without the measure over seconds with all of them, medians over batches at which all
variants take turns. Above 1 it pays. fp32, ContraNorm at pos 7; one process, so that what concerns a whole process
(kept memory, the cache of tokens, imports) is not among them.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import numpy as np
import torch

import run_glue_no_trainer as script
from glue.training.optimizer import build_optimizer
from glue.training.sampling import TrainingOrder, Update
from glue.training.setup import set_up
from transformers import contranorm, dropout
from transformers.kernels import attention

from .ours import POSITION, SCALE, run_arguments

ALL = "all of them"


def without(name: str, model: Any) -> contextlib.AbstractContextManager[Any]:
    """Return a context in which a model goes without a measure."""

    def never(*_: Any) -> None:
        """Say no, whatever is asked."""

    stack = contextlib.ExitStack()
    if name == "no padding":
        return mock.patch.object(model.config, "unpad_inputs", False)
    if name == "cheap dropout masks":
        for module in (dropout, attention):
            stack.enter_context(mock.patch.object(module, "draws_own_masks", never))
    if name == "attention with a backward pass of its own":
        return mock.patch.object(attention, "runs_eagerly_on_cpu", never)
    if name == "ContraNorm's gradient as a formula":
        return mock.patch.object(contranorm, "fast_kernel", never)
    if name == "a last layer of what is read":
        base = type(model.base_model)
        return mock.patch.object(base, "forward", _whole(base.forward))
    return stack


def _whole(forward: Callable[..., Any]) -> Callable[..., Any]:
    """The forward of a model that computes all tokens of the last layer."""

    def whole(*inputs: Any, **named: Any) -> Any:
        return forward(*inputs, **named | {"first_only": False})

    return whole


MEASURES = (
    "no padding",
    "cheap dropout masks",
    "attention with a backward pass of its own",
    "ContraNorm's gradient as a formula",
    "a last layer of what is read",
    "a fused optimizer",
)


class Variant:
    """A model and its optimizer, without one of the measures (or with all).

    Args:
        name: the measure, or `ALL`.
        case: model, data and task, as for `Ours.open`.
    """

    def __init__(self, name: str, case: dict[str, Any]) -> None:
        self.name = name
        self.args = run_arguments("fp32", case, pos=POSITION, scale=SCALE)
        self.setup = set_up(self.args)
        self.optimizer = build_optimizer(self.args, self.setup.model)
        if name == "a fused optimizer":
            for group in self.optimizer.param_groups:
                group["fused"] = False
        self.setup.model.train()

    def step(self, rows: np.ndarray) -> float:
        """Make one update; returns its seconds."""
        setup, update = self.setup, Update((rows,), len(rows))
        began = time.perf_counter()
        with without(self.name, setup.model):
            script.backward(self.args, setup, setup.model, setup.datasets["train"], update)
            script.gradient_norm(setup.accelerator, setup.model, None)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        return time.perf_counter() - began


def measure(case: dict[str, Any], steps: int) -> Iterator[tuple[str, float]]:
    """Yield each measure with the ratio of a step without it to one with all, after two steps to warm up."""
    variants = [Variant(name, case) for name in (ALL, *MEASURES)]
    rows = len(variants[0].setup.datasets["train"])
    order = TrainingOrder(num_rows=rows, batch_size=case["batch_size"], seed=case["seed"])
    batches = [update.rows for update, _ in zip(order.epoch(0), range(steps + 2), strict=False)]
    seconds: dict[str, list[float]] = {variant.name: [] for variant in variants}
    for number, batch in enumerate(batches):
        first = number % len(variants)
        for variant in variants[first:] + variants[:first]:
            taken = variant.step(np.asarray(batch))
            if number >= 2:
                seconds[variant.name].append(taken)
    for name in MEASURES:
        yield name, median(off / on for off, on in zip(seconds[name], seconds[ALL], strict=True))


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steps", description="What each measure brings.")
    parser.add_argument("--model", required=True, help="BERT checkpoint with its tokenizer")
    parser.add_argument("--data_dir", required=True, type=Path, help="folder with GLUE on disk")
    parser.add_argument("--tasks", default="cola,mrpc,rte", help="separated by commas (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=24, help="updates of each variant (default: %(default)s)")
    parser.add_argument("--batch_size", type=int, default=32, help="rows an update (default: %(default)s)")
    parser.add_argument("--max_length", type=int, default=128, help="longest text in tokens (default: %(default)s)")
    args = parser.parse_args(argv)
    tasks = args.tasks.split(",")
    table: dict[str, list[str]] = {name: [] for name in MEASURES}
    for task in tasks:
        case = {"model": args.model, "data_dir": str(args.data_dir), "task": task, "batch_size": args.batch_size}
        for name, ratio in measure(
            {**case, "max_length": args.max_length, "eval_rows": None, "seed": 2021}, args.steps
        ):
            table[name].append(f"{ratio:.2f}")
    print(f"\n{torch.get_num_threads()} threads, torch {torch.__version__}, {args.steps} steps\n")
    print(f"| without | {' | '.join(tasks)} |\n| --- |{' ---: |' * len(tasks)}")
    for name, cells in table.items():
        print(f"| {name} | {' | '.join(cells)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
