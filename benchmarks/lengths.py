"""Rows with the lengths of GLUE and the words of the demo, for machines that have no GLUE on disk.

Speed depends on how long texts are and how their lengths vary, not on what they say. The table holds quantiles of the
token counts of each text in GLUE's training split (MNLI's: 10,471 rows of it), without special tokens, under the
vocabulary of bert-base-uncased. A length is drawn between two quantiles, and the text is as many words in a row of the
demo's sentences, each of which is one token of the vocabulary made for it (of another vocabulary a few more). Labels
are random.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from random import Random
from typing import NamedTuple

from glue.data.table import Table
from glue.data.tasks import Task
from glue.demo.checkpoint import demo_splits

# Shares of the rows; a batch is as wide as its longest row, so that the long ones are told apart.
PLACES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.998, 1.0)


class Lengths(NamedTuple):
    """The shape of one task's texts.

    Attributes:
        quantiles: for each text column, tokens at `PLACES` of the rows.
        alike: share of rows whose two texts stand at the same place of the distribution.
        rows: rows of the training split and of each validation split.
    """

    quantiles: tuple[tuple[int, ...], ...]
    alike: float
    rows: tuple[int, int]


GLUE_LENGTHS: dict[str, Lengths] = {
    "cola": Lengths(((2, 5, 6, 7, 8, 8, 9, 10, 12, 15, 18, 21, 23, 28, 45),), 0.0, (8551, 1043)),
    "sst2": Lengths(((1, 2, 4, 5, 6, 8, 11, 14, 18, 25, 31, 38, 42, 51, 64),), 0.0, (67349, 872)),
    "mrpc": Lengths(
        (
            (7, 16, 19, 21, 23, 25, 27, 29, 31, 34, 37, 39, 41, 45, 50),
            (8, 16, 19, 21, 23, 25, 27, 29, 31, 34, 37, 40, 41, 45, 50),
        ),
        0.72,
        (3668, 408),
    ),
    "mnli": Lengths(
        (
            (1, 8, 11, 15, 18, 22, 25, 30, 36, 45, 54, 68, 83, 122, 264),
            (1, 7, 8, 9, 10, 11, 13, 14, 16, 18, 21, 24, 27, 35, 71),
        ),
        0.42,
        (392702, 9815),
    ),
    "rte": Lengths(
        (
            (5, 20, 26, 31, 35, 39, 45, 56, 90, 122, 143, 170, 182, 206, 280),
            (3, 7, 8, 9, 9, 10, 11, 12, 14, 18, 23, 29, 33, 39, 51),
        ),
        0.0,
        (2490, 277),
    ),
}


def glue_like_splits(task: Task, seed: int, most: int | None = None) -> dict[str, Table]:
    """Make the training split and the validation splits of a task in `GLUE_LENGTHS`, the same ones for one seed.

    Args:
        task: one of GLUE's.
        seed: of lengths and labels.
        most: rows of a split that are made, the first ones; None for as many as GLUE has.
    """
    shape, sentences = GLUE_LENGTHS[task.name], demo_splits(task.name)["train"]
    text = " ".join(" ".join(sentences.columns[column]) for column in task.text_columns)
    words = re.findall(r"\w+|[^\w\s]", text)
    counts = {"train": shape.rows[0], **dict.fromkeys(task.validation_splits, shape.rows[1])}
    return {
        split: _split(task, shape, words, min(count, most or count), Random(f"{task.name}-{split}-{seed}"))
        for split, count in counts.items()
    }


def _split(task: Task, shape: Lengths, words: list[str], count: int, rng: Random) -> Table:
    columns: dict[str, list] = {column: [] for column in (*task.text_columns, "label")}
    for _ in range(count):
        place = rng.random()
        for column, quantiles in zip(task.text_columns, shape.quantiles, strict=True):
            length = _quantile(quantiles, place)
            begin = rng.randrange(len(words) - length)
            columns[column].append(" ".join(words[begin : begin + length]))
            place = place if rng.random() < shape.alike else rng.random()
        columns["label"].append(rng.randrange(task.num_labels))
    return Table(columns, source="words of the demo, lengths of GLUE")


def _quantile(quantiles: tuple[int, ...], place: float) -> int:
    number = bisect_right(PLACES, place) - 1
    low, high = quantiles[number], quantiles[number + 1]
    return round(low + (high - low) * (place - PLACES[number]) / (PLACES[number + 1] - PLACES[number]))
