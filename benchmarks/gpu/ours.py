"""Our side: runs of `run_glue_no_trainer.py`, whose loop is watched from outside, update by update.

Nothing of the loop is written down here a second time: whatever flags make it do, is measured.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any
from unittest import mock

import torch

import run_glue_no_trainer
from glue.output.log import TrainingLog
from glue.training.sampling import Update

from .profiling import ROUNDS, start_profiler, summarize, synchronize


class RunError(Exception):
    """A run has ended with an exit status that is not 0; its output says why."""


class Watch:
    """Told of every update of a run, measures some of them.

    Args:
        device: where it runs.
        warm_up: updates that are not measured.
        steps: updates that are timed, a multiple of `ROUNDS`.
        profiled: updates after these that are profiled.

    Attributes:
        seconds: of an update, in each round.
        peak: the most memory that was taken while they were timed, in bytes; None on the CPU.
    """

    def __init__(self, device: torch.device, warm_up: int, steps: int, profiled: int) -> None:
        self.device, self.warm_up, self.steps, self.profiled = device, warm_up, steps, profiled
        self.seconds: list[float] = []
        self.examples = self._updates = 0
        self.peak: int | None = None
        self.profile: dict[str, Any] = {}
        self._began = 0.0
        self._profiler: torch.profiler.profile | None = None

    @property
    def updates(self) -> int:
        """How many updates the run has to make."""
        return self.warm_up + self.steps + self.profiled

    def see(self, num_examples: int) -> None:
        """An update has been handed to the device."""
        self._updates += 1
        timed = self._updates - self.warm_up
        if timed < 0:
            return
        if 0 < timed <= self.steps:
            self.examples += num_examples
        if timed == 0 and self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        if timed <= self.steps and timed % (self.steps // ROUNDS) == 0:
            synchronize(self.device)
            if timed:
                self.seconds.append((time.perf_counter() - self._began) / (self.steps // ROUNDS))
            self._began = time.perf_counter()
        if timed == self.steps:
            if self.device.type == "cuda":
                self.peak = torch.cuda.max_memory_allocated(self.device)
            self._profiler = start_profiler(self.device)
            self._profiler.start()
        elif self._updates == self.updates and self._profiler is not None:
            synchronize(self.device)
            self._profiler.stop()
            self.profile = summarize(self._profiler.events() or (), self.profiled)

    def result(self) -> dict[str, Any]:
        """Return "seconds" (an update, median over the rounds), "rounds", "examples_per_second", "peak" and what
        `summarize` has.
        """
        seconds = median(self.seconds)
        speed = self.examples / self.steps / seconds
        return {
            "seconds": seconds,
            "rounds": self.seconds,
            "examples_per_second": speed,
            "peak": self.peak,
        } | self.profile


def measure(words: list[str], precision: str, device: str, warm_up: int, steps: int, profiled: int) -> dict[str, Any]:
    """Train with the script, and measure it.

    Args:
        words: its command line, without the number of updates.
        precision: "bf16", "tf32" or "fp32".
        device: "cuda" or "cpu".
        warm_up, steps, profiled: see `Watch`.

    Returns:
        See `Watch.result`.

    Raises:
        RunError: it failed.
    """
    watch = Watch(torch.device(device), warm_up, steps, profiled)
    torch.compiler.reset()  # or what was compiled for other rows counts against the limit of this one
    words = [*words, "--mixed_precision", "bf16" if precision == "bf16" else "no"]
    words.append("--tf32" if precision == "tf32" else "--no-tf32")
    with seen_updates(watch.see):
        run([*words, "--max_train_steps", str(watch.updates)], device)
    return watch.result()


@contextlib.contextmanager
def seen_updates(see: Callable[[int], object]) -> Iterator[None]:
    """Within the block, `see` is called after every update of a run in this process, with the number of its rows."""
    add = TrainingLog.add

    def adding(log: TrainingLog, row: dict[str, Any], update: Update) -> None:
        add(log, row, update)
        see(update.num_examples)

    with mock.patch.object(TrainingLog, "add", adding):
        yield


def run(words: list[str], device: str) -> None:
    """Train with the script, without an evaluation, for which more packages are needed.

    Raises:
        RunError: it failed.
    """
    words = [*words, "--no-do_eval", *(["--cpu"] if device == "cpu" else [])]
    try:
        status = run_glue_no_trainer.main(words)
    except SystemExit as stop:
        status = int(stop.code or 0)
    if device == "cuda":
        torch.cuda.empty_cache()
    if status:
        raise RunError(f"exit status {status} of run_glue_no_trainer.py {' '.join(words)}")
