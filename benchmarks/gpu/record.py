"""Complete fine-tunings, timed: as many rows as GLUE has, as long as GLUE's, for as many epochs as the public table.

Texts and weights are random, so what comes out is a time and not a score.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..lengths import GLUE_LENGTHS
from ..ours import POSITION, SCALE
from ..workers import WorkerError
from .bench import Bench
from .plan import TINY_ROWS


class Published(NamedTuple):
    """A row of the table in the README of the stock library's example of text classification.

    Attributes:
        epochs: passes over the training data.
        seconds: of training bert-base-cased on one Titan RTX in fp16, in batches of 32, up to 128 tokens.
    """

    epochs: int
    seconds: int


PUBLISHED = {
    "cola": Published(3, 1 * 60 + 41),
    "mrpc": Published(5, 1 * 60 + 10),
    "sst2": Published(3, 13 * 60 + 11),
    "mnli": Published(3, 1 * 3600 + 17 * 60 + 6),
}
_FIRST_SPEED = 800.0  # examples/s that the first task is taken to reach, making the rows included


def record(bench: Bench) -> None:
    """Fine-tune on one task after the other, the shortest first, as far as there is time."""
    options, tiny = bench.options, bench.options.tiny
    half, speed = bench.results.machine["half"], _FIRST_SPEED
    for name, published in PUBLISHED.items():
        rows = _rows(name, tiny)
        examples = published.epochs * rows
        title = f"record: {name}, {published.epochs} epochs"
        if not bench.clock.allows(title, examples / speed):
            bench.results.left_out.append({"what": title, "why": f"no time is left for {examples} examples"})
            continue
        task, model = bench.task(name, rows), bench.model("tiny" if tiny else "bert-base")
        case = {"model": str(model), **task.job(), "max_length": 128, "batch_size": 32, "seed": options.seed}
        words = [*bench.words(case), "--pos", POSITION, "--scale", str(SCALE), "--mixed_precision", half]
        words += ["--num_train_epochs", str(published.epochs), "--learning_rate", "2e-5", *options.run_flags.split()]
        settings = {"words": words, "device": options.device, "folder": str(bench.folder / f"record-{name}")}
        answer: Any = bench.attempt(title, title, 0.0, "ours", "record", settings)
        if isinstance(answer, WorkerError):
            bench.results.left_out.append({"what": title, "why": str(answer)})
        elif answer is not None:
            answer |= {"task": name, "epochs": published.epochs, "precision": half, "published": published.seconds}
            bench.results.record.append(answer)
            speed = answer["train_examples"] * published.epochs / answer["seconds"]
        bench.changed(bench.results)


def _rows(name: str, tiny: bool) -> int:
    """How many rows of a task are trained on: as many as GLUE has, or a few."""
    return TINY_ROWS if tiny else GLUE_LENGTHS[name].rows[0]
