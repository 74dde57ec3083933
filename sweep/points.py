"""The points of a sweep: each is one run of `run_glue_no_trainer.py`, with a name that no other point has."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from glue.cli.arguments import RunArguments
from glue.data.tasks import GLUE_TASKS
from glue.errors import UsageError
from glue.training.identity import VERSION, fixed_flags
from transformers.methods import all_knobs, find_method, knobs_of
from transformers.utils.text import printable

_FIELDS = {item.name: item for item in fields(RunArguments)}
METHOD = ("method", "pos", *all_knobs())  # what a plain model does not depend on
PLAIN = "none"  # the method of a plain model
# Which data, in words: their digest takes the place of these once it is known.
_PLACES = ("demo", "data_dir", "train_file", "validation_file", "text_column_names", "label_column_name")


def identity(settings: Mapping[str, Any]) -> str:
    """Return what tells settings from all others: equal ones have an equal identity."""
    return hashlib.sha256(json.dumps([VERSION, settings], sort_keys=True).encode()).hexdigest()[:10]


@dataclass(frozen=True)
class Point:
    """The flags of a run, without those of its output.

    Attributes:
        flags: name and value of each flag, sorted by name.
        settings: everything that the result of the run depends on, flags that were not given included; in place of
            where the data are, their digest, once somebody has looked.
        metric: what its score is: the one that was asked for, else the main one of its task.

    Example:
        >>> point = Point.of({"demo": True, "task_name": "RTE", "scale": 0.0, "pos": "7"})
        >>> point.words
        ['--demo', '--method', 'none', '--seed', '2021', '--task_name', 'rte']
        >>> point == Point.of({"demo": True, "task_name": "rte", "pos": "NONE"})
        True
    """

    flags: tuple[tuple[str, Any], ...]
    settings: Mapping[str, Any] = field(compare=False, repr=False)
    metric: str = field(default="", compare=False)

    @classmethod
    def of(cls, flags: Mapping[str, Any]) -> Point:
        """Return the point of these flags. With scale 0, at no position or with no method it is the plain model's.

        Raises:
            UsageError: it cannot be run: a value is out of range, two flags exclude each other, or nothing is scored.
        """
        args = arguments_of(flags)
        method = args.method_settings
        neutral = find_method(method.get("method") or "contranorm").neutral
        if (neutral and neutral.items() <= method.items()) or method.get("pos") == "none":
            method = {"method": PLAIN}
        said = {name: value for name, value in flags.items() if name not in (*METHOD, "use_v2")} | method
        named = ("seed", "task_name", "metric_for_best_model")
        said |= {name: getattr(args, name) for name in named if getattr(args, name) is not None}
        # A checkpoint may have set what has no default, so that False says more than nothing does.
        said = {name: value for name, value in said.items() if value is not False or _FIELDS[name].default is None}
        of_run = {**fixed_flags(args), **{name: getattr(args, name) for name in _PLACES}, **method}
        settings = {name: value for name, value in of_run.items() if value is not None}
        return cls(tuple(sorted(said.items())), settings, args.metric_for_best_model or "")

    def with_data(self, digest: str, metric: str, checkpoint: str) -> Point:
        """Return the point with what `read_data` and `checkpoint_digest` found."""
        found = {"checkpoint": checkpoint} if checkpoint else {}
        kept = {name: value for name, value in self.settings.items() if name not in _PLACES}
        return replace(self, settings={**kept, "data": digest, **found}, metric=self.metric or metric)

    def __getitem__(self, flag: str) -> Any:
        """The value of a flag, None where it is not given."""
        return dict(self.flags).get(flag)

    @property
    def key(self) -> str:
        """Tells this point from every other one."""
        return identity(self.settings)

    @property
    def task(self) -> str:
        """The GLUE task, or the name of the user's own training file."""
        file = Path(self["train_file"] or "")
        return str(self["task_name"] or (file.name if file.stem in GLUE_TASKS else file.stem))

    @property
    def is_plain(self) -> bool:
        """Whether no method acts in it."""
        return bool(self["method"] == PLAIN)

    @property
    def title(self) -> str:
        """What people are told about it: task, method with its knobs, and seed."""
        parts = [f"{name} {self[name]}" for name in METHOD if self[name] is not None]
        return printable(" ".join([self.task, *(["plain"] if self.is_plain else parts), f"seed {self['seed']}"]))

    @property
    def name(self) -> str:
        """The name of its folder and its log."""
        knobs = ["plain"] if self.is_plain else [self[name] for name in METHOD]
        text = "_".join(str(part) for part in (self.task, *knobs, f"seed{self['seed']}", self.key) if part is not None)
        return "".join(letter if letter.isalnum() or letter in "_.-" else "-" for letter in text)[-200:]

    @property
    def words(self) -> list[str]:
        """Its command line."""
        words = []
        for name, value in self.flags:
            switch = {True: [f"--{name}"], False: [f"--no-{name}"]}
            words += switch[value] if isinstance(value, bool) else [f"--{name}", str(value)]
        return words


def arguments_of(flags: Mapping[str, Any]) -> RunArguments:
    """Return the settings of a run with these flags, as its own command line makes them.

    Raises:
        UsageError: it cannot be run, or nothing is scored.
    """
    given = {**flags, "output_dir": "output"}
    if isinstance(columns := given.get("text_column_names"), str):
        given["text_column_names"] = [columns]  # A,B as the command line has it
    try:
        args = RunArguments.of(given)
    except OSError as error:  # a name that is too long, a folder that may not be entered
        raise UsageError(f"{error.filename}: {error.strerror}") from None
    if not args.do_eval:
        raise UsageError("a sweep compares scores: give --validation_file")
    return args


def grid(choices: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Return the flags of every combination of the values; those of the first seed come first.

    Args:
        choices: the values of each flag.
    """
    names = sorted(choices, key=lambda name: name != "seed")
    combinations = itertools.product(*(choices[name] for name in names))
    return [of_method(dict(zip(names, values, strict=True)), choices) for values in combinations]


def of_method(flags: Mapping[str, Any], choices: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flags without knobs that only others of several methods have."""
    method = flags.get("method")
    if method is None or len(choices["method"]) == 1:
        return dict(flags)
    own = ("method", *(() if method == PLAIN else ("pos", *knobs_of(method))))
    return {name: value for name, value in flags.items() if name in own or name not in METHOD}


def read_data(args: RunArguments) -> tuple[str, str]:
    """Return the digest of the data that a run reads, and the main metric of their task.

    The digest is of the texts: what a run's own identity has, that of their tokens, takes a tokenizer and some time.

    Raises:
        UsageError: they are missing or broken.
    """
    from glue.data.loading import load_splits

    task, tables = load_splits(args)
    content = [task.label_names, [(split, table.columns) for split, table in sorted(tables.items())]]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest(), task.main_metric
