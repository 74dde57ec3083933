"""The scores of a model on the validation splits, as they are printed and as they go into the results."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..cli.arguments import RunArguments
from ..cli.console import say
from ..errors import DivergedError
from ..output.log import track
from .inference import predict
from .metrics import MISMATCHED_SUFFIX, ROUNDING, are_equal, compute_metrics, majority_baseline
from .oversmoothing import ATTENTION, measure_oversmoothing, sinks_of

if TYPE_CHECKING:
    from ..training.setup import Setup

# Scores of a split, those of a constant guess, what else is to be said, and the predictions, where there is one a row.
Scores = tuple[dict[str, float], dict[str, float], list[str], list[int] | list[float]]

# How many different predictions there were; a run in which there was only one has a warning.
_CLASSES, _NUMBERS = "predicted_classes", "predicted_numbers"
_WARNINGS = {
    _CLASSES: "every prediction of the {} split is the same class: the model has not learned to tell them apart",
    _NUMBERS: "every prediction of the {} split is the same number, up to rounding: a correlation with it counts as 0",
}
_WATCHED_ROWS = 256


def evaluate_all(
    args: RunArguments, setup: Setup, model: Any
) -> tuple[dict[str, float], dict[str, list[int] | list[float]]]:
    """Score the validation splits and print the scores beside those of the most frequent label.

    Raises:
        DivergedError: the loss is not finite.

    Returns:
        The task's metrics, "loss" (the mean over all rows), and "predicted_classes" or "predicted_numbers", how many
        different ones the model predicted (numbers that are all equal up to rounding are one); those of MNLI's
        mismatched split with `MISMATCHED_SUFFIX`. And for each split the predictions in the order of its rows: the
        task's class ids, or numbers with six digits.
    """
    results: dict[str, float] = {}
    predictions: dict[str, Any] = {}
    for number, split in enumerate(setup.task.validation_splits):
        scores, baseline, notes, predicted = setup.score(args, setup, model, split)
        if not math.isfinite(scores["loss"]):
            raise DivergedError(f"the loss on the {split} split is {scores['loss']}: the model has diverged")
        shown = ", ".join(
            f"{name} {scores[name]:.4f} (constant guess {baseline[name]:.4f})" for name in setup.task.metrics
        )
        say(f"{split}: {shown}, loss {scores['loss']:.4f}, {len(setup.datasets[split])} examples")
        for note in notes:
            say(note)
        results |= {name + MISMATCHED_SUFFIX * number: score for name, score in scores.items()}
        if predicted:
            predictions[split] = predicted
    return results, predictions


def score_classifier(args: RunArguments, setup: Setup, model: Any, split: str) -> Scores:
    """Score a validation split of a task with labels: its metrics, the mean loss, and how much predictions differ."""
    task, rounding, dataset = setup.task, ROUNDING[setup.accelerator.mixed_precision], setup.datasets[split]
    labels: Any = dataset.labels if task.is_regression else setup.mapping.task_ids(task)[dataset.labels]
    batch_size = args.per_device_eval_batch_size
    values, losses = predict(model, dataset, task, setup.mapping, batch_size, setup.accelerator)
    scores = compute_metrics(task, values, labels, rounding)
    scores["loss"] = float(losses.mean())
    notes = []
    if task.is_regression and are_equal(labels, 0.0):
        label = f"{labels[0]:g}"
        notes.append(f"Note: every label of the {split} split is {label}: no correlation is defined, each counts as 0")
    is_one = task.is_regression and are_equal(values, rounding)
    scores[_NUMBERS if task.is_regression else _CLASSES] = 1 if is_one else len(np.unique(values))
    predicted = [float(f"{value:.6g}") for value in values] if task.is_regression else values.tolist()
    return scores, majority_baseline(task, labels), notes, predicted


def watch_tokens(setup: Setup, model: Any, updates: int) -> dict[str, Any]:
    """Measure how alike the tokens of up to 256 validation rows have become, and tell the trackers.

    The main process does it, and the others go on to where they wait for it; no random number is drawn.

    Args:
        setup: the run.
        model: as accelerate wrapped it; it is left in evaluation mode.
        updates: how many have been made.

    Returns:
        See `measure_oversmoothing`; without the spectra, which are long.
    """
    if not setup.accelerator.is_main_process:
        return {}
    dataset = setup.datasets[setup.task.validation_splits[0]]
    rows = np.unique(np.linspace(0, len(dataset) - 1, _WATCHED_ROWS).round().astype(int))
    measured = measure_oversmoothing(
        setup.accelerator.unwrap_model(model),
        (dataset.collate(each, device=setup.accelerator.device) for each in np.array_split(rows, -(-len(rows) // 32))),
        sinks=sinks_of(setup.tokenizer),
    )
    del measured["spectrum"]
    logged = {
        f"oversmoothing/{name}/layer_{layer}": value
        for name, values in measured.items()
        if isinstance(values, list)
        for layer, value in enumerate(
            values, start=1 if name.startswith(ATTENTION) else 0
        )  # the embeddings are layer 0
    }
    track(setup.accelerator, logged, updates)
    return measured


def with_warnings(results: dict[str, Any]) -> dict[str, Any]:
    """Return a run's results, with "warnings" (a list of sentences, also printed) where a score means little."""
    warnings = [
        text.format(split)
        for name, text in _WARNINGS.items()
        for split, suffix in (("validation", ""), ("mismatched validation", MISMATCHED_SUFFIX))
        if results.get(f"eval_{name}{suffix}") == 1
    ]
    for warning in warnings:
        say(f"Warning: {warning}")
    return {**results, "warnings": warnings} if warnings else results
