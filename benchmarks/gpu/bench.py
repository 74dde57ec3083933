"""Does what is planned, each thing in a worker process, and keeps what came of it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from glue.data.tasks import GLUE_TASKS

from ..inputs import TaskInput, write_model, write_task, write_tokenizer
from ..lengths import GLUE_LENGTHS, glue_like_splits
from ..stock_process import __file__ as STOCK_PROCESS
from ..workers import Worker, WorkerError
from .clock import Clock
from .options import Options
from .plan import BATCH_SIZE, MAX_LENGTH, MODELS, TINY, TINY_BATCH_SIZE, TINY_ROWS, Row, rows

_ROWS = 4096  # of a task: more batches than are measured


@dataclass
class Results:
    """Everything that was found so far; each list has dictionaries as JSON has them."""

    machine: dict[str, Any] = field(default_factory=dict)
    usual: str = ""
    checks: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    record: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[dict[str, str]] = field(default_factory=list)


class Bench:
    """One benchmark.

    Args:
        options: the command line.
        clock: says what may begin.
        folder: working folder; data, models and caches go there.
        logs: folder of the workers' logs.
        changed: called after each result.
        say: tells a person.

    Attributes:
        results: what was found so far.
        has_failed: whether something went wrong, other than that there was no time for it.
    """

    def __init__(
        self,
        options: Options,
        clock: Clock,
        folder: Path,
        logs: Path,
        changed: Callable[[Results], object],
        say: Callable[[str], object],
    ) -> None:
        self.options, self.clock, self.folder, self.logs = options, clock, folder, logs
        self.changed, self.say, self.results = changed, say, Results()
        self.has_failed = False
        self._workers: dict[str, Worker] = {}
        self._tasks: dict[str, TaskInput] = {}
        self._models: dict[str, Path] = {}
        with suppress(metadata.PackageNotFoundError):
            self.results.usual = f"the stock library, transformers {metadata.version('transformers')}"
        self._usual_side = "stock" if self.results.usual else "ours"
        self.results.usual = self.results.usual or "our own model without ContraNorm, padded: there is no stock library"

    def start(self) -> None:
        """Find out what there is.

        Raises:
            WorkerError: not even that works.
        """
        self.results.machine = self._ask("ours", "describe", device=self.options.device)

    def check(self) -> None:
        """Do the checks."""
        from .checks import CHECKS

        for name in CHECKS:
            row: dict[str, Any] = {"check": name.replace("_", " ")}
            settings = {"name": name, "device": self.options.device, "tiny": self.options.tiny}
            answer = self.attempt(f"check: {row['check']}", f"check {name}", 30.0, "ours", "check", settings)
            if answer is not None:
                failed = isinstance(answer, WorkerError)
                self.results.checks.append({**row, "passed": not failed, "detail": str(answer)})
                self.changed(self.results)

    def measure(self) -> None:
        """Measure the rows of the plan."""
        for row in rows(self.options):
            names = {"model": row.model, "precision": row.precision, "task": row.task, "variant": row.variant.name}
            numbers = (1, 5, 1) if self.options.tiny else (40, 100, 20)
            settings: dict[str, Any] = dict(zip(("warm_up", "steps", "profiled"), numbers, strict=True))
            settings |= {"device": self.options.device, "precision": row.precision}
            case = self.case(row)
            if row.variant.flags is None:
                job = ("usual", {**settings, "case": case, "compiled": row.variant.compiled})
                answer = self.attempt(row.title, row.kind, row.variant.guess, self._usual_side, *job)
            else:
                words = [*self.words(case), *row.variant.flags, *self.options.run_flags.split()]
                job = ("measure", {**settings, "words": words})
                answer = self.attempt(row.title, row.kind, row.variant.guess, "ours", *job)
            if isinstance(answer, WorkerError):
                self.results.left_out.append({"what": row.title, "why": str(answer)})
            elif answer is not None:
                self.results.rows.append({**names, **answer})
            self.changed(self.results)

    def case(self, row: Row) -> dict[str, Any]:
        """What both sides have to know of a row, see `benchmarks.ours.Ours.open`."""
        task, model = self.task(row.task, TINY_ROWS if self.options.tiny else _ROWS), self.model(row.model)
        size = TINY_BATCH_SIZE if self.options.tiny else BATCH_SIZE
        shape = {"batch_size": size, "max_length": MAX_LENGTH, "seed": self.options.seed, "eval_rows": size}
        return {"model": str(model), **task.job(), **shape}

    def words(self, case: dict[str, Any]) -> list[str]:
        """The same as the beginning of a command line of ours."""
        words = ["--model_name_or_path", case["model"], "--task_name", case["task"], "--data_dir", case["data_dir"]]
        words += ["--max_length", str(case["max_length"]), "--per_device_train_batch_size", str(case["batch_size"])]
        return [*words, "--seed", str(case["seed"])]

    def task(self, name: str, most: int | None = None) -> TaskInput:
        """Write a task's rows, unless they are there; all of them where `most` is None."""
        key = f"{name}-{most}"
        if key not in self._tasks:
            splits = glue_like_splits(GLUE_TASKS[name], self.options.seed, most)
            self._tasks[key] = write_task(self.folder / key / name, name, splits)
        return self._tasks[key]

    def model(self, name: str) -> Path:
        """Write a model with random weights, and a tokenizer that knows the words of all tasks, unless it is there."""
        tokenizer = self.folder / "tokenizer"
        if not tokenizer.exists():
            demo = {name: glue_like_splits(GLUE_TASKS[name], self.options.seed, 2000) for name in GLUE_LENGTHS}
            write_tokenizer(tokenizer, demo)
        if name not in self._models:
            place, sizes = self.folder / name.replace(" ", "-"), {**MODELS, **TINY}[name]
            self._models[name] = write_model(place, *sizes, tokenizer, self.options.seed)
        return self._models[name]

    def close(self) -> None:
        """End all workers."""
        while self._workers:
            self._workers.popitem()[1].close()

    def attempt(
        self, title: str, kind: str, guess: float, side: str, job: str, settings: dict[str, Any]
    ) -> Any | WorkerError | None:
        """Have a job done, if there is time for it; returns its result, its error, or None where there is none."""
        if not self.clock.allows(kind, guess):
            self.results.left_out.append({"what": title, "why": "no time was left"})
            return None
        self.say(title)
        began = time.monotonic()
        try:
            answer = self._ask(side, job, **settings)
        except WorkerError as error:
            self.say(f"{title}: {error}")
            self.has_failed = self.has_failed or bool(self.clock.left)
            self._workers.pop(side).close()  # after an error of a device nothing works in its process any more
            if not self.clock.left:
                self.results.left_out.append({"what": title, "why": "it took too long, and was ended"})
                return None
            answer = error
        self.clock.note(kind, time.monotonic() - began)
        return answer

    def _ask(self, side: str, job: str, **settings: Any) -> Any:
        if side not in self._workers:
            command = [sys.executable, "-m", "benchmarks.gpu.process"]
            if side == "stock":
                command = [sys.executable, "-I", STOCK_PROCESS]
            log = self.logs / f"{side}.log"
            self._workers[side] = Worker(f"the worker of {side}", command, self._environment(), log)
        return self._workers[side].ask(job, patience=self.clock.left, **settings)

    def _environment(self) -> dict[str, str]:
        cache = self.folder / "cache"
        return {
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(cache / "huggingface"),
            "XDG_CACHE_HOME": str(cache),
            "TRANSFORMERS_VERBOSITY": "error",
        }
