"""From the values of all rounds to rows of a table: medians, ratios, and what was aimed at."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

TRAINING = "training"
SHARE = "share of the matrix-product rate"
EVALUATION = "evaluation"
PEAK_MEMORY = "peak memory"
MEMORY_ABOVE_IMPORTS = "peak memory above imports"
FIRST_RUN = "start to first step, first run"
SECOND_RUN = "start to first step, second run"

UNITS = {
    TRAINING: "examples/s",
    SHARE: "%",
    EVALUATION: "examples/s",
    PEAK_MEMORY: "MiB",
    MEMORY_ABOVE_IMPORTS: "MiB",
    FIRST_RUN: "s",
    SECOND_RUN: "s",
}


@dataclass(frozen=True)
class Target:
    """What a row is to reach.

    Attributes:
        value: the bound.
        at_least: whether it is a lower bound; else an upper one.
        of: what is compared with it: "ratio" or "ours".
    """

    value: float
    at_least: bool = True
    of: str = "ratio"


_TRAINING_TARGETS = {
    ("checkpoint", "fp32", "fp32"): {"cola": 2.5, "mrpc": 2.2, "rte": 2.5},
    ("checkpoint", "bf16", "bf16"): {"cola": 2.2, "mrpc": 2.2, "rte": 2.6},
    ("checkpoint", "bf16", "fp32"): {"cola": 3.8, "mrpc": 3.8, "rte": 4.5},
    ("bert-base", "fp32", "fp32"): {"cola": 2.5, "mrpc": 2.2, "rte": 2.3},
}
CONTRANORM_TARGET = Target(5.0, at_least=False, of="ours")  # % of a training step, at pos 7
LENGTH_TARGET = Target(4.0, at_least=False, of="ours")  # x the size of x, at S = 4096


def find_target(measure: str, model: str, task: str, precisions: tuple[str, str]) -> Target | None:
    """Return what a row of the first table is to reach, or None. `precisions` are ours and the stock library's."""
    if measure == TRAINING:
        value = _TRAINING_TARGETS.get((model, *precisions), {}).get(task)
        return None if value is None else Target(value)
    if task not in ("cola", "mrpc", "rte"):
        return None
    if measure == EVALUATION and (model, *precisions) == ("checkpoint", "fp32", "fp32"):
        return Target(3.0)
    if measure == SHARE and (model, task, *precisions) == ("checkpoint", "rte", "fp32", "fp32"):
        return Target(70.0, of="ours")
    if measure == PEAK_MEMORY:
        return Target(0.8, at_least=False)
    if measure == SECOND_RUN:
        return Target(0.5, at_least=False)
    return None


@dataclass(frozen=True)
class Summary:
    """One value a round."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.values)

    def to_dict(self) -> dict[str, Any]:
        """Median, lowest and highest value, and all of them."""
        return {"median": self.median, "min": min(self.values), "max": max(self.values), "values": list(self.values)}


@dataclass(frozen=True)
class Comparison:
    """One row of the first table.

    Attributes:
        measure: what was measured, a key of `UNITS`.
        model, task: on what.
        precisions: ours and the stock library's.
        ours, stock: the values.
    """

    measure: str
    model: str
    task: str
    precisions: tuple[str, str]
    ours: Summary
    stock: Summary

    @property
    def ratio(self) -> float:
        """Our median over the stock library's."""
        return self.ours.median / self.stock.median

    @property
    def target(self) -> Target | None:
        """What the row is to reach."""
        return find_target(self.measure, self.model, self.task, self.precisions)

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON has it."""
        target = self.target
        return {
            "measure": self.measure,
            "unit": UNITS[self.measure],
            "model": self.model,
            "task": self.task,
            "precision": {"ours": self.precisions[0], "stock": self.precisions[1]},
            "ours": self.ours.to_dict(),
            "stock": self.stock.to_dict(),
            "ratio": self.ratio,
            **judge(target, self.ratio if target is None or target.of == "ratio" else self.ours.median),
        }


def judge(target: Target | None, value: float) -> dict[str, Any]:
    """Return the target and whether `value` meets it, as JSON has them."""
    if target is None:
        return {"target": None, "met": None}
    met = value >= target.value if target.at_least else value <= target.value
    bound = {"value": target.value, "bound": "at least" if target.at_least else "at most", "of": target.of}
    return {"target": bound, "met": met}


def site_rows(model: str, description: str, task: str, rounds: Sequence[dict[str, float]], plain: str) -> list[dict]:
    """Make rows of the second table: what each variant costs over the plain model.

    Args:
        model, description, task: on what.
        rounds: for each round the seconds of each variant.
        plain: name of the plain variant.

    Returns:
        A row for each variant: its seconds, and the percentage by which its median is above the plain one's.
    """
    summaries = {name: Summary(tuple(seconds[name] for seconds in rounds)) for name in rounds[0]}
    rows = []
    for name, summary in summaries.items():
        cost = 100 * (summary.median / summaries[plain].median - 1)
        aimed = CONTRANORM_TARGET if name == "pos 7" and model == "checkpoint" else None
        row = {"model": model, "description": description, "task": task, "variant": name, "unit": "s"}
        rows.append({**row, **summary.to_dict(), "cost_percent": cost, **judge(aimed, cost)})
    return rows


@dataclass
class Results:
    """Everything that was measured so far.

    Attributes:
        comparisons: the first table.
        sites: rows of the second one, see `site_rows`.
        methods: rows like these, of methods in the place of positions.
        lengths: rows of the third one, one for each S.
        versions: what each side's process said of itself.
    """

    comparisons: list[Comparison] = field(default_factory=list)
    sites: list[dict[str, Any]] = field(default_factory=list)
    methods: list[dict[str, Any]] = field(default_factory=list)
    lengths: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)
