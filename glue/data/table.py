"""`Table`: the rows of one split as plain Python columns, between the readers and the tokenizer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any


@dataclass
class Table:
    """One split: text columns and `label` as lists of equal length.

    Args:
        columns: name of the column to its values. `label` holds class ids (int, -1 where a test row has none) or, for
            regression, floats (NaN where a test row has none).
        source: what the rows were read from, for messages and logs.
        row_numbers: what the file itself numbers its rows with, for predictions; None where rows count from 0.

    Example:
        >>> table = Table({"sentence": ["Good .", "Bad ."], "label": [1, 0]}, source="example")
        >>> len(table), table.select(1).columns["sentence"]
        (2, ['Good .'])
    """

    columns: dict[str, list[Any]]
    source: str = ""
    row_numbers: list[Any] | None = None

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def select(self, count: int | None) -> Table:
        """Return the first `count` rows (all of them for None), as `--max_train_samples` asks for."""
        columns = {name: values[:count] for name, values in self.columns.items()}
        return replace(self, columns=columns, row_numbers=self.row_numbers and self.row_numbers[:count])
