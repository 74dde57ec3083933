"""Where a training run stands: what it has done, what it scored, and what it will report at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..scoring.metrics import higher_is_better


@dataclass
class TrainingState:
    """Where a training run stands.

    Attributes:
        updates: optimizer updates done.
        epoch: number of the epoch that the next update belongs to, from 0.
        updates_in_epoch: updates done of that epoch.
        history: scores of each finished epoch.
        predictions: for each validation split those of the newest epoch, or of the best one where its model is kept.
        best_score: of `--metric_for_best_model`, so far; None before the first evaluation.
        best_epoch: number of the epoch with that score.
        epochs_without_improvement: finished epochs since then.
        seconds: time spent in training so far.
    """

    updates: int = 0
    epoch: int = 0
    updates_in_epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    predictions: dict[str, Any] = field(default_factory=dict)
    best_score: float | None = None
    best_epoch: int | None = None
    epochs_without_improvement: int = 0
    seconds: float = 0.0

    @property
    def best_updates(self) -> int | None:
        """Updates that had been done at the end of the best epoch; None before the first evaluation."""
        return next((row["updates"] for row in self.history if row["epoch"] == self.best_epoch), None)

    def note_score(self, metric: str) -> bool:
        """Hold the newest scores in `history` against the best ones.

        Args:
            metric: the score that decides.

        Returns:
            Whether it is the best so far.
        """
        score = self.history[-1][metric]
        better = self.best_score is None or (
            score > self.best_score if higher_is_better(metric) else score < self.best_score
        )
        if better:
            self.best_score, self.best_epoch, self.epochs_without_improvement = score, self.history[-1]["epoch"], 0
        else:
            self.epochs_without_improvement += 1
        return better

    def results(self, total_updates: int, num_rows: int, epoch: int | None = None) -> dict[str, Any]:
        """Return what all_results.json says: the scores of the saved model, and how the run went.

        Args:
            total_updates: updates that were planned.
            num_rows: rows of the training split.
            epoch: the epoch whose model is saved; None for the last one.
        """
        of_model: dict[str, Any] = next((row for row in reversed(self.history) if epoch in (None, row["epoch"])), {})
        scores = {f"eval_{name}": score for name, score in of_model.items() if name not in ("epoch", "updates")}
        return {
            **scores,
            "best_score": self.best_score,
            "best_epoch": self.best_epoch,
            "epochs": self.epoch,
            "updates": self.updates,
            "planned_updates": total_updates,
            "train_examples": num_rows,
            "train_seconds": round(self.seconds, 3),
            "history": self.history,
        }
