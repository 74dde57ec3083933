"""What a sweep was asked for: it decides what is run, what counts as done, and what is reported."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from glue.errors import UsageError
from glue.scoring.metrics import higher_is_better

from .arguments import Range, SweepArguments
from .points import Datasets, Point, grid, identity, of_method
from .results import DIVERGED, FINISHED, PRUNED, newest


@dataclass
class Plan:
    """A grid or a search, as a worker gets to know it.

    Args:
        args: the command line.
        study_name: of the study that holds it. Other points, data or ranges are another study, beside this one.
        metric: what runs are compared by; of a grid without pruning, one of several perhaps.
        datasets: the data of its points.
    """

    args: SweepArguments
    study_name: str
    metric: str
    datasets: Datasets

    @property
    def is_search(self) -> bool:
        """Whether points are drawn, instead of all of them being run."""
        return self.args.n_trials is not None

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """Which scores are better, as Optuna says it."""
        return "maximize" if higher_is_better(self.metric) else "minimize"

    @property
    def seeds(self) -> list[int]:
        """The seeds that every trial of a search is run with."""
        return list(self.args.choices.get("seed", [Point.of(first_values(self.args.choices))["seed"]]))

    def is_done(self, row: Mapping[str, Any]) -> bool:
        """Whether a run needs no other one: it ended with a lasting result."""
        return row["status"] in (FINISHED, DIVERGED, *([PRUNED] if self.args.prune else []))

    def point(self, flags: Mapping[str, Any]) -> Point:
        """Return the point of some flags, with its data."""
        return self.datasets.add_to(Point.of(flags))

    def rows(self, points: Iterable[Point], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return those rows of results.jsonl that are of this plan, each run of a search and each point of a grid once.

        Args:
            points: of a grid.
            rows: all that there are.
        """
        if self.is_search:
            mine = [row for row in rows if row["id"].startswith(f"{self.study_name}-")]
            return [row for row in mine if row["seed"] in self.seeds]
        keys = {point.key for point in points}
        return newest(row for row in rows if row["point"] in keys)

    def to_json(self) -> str:
        """Return the plan as a worker reads it."""
        args = {**vars(self.args), "choices": _as_json(self.args.choices)}
        return json.dumps({**vars(self), "args": args, "datasets": self.datasets.known})

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The reverse of `to_json`."""
        content = json.loads(text)
        choices = content["args"].pop("choices")
        ranges = {name: Range(**value) for name, value in choices.items() if isinstance(value, dict)}
        args = SweepArguments(**content.pop("args"), choices={**choices, **ranges})
        return cls(args=args, datasets=Datasets(content.pop("datasets")), **content)


def make_plan(args: SweepArguments) -> tuple[Plan, list[Point]]:
    """Return what a command line asks for, and its points; of a search, points that try each of its values once.

    Raises:
        UsageError: a point cannot be run, its data are missing or broken, or scores that are to be compared are not of
            one kind.
    """
    datasets = Datasets()
    tried = grid(args.choices) if args.n_trials is None else _each_value(args.choices)
    points = [datasets.add_to(point) for point in tried]
    metrics = sorted({point.metric for point in points})
    if (args.prune or args.n_trials is not None) and len(metrics) > 1:
        raise UsageError(f"scores are compared, and these are of several kinds: {', '.join(metrics)}; give it one")
    asked: dict[str, Any] = {"points": sorted(point.key for point in points)}
    if args.n_trials is not None:
        drawn = {name: values for name, values in args.choices.items() if name != "seed" and len(values) > 1}
        asked["drawn"] = _as_json(drawn)
    return Plan(args, f"{args.study_name}/{identity(asked)}", metrics[0], datasets), points


def _as_json(choices: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values._asdict() if isinstance(values, Range) else values for name, values in choices.items()}


def first_values(choices: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first value of each flag; of a range, its lower end."""
    return {name: values[0] for name, values in choices.items()}


def _each_value(choices: Mapping[str, Any]) -> list[Point]:
    """Points that differ from the first one in one flag, the seed apart."""
    rest = {name: values for name, values in choices.items() if name != "seed"}
    first = first_values(rest)
    tried = [{**first, name: value} for name, values in rest.items() for value in values]
    return list(dict.fromkeys(Point.of(of_method(flags, choices)) for flags in [first, *tried]))
