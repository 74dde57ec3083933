"""The settings of a benchmark run: a dataclass with a field per flag, checked, without heavy imports."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from glue.cli.command_line import build_parser, flag
from glue.data.tasks import GLUE_TASKS
from glue.errors import UsageError

from .lengths import GLUE_LENGTHS

PARTS = ("training", "evaluation", "memory", "startup", "contranorm", "methods", "length")
MODELS = ("checkpoint", "bert-base", "albert-base")
PRECISIONS = ("fp32", "bf16")

_GROUPS = {
    "what to measure": "lists are separated by commas",
    "with what": "nothing of it is needed: without data and model, both are made on the spot",
    "how long": "a value is the median over the rounds",
}


@dataclass
class Options:
    """All settings, checked.

    Raises:
        UsageError: a value is unknown or out of range.

    Example:
        >>> Options(only="length,memory").parts
        ('length', 'memory')
    """

    only: str = flag("what to measure", f"parts, out of {', '.join(PARTS)}", ",".join(PARTS), metavar="PARTS")
    tasks: str = flag("what to measure", "GLUE tasks", "cola,mrpc,rte", metavar="TASKS")
    models: str = flag("what to measure", f"models, out of {', '.join(MODELS)}", ",".join(MODELS), metavar="MODELS")
    precisions: str = flag("what to measure", "of fp32 and bf16", ",".join(PRECISIONS), metavar="PRECISIONS")
    lengths: str = flag("what to measure", "tokens S of the length part", "128,512,2048,4096", metavar="NUMBERS")

    data_dir: str | None = flag("with what", "folder with GLUE on disk, as run_glue_no_trainer.py reads", metavar="DIR")
    model: str | None = flag("with what", "checkpoint folder with its tokenizer", metavar="DIR")
    stock_python: str | None = flag(
        "with what", "Python that has the stock transformers, torch and accelerate; default: this one", metavar="PATH"
    )
    output: str = flag("with what", "folder of bench.md, bench.json and logs", "output/bench", metavar="DIR")

    rounds: int = flag("how long", "rounds in which the sides take turns", 5, metavar="N")
    steps: int = flag("how long", "training batches of a round", 8, metavar="N")
    base_steps: int = flag("how long", "the same for bert-base and albert-base", 2, metavar="N")
    eval_rows: int | None = flag("how long", "rows of the validation split; left out: all", metavar="N")
    base_eval_rows: int = flag("how long", "the same for bert-base", 128, metavar="N")
    batch_size: int = flag("how long", "rows of a training batch", 32, metavar="N")
    max_length: int = flag("how long", "longest input in tokens", 128, metavar="N")
    threads: int | None = flag("how long", "threads of each process; left out: all processors", metavar="N")
    seed: int = flag("how long", "seed of the choice of rows and of dropout", 2021, metavar="N")

    def __post_init__(self) -> None:
        self.parts = names_of(self.only, PARTS, "--only")
        self.task_names = names_of(self.tasks, tuple(GLUE_TASKS), "--tasks")
        self.model_names = names_of(self.models, MODELS, "--models")
        self.precision_names = names_of(self.precisions, PRECISIONS, "--precisions")
        try:
            self.length_values = tuple(int(text) for text in self.lengths.split(","))
        except ValueError:
            raise UsageError(f"--lengths {self.lengths}: expected numbers separated by commas") from None
        self.num_threads = _processors() if self.threads is None else self.threads
        names = ("rounds", "steps", "base_steps", "eval_rows", "base_eval_rows", "batch_size", "max_length", "threads")
        counts = {name: getattr(self, name) for name in names} | {"lengths": min(self.length_values)}
        for name, value in counts.items():
            if value is not None and value < 1:
                raise UsageError(f"--{name} {value}: expected 1 or more")
        self.stock_command = sys.executable
        if self.stock_python is not None:
            found = shutil.which(self.stock_python)
            if found is None:
                raise UsageError(f"--stock_python {self.stock_python}: no such program")
            self.stock_command = os.path.abspath(found)  # not resolved: an environment's Python is a link
        for name in ("data_dir", "model"):
            folder = getattr(self, name)
            if folder is not None and not Path(folder).is_dir():
                raise UsageError(f"--{name} {folder}: no such folder")
        unknown = [name for name in self.task_names if name not in GLUE_LENGTHS]
        if unknown and self.data_dir is None:
            raise UsageError(
                f"--tasks {','.join(unknown)} needs --data_dir: lengths are known of {', '.join(GLUE_LENGTHS)} only"
            )


def parse_options(argv: list[str] | None = None) -> Options:
    """Read the command line.

    Raises:
        SystemExit: status 2 and one line on stderr for a wrong command line, status 0 after `--help`.
    """
    parser = build_parser(
        Options,
        _GROUPS,
        prog="benchmarks",
        usage="python -m benchmarks [--only PARTS] [--data_dir DIR] [--model DIR] ...",
        description="Measure this library beside the stock one.",
    )
    return parser.read(lambda given: Options(**given), argv)


def _processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def names_of(text: str, known: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Split the list that was given for the flag `name`, and check every item of it."""
    names = tuple(dict.fromkeys(item.strip() for item in text.split(",")))
    for item in names:
        if item not in known:
            raise UsageError(f"{name} {item!r}: expected out of {', '.join(known)}")
    return names
