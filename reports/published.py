"""Published scores, to be set beside those of a sweep: rows of method, model, task, score (percent) and source."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from glue.data.tasks import find_task
from glue.errors import UsageError
from sweep.files import read_file

from .scores import AVERAGE

SHIPPED = Path(__file__).with_name("published.csv")


class Published(NamedTuple):
    """A published score in percent, of a task or of the average over GLUE's validation sets."""

    method: str
    model: str
    task: str
    score: float
    source: str


def read_published(path: Path) -> list[Published]:
    """Read a csv, or a YAML list of mappings, with the columns of `Published`.

    Raises:
        UsageError: the file cannot be read, or a row is not complete; none counts that has no source.
    """
    rows = read_file("--published", str(path))
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise UsageError(f"--published {path}: expected rows of {', '.join(Published._fields)}")
    return [_row(row, f"--published {path}: row {number}") for number, row in enumerate(rows, start=1)]


def _row(row: dict[str, Any], place: str) -> Published:
    method, model, task, score, source = cells = [str(row.get(name) or "").strip() for name in Published._fields]
    if not all(cells):
        empty = ", ".join(name for name, cell in zip(Published._fields, cells, strict=True) if not cell)
        raise UsageError(f"{place} has no {empty}: every score needs all of {', '.join(Published._fields)}")
    if not re.fullmatch(r"-?\d+(\.\d+)?", score) or not 1 < abs(float(score)) <= 100:
        raise UsageError(f"{place}: score {score}: expected percent, such as 82.59")
    return Published(method, model, task if task == AVERAGE else find_task(task).name, float(score), source)
