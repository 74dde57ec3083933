"""`Table`: rows as plain Python columns, from the readers to the tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import UsageError

_ROW_NUMBERS = ("idx", "index", "id")


@dataclass
class Table:
    """Rows of a file, or of one split, as columns of equal length.

    Args:
        columns: name of the column to its values. Of a file, values as they stand there, None where a typed format has
            null, or where a row lacks the column. Of a split, the text columns and `label`: class ids (int, -1 where
            a test row has none) or, for regression, floats (NaN where a test row has none).
        source: what the rows were read from, for messages and logs.
        row_numbers: what the file itself numbers its rows with, for predictions; None where rows count from 0.
        is_typed: whether values carry types (json, parquet) or are all text (csv, tsv).
        places: number of each row in the file (from 1, without the header) and the line on which it begins; empty where
            no row was left out and lines are not known.
        unread: columns of the file that are of a type that is neither a text's nor a label's, and that type.
        lacking: columns that some rows of a json file do not have, and the first of these rows (from 0).

    Example:
        >>> table = Table({"sentence": ["Good .", "Bad ."], "label": [1, 0]}, source="example")
        >>> len(table), table.select(1).columns["sentence"]
        (2, ['Good .'])
    """

    columns: dict[str, list[Any]]
    source: str = ""
    row_numbers: list[Any] | None = None
    is_typed: bool = True
    places: Sequence[tuple[int, int]] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    lacking: Mapping[str, int] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The columns of the file, those that were not read among them."""
        return [*self.columns, *self.unread]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def select(self, count: int | None) -> Table:
        """Return the first `count` rows (all of them for None), as `--max_train_samples` asks for."""
        columns = {name: values[:count] for name, values in self.columns.items()}
        return replace(self, columns=columns, row_numbers=self.row_numbers and self.row_numbers[:count])

    def where(self, index: int) -> str:
        """Name the place of row `index` (counted from 0) for a message, counting rows from 1 without the header."""
        return place(self.source, *self.places[index]) if self.places else place(self.source, index + 1)

    def values(self, name: str, advice: str = "") -> list[Any]:
        """Return column `name`.

        Raises:
            UsageError: there is no such column, or it is of a type that is neither a text's nor a label's.
        """
        if name in self.unread:
            raise UsageError(f"{self.source}: column {name!r} is of type {self.unread[name]}, expected text or numbers")
        if name not in self.columns:
            raise UsageError(f"{self.source}: no column {name!r} (columns there: {', '.join(self.names)}){advice}")
        return self.columns[name]

    def text(self, name: str) -> list[str]:
        """Return column `name`, whose values all have to be text; an empty text is one, which null is too.

        Raises:
            UsageError: there is no such column, a row lacks it, or holds something else.
        """
        values = self.values(name)
        if name in self.lacking:
            raise UsageError(f"{self.where(self.lacking[name])}: column {name!r} is missing")
        if None in values:
            values = ["" if value is None else value for value in values]
        for index, value in enumerate(values):
            if not isinstance(value, str):
                raise UsageError(f"{self.where(index)}: column {name!r} holds {value!r} instead of text")
            try:
                value.encode()
            except UnicodeEncodeError as error:
                half = f"U+{ord(value[error.start]):04X}"
                raise UsageError(f"{self.where(index)}: column {name!r} holds half a character ({half})") from None
        return values

    def own_numbers(self) -> list[Any] | None:
        """Return what the file itself numbers its rows with: its `idx`, else `index`, else `id`, if all different."""
        for name in _ROW_NUMBERS:
            values = [value for value in self.columns.get(name, []) if isinstance(value, (str, int)) and value != ""]
            if len(set(values)) == len(self):
                return values
        return None


def place(source: object, row: int, line: int | None = None) -> str:
    """Name a row of a file for a message."""
    return f"{source}, row {row}" + (f" (line {line})" if line else "")
