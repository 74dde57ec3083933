"""Read csv, tsv, json, jsonl and parquet files into columns, keeping track of where each row stands in its file.

Nothing is guessed about the content here: values of csv and tsv files stay text ("NA", "null" and "" included), values
of the other formats keep their types. What a label or a text column is, `glue/data/user_files.py` decides.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..errors import UsageError

_TEXT_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl")
_HIGHEST_RATIO = 100  # of unpacked to packed size; text of many repetitions comes to 50
_HARMLESS = 16 * 2**20  # bytes that may be unpacked from however small a file
_ROWS_AT_ONCE = 16384  # of a parquet file

_SUFFIXES = (*_TEXT_SUFFIXES, *(f"{suffix}.gz" for suffix in _TEXT_SUFFIXES), ".parquet")


@dataclass
class RawTable:
    """The content of a file as columns of equal length.

    Args:
        path: the file.
        columns: name of the column to its values; None where a row of a typed format lacks one.
        is_typed: whether values carry types (json, parquet) or are all text (csv, tsv).
        lines: line of the file on which each row starts; empty where the format has no lines.
    """

    path: Path
    columns: dict[str, list[Any]]
    is_typed: bool
    lines: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def where(self, index: int) -> str:
        """Name the place of row `index` (counted from 0) for a message, counting rows from 1 without the header."""
        return _place(self.path, index + 1, self.lines[index] if self.lines else None)

    def text(self, name: str) -> list[str]:
        """Return column `name`, whose values all have to be text.

        Raises:
            UsageError: there is no such column, or a row holds something else.
        """
        if name not in self.columns:
            raise UsageError(f"{self.path}: no column {name!r} (columns there: {', '.join(self.columns)})")
        values = self.columns[name]
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


def check_data_path(path: str, name: str) -> None:
    """Check that `path`, given for the flag `name`, is a readable kind of file that exists.

    Raises:
        UsageError: it is not.
    """
    if _suffix(Path(path)) is None:
        raise UsageError(f"{name} {path}: unknown extension; expected one of {', '.join(_SUFFIXES)}")
    if not Path(path).is_file():
        raise UsageError(f"{name} {path}: {'is not a file' if Path(path).exists() else 'no such file'}")


def read_table(path: Path) -> RawTable:
    """Read a data file of any supported format, chosen by its extension.

    Raises:
        UsageError: the file cannot be read, or a row is broken (the message has its number).
    """
    suffix = _suffix(path)
    if suffix is None:
        raise UsageError(f"{path}: unknown extension; expected one of {', '.join(_SUFFIXES)}")
    kind = suffix.removesuffix(".gz")
    if kind == ".parquet":
        return _read_parquet(path)
    text = _read_text(path)
    if not text.strip():
        raise UsageError(f"{path}: the file is empty")
    if kind == ".csv":
        return _from_records(path, read_records(path, text, quoted=True, delimiter=","))
    if kind == ".tsv":
        return _from_records(path, read_records(path, text, quoted=False, delimiter="\t"))
    return _from_objects(path, _read_lines(path, text) if kind == ".jsonl" else _read_json(path, text))


def read_tsv_records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields) of a tab-separated file without quoting, header included."""
    return read_records(path, _read_text(path), quoted=False, delimiter="\t")


def read_records(path: Path, text: str, *, quoted: bool, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of the first line, fields) for each record that is not an empty line.

    Args:
        path: where `text` comes from, for messages.
        text: the whole file; any of the three line ends.
        quoted: whether double quotes enclose fields, which may hold delimiters and line ends; else they are literal.
        delimiter: what stands between two fields.
    """
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True)
    number, line = 0, 1
    while True:
        try:
            with _long_fields():
                record = next(reader, None)
        except csv.Error as error:
            raise UsageError(f"{_place(path, number, line)}: broken row ({error})") from None
        if record is None:
            return
        if record:
            yield line, record
            number += 1
        line = reader.line_num + 1


def _suffix(path: Path) -> str | None:
    name = path.name.lower()
    return next((suffix for suffix in sorted(_SUFFIXES, key=len, reverse=True) if name.endswith(suffix)), None)


def _place(path: Path, row: int, line: int | None) -> str:
    if row == 0:
        return f"{path}, header"
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
    """Read a gzip file, but no more than text can be packed into a file of that size."""
    most = _most_unpacked(path)
    with gzip.open(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise UsageError(
            f"{path}: unpacks to more than {_HIGHEST_RATIO} times its size, which no text does; if it is right, unpack "
            "it yourself and give that file"
        )
    return data


def _most_unpacked(path: Path) -> int:
    """Return how many bytes, or cells, a file may turn into."""
    return max(_HARMLESS, _HIGHEST_RATIO * path.stat().st_size)


def _check_distinct(place: str, names: list[str]) -> None:
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise UsageError(f"{place}: column {min(doubled)!r} stands there twice")


@contextmanager
def _long_fields() -> Iterator[None]:
    """Lift the csv module's limit of 128 KiB a field, which is global, for one read."""
    before = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _from_records(path: Path, records: Iterator[tuple[int, list[str]]]) -> RawTable:
    _, header = next(records)
    _check_distinct(f"{path}, header", header)
    rows, lines = [], []
    for number, (line, row) in enumerate(records, 1):
        if len(row) != len(header):
            raise UsageError(
                f"{_place(path, number, line)}: broken row with {len(row)} fields, but the header has {len(header)} "
                f"({', '.join(header)})"
            )
        rows.append(row)
        lines.append(line)
    if not rows:
        raise UsageError(f"{path}: no rows, only a header")
    columns = {name: list(values) for name, values in zip(header, zip(*rows, strict=True), strict=True)}
    return RawTable(path, columns, is_typed=False, lines=lines)


def _read_lines(path: Path, text: str) -> Iterator[tuple[int | None, Any]]:
    """Yield (line number, value) of JSON lines. Only a line feed ends a line: U+2028 may stand in a string."""
    row = 0
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            row += 1
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UsageError(f"{_place(path, row, number)}: broken row, not valid JSON ({error})") from None


def _read_json(path: Path, text: str) -> Iterable[tuple[int | None, Any]]:
    """Return the rows of a .json file: an array, {"data": [...]} as datasets writes it, or lines."""
    start = len(text) - len(text.lstrip())
    if text[start] == "[":
        return _read_array(path, text, start)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _read_lines(path, text)
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        return ((None, row) for row in value["data"])
    return _read_lines(path, json.dumps(value))


def _read_array(path: Path, text: str, start: int) -> Iterator[tuple[int | None, Any]]:
    """Yield the items of the array at `start` one by one, so that a broken one can be named by its number."""
    decoder = json.JSONDecoder()
    position, row, needs_comma = start + 1, 1, False
    try:
        while True:
            position = _skip_space(text, position)
            if text[position : position + 1] == "]":
                break
            if needs_comma:
                if text[position : position + 1] != ",":
                    raise json.JSONDecodeError("Expecting ',' or ']'", text, position)
                position = _skip_space(text, position + 1)
            value, position = decoder.raw_decode(text, position)
            yield None, value
            row, needs_comma = row + 1, True
        if text[position + 1 :].strip():
            raise json.JSONDecodeError("Extra data after the array", text, position + 1)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{_place(path, row, None)}: broken row, not valid JSON ({error})") from None


def _skip_space(text: str, position: int) -> int:
    while text[position : position + 1] in (" ", "\n", "\r", "\t"):
        position += 1
    return position


def _from_objects(path: Path, rows: Iterable[tuple[int | None, Any]]) -> RawTable:
    objects: list[dict[str, Any]] = []
    lines: list[int] = []
    names: dict[str, None] = {}
    for row, (line, value) in enumerate(rows, 1):
        if not isinstance(value, dict):
            raise UsageError(
                f"{_place(path, row, line)}: broken row, expected an object such as "
                f'{{"sentence": "...", "label": 1}} but found {type(value).__name__}'
            )
        names.update(dict.fromkeys(value))
        objects.append(value)
        if line is not None:
            lines.append(line)
    if not objects:
        raise UsageError(f"{path}: no rows")
    if len(objects) * len(names) > _most_unpacked(path):
        raise UsageError(
            f"{path}: {len(objects)} rows with {len(names)} different columns, far more cells than values: give every "
            "row the same columns"
        )
    return RawTable(path, {name: [item.get(name) for item in objects] for name in names}, is_typed=True, lines=lines)


def _read_parquet(path: Path) -> RawTable:
    """Read the columns that may hold texts or labels: those of lists, structures and bytes do not.

    Texts stay in the file's dictionary until it is known what they come to.
    """
    import pyarrow
    import pyarrow.parquet

    most = _most_unpacked(path)
    columns: dict[str, list[Any]] = {}
    num_bytes = 0
    try:
        schema, metadata = pyarrow.parquet.read_schema(path), pyarrow.parquet.read_metadata(path)
        _check_distinct(str(path), schema.names)
        columns = {field.name: [] for field in schema if _is_plain(field.type)}
        texts = [field.name for field in schema if field.type in (pyarrow.string(), pyarrow.large_string())]
        with pyarrow.parquet.ParquetFile(path, metadata=metadata, read_dictionary=texts) as file:
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=list(columns)):
                num_bytes += batch.num_rows + sum(_unpacked_bytes(column) for column in batch.columns)
                if num_bytes > most:
                    raise UsageError(
                        f"{path}: unpacks to more than {_HIGHEST_RATIO} times its size, which no text does"
                    )
                for name, values in columns.items():
                    column = batch.column(name)
                    values += (column.dictionary_decode() if _is_dictionary(column) else column).to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError, KeyError) as error:
        raise UsageError(f"{path}: not a readable parquet file ({' '.join(str(error).split())})") from None
    if not columns or not next(iter(columns.values())):
        raise UsageError(f"{path}: no rows")
    return RawTable(path, columns, is_typed=True)


def _is_plain(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    is_bytes = types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)
    return not (is_bytes or types.is_nested(kind) or types.is_binary_view(kind))


def _is_dictionary(column: Any) -> bool:
    import pyarrow

    return isinstance(column, pyarrow.DictionaryArray)


def _unpacked_bytes(column: Any) -> int:
    """Return what the values of a column come to, those that it holds once for many rows counted for each."""
    from pyarrow import compute, types

    if not _is_dictionary(column):
        return column.nbytes
    if not (types.is_string(column.dictionary.type) or types.is_large_string(column.dictionary.type)):
        return column.dictionary_decode().nbytes
    return compute.sum(compute.binary_length(column.dictionary).take(column.indices)).as_py() or 0
