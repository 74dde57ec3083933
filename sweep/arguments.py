"""The command line of `run_sweep.py`: its own flags, and those of a run with any number of values each."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

from glue.cli.arguments import RunArguments
from glue.cli.command_line import OneLineParser, build_parser, check_values, flag
from glue.cli.paths import check_writable, expand
from glue.data.tasks import GLUE_TASKS
from glue.errors import UsageError
from transformers.methods import METHODS

from .devices import find_gpu
from .files import read_file

SAMPLERS = ("grid", "random", "tpe")
_PRESETS = Path(__file__).with_name("presets")  # files like those of --config_file

# What `all` stands for; the plain model comes first, which all methods are compared with.
_ALL = {"task_name": (*GLUE_TASKS,), "method": ("none", *METHODS)}

_GROUPS = {
    "the grid": "the flags of run_glue_no_trainer.py, at the end of this list, with one value or several each",
    "search": "instead of every combination",
    "who works": "the same command started again, or elsewhere with the same --storage, shares the work",
    "output": "what is kept",
}

# Flags of a run that the sweep sets itself.
_OWN = (
    *("output_dir", "overwrite_output_dir", "resume_from_checkpoint", "pred_dir", "cpu", "do_train", "do_eval"),
    *("checkpointing_steps", "save_total_limit", "push_to_hub", "hub_model_id", "hub_private_repo"),
)


class Range(NamedTuple):
    """Numbers between two, both included; drawn uniformly in the logarithm where both are above 0."""

    low: float
    high: float


@dataclass
class SweepArguments:
    """All settings of a sweep, checked.

    Attributes:
        choices: the values of each flag of a run, or a `Range` alone.

    Raises:
        UsageError: a value is out of range, or two settings exclude each other.
    """

    preset: str | None = flag(
        "the grid",
        "the paper's grids, or a comparison of all methods, see sweep/presets/; flags given besides replace its own",
        choices=tuple(sorted(file.stem for file in _PRESETS.glob("*.yaml"))),
    )
    config_file: str | None = flag(
        "the grid",
        "YAML or TOML file with flags of this list, where a list means several values",
        is_path=True,
        metavar="FILE",
    )

    sampler: str = flag("search", "grid: every combination; random, tpe: --n_trials of them", "grid", choices=SAMPLERS)
    n_trials: int | None = flag("search", "how many of them; each is run with every --seed", least=1, metavar="N")
    prune: bool | None = flag(
        "search", "stop a run whose score after an epoch is below the median of the others after that epoch"
    )

    device: list[str] = flag(  # noqa: RUF009
        "who works",
        "a worker for each: index of a GPU (several times for several on it), cpu, or auto (the default: one worker, "
        "which takes a GPU if there is one)",
        nargs="+",
        type=str,
        metavar="DEVICE",
    )
    storage: str | None = flag(
        "who works",
        "URL of a database that several machines reach, such as postgresql+psycopg://user@host/name; left out: an "
        "SQLite file in --output_dir",
        metavar="URL",
    )
    study_name: str | None = flag("who works", "name in the database; left out: that of --output_dir", metavar="NAME")
    retries: int = flag("who works", "how often a run that failed is tried again", 1, least=0)
    checkpointing_steps: int | str = flag(
        "who works",
        "how often a run saves what it can go on from: every N updates, or 'epoch'",
        "epoch",
        least=1,
        **RunArguments.__dataclass_fields__["checkpointing_steps"].metadata["options"],
    )

    output_dir: str = flag("output", "folder of the runs, results.jsonl and the report", "output/sweep", is_path=True)
    log_dir: str = flag("output", "folder of what the runs print", "outlog", is_path=True)
    keep_models: bool | None = flag("output", "keep the weights of finished runs", True)
    dry_run: bool | None = flag("output", "only list the points and estimate the time")

    choices: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_values(self)
        for device in self.device:
            if device not in ("cpu", "auto") and not device.isdecimal():
                raise UsageError(f"--device {device}: expected the index of a GPU, cpu or auto")
            if device.isdecimal():
                find_gpu(device)
        for name in ("output_dir", "log_dir"):
            check_writable(f"--{name}", Path(getattr(self, name)))
        self.study_name = self.study_name or Path(os.path.abspath(self.output_dir)).name
        self._check_search()

    def _check_search(self) -> None:
        searches = self.sampler != "grid"
        if searches and self.n_trials is None:
            raise UsageError(f"--sampler {self.sampler} needs --n_trials")
        if self.n_trials is not None and not searches:
            raise UsageError(f"--n_trials {self.n_trials}: expected with --sampler random or tpe")
        if (searches or self.prune) and len(self.choices.get("task_name", ())) > 1:
            what = "--prune" if self.prune else f"--sampler {self.sampler}"
            raise UsageError(f"{what} compares the scores of runs: give it one task")
        for name, values in self.choices.items():
            if isinstance(values, Range):
                if not searches:
                    raise UsageError(f"--{name} {values.low:g}:{values.high:g}: a range needs --sampler random or tpe")
            elif len(set(values)) < len(values):
                raise UsageError(f"--{name}: a value is given twice")


def parse_args(argv: list[str] | None = None) -> SweepArguments:
    """Read the command line, the file that it names, and the preset that either names; the first one that says it wins.

    Raises:
        SystemExit: status 2 and one line on stderr for a wrong command line, status 0 after `--help`.
    """
    parser = _build_parser()
    words = sys.argv[1:] if argv is None else argv
    return parser.read(partial(_arguments, parser, words), words)


def _arguments(parser: OneLineParser, words: list[str], given: dict[str, Any]) -> SweepArguments:
    """Return the settings of a command line, those of the files that it names included."""
    for name in ("config_file", "preset"):
        if name in given:
            file = given[name] if name == "config_file" else str(_PRESETS / f"{given[name]}.yaml")
            replaced = ("model_name_or_path",) if "init_from" in given else ()
            words = [*_words_of(expand(f"--{name}", file), replaced), *words]
            given = vars(parser.parse_args(words))  # of a flag that is given twice the last one counts
    own = {item.name: given.pop(item.name) for item in fields(SweepArguments) if item.name in given}
    choices = {name: _one_range(name, values) for name, values in given.items()}
    for name, every in _ALL.items():
        if choices.get(name) == ["all"]:
            choices[name] = list(every)
    return SweepArguments(**{"device": ["auto"], **own}, choices=choices)


def _build_parser() -> OneLineParser:
    parser = build_parser(
        SweepArguments,
        _GROUPS,
        prog="run_sweep.py",
        usage="%(prog)s [--preset NAME] [--task_name TASK ...] [--scale X ...] [--pos POS ...] [--seed N ...] ...",
        description="Fine-tune on a grid of tasks, scales, positions, seeds or any other flag, and report on it.",
        epilog="Start the same command again after a stop: what is finished stays, what is not goes on.",
    )
    note = "several values each make up the grid; --task_name all is GLUE's nine, --method all every method and none"
    section = parser.add_argument_group("flags of a run", note)
    hints = get_type_hints(RunArguments)
    for item in fields(RunArguments):
        if item.name not in _OWN:
            kind = (get_args(hints[item.name]) or (hints[item.name],))[0]
            options = {"metavar": "VALUE", "type": kind, **item.metadata["options"], "nargs": "+"}
            if kind is float:
                options["type"] = _or_range(options["type"])
            if item.name in _ALL and "choices" in options:
                options["choices"] = ("all", *options["choices"])
            if kind is bool:
                options |= {"nargs": "*", "choices": ("true", "false"), "type": str.lower}
            section.add_argument(f"--{item.name}", help=item.metadata["help"].replace("%", "%%"), **options)
    return parser


def _or_range(number: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return what reads a range like 1:2, or whatever a run's own flag reads."""

    def read(text: str) -> Any:
        low, colon, high = text.partition(":")
        if not colon:
            return number(text)
        with suppress(ValueError):
            found = Range(float(low), float(high))
            if -math.inf < found.low < found.high < math.inf:
                return found
        raise argparse.ArgumentTypeError(
            f"{text!r} is no range: expected two numbers, the lower one first, as in 0.1:0.2"
        )

    read.__name__ = "float"  # argparse puts it into its message
    return read


def _one_range(name: str, values: list[Any]) -> Any:
    if not any(isinstance(value, Range) for value in values):
        truths: dict[Any, bool] = {"true": True, "false": False}
        return [truths.get(value, value) for value in values] or [True]  # a switch by itself
    if len(values) > 1:
        raise UsageError(f"--{name}: give one range, or values")
    return values[0]


def _words_of(path: str, replaced: tuple[str, ...] = ()) -> list[str]:
    """The command line that says what a file says, without what a flag of another name replaces."""
    content = read_file("--config_file", path)
    if not isinstance(content, dict):
        raise UsageError(f"--config_file {path}: expected flags and their values, as in 'scale: [0, 0.005]'")
    words: list[str] = []
    switches = {item.name for item in fields(SweepArguments) if "bool" in str(item.type)}
    for name, value in ((name, value) for name, value in content.items() if name not in replaced):
        values = value if isinstance(value, list) else [value]
        texts = [str(each).lower() if isinstance(each, bool) else str(each) for each in values]
        if name in switches and texts in (["true"], ["false"]):
            words.append(f"--{name}" if texts == ["true"] else f"--no-{name}")
        else:
            words += [f"--{name}", *texts]
    return words
