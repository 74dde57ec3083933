"""The numbers of a sweep's report, from nothing but the rows of results.jsonl.

A *variant* is what a run was apart from its task and seed: the plain model, or ContraNorm with its scale and position,
and whatever else the sweep varied. All runs of a variant on a task are the same but for the seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from glue.data.tasks import GLUE_TASKS

Row = dict[str, Any]
Variant = tuple[tuple[str, Any], ...]

# What tells the ContraNorm of two runs apart; the plain model has none of it.
_CONTRANORM = ("scale", "pos", "tau", "use_v2", "contranorm_padding")
_NO_PART = ("task_name", "seed", *_CONTRANORM)
_RESAMPLES = 10_000
_SEED = 2021


class Summary(NamedTuple):
    """Mean and standard deviation (with n - 1; NaN for one value) of `n` scores, which are shares of 1."""

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
    """Differences of scores to the plain model with the same seed.

    `low` and `high` bound the 95 % interval of the mean's bootstrap (NaN below 2 pairs), `wins` counts those above 0.
    """

    mean: float
    low: float
    high: float
    wins: int
    n: int

    @classmethod
    def of(cls, differences: Iterable[float]) -> Paired:
        """Summarize differences: the percentiles of the means of 10,000 samples drawn with replacement, seed fixed."""
        values = np.array(list(differences), dtype=float)
        if not len(values):
            return cls(math.nan, math.nan, math.nan, 0, 0)
        low = high = math.nan
        if len(values) > 1:
            drawn = np.random.default_rng(_SEED).integers(len(values), size=(_RESAMPLES, len(values)))
            low, high = (float(bound) for bound in np.percentile(values[drawn].mean(axis=1), (2.5, 97.5)))
        return cls(float(values.mean()), low, high, int((values > 0).sum()), len(values))


@dataclass
class Scores:
    """All scores of a sweep.

    Args:
        rows: the newest row of each point.
    """

    rows: list[Row]

    @cached_property
    def varied(self) -> list[str]:
        """Names of the settings that differ between runs, task, seed and ContraNorm's apart."""
        values: dict[str, set[str]] = {}
        for row in self.rows:
            for name, value in row["flags"].items():
                values.setdefault(name, set()).add(repr(value))
        absent = {name for row in self.rows for name in values if name not in row["flags"]}
        return sorted(name for name in values if name not in _NO_PART and len(values[name]) + (name in absent) > 1)

    def variant(self, row: Row) -> Variant:
        """Return the variant that a run is of."""
        flags = row["flags"]
        own = [(name, flags.get(name)) for name in self.varied]
        if flags.get("scale") == 0:
            return (*own, ("scale", 0.0))
        return (*own, *((name, flags.get(name)) for name in _CONTRANORM))

    def plain(self, variant: Variant) -> Variant:
        """Return the plain variant that a variant is compared with."""
        return (*((name, value) for name, value in variant if name not in _CONTRANORM), ("scale", 0.0))

    @cached_property
    def tasks(self) -> list[str]:
        """The tasks, in the order of GLUE's table; own files come last."""
        order = tuple(GLUE_TASKS)
        found = {row["task"] for row in self.rows}
        return [task for task in order if task in found] + sorted(found - set(order))

    @cached_property
    def variants(self) -> list[Variant]:
        """All variants: each plain one before the others, then by position and scale."""
        return sorted({self.variant(row) for row in self.rows}, key=_order)

    @cached_property
    def seeds(self) -> list[int]:
        """All seeds, ascending."""
        return sorted({row["seed"] for row in self.rows})

    @cached_property
    def by_run(self) -> dict[tuple[str, Variant, int], float]:
        """The score of each finished run, by task, variant and seed; degenerate runs are among them."""
        finished = (row for row in self.rows if row["status"] == "finished" and row["score"] is not None)
        return {(row["task"], self.variant(row), row["seed"]): row["score"] for row in finished}

    def of(self, task: str, variant: Variant) -> dict[int, float]:
        """Return the scores of a variant on a task, by seed."""
        return {seed: self.by_run[key] for seed in self.seeds if (key := (task, variant, seed)) in self.by_run}

    def average(self, variant: Variant) -> dict[int, float]:
        """Return the means over the tasks, by seed, of those seeds that have every task."""
        of_tasks = [self.of(task, variant) for task in self.tasks]
        return {
            seed: sum(scores[seed] for scores in of_tasks) / len(of_tasks)
            for seed in self.seeds
            if all(seed in scores for scores in of_tasks)
        }

    def paired(self, scores: Callable[[Variant], dict[int, float]], variant: Variant) -> Paired:
        """Return how a variant does beside its plain one, seed by seed.

        Args:
            scores: from a variant to its scores by seed.
            variant: what is compared.
        """
        mine, plain = scores(variant), scores(self.plain(variant))
        return Paired.of(mine[seed] - plain[seed] for seed in mine if seed in plain)

    def best(self, task: str, plain: Variant, without: int | None = None) -> Variant | None:
        """Return the variant with the highest mean on a task, out of those that are compared with `plain`.

        Args:
            task: where.
            plain: the plain variant, which is not a candidate itself.
            without: a seed that has no say.

        Returns:
            None where no candidate has a score. Only variants with as many seeds as the fullest one are candidates, for
            a mean of fewer seeds is the highest more easily.
        """
        candidates = []
        for variant in self.variants:
            if variant != plain and self.plain(variant) == plain:
                scores = [score for seed, score in self.of(task, variant).items() if seed != without]
                candidates.append((len(scores), sum(scores) / max(1, len(scores)), variant))
        most = max((count for count, _, _ in candidates), default=0)
        full = [(mean, variant) for count, mean, variant in candidates if count == most and count]
        return max(full, key=lambda item: item[0])[1] if full else None

    def left_out(self, task: str, plain: Variant) -> dict[int, float]:
        """Return for each seed the score of the variant that is best on the other seeds: no seed chooses for itself."""
        scores = {}
        for seed in self.seeds:
            chosen = self.best(task, plain, without=seed)
            if chosen is not None and seed in self.of(task, chosen):
                scores[seed] = self.of(task, chosen)[seed]
        return scores

    @cached_property
    def missing(self) -> list[tuple[str, Variant, int]]:
        """What a full grid of the tasks, variants and seeds seen would hold besides."""
        seen = {(row["task"], self.variant(row), row["seed"]) for row in self.rows}
        return [
            key
            for task in self.tasks
            for variant in self.variants
            for seed in self.seeds
            if (key := (task, variant, seed)) not in seen
        ]

    def label(self, variant: Variant) -> str:
        """Return what a variant is called: only what differs between variants is said."""
        settings = dict(variant)
        words = [f"{name} {settings[name]}" for name in self.varied]
        if settings["scale"] == 0:
            return " ".join(["plain", *words])
        others = [dict(other) for other in self.variants if dict(other)["scale"] != 0]
        differing = [name for name in _CONTRANORM[1:] if len({repr(other[name]) for other in others}) > 1]
        words = [f"{name} {settings[name]}" for name in differing] + words
        return " ".join(
            ["ContraNorm", *([] if settings["scale"] is None else [f"scale {settings['scale']:g}"]), *words]
        )


def _order(variant: Variant) -> tuple[Any, ...]:
    settings = dict(variant)
    others = [repr(value) for name, value in variant if name not in _CONTRANORM]
    return (others, settings["scale"] != 0, str(settings.get("pos")), settings["scale"] or 0.0, repr(variant))
