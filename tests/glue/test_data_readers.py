"""Files into columns: what each format may hold, and which row a broken file is blamed on."""

import csv
import gzip
import json

import pyarrow
import pyarrow.parquet
import pytest

from glue.data import readers
from glue.data.readers import read_table
from glue.errors import UsageError

TRICKY = 'He said "no",\nthen left; \u2028 naïve 😀'


def write(folder, name, content):
    path = folder / name
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


# file name, content, columns
READABLE = [
    ("plain.csv", "sentence,label\nGood.,1\nBad.,0\n", {"sentence": ["Good.", "Bad."], "label": ["1", "0"]}),
    ("bom.csv", b"\xef\xbb\xbfsentence,label\nGood.,1\n", {"sentence": ["Good."], "label": ["1"]}),
    ("crlf.csv", "sentence,label\r\nGood.,1\r\n", {"sentence": ["Good."], "label": ["1"]}),
    ("cr.csv", "sentence,label\rGood.,1\r", {"sentence": ["Good."], "label": ["1"]}),
    ("cr.tsv", "sentence\tlabel\rGood.\t1\r", {"sentence": ["Good."], "label": ["1"]}),
    ("comma.csv", "sentence,label,\nGood.,1,\n", {"sentence": ["Good."], "label": ["1"], "": [""]}),
    ("zero.csv", "sentence,label\nGo\0od.,1\n", {"sentence": ["Go\0od."], "label": ["1"]}),
    ("quoted.csv", 'sentence,label\n"a, ""b""\nc",1\n', {"sentence": ['a, "b"\nc'], "label": ["1"]}),
    (
        "words.csv",
        "sentence,label\nNA,NA\nnull,None\n,nan\n",
        {"sentence": ["NA", "null", ""], "label": ["NA", "None", "nan"]},
    ),
    ("blanks.csv", "id, sentence ,\tlabel\n1, Good.,1\n", {"id": ["1"], "sentence": [" Good."], "label": ["1"]}),
    ("blanks.tsv", " sentence\tlabel \nGood.\t1\n", {"sentence": ["Good."], "label": ["1"]}),
    (
        "quotes.csv",
        'sentence,label\n5" wide,1\n"so" he said,0\n"a ""b"",\n\nc",1\n',
        {"sentence": ['5" wide', "so he said", 'a "b",\n\nc'], "label": ["1", "0", "1"]},
    ),
    ("blank.csv", "sentence,label\n\nGood.,1\n\n", {"sentence": ["Good."], "label": ["1"]}),
    ("noend.csv", "sentence,label\nGood.,1", {"sentence": ["Good."], "label": ["1"]}),
    ("packed.csv.gz", "sentence,label\nGood.,1\n", {"sentence": ["Good."], "label": ["1"]}),
    (
        "quotes.tsv",
        'sentence\tlabel\n"Good.\t1\nit\'s 5" wide\t0\n',
        {"sentence": ['"Good.', "it's 5\" wide"], "label": ["1", "0"]},
    ),
    (
        "lines.jsonl",
        '{"sentence": "Good.", "label": 1}\n\n{"label": 0, "sentence": "Bad."}\n',
        {"sentence": ["Good.", "Bad."], "label": [1, 0]},
    ),
    ("crlf.jsonl", '{"sentence": "Good."}\r\n', {"sentence": ["Good."]}),
    ("bom.jsonl", b'\xef\xbb\xbf{"sentence": "Good."}\n', {"sentence": ["Good."]}),
    ("u2028.jsonl", '{"sentence": "a\u2028b"}\n', {"sentence": ["a\u2028b"]}),
    ("packed.jsonl.gz", '{"sentence": "Good."}\n', {"sentence": ["Good."]}),
    ("sparse.jsonl", '{"sentence": "Good."}\n{"label": 2}\n', {"sentence": ["Good.", None], "label": [None, 2]}),
    ("array.json", '\n [ {"sentence": "Good."},\n {"sentence": "]"} ] \n', {"sentence": ["Good.", "]"]}),
    ("data.json", '{"version": 1, "data": [{"sentence": "Good."}]}', {"sentence": ["Good."]}),
    ("lines.json", '{"sentence": "Good."}\n{"sentence": "Bad."}\n', {"sentence": ["Good.", "Bad."]}),
    ("one.json", '{"sentence": "Good."}', {"sentence": ["Good."]}),
    ("UPPER.CSV", "sentence,label\nGood.,1\n", {"sentence": ["Good."], "label": ["1"]}),
]


@pytest.mark.parametrize(("name", "content", "columns"), READABLE, ids=[row[0] for row in READABLE])
def test_readable(name, content, columns, tmp_path):
    assert read_table(write(tmp_path, name, content)).columns == columns


# file name, content, what the message says beside the path
BROKEN = [
    ("empty.csv", "", "the file is empty"),
    ("space.jsonl", " \n\n", "the file is empty"),
    ("header.csv", "sentence,label\n", "no rows, only a header"),
    ("empty.json", "[]", "no rows"),
    ("twice.csv", "label,sentence,label\n1,Good.,1\n", "column 'label' stands there twice"),
    (
        "short.csv",
        "sentence,label\nGood.,1\nBad.\n",
        ", row 2 (line 3): broken row with 1 fields, but the header has 2 (sentence, label)",
    ),
    ("long.csv", "sentence,label\nGood, really,1\n", ", row 1 (line 2): broken row with 3 fields"),
    ("after.csv", 'sentence,label\n"two\nlines",1\nBad.\n', ", row 2 (line 4): broken row"),
    (
        "open.csv",
        'sentence,label\nGood.,1\n"Bad.,0\nUgly.,0\n',
        ", row 2 (line 3): broken row, a double quote is opened and never closed",
    ),
    (
        "open last.csv",
        'label,sentence\n1,Good.\n1,"Bad.\n0,Ugly.\n',
        ", row 2 (line 3): broken row, a double quote is opened",
    ),
    ("open one.csv", 'sentence\nGood.\n"Bad.\nUgly.\n', ", row 2 (line 3): broken row, a double quote is opened"),
    ("open header.csv", '"sentence\nGood.\n', ", header: broken row, a double quote is opened"),
    (
        "open twice.csv",
        'sentence,label\nGood.,1\n"Bad.,0\nUgly.,0\n"Worse.,0\nFine.,1\n',
        ", row 2 (line 3): broken row, the double quote that opens it is closed 2 lines below, in the middle of a text",
    ),
    ("blank twice.csv", "text, text\na,b\n", "column 'text' stands there twice"),
    ("excel.csv", b"\xef\xbb\xbfsep=,\r\nsentence,label\r\nGood.,1\r\n", ", line 1: 'sep=,' is a note for Excel"),
    ("excel one.csv", "sep=;\nsentence;label\nGood.;1\n", ", line 1: 'sep=;' is a note for Excel"),
    ("many short.csv", "a,b\n1\n2\n", ", row 1 (line 2): broken row with 1 fields"),
    ("short.tsv", "sentence\tlabel\nGood.\n", ", row 1 (line 2): broken row with 1 fields"),
    ("latin.csv", b"sentence,label\nGood.,1\nna\xefve,0\n", ", line 3: not valid UTF-8 (byte 0xef at offset 25)"),
    ("latin.jsonl", b'{"sentence": "na\xefve"}\n', ", line 1: not valid UTF-8"),
    ("twice.csv.gz", gzip.compress(b"sentence\nGood.\n"), ", line 1: not valid UTF-8"),
    ("utf16.csv", "sentence,label\nGood.,1\n".encode("utf-16"), ", line 1: not valid UTF-8"),
    ("cut.jsonl", '{"sentence": "Good."}\n{"sentence": "Ba', ", row 2 (line 2): broken row, not valid JSON"),
    ("comma.json", '[{"sentence": "Good."} {"sentence": "Bad."}]', ", line 1: not valid JSON"),
    ("cut.json", '[{"sentence": "Good."},\n{"sentence": ', ", line 2: not valid JSON"),
    ("trailing.json", '[{"sentence": "Good."},]', ", line 1: not valid JSON"),
    ("unclosed.json", '[{"sentence": "Good."}', ", line 1: not valid JSON"),
    ("extra.json", '[{"sentence": "Good."}] x', "Extra data"),
    ("deep.json", "[" * 100_000, ": not valid JSON"),
    ("digits.jsonl", "1" * 5000, ", row 1 (line 1): broken row"),
    ("list.jsonl", '{"sentence": "Good."}\n[1]\n', ", row 2 (line 2): broken row, expected an object"),
    ("number.json", "[1, 2]", ", row 1: broken row, expected an object"),
    ("string.json", '"text"', ", row 1: broken row, expected an object"),
    ("no.parquet", "PAR1 but not really", "not a readable parquet file"),
]


@pytest.mark.parametrize(("name", "content", "message"), BROKEN, ids=[row[0] for row in BROKEN])
def test_broken(name, content, message, tmp_path):
    path = write(tmp_path, name, content)
    with pytest.raises(UsageError) as error:
        read_table(path, whole=True)
    assert str(error.value).startswith(str(path)) and message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"not gzip", gzip.compress(b"x" * 1000)[:-12]], ids=["other", "cut"])
def test_broken_gzip(content, tmp_path):
    path = tmp_path / "data.csv.gz"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="not a complete gzip file"):
        read_table(path)


def test_other_extensions_are_refused(tmp_path):
    with pytest.raises(UsageError, match="unknown extension"):
        read_table(write(tmp_path, "data.xlsx", "x"))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"gone\.csv: cannot be read \(No such file"):
        read_table(tmp_path / "gone.csv")


def test_all_formats_give_the_same_text(tmp_path):
    import pyarrow
    import pyarrow.parquet

    rows = [{"sentence": TRICKY, "label": 1}, {"sentence": "", "label": 0}]
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["sentence", "label"])
        writer.writeheader()
        writer.writerows(rows)
    write(tmp_path, "a.json", json.dumps(rows))
    write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    for suffix in ("csv", "json", "jsonl", "parquet"):
        raw = read_table(tmp_path / f"a.{suffix}")
        assert raw.columns["sentence"] == [TRICKY, ""]
        assert raw.columns["label"] == ([1, 0] if raw.is_typed else ["1", "0"])


# type of the label column of a parquet file, its values
LABEL_TYPES = [
    ("dictionary<values=string, indices=int32>", ["b", "a", "b"]),
    ("large_string", ["b", "a", "b"]),
    ("string_view", ["b", "a", "b"]),
    ("uint8", [1, 0, 1]),
    ("float16", [0.5, 1.5, 0.5]),
]


@pytest.mark.parametrize(("kind", "values"), LABEL_TYPES, ids=[row[0] for row in LABEL_TYPES])
def test_labels_of_every_type_that_parquet_has_for_them(kind, values, tmp_path):
    import pyarrow
    import pyarrow.parquet

    labels = pyarrow.array(values)
    labels = (
        labels.dictionary_encode()
        if kind.startswith("dictionary")
        else labels.cast(kind.replace("float16", "halffloat"))
    )
    times = pyarrow.array([0, 1, 2], pyarrow.timestamp("ns"))
    pyarrow.parquet.write_table(pyarrow.table({"label": labels, "at": times}), tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").columns["label"] == values


def test_a_field_may_be_as_long_as_it_likes(tmp_path):
    raw = read_table(write(tmp_path, "long.csv", f"sentence,label\n{'x' * 3_000_000},1\n"))
    assert len(raw.columns["sentence"][0]) == 3_000_000


def test_a_message_names_the_line_on_which_a_row_begins(tmp_path):
    plain = read_table(write(tmp_path, "a.csv", "sentence,label\nGood.,1\nBad.,0\n"))
    assert plain.where(1) == f"{tmp_path / 'a.csv'}, row 2 (line 3)"
    several = read_table(write(tmp_path, "b.csv", 'sentence,label\n"two\nlines",1\n\nGood.,0\n'))
    assert several.where(0) == f"{tmp_path / 'b.csv'}, row 1 (line 2)"
    assert several.where(1) == f"{tmp_path / 'b.csv'}, row 2 (line 5)"


# file name, content, texts
BLANK = [
    ("a.csv", "sentence\nfirst\n\nthird\n\n\n", ["first", "", "third"]),
    ("a.tsv", "sentence\r\n\r\nsecond\r\n", ["", "second"]),
    ("b.csv", 'sentence\nfirst\n""\n', ["first", ""]),
    ("b.tsv", "sentence\tidx\nfirst\t1\n\n\t2\n", ["first", ""]),
]


@pytest.mark.parametrize(("name", "content", "texts"), BLANK, ids=[row[1] for row in BLANK])
def test_an_empty_line_of_one_column_is_an_empty_text(name, content, texts, tmp_path):
    assert read_table(write(tmp_path, name, content), whole=True).columns["sentence"] == texts


# file name, content, texts that are left
SHORT = [
    ("a.csv", "sentence,label\na,1\ncut\nb,0\n", ["a", "b"]),
    ("a.tsv", "sentence\tlabel\na\t1\ncut\nb\t0\nlong\t1\t2\n", ["a", "b"]),
]


@pytest.mark.parametrize(("name", "content", "texts"), SHORT, ids=[row[0] for row in SHORT])
def test_rows_cut_short_are_left_out_and_counted(name, content, texts, tmp_path, capsys):
    path = write(tmp_path, name, content)
    raw = read_table(path)
    assert raw.columns["sentence"] == texts and raw.where(1) == f"{path}, row 3 (line 4)"
    (line,) = capsys.readouterr().out.splitlines()
    counted = "1 of 3" if name == "a.csv" else "2 of 4"
    assert line.startswith(f"Note: {path}: {counted} rows left out") and line.endswith("the first is row 2")


def test_what_may_be_unpacked_is_bounded_by_memory_and_not_by_how_well_it_is_packed(tmp_path, monkeypatch):
    import pyarrow
    import pyarrow.parquet

    text = "the same words again and again"
    packed = write(tmp_path, "a.csv.gz", "sentence,label\n" + f"{text},1\n" * 100_000)
    table = pyarrow.table({"sentence": [text] * 100_000, "label": [1] * 100_000})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet", compression="zstd")
    for path in (packed, tmp_path / "a.parquet"):
        assert path.stat().st_size * 200 < len(text) * 100_000
        assert read_table(path).columns["sentence"] == [text] * 100_000
    monkeypatch.setattr(readers, "_MOST_BYTES", 2**20)
    for path in (packed, tmp_path / "a.parquet"):
        with pytest.raises(UsageError, match=r"a\.\S+: unpacks to more than 1 MiB; if it is right, "):
            read_table(path)


@pytest.mark.parametrize("name", ["data.csv", "data.jsonl.gz", "data.parquet"])
def test_a_git_lfs_pointer_is_called_so(name, tmp_path):
    path = tmp_path / name
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    with pytest.raises(UsageError, match=r"data\.\S+ is a git-lfs pointer, .*`git lfs pull`"):
        read_table(path)


def test_bytes_are_text_in_a_parquet_file_that_marks_no_text(tmp_path):
    """As some programs write it."""
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"sentence": ["café".encode(), None], "label": [1, 0]}), path)
    assert read_table(path).columns == {"sentence": ["café", None], "label": [1, 0]}
    pyarrow.parquet.write_table(pyarrow.table({"image": [b"\xff\xd8"], "label": [1]}), path)
    with pytest.raises(UsageError, match=r"a\.parquet: column 'image' holds bytes that are no UTF-8: expected text"):
        read_table(path)
    pyarrow.parquet.write_table(pyarrow.table({"image": [b"\xff\xd8"], "text": ["a"]}), path)
    assert read_table(path).columns == {"text": ["a"]}


def test_a_text_that_stands_in_many_rows_is_one_in_memory(tmp_path):
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"sentence": ["same", None, "same"]}), path)
    first, missing, last = read_table(path).columns["sentence"]
    assert first is last and missing is None


# columns, the numbers of the rows
NUMBERS = [
    ({"text": "ab", "idx": [7, 3], "id": [0, 1]}, [7, 3]),
    ({"text": "ab", "idx": [7, 7], "index": ["x", "y"]}, ["x", "y"]),
    ({"text": "ab", "idx": [7, None], "id": ["q1", "q2"]}, ["q1", "q2"]),
    ({"text": "ab", "uid": [1, 2]}, None),
]


@pytest.mark.parametrize(("columns", "numbers"), NUMBERS, ids=str)
def test_rows_keep_the_numbers_that_the_file_gives_them(columns, numbers, tmp_path):
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    assert read_table(write(tmp_path, "a.json", json.dumps(rows))).own_numbers() == numbers


# a value of a text column, what the message says
NOT_TEXT = [(5, "holds 5 instead of text"), ("\ud800", "half a character (U+D800)")]


@pytest.mark.parametrize(("value", "message"), NOT_TEXT, ids=repr)
def test_a_text_column_holds_text(value, message, tmp_path):
    rows = [{"sentence": "Good."}, {"sentence": value}]
    raw = read_table(write(tmp_path, "a.json", json.dumps(rows)))
    with pytest.raises(UsageError) as error:
        raw.text("sentence")
    assert ", row 2: column 'sentence'" in str(error.value) and message in str(error.value)


def test_columns_of_parquet_that_are_neither_text_nor_labels_are_not_read_and_named_as_they_are(tmp_path):
    """Dates beyond the calendar of Python among them, which a column that nobody uses may hold."""
    import pyarrow
    import pyarrow.parquet

    days = pyarrow.array([0, 2_000_000_000], pyarrow.int32()).cast(pyarrow.date32())
    times = pyarrow.array([0, 2**62], pyarrow.timestamp("ms"))
    columns = {"text": ["a", "b"], "label": [[0, 1], [1]], "day": days, "time": times, "cost": [1.5, 2.5]}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    raw = read_table(tmp_path / "a.parquet")
    assert raw.columns == {"text": ["a", "b"], "cost": [1.5, 2.5]}
    with pytest.raises(UsageError, match=r"a\.parquet: column 'label' is of type list<\w+: int64>, expected text or"):
        raw.values("label")
    with pytest.raises(UsageError, match=r"no column 'topic' \(columns there: text, cost, label, day, time\)"):
        raw.values("topic")


# file name, content, what seems to separate the fields
OTHER_SEPARATORS = [
    ("a.csv", "text;label\nred, and blue;1\n", "semicolons"),
    ("a.csv", '"text"\t"label"\nred\t1\n', "tabs"),
    ("a.tsv", "text,label\nred,1\n", "commas"),
    ("a.tsv.gz", "text;label\nred;1\n", "semicolons"),
]


@pytest.mark.parametrize(("name", "content", "found"), OTHER_SEPARATORS, ids=[row[2] for row in OTHER_SEPARATORS])
def test_fields_that_something_else_separates_are_pointed_out(name, content, found, tmp_path):
    path = tmp_path / name
    path.write_bytes(gzip.compress(content.encode()) if name.endswith("gz") else content.encode())
    expected = "commas" if ".csv" in name else "tabs"
    with pytest.raises(UsageError, match=rf"separated by {found}.*: expected {expected}"):
        read_table(path)


def test_the_empty_lines_of_a_column_of_texts_are_counted(tmp_path, capsys):
    path = write(tmp_path, "a.csv", "sentence\nfirst\n\n\nfourth\n\n\n")
    assert len(read_table(path, whole=True)) == 4
    inside, after = capsys.readouterr().out.splitlines()
    assert inside == f"Note: {path}: empty lines are taken for empty texts: 2, the first is row 2"
    assert after == f'Note: {path}: empty lines at the end are no rows; an empty text is written ""'
    read_table(write(tmp_path, "b.csv", "sentence\nfirst\n\n"))
    assert capsys.readouterr().out.count("no rows") == 1
    read_table(write(tmp_path, "c.csv", 'sentence,label\nfirst,1\n\n"",0\n\n'))
    read_table(write(tmp_path, "d.csv", "sentence\nfirst\n"))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv.gz", "rows.jsonl", "rows.parquet"])
def test_a_file_that_takes_long_to_read_shows_a_bar(name, tmp_path, slow_clock, capsys):
    rows = [{"sentence": f"text {row}", "label": row % 2} for row in range(9)]
    path = tmp_path / name
    if name.endswith("parquet"):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif name.endswith("jsonl"):
        write(tmp_path, name, "".join(json.dumps(row) + "\n" for row in rows))
    else:
        separator = "," if name.endswith("csv") else "\t"
        write(
            tmp_path, name, "".join(separator.join(map(str, row)) + "\n" for row in [rows[0], *map(dict.values, rows)])
        )
    assert len(read_table(path)) == 9
    assert f"reading {name}: " in capsys.readouterr().err


def test_a_file_that_is_read_at_once_shows_none(tmp_path, capsys):
    read_table(write(tmp_path, "rows.csv", "sentence,label\na,1\nb,0\n"))
    assert capsys.readouterr().err == ""
