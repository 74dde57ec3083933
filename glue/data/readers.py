"""Read csv, tsv, json, jsonl and parquet files into columns, keeping track of where each row stands in its file.

Nothing is guessed about the content here: values of csv and tsv files stay text ("NA", "null" and "" included), values
of the other formats keep their types. What a label or a text column is, `glue/data/user_files.py` decides.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..cli.console import progress_bar, say
from ..errors import UsageError

_TEXT_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl")
_SUFFIXES = (*_TEXT_SUFFIXES, *(f"{suffix}.gz" for suffix in _TEXT_SUFFIXES), ".parquet")
_MOST_BYTES = 2**30  # that a packed file may unpack to, 13 times GLUE's largest file; memory is bounded by it
_BYTES_OF_A_CELL = 8  # at least, in a list
_ROW_NUMBERS = ("idx", "index", "id")
_MOST_COLUMNS = 20_000
_ROWS_AT_ONCE = 16384  # of a parquet file
_LAST_LINE = "what no file ends with"


@dataclass
class RawTable:
    """The content of a file as columns of equal length.

    Args:
        path: the file.
        columns: name of the column to its values; None where a row of a typed format lacks one.
        is_typed: whether values carry types (json, parquet) or are all text (csv, tsv).
        rows: number of each row in the file, from 1 and without the header; empty where none was left out.
        lines: line on which each row stands; empty where that is not known.
    """

    path: Path
    columns: dict[str, list[Any]]
    is_typed: bool
    rows: Sequence[int] = ()
    lines: Sequence[int] = ()

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def where(self, index: int) -> str:
        """Name the place of row `index` (counted from 0) for a message, counting rows from 1 without the header."""
        row = self.rows[index] if self.rows else index + 1
        return _place(self.path, row, self.lines[index] if self.lines else None)

    def values(self, name: str, advice: str = "") -> list[Any]:
        """Return column `name`.

        Raises:
            UsageError: there is no such column.
        """
        if name not in self.columns:
            there = ", ".join(self.columns)
            raise UsageError(f"{self.path}: no column {name!r} (columns there: {there}){advice}")
        return self.columns[name]

    def text(self, name: str) -> list[str]:
        """Return column `name`, whose values all have to be text; an empty text is one.

        Raises:
            UsageError: there is no such column, or a row holds something else.
        """
        values = self.values(name)
        for index, value in enumerate(values):
            if not isinstance(value, str):
                found = "is missing" if value is None else f"holds {value!r} instead of text"
                raise UsageError(f"{self.where(index)}: column {name!r} {found}")
            try:
                value.encode()
            except UnicodeEncodeError as error:
                half = f"U+{ord(value[error.start]):04X}"
                raise UsageError(f"{self.where(index)}: column {name!r} holds half a character ({half})") from None
        return values

    def row_numbers(self) -> list[Any] | None:
        """Return what the file itself numbers its rows with: its `idx`, else `index`, else `id`, if all different."""
        for name in _ROW_NUMBERS:
            values = [value for value in self.columns.get(name, []) if isinstance(value, (str, int)) and value != ""]
            if len(set(values)) == len(self):
                return values
        return None


def check_data_path(path: str, name: str) -> None:
    """Check that `path`, given for the flag `name`, is a readable kind of file that exists.

    Raises:
        UsageError: it is not.
    """
    _kind(Path(path), f"{name} {path}")
    if not Path(path).is_file():
        raise UsageError(f"{name} {path}: {'is not a file' if Path(path).exists() else 'no such file'}")


def read_table(path: Path, *, whole: bool = False, header: Sequence[str] | None = None) -> RawTable:
    """Read a data file of any supported format, chosen by its extension.

    Args:
        path: the file. Double quotes enclose fields of a csv file; in a tsv file they are characters like any other.
        whole: whether every row counts, as in a test file: one that is cut short is an error. Otherwise such rows of a
            csv or tsv file are left out, and their number is said.
        header: names of the columns of a csv or tsv file that has no header.

    Raises:
        UsageError: the file cannot be read, or a row is broken (the message has its number).
    """
    kind = _kind(path, str(path))
    if kind == ".parquet":
        return _read_parquet(path)
    text = _read_text(path).rstrip("\r\n")
    if not text.strip():
        raise UsageError(f"{path}: the file is empty")
    if kind in (".csv", ".tsv"):
        return _read_separated(path, text, kind == ".csv", whole, header)
    return _read_json(path, text, kind == ".jsonl")


def _kind(path: Path, name: str) -> str:
    suffix = max((suffix for suffix in _SUFFIXES if path.name.lower().endswith(suffix)), key=len, default=None)
    if suffix is None:
        raise UsageError(f"{name}: unknown extension; expected one of {', '.join(_SUFFIXES)}")
    return suffix.removesuffix(".gz")


def _place(path: Path, row: int, line: int | None) -> str:
    return f"{path}, row {row}" + (f" (line {line})" if line is not None else "")


def _read_text(path: Path) -> str:
    try:
        data = _unpack(path) if path.suffix.lower() == ".gz" else path.read_bytes()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UsageError(f"{path}: not a complete gzip file ({error})") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{path}, line {line}: not valid UTF-8 (byte 0x{error.object[error.start]:02x} at offset {error.start}); "
            "convert the file to UTF-8"
        ) from None


def _unpack(path: Path) -> bytes:
    """Unpack a gzip file once its size is known: the first time nothing of it is kept."""
    size = 0
    with gzip.open(path) as file:
        while chunk := file.read(2**20):
            size += len(chunk)
            _check_size(path, size, "unpack it yourself and give that file")
    return gzip.decompress(path.read_bytes())


def _check_size(path: Path, num_bytes: int, advice: str) -> None:
    if num_bytes > _MOST_BYTES:
        raise UsageError(f"{path}: unpacks to more than {_MOST_BYTES / 2**20:g} MiB; if it is right, {advice}")


def _check_distinct(path: Path, names: Sequence[str]) -> None:
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise UsageError(f"{path}: column {min(doubled)!r} stands there twice")


def _read_separated(path: Path, text: str, quoted: bool, whole: bool, header: Sequence[str] | None) -> RawTable:
    """Read a csv or tsv file, all of it as text, in one block and one thread, so that rows have numbers."""
    import pyarrow
    from pyarrow import csv

    separator = "," if quoted else "\t"
    if text.split("\n", 1)[0].count(separator) >= _MOST_COLUMNS:
        raise UsageError(f"{path}: more than {_MOST_COLUMNS} columns")
    broken: list[Any] = []

    def leave_out(row: Any) -> str:
        broken.append(row)
        return "skip"

    # A double quote that is never closed swallows all that follows: if it takes the last line, there is one.
    data = pyarrow.py_buffer(f"{text}\n{_LAST_LINE}\n".encode())
    reading = csv.ReadOptions(use_threads=False, block_size=min(data.size + 1, 2**31 - 1), column_names=header)
    parsing = csv.ParseOptions(
        delimiter=separator,
        quote_char='"' if quoted else False,
        newlines_in_values=quoted,
        invalid_row_handler=leave_out,
    )
    try:
        names = csv.open_csv(data, reading, parsing).schema.names
        broken.clear()
        parsing.ignore_empty_lines = len(names) > 1  # of one column, an empty line is an empty text
        types = dict.fromkeys(names, pyarrow.string())
        table = csv.read_csv(data, reading, parsing, csv.ConvertOptions(column_types=types, strings_can_be_null=False))
    except pyarrow.ArrowInvalid as error:
        raise UsageError(f"{path}: broken file ({' '.join(str(error).split())})") from None
    _check_distinct(path, names)
    columns = {name: column.to_pylist() for name, column in zip(names, table.columns, strict=True)}
    first = 0 if header else 1  # the header is a row to pyarrow
    total = table.num_rows + len(broken) - 1
    # The line follows from the row unless a row spans several lines, or a line is empty.
    lines = range(1 + first, 1 + first + total) if text.count("\n") + 1 == total + first else ()
    ends = [row.text for row in broken] if len(names) > 1 else columns[names[0]]
    if ends[-1:] != [_LAST_LINE]:
        raise UsageError(f"{_place(path, total + 1, None)}: broken row, a double quote is opened and never closed")
    (broken if len(names) > 1 else columns[names[0]]).pop()
    for row in broken:
        if whole or (quoted and row.actual_columns > len(names)):
            place = _place(path, row.number - first, lines[row.number - first - 1] if lines else None)
            raise UsageError(
                f"{place}: broken row with {row.actual_columns} fields, but the header has {len(names)} "
                f"({', '.join(names)})"
            )
    if total == len(broken):
        raise UsageError(f"{path}: no rows, only a header")
    left_out = {row.number - first for row in broken}
    rows = [row for row in range(1, total + 1) if row not in left_out]
    if broken:
        say(
            f"Note: {path}: {len(broken)} of {total} rows left out, as they do not have the {len(names)} fields of the "
            f"header; the first is row {min(left_out)}"
        )
    return RawTable(path, columns, is_typed=False, rows=rows, lines=[lines[row - 1] for row in rows] if lines else ())


def _read_json(path: Path, text: str, is_lines: bool) -> RawTable:
    """Read JSON lines; a .json file may also be an array of objects, or {"data": [...]} as datasets writes it."""
    try:
        value = None if is_lines else json.loads(text)
    except (ValueError, RecursionError) as error:
        if text.lstrip().startswith("["):
            place = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
            raise UsageError(f"{path}{place}: not valid JSON ({error})") from None
        is_lines, value = True, None
    lines: list[int] = []
    objects = value.get("data") if isinstance(value, dict) else value
    if is_lines:
        lines, objects = _read_lines(path, text)
    elif not isinstance(objects, list):
        objects = [value]
    raw = RawTable(path, {}, is_typed=True, lines=lines)
    for index, item in enumerate(objects):
        if not isinstance(item, dict):
            raise UsageError(
                f"{raw.where(index)}: broken row, expected an object such as "
                f'{{"sentence": "...", "label": 1}} but found {type(item).__name__}'
            )
    if not objects:
        raise UsageError(f"{path}: no rows")
    names = dict.fromkeys(name for item in objects for name in item)
    if len(objects) * len(names) * _BYTES_OF_A_CELL > _MOST_BYTES:
        raise UsageError(
            f"{path}: {len(objects)} rows with {len(names)} different columns, far more cells than values: give every "
            "row the same columns"
        )
    raw.columns = {name: [item.get(name) for item in objects] for name in names}
    return raw


def _read_lines(path: Path, text: str) -> tuple[list[int], list[Any]]:
    """Return line numbers and values of JSON lines. Only a line feed ends a line: U+2028 may stand in a string."""
    numbers: list[int] = []
    values: list[Any] = []
    for number, line in enumerate(_bar(text.split("\n"), path), 1):
        if line.strip():
            numbers.append(number)
            try:
                values.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                place = _place(path, len(numbers), number)
                raise UsageError(f"{place}: broken row, not valid JSON ({error})") from None
    return numbers, values


def _read_parquet(path: Path) -> RawTable:
    """Read the columns that may hold texts or labels: those of lists, structures and bytes do not.

    A text that the file holds once for many rows is one text in memory too.
    """
    import pyarrow
    from pyarrow import parquet

    num_bytes = 0
    try:
        schema = parquet.read_schema(path)
        _check_distinct(path, schema.names)
        columns: dict[str, list[Any]] = {field.name: [] for field in schema if _is_plain(field.type)}
        texts = [field.name for field in schema if field.type in (pyarrow.string(), pyarrow.large_string())]
        with parquet.ParquetFile(path, read_dictionary=texts) as file:
            for batch in _bar(file.iter_batches(_ROWS_AT_ONCE, columns=list(columns)), path):
                for column, values in zip(batch.columns, columns.values(), strict=True):
                    values += _shared_values(column)
                    num_bytes += sum(map(_size, values[-batch.num_rows :]))
                _check_size(path, num_bytes, "write it as csv and give that file")
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError, KeyError) as error:
        raise UsageError(f"{path}: not a readable parquet file ({' '.join(str(error).split())})") from None
    if not columns or not next(iter(columns.values())):
        raise UsageError(f"{path}: no rows")
    return RawTable(path, columns, is_typed=True)


def _is_plain(kind: Any) -> bool:
    from pyarrow import types

    return not types.is_nested(kind) and "binary" not in str(kind)


def _shared_values(column: Any) -> list[Any]:
    if not hasattr(column, "dictionary"):
        return column.to_pylist()
    values = [*column.dictionary.to_pylist(), None]
    return [values[-1 if index is None else index] for index in column.indices.to_pylist()]


def _size(value: Any) -> int:
    return _BYTES_OF_A_CELL + (len(value) if isinstance(value, str) else 0)


def _bar(rows: Any, path: Path) -> Any:
    return progress_bar(rows, desc=f"reading {path.name}", leave=False, delay=2, disable=not say.on)
