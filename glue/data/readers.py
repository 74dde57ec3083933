"""Read csv, tsv, json, jsonl, txt and parquet files into columns, keeping track of where each row stands in its file.

Nothing is guessed about the content here: values of csv and tsv files stay text ("NA", "null" and "" included), values
of the other formats keep their types. What a label or a text column is, `glue/data/user_files.py` decides.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from transformers.utils.text import quoted

from ..cli.console import progress_bar, say
from ..errors import UsageError
from .table import Table, place

_TEXT_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".txt")
_SUFFIXES = (*_TEXT_SUFFIXES, *(f"{suffix}.gz" for suffix in _TEXT_SUFFIXES), ".parquet")
_MOST_BYTES = 2**30  # that a packed file may unpack to, 13 times GLUE's largest file; memory is bounded by it
_BYTES_OF_A_CELL = 8  # at least, in a list
_ROWS_AT_ONCE = 16384  # of a parquet file
_LAST_LINE = "what no file ends with"
_SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons"}
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def check_data_path(path: str, name: str, plain: bool = False) -> None:
    """Check that `path`, given for the flag `name`, is a readable kind of file that exists.

    Args:
        path, name: see above.
        plain: whether plain text, which has no labels, will do.

    Raises:
        UsageError: it is not.
    """
    _kind(Path(path), f"{name} {path}", plain)
    if not Path(path).is_file():
        raise UsageError(f"{name} {path}: {'is not a file' if Path(path).exists() else 'no such file'}")


def check_no_pointer(path: Path) -> None:
    """Check that a file is there itself, and not what git puts in its place where git-lfs has not fetched it.

    Raises:
        UsageError: it is a git-lfs pointer.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        if file.read(len(_LFS_POINTER)) == _LFS_POINTER:
            raise UsageError(f"{path} is a git-lfs pointer, not the file itself: get that with `git lfs pull`")


def read_table(path: Path, *, whole: bool = False, header: Sequence[str] | None = None) -> Table:
    """Read a data file of any supported format, chosen by its extension.

    Args:
        path: the file. Double quotes enclose fields of a csv file; in a tsv file they are characters like any other.
        whole: whether every row counts, as in a test file: one that is cut short is an error. Otherwise such rows of a
            csv or tsv file are left out, and their number is said, and so are empty lines of a txt file.
        header: names of the columns of a csv or tsv file that has no header.

    Raises:
        UsageError: the file cannot be read, or a row is broken (the message has its number).
    """
    kind = _kind(path, str(path))
    try:
        check_no_pointer(path)
        text = "" if kind == ".parquet" else _read_text(path)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UsageError(f"{path}: not a complete gzip file ({error})") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    if kind == ".parquet":
        return _read_parquet(path)
    if not text.strip():
        raise UsageError(f"{path}: the file is empty")
    if kind == ".txt":
        return lines_as_table(text, str(path), whole)
    if kind in (".csv", ".tsv"):
        return _read_separated(path, text, kind == ".csv", whole, header)
    return _read_json(path, text, kind == ".jsonl")


def lines_as_table(text: str, source: str, whole: bool) -> Table:
    """Return the lines of a text as the column `text`; without the empty ones, unless the `whole` of it counts."""
    lines = text.removesuffix("\n").split("\n") if text else []  # nothing else ends a line: U+2028 may stand in a text
    kept = [(number, line.rstrip("\r")) for number, line in enumerate(lines, 1) if whole or line.strip()]
    places = [(row, number) for row, (number, _) in enumerate(kept, 1)]
    return Table({"text": [line for _, line in kept]}, source, is_typed=False, places=places)


def _kind(path: Path, name: str, plain: bool = True) -> str:
    known = [suffix for suffix in _SUFFIXES if plain or not suffix.startswith(".txt")]
    suffix = max((suffix for suffix in known if path.name.lower().endswith(suffix)), key=len, default=None)
    if suffix is None:
        raise UsageError(f"{name}: unknown extension; expected one of {', '.join(known)}")
    return suffix.removesuffix(".gz")


def _read_text(path: Path) -> str:
    data = _unpack(path) if path.suffix.lower() == ".gz" else path.read_bytes()
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


def _read_separated(path: Path, text: str, is_csv: bool, whole: bool, header: Sequence[str] | None) -> Table:
    """Read a csv or tsv file, all of it as text."""
    content, text = text, text.rstrip("\r\n")
    form: dict[str, Any] = {} if is_csv else {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
    csv.field_size_limit(2**31 - 1)  # a field may be as long as it likes
    # A double quote that is never closed swallows all that follows: if it takes the last line, there is one.
    taken: list[str] = []  # lines of the row that has been read last
    reader = csv.reader(_noting(io.StringIO(f"{text}\n{_LAST_LINE}\n", newline=""), taken), **form)
    rows: list[list[str]] = []
    places: list[tuple[int, int]] = []
    try:
        names = list(header or map(str.strip, next(filter(None, reader))))
        line, empty = reader.line_num + 1, list[int]()
        taken.clear()
        for fields in _bar(reader, path):
            if len(taken) > 1:
                _check_quotes(taken, f"{path}, row {len(rows) + 1} (line {line})")
            taken.clear()
            if fields or len(names) == 1:  # of one column, an empty line is an empty text
                empty += [] if fields else [len(rows) + 1]
                rows.append(fields or [""])
                places.append((len(rows), line))
            line = reader.line_num + 1
    except csv.Error as error:
        raise UsageError(f"{path}, line {reader.line_num}: {error}") from None
    if not rows or rows.pop() != [_LAST_LINE]:
        opened = place(path, *places[-1]) if places else f"{path}, header"
        raise UsageError(f"{opened}: broken row, a double quote is opened and never closed")
    check_separator(str(path), names, "," if is_csv else "\t")
    _check_distinct(path, names)
    if empty:
        say(f"Note: {path}: empty lines are taken for empty texts: {len(empty)}, the first is row {empty[0]}")
    if len(names) == 1 and content.removeprefix(text).count("\n") > 1:
        say(f'Note: {path}: empty lines at the end are no rows; an empty text is written ""')
    broken = [index for index, fields in enumerate(rows) if len(fields) != len(names)]
    for index in broken:
        if whole or (is_csv and len(rows[index]) > len(names)):
            raise UsageError(
                f"{place(path, *places[index])}: broken row with {len(rows[index])} fields, but the header has "
                f"{len(names)} ({', '.join(names)})"
            )
    if len(broken) == len(rows):
        raise UsageError(f"{path}: no rows, only a header")
    if broken:
        say(
            f"Note: {path}: {len(broken)} of {len(rows)} rows left out, as they do not have the {len(names)} fields of "
            f"the header; the first is row {broken[0] + 1}"
        )
        kept = sorted(set(range(len(rows))) - set(broken))
        rows, places = [rows[index] for index in kept], [places[index] for index in kept]
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    return Table(columns, str(path), is_typed=False, places=places[: len(rows)])


def _noting(lines: Iterable[str], taken: list[str]) -> Iterator[str]:
    """Hand on lines, and note them."""
    for line in lines:
        taken.append(line)
        yield line


def _check_quotes(lines: list[str], where: str) -> None:
    """Check that a row of several lines is one: two stray quotes, lines apart, would join the rows between them."""
    try:
        list(csv.reader(lines, strict=True))
    except csv.Error:
        if lines[-1].strip() != _LAST_LINE:  # or else the quote is never closed, which is said of the whole file
            raise UsageError(
                f"{where}: broken row, the double quote that opens it is closed {len(lines) - 1} lines below, in the "
                'middle of a text; within quotes a quote is written ""'
            ) from None


def check_separator(source: str, names: Sequence[str], separator: str) -> None:
    """Check that names are a header, and not that of a file whose fields something else separates.

    Raises:
        UsageError: it has a single name with other separators in it, or is Excel's note about them.
    """
    if names and re.fullmatch("sep=.?", names[0]):
        note = separator.join(names) if len(names) > 1 else names[0]
        raise UsageError(f"{source}, line 1: {quoted(note)} is a note for Excel: take that line out")
    found = next((other for other in _SEPARATORS if other != separator and len(names) == 1 and other in names[0]), None)
    if found is not None:
        raise UsageError(
            f"{source}: the fields of its header {quoted(names[0])} seem to be separated by {_SEPARATORS[found]}: "
            f"expected {_SEPARATORS[separator]}"
        )


def _read_json(path: Path, text: str, is_lines: bool) -> Table:
    """Read JSON lines; a .json file may also be an array of objects, or {"data": [...]} as datasets writes it."""
    try:
        value = None if is_lines else json.loads(text)
    except (ValueError, RecursionError) as error:
        if text.lstrip().startswith("["):
            place = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
            raise UsageError(f"{path}{place}: not valid JSON ({error})") from None
        is_lines, value = True, None
    objects = value.get("data") if isinstance(value, dict) else value
    places: list[tuple[int, int]] = []
    if is_lines:
        places, objects = _read_lines(path, text)
    elif not isinstance(objects, list):
        objects = [value]
    table = Table({}, str(path), places=places)
    for index, item in enumerate(objects):
        if not isinstance(item, dict):
            raise UsageError(
                f"{table.where(index)}: broken row, expected an object such as "
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
    table.columns = {name: [item.get(name) for item in objects] for name in names}
    lacking = {name: next((row for row, item in enumerate(objects) if name not in item), None) for name in names}
    table.lacking = {name: row for name, row in lacking.items() if row is not None}
    return table


def _read_lines(path: Path, text: str) -> tuple[list[tuple[int, int]], list[Any]]:
    """Return places and values of JSON lines. Only a line feed ends a line: U+2028 may stand in a string."""
    places: list[tuple[int, int]] = []
    values: list[Any] = []
    for number, line in enumerate(_bar(text.split("\n"), path), 1):
        if line.strip():
            places.append((len(places) + 1, number))
            try:
                values.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise UsageError(f"{place(path, *places[-1])}: broken row, not valid JSON ({error})") from None
    return places, values


def _read_parquet(path: Path) -> Table:
    """Read the columns that may hold texts or labels, by their types: not those of lists, dates, bytes or the like.

    Some programs write texts without saying that they are: in a file with no text at all, bytes are taken for UTF-8.
    A text that the file holds once for many rows is one text in memory too.
    """
    import pyarrow
    from pyarrow import parquet, types

    num_bytes = 0
    try:
        schema = parquet.read_schema(path)
        _check_distinct(path, schema.names)
        kinds = {item.name: item.type for item in schema}
        texts = [name for name, kind in kinds.items() if types.is_string(kind) or types.is_large_string(kind)]
        unmarked = [] if texts else [name for name, kind in kinds.items() if types.is_binary(kind)]
        unread = {name: str(kind) for name, kind in kinds.items() if name not in unmarked and not _is_plain(kind)}
        columns: dict[str, list[Any]] = {name: [] for name in kinds if name not in unread}
        with parquet.ParquetFile(path, read_dictionary=texts) as file:
            for batch in _bar(file.iter_batches(_ROWS_AT_ONCE, columns=list(columns)), path):
                for name, column in zip(columns, batch.columns, strict=True):
                    values = _decoded(path, name, column) if name in unmarked else _shared_values(column)
                    num_bytes += sum(map(_size, values))
                    columns[name] += values
                _check_size(path, num_bytes, "write it as csv and give that file")
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError, KeyError) as error:
        raise UsageError(f"{path}: not a readable parquet file ({' '.join(str(error).split())})") from None
    if columns and not next(iter(columns.values())):
        raise UsageError(f"{path}: no rows")
    return Table(columns, str(path), unread=unread)


def _is_plain(kind: Any) -> bool:
    """Whether a type of pyarrow's is that of texts, numbers, or true and false."""
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    tests = (types.is_string, types.is_large_string, types.is_string_view, types.is_integer, types.is_floating)
    return any(test(kind) for test in (*tests, types.is_boolean, types.is_null))


def _decoded(path: Path, name: str, column: Any) -> list[Any]:
    try:
        return column.cast("string").to_pylist()
    except ValueError:
        raise UsageError(f"{path}: column {name!r} holds bytes that are no UTF-8: expected text") from None


def _shared_values(column: Any) -> list[Any]:
    if not hasattr(column, "dictionary"):
        return column.to_pylist()
    values = [*column.dictionary.to_pylist(), None]
    return [values[-1 if index is None else index] for index in column.indices.to_pylist()]


def _size(value: Any) -> int:
    return _BYTES_OF_A_CELL + (len(value) if isinstance(value, str) else 0)


def _bar(rows: Any, path: Path) -> Any:
    return progress_bar(rows, desc=f"reading {path.name}", leave=False, delay=2)
