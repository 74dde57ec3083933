"""What a sweep was asked for: it decides what is run, what counts as done, and what is reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from glue.errors import UsageError
from glue.scoring.metrics import higher_is_better
from glue.training.identity import checkpoint_digest

from .arguments import Range, SweepArguments
from .points import Point, arguments_of, grid, identity, of_method, read_data
from .results import DIVERGED, FINISHED, PRUNED, newest


@dataclass
class Plan:
    """A grid or a search.

    Args:
        args: the command line.

    Attributes:
        points: of a grid; of a search, points that try each of its values once.
        seeds: of a search, those that every trial is run with.
        higher_is_better: which scores are.
        study_name: of the study that holds it. Other points, data or ranges are another study, beside this one.
        lasting: how a run may end that needs no other one.

    Raises:
        UsageError: a point cannot be run, its data are missing or broken, or scores that are to be compared are not of
            one kind.
    """

    args: SweepArguments
    _data: dict[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    _checkpoints: dict[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        choices = self.args.choices
        tried = _each_value(choices) if self.is_search else grid(choices)
        bare = list(dict.fromkeys(map(Point.of, tried)))  # a wrong flag is said before any data are read
        self.points = list(map(self._with_data, bare))
        self.seeds: list[int] = list(choices.get("seed", [self.points[0]["seed"]]))
        self.lasting = {FINISHED, DIVERGED, *([PRUNED] if self.args.prune else [])}
        metrics = sorted({point.metric for point in self.points})
        if (self.args.prune or self.is_search) and len(metrics) > 1:
            raise UsageError(f"scores are compared, and these are of several kinds: {', '.join(metrics)}; give it one")
        self.higher_is_better = higher_is_better(metrics[0])
        asked: dict[str, Any] = {"points": sorted(point.key for point in self.points)}
        if self.is_search:
            drawn = {name: values for name, values in choices.items() if name != "seed" and len(values) > 1}
            asked["drawn"] = {name: [isinstance(values, Range), *values] for name, values in drawn.items()}
        self.study_name = f"{self.args.study_name}/{identity(asked)}"

    @property
    def is_search(self) -> bool:
        """Whether points are drawn, instead of all of them being run."""
        return self.args.n_trials is not None

    @property
    def total(self) -> int:
        """How many runs were asked for; of a search some may come to be pruned."""
        return len(self.points) if self.args.n_trials is None else self.args.n_trials * len(self.seeds)

    def point(self, flags: Mapping[str, Any]) -> Point:
        """Return the point of some flags, with its data, which are read once.

        Raises:
            UsageError: it cannot be run, or its data are missing or broken.
        """
        return self._with_data(Point.of(flags))

    def _with_data(self, point: Point) -> Point:
        args = arguments_of({name: value for name, value in point.flags if name not in ("do_predict", "test_file")})
        key = repr([getattr(args, item.name) for item in fields(args) if item.metadata["group"] == "data"])
        if key not in self._data:
            self._data[key] = read_data(args)
        model = str(args.model_name_or_path)
        if model not in self._checkpoints:
            self._checkpoints[model] = checkpoint_digest(model)
        return point.with_data(*self._data[key], self._checkpoints[model])

    def rows(self, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return those rows of results.jsonl that are of this plan: each run of a search, each point of a grid once."""
        if self.is_search:
            mine = [row for row in rows if row["id"].startswith(f"{self.study_name}-")]
            return [row for row in mine if row["seed"] in self.seeds]
        keys = {point.key for point in self.points}
        return newest(row for row in rows if row["point"] in keys)


def _each_value(choices: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Flags that differ from the first values (of a range, its lower end) in one, the seed apart."""
    rest = {name: values for name, values in choices.items() if name != "seed"}
    first = {name: values[0] for name, values in rest.items()}
    tried = [{**first, name: value} for name, values in rest.items() for value in values]
    return [of_method(flags, choices) for flags in [first, *tried]]
