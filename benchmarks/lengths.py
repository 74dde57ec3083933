"""Rows with the lengths of GLUE and the words of the demo, for machines that have no GLUE on disk.

Speed depends on how long texts are and how their lengths vary, not on what they say. The table holds the deciles of
the token counts of each text in GLUE's training split, without special tokens, under the vocabulary of
bert-base-uncased. A length is drawn between two deciles, and the text is as many words in a row of the demo's
sentences, each of which is one token of the vocabulary made for it (of another vocabulary a few more). Labels are
random.
"""

from __future__ import annotations

import re
from random import Random
from typing import NamedTuple

from glue.data.table import Table
from glue.data.tasks import Task
from glue.demo.checkpoint import demo_splits


class Lengths(NamedTuple):
    """The shape of one task's texts.

    Attributes:
        deciles: for each text column, tokens at 0, 10, ... 100 % of the rows.
        alike: share of rows whose two texts stand at the same place of the distribution.
        rows: rows of the training and of the validation split.
    """

    deciles: tuple[tuple[int, ...], ...]
    alike: float
    rows: tuple[int, int]


GLUE_LENGTHS: dict[str, Lengths] = {
    "cola": Lengths(((2, 5, 6, 7, 8, 8, 9, 10, 12, 15, 45),), 0.0, (8551, 1043)),
    "mrpc": Lengths(
        ((7, 16, 19, 21, 23, 25, 27, 29, 31, 34, 50), (8, 16, 19, 21, 23, 25, 27, 29, 31, 34, 50)), 0.72, (3668, 408)
    ),
    "rte": Lengths(
        ((5, 20, 26, 31, 35, 39, 45, 56, 90, 122, 280), (3, 7, 8, 9, 9, 10, 11, 12, 14, 18, 51)), 0.0, (2490, 277)
    ),
}


def glue_like_splits(task: Task, seed: int) -> dict[str, Table]:
    """Make the training and the validation split of a task in `GLUE_LENGTHS`, the same ones for one seed."""
    shape, sentences = GLUE_LENGTHS[task.name], demo_splits(task.name)["train"]
    text = " ".join(" ".join(sentences.columns[column]) for column in task.text_columns)
    words = re.findall(r"\w+|[^\w\s]", text)
    return {
        split: _split(task, shape, words, count, Random(f"{task.name}-{split}-{seed}"))
        for split, count in zip(("train", "validation"), shape.rows, strict=True)
    }


def _split(task: Task, shape: Lengths, words: list[str], count: int, rng: Random) -> Table:
    columns: dict[str, list] = {column: [] for column in (*task.text_columns, "label")}
    for _ in range(count):
        place = rng.random()
        for column, deciles in zip(task.text_columns, shape.deciles, strict=True):
            length = _quantile(deciles, place)
            begin = rng.randrange(len(words) - length)
            columns[column].append(" ".join(words[begin : begin + length]))
            place = place if rng.random() < shape.alike else rng.random()
        columns["label"].append(rng.randrange(task.num_labels))
    return Table(columns, source="words of the demo, lengths of GLUE")


def _quantile(deciles: tuple[int, ...], place: float) -> int:
    number = min(int(place * 10), 9)
    low, high = deciles[number], deciles[number + 1]
    return round(low + (high - low) * (place * 10 - number))
