"""The numbers of a sweep's report, from nothing but the rows of results.jsonl.

A *variant* is what a run was apart from its task and seed: the plain model, or a method with its position and knobs,
and whatever else the sweep varied. All runs of a variant on a task are the same but for the seed. A run that
*collapsed* predicts one class for everything: it is counted, and is in no mean.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np

from glue.data.tasks import GLUE_TASKS
from glue.errors import UsageError
from glue.scoring.metrics import higher_is_better
from sweep.points import METHOD, PLAIN
from transformers.methods import METHODS

from .significance import holm, p_value

Row = dict[str, Any]
Variant = tuple[tuple[str, Any], ...]

AVERAGE = "average"  # stands in the place of a task for the average over all
_NO_PART = ("task_name", "seed", *METHOD)
_WEIGHTS = {"mnli": 2, "wnli": 0}  # in GLUE's average: matched and mismatched count each, WNLI does not


class Summary(NamedTuple):
    """Mean and standard deviation (with n - 1; NaN for one value) of `n` scores."""

    mean: float
    deviation: float
    n: int

    @classmethod
    def of(cls, scores: Iterable[float]) -> Summary:
        """Summarize scores; those of none are NaN."""
        values = np.array(list(scores), dtype=float)
        if not len(values):
            return cls(math.nan, math.nan, 0)
        return cls(float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else math.nan, len(values))


class Paired(NamedTuple):
    """Differences of scores to the baseline, as a rule the plain model, with the same seed.

    `low` and `high` bound the 95 % interval of their mean by Student's t (NaN below 2 pairs), `wins` counts those that
    are better than 0, `sign` is 1 where a higher score is better, else -1, and `deviation` is their standard deviation.
    """

    mean: float
    low: float
    high: float
    wins: int
    n: int
    sign: int = 1
    deviation: float = math.nan

    @classmethod
    def of(cls, differences: Iterable[float], sign: int = 1) -> Paired:
        """Summarize differences.

        Example:
            >>> [round(value, 3) for value in Paired.of([0.01, 0.02, 0.03])[:3]]
            [0.02, -0.005, 0.045]
        """
        from scipy.stats import t

        values = np.array(list(differences), dtype=float)
        mean, deviation, n = Summary.of(values)
        reach = math.nan if n < 2 else float(t.ppf(0.975, n - 1)) * deviation / math.sqrt(n)
        return cls(mean, mean - reach, mean + reach, int((sign * values > 0).sum()), n, sign, deviation)

    @property
    def p(self) -> float:
        """The two-sided p of their mean by Student's t; NaN below 2 pairs."""
        return p_value(self.mean, self.deviation, self.n)

    @property
    def verdict(self) -> str:
        """What the interval allows to say: "gain" or "loss" where it excludes 0, else nothing."""
        bounds = sorted((self.sign * self.low, self.sign * self.high))
        return "gain" if bounds[0] > 0 else "loss" if bounds[1] < 0 else ""


@dataclass
class Scores:
    """All scores of a sweep.

    Args:
        rows: one for each point.
        baseline: what the others are compared with: "none" for the plain model, another method, or a setting by its
            `method_label`.

    Raises:
        UsageError: (by any comparison) the baseline has no run, or is several settings.
    """

    rows: list[Row]
    baseline: str = PLAIN

    @cached_property
    def varied(self) -> list[str]:
        """Names of the settings that differ between runs of one task, seed and method apart."""
        found = set()
        for task in self.tasks:
            of_task = [row["settings"] for row in self.rows if row["task"] == task]
            names = {name for settings in of_task for name in settings}
            found |= {name for name in names if len({repr(settings.get(name)) for settings in of_task}) > 1}
        return sorted(found - set(_NO_PART))

    def variant(self, row: Row) -> Variant:
        """Return the variant that a run is of."""
        own = tuple((name, row["settings"].get(name)) for name in self.varied)
        if row["method"] == PLAIN:
            return (*own, ("method", PLAIN))
        return (*own, *((name, row.get(name)) for name in METHOD))

    def baseline_of(self, variant: Variant) -> Variant:
        """Return the variant that a variant is compared with; it may be one without runs."""
        others = _others(variant)
        return self._baselines.get(others, (*others, ("method", self.baseline)))

    @cached_property
    def _baselines(self) -> dict[Variant, Variant]:
        found: dict[Variant, Variant] = {}
        for variant in self.variants:
            if self.baseline in (dict(variant)["method"], self.method_label(variant)):
                if other := found.get(_others(variant)):
                    names = ", ".join(repr(self.method_label(each)) for each in (other, variant))
                    raise UsageError(f"baseline {self.baseline!r} is several settings: name one, such as {names}")
                found[_others(variant)] = variant
        if not found and self.baseline != PLAIN:
            names = ", ".join(sorted({repr(self.method_label(variant)) for variant in self.variants}))
            raise UsageError(f"baseline {self.baseline!r} has no run here: there are {names}")
        return found

    @property
    def baseline_name(self) -> str:
        """What the baseline is called in a sentence."""
        if self.baseline == PLAIN:
            return "the plain model"
        return self.method_label(next(iter(self._baselines.values())))

    @cached_property
    def tasks(self) -> list[str]:
        """The tasks, in the order of GLUE's table; own files come last."""
        found = {row["task"] for row in self.rows}
        return [task for task in GLUE_TASKS if task in found] + sorted(found - GLUE_TASKS.keys())

    @cached_property
    def variants(self) -> list[Variant]:
        """All variants: each plain one before the others, then by method, position and knobs."""
        return sorted({self.variant(row) for row in self.rows}, key=_order)

    @cached_property
    def baselines(self) -> list[Variant]:
        """The variants, run or not, that others are compared with."""
        return list(dict.fromkeys(map(self.baseline_of, self.variants)))

    @cached_property
    def seeds(self) -> list[int]:
        """All seeds, ascending."""
        return sorted({row["seed"] for row in self.rows})

    @cached_property
    def metrics(self) -> dict[str, str]:
        """The metric of each task; several where its runs have several."""
        found = {task: {str(row["main_metric"]) for row in self.rows if row["task"] == task} for task in self.tasks}
        return {task: ", ".join(sorted(names)) for task, names in found.items()}

    def sign(self, task: str) -> int:
        """Return 1 where a higher score is better, as of the average, else -1."""
        return 1 if higher_is_better(self.metrics.get(task, "")) else -1

    def factor(self, task: str) -> int:
        """Return 100 where a score is a share of 1, shown as percent; 1 for a loss."""
        return 100 if self.sign(task) > 0 else 1

    @cached_property
    def collapsed(self) -> Counter[tuple[str, Variant]]:
        """How many runs of a task and variant collapsed."""
        return Counter((row["task"], self.variant(row)) for row in self.rows if row["degenerate"])

    def of(self, task: str, variant: Variant | None) -> dict[int, float]:
        """Return the scores of a variant's finished runs that did not collapse, by seed; none of no variant.

        Args:
            task: where; `AVERAGE` for the average over the tasks, of those seeds that have every task.
            variant: whose.
        """
        return self._by_variant.get((task, variant), {})

    @cached_property
    def _by_variant(self) -> dict[tuple[str, Variant | None], dict[int, float]]:
        found: dict[tuple[str, Variant | None], dict[int, float]] = defaultdict(dict)
        for row in sorted(self.rows, key=lambda row: row["seed"]):
            if row["status"] == "finished" and row["score"] is not None and not row["degenerate"]:
                found[row["task"], self.variant(row)][row["seed"]] = row["score"]
        for variant, seed in product(self.variants, self.seeds):
            average = self.average({task: found[task, variant].get(seed, math.nan) for task in self.tasks})
            if not math.isnan(average):
                found[AVERAGE, variant][seed] = average
        return found

    def summary(self, task: str, variant: Variant | None) -> Summary:
        """Return mean and deviation of a variant's scores on a task."""
        return Summary.of(self.of(task, variant).values())

    def cells(self, of_task: Callable[[str], Mapping[int, float]]) -> dict[str, Summary]:
        """Return summaries on the tasks, and under `AVERAGE` the average of their means.

        Args:
            of_task: from a task to scores by seed.
        """
        found = {task: Summary.of(of_task(task).values()) for task in self.tasks}
        average = self.average({task: cell.mean for task, cell in found.items()})
        return {**found, AVERAGE: Summary(average, math.nan, 0)}

    def average(self, by_task: Mapping[str, float]) -> float:
        """Return the average over the tasks as GLUE takes it; NaN where a task's value is, or is no share of 1."""
        weights = {task: _WEIGHTS.get(task, 1) for task in self.tasks if _WEIGHTS.get(task, 1)}
        if not weights or any(self.sign(task) < 0 for task in weights):
            return math.nan
        return sum(weight * by_task[task] for task, weight in weights.items()) / sum(weights.values())

    @cached_property
    def ranked(self) -> list[Variant]:
        """All variants but the baselines, the best first: by average where there is one, else by the mean of all."""

        def rank(variant: Variant) -> tuple[float, float]:
            means = {task: self.summary(task, variant).mean for task in self.tasks}
            there = [self.sign(task) * mean for task, mean in means.items() if not math.isnan(mean)]
            average = self.average(means)
            return (-math.inf if math.isnan(average) else average, sum(there) / len(there) if there else -math.inf)

        return sorted((each for each in self.variants if each not in self.baselines), key=rank, reverse=True)

    def paired(self, task: str, variant: Variant, scores: Mapping[int, float] | None = None) -> Paired:
        """Return how a variant does on a task beside its baseline, seed by seed.

        Args:
            task: where, or `AVERAGE`.
            variant: what is compared.
            scores: by seed; left out: those of the variant.
        """
        mine = self.of(task, variant) if scores is None else scores
        theirs = self.of(task, self.baseline_of(variant))
        return Paired.of((mine[seed] - theirs[seed] for seed in mine if seed in theirs), self.sign(task))

    def comparisons(self, task: str) -> dict[Variant, Paired]:
        """Return all of `paired` that a task has, in the order of `ranked`."""
        found = {variant: self.paired(task, variant) for variant in self.ranked}
        return {variant: paired for variant, paired in found.items() if paired.n}

    def corrected(self, task: str) -> dict[Variant, float]:
        """Return the p of all `comparisons` of a task, corrected for their number (Holm)."""
        pairs = self.comparisons(task)
        return dict(zip(pairs, holm([paired.p for paired in pairs.values()]), strict=True))

    def agreement(self, task: str, variant: Variant) -> float:
        """Return how alike the seeds of a variant predict: the mean over all pairs of two of them.

        Returns:
            Of classes the share of validation rows that get the same one; of numbers the correlation. NaN where there
            are no two seeds with predictions.
        """
        found = self._predictions.get((task, variant), [])
        pairs = [pair for pair in combinations(found, 2) if len(pair[0]) == len(pair[1])]
        alike = [_correlation(*pair) if pair[0].dtype.kind == "f" else (pair[0] == pair[1]).mean() for pair in pairs]
        return float(np.mean(alike)) if alike else math.nan

    @cached_property
    def _predictions(self) -> dict[tuple[str, Variant], list[np.ndarray]]:
        found: dict[tuple[str, Variant], list[np.ndarray]] = defaultdict(list)
        for row in self.rows:
            if row.get("predictions") and row["status"] == "finished" and not row["degenerate"]:
                found[row["task"], self.variant(row)].append(np.array(row["predictions"]))
        return found

    def best(self, task: str, baseline: Variant, without: int | None = None) -> Variant | None:
        """Return the variant with the best mean on a task, out of those that are compared with `baseline`.

        Args:
            task: where.
            baseline: is not a candidate itself.
            without: a seed that has no say.

        Returns:
            None where no candidate has a score. One with as many seeds as the fullest goes before those with fewer, for
            a mean of fewer seeds is the best more easily.
        """
        found: dict[Variant, tuple[int, float]] = {}
        for variant in self.variants:
            scores = [score for seed, score in self.of(task, variant).items() if seed != without]
            if scores and variant != baseline and self.baseline_of(variant) == baseline:
                found[variant] = len(scores), self.sign(task) * Summary.of(scores).mean
        return max(found, key=lambda variant: found[variant], default=None)

    def left_out(self, task: str, baseline: Variant) -> dict[int, float]:
        """Return for each seed the score of the variant that is best on the other seeds: no seed chooses for itself."""
        chosen = {seed: self.of(task, self.best(task, baseline, without=seed)) for seed in self.seeds}
        return {seed: scores[seed] for seed, scores in chosen.items() if seed in scores}

    @cached_property
    def missing(self) -> list[tuple[str, Variant, int]]:
        """What a full grid of the tasks, variants and seeds seen would hold besides."""
        seen = {(row["task"], self.variant(row), row["seed"]) for row in self.rows}
        return [key for key in product(self.tasks, self.variants, self.seeds) if key not in seen]

    def label(self, variant: Variant) -> str:
        """Return what a variant is called: its method, and whatever else differs between variants."""
        settings = dict(variant)
        return " ".join([self.method_label(variant), *(f"{name} {_short(settings[name])}" for name in self.varied)])

    def method_label(self, variant: Variant) -> str:
        """Return what the method of a variant is called: only knobs that differ in it are said, and always a scale."""
        settings = dict(variant)
        method = settings["method"]
        others = [dict(other) for other in self.variants if dict(other)["method"] == method]
        differing = [name for name in METHOD[1:] if len({repr(other.get(name)) for other in others}) > 1]
        knobs = [name for name in dict.fromkeys(["scale", *differing]) if settings.get(name) is not None]
        name = METHODS[method].__name__ if method in METHODS else "plain" if method == PLAIN else str(method)
        return " ".join([name, *(f"{knob} {_short(settings[knob])}" for knob in knobs)])


def _others(variant: Variant) -> Variant:
    """The settings of a variant besides its method, position and knobs."""
    return tuple(item for item in variant if item[0] not in METHOD)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one, other)[0, 1]) if one.std() and other.std() else 0.0


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else f"{text[:8]}..."


def _order(variant: Variant) -> tuple[Any, ...]:
    """Numbers by size, anything else as text."""
    others = [repr(value) for name, value in variant if name not in METHOD]
    knobs = [value if isinstance(value, (int, float)) else 0.0 for name, value in variant if name in METHOD]
    texts = [str(value) for name, value in variant if name in METHOD]
    return (others, dict(variant)["method"] != PLAIN, texts[:2], knobs, texts)
