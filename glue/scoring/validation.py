"""The scores of a model on the validation splits, as they are printed and as they go into the results."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..cli.arguments import RunArguments
from ..cli.console import say
from ..errors import DivergedError
from ..output.tracking import track
from ..training.setup import Setup
from .inference import predict, reference_labels
from .metrics import MISMATCHED_SUFFIX, load_metric, majority_baseline
from .oversmoothing import measure_oversmoothing

_CLASSES = "predicted_classes"
_WATCHED_ROWS = 256


def evaluate_all(args: RunArguments, setup: Setup, model: Any) -> dict[str, float]:
    """Score the validation splits and print the scores beside those of the most frequent label.

    Raises:
        DivergedError: the loss is not finite.

    Returns:
        The task's metrics, "loss" (the mean over all rows) and for a classification "predicted_classes", how many
        different classes the model predicted; those of MNLI's mismatched split with `MISMATCHED_SUFFIX`.
    """
    task = setup.task
    results: dict[str, float] = {}
    for number, split in enumerate(task.validation_splits):
        dataset = setup.datasets[split]
        references = reference_labels(dataset, task, setup.mapping)
        found = predict(model, dataset, task, setup.mapping, args.per_device_eval_batch_size, setup.accelerator)
        scores = {**load_metric(task).compute(predictions=found.values, references=references)}
        scores["loss"] = float(found.losses.mean())
        if not math.isfinite(scores["loss"]):
            raise DivergedError(f"the loss on the {split} split is {scores['loss']}: the model has diverged")
        baseline = majority_baseline(task, references)
        shown = ", ".join(f"{name} {scores[name]:.4f} (constant guess {baseline[name]:.4f})" for name in task.metrics)
        say(f"{split}: {shown}, loss {scores['loss']:.4f}, {len(dataset)} examples")
        if not task.is_regression:
            scores[_CLASSES] = len(np.unique(found.values))
        results |= {name + MISMATCHED_SUFFIX * number: score for name, score in scores.items()}
    return results


def watch_tokens(setup: Setup, model: Any, updates: int) -> dict[str, Any]:
    """Measure how alike the tokens of up to 256 validation rows have become, and tell the trackers.

    The main process does it, and the others go on to where they wait for it; no random number is drawn.

    Args:
        setup: the run.
        model: as accelerate wrapped it; it is left in evaluation mode.
        updates: how many have been made.

    Returns:
        See `OversmoothingMeter.result`; without the spectra, which are long.
    """
    if not setup.accelerator.is_main_process:
        return {}
    dataset = setup.datasets[setup.task.validation_splits[0]]
    rows = np.unique(np.linspace(0, len(dataset) - 1, _WATCHED_ROWS).round().astype(int))
    measured = measure_oversmoothing(
        setup.accelerator.unwrap_model(model),
        (
            dataset.collate(batch, device=setup.accelerator.device)
            for batch in np.array_split(rows, -(-len(rows) // 32))
        ),
    )
    del measured["spectrum"]
    layers = {name: values for name, values in measured.items() if isinstance(values, list)}
    depth = max(map(len, layers.values()))
    track(
        setup.accelerator,
        {
            f"oversmoothing/{name}/layer_{depth - len(values) + number}": value
            for name, values in layers.items()
            for number, value in enumerate(values)
        },
        updates,
    )
    return measured


def with_warnings(results: dict[str, Any]) -> dict[str, Any]:
    """Return a run's results, with "warnings" (a list of sentences, also printed) where a score means little."""
    splits = {f"eval_{_CLASSES}": "validation", f"eval_{_CLASSES}{MISMATCHED_SUFFIX}": "mismatched validation"}
    warnings = [
        f"every prediction of the {split} split is the same class: the model has not learned to tell them apart"
        for name, split in splits.items()
        if results.get(name) == 1
    ]
    for warning in warnings:
        say(f"Warning: {warning}")
    return {**results, "warnings": warnings} if warnings else results
