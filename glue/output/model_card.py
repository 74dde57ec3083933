"""README.md of a saved model: what it is, how it was trained, how it scored, and what to load it with.

What it says is in `model_card.j2`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers.methods import knobs_of

from ..cli.arguments import RunArguments
from ..data.tasks import LANGUAGE_MODEL, OWN_FILES, Task
from ..training.model import MethodSettings
from .manifest import fingerprint


def model_card(
    args: RunArguments,
    task: Task,
    settings: MethodSettings,
    results: Mapping[str, Any],
    num_rows: int,
    stock_file: Path | None = None,
) -> str:
    """Return the card as Markdown.

    Args:
        args: the run's settings.
        task: what the model was trained on.
        settings: its method against oversmoothing.
        results: what `TrainingState.results` returned.
        num_rows: rows of the training split.
        stock_file: what carries the layer for the stock library; None where the checkpoint does not.
    """
    from jinja2 import Environment

    is_classifier = task.name != LANGUAGE_MODEL
    source = task.name if is_classifier else args.task_name
    data = "own files" if source in (OWN_FILES, None) else f"GLUE {source}"
    scores = {name: value for name, value in results.items() if name.startswith("eval_") and isinstance(value, float)}
    environment = Environment(trim_blocks=True, keep_trailing_newline=True)
    environment.filters["plain"] = _plain
    template = environment.from_string(Path(__file__).with_suffix(".j2").read_text(encoding="utf-8"))
    return template.render(
        args=args,
        base=_plain(args.model_name_or_path or ""),
        data=f"the demo's miniature of {data}" if args.uses_demo_data else data,
        is_classifier=is_classifier,
        head="SequenceClassification" if is_classifier else "MaskedLM",
        kind="scores" if task.is_regression else f"{task.num_labels} classes",
        task=task,
        settings=settings,
        knobs=knobs_of(settings.values["method"]),
        scores={name.removeprefix("eval_"): value for name, value in scores.items()},
        results=results,
        num_rows=num_rows,
        stock_file=None if stock_file is None else stock_file.name,
        digest=None if stock_file is None else fingerprint(stock_file)["sha256"],
    )


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    visible = "".join(character if character.isprintable() else "?" for character in text)
    return "".join(f"\\{character}" if character in r"\`*_[]<>|#" else character for character in visible)
