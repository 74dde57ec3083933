"""Own files: columns, label values of every kind, and what cannot be used."""

import json
import math

import pyarrow
import pyarrow.parquet
import pytest

from glue.cli.arguments import RunArguments
from glue.data.labels import make_label_mapping
from glue.data.loading import load_splits
from glue.data.user_files import read_own_files as read
from glue.errors import UsageError


def read_own_files(paths, config, **settings):
    """Read files as a run does that trains where there is something to train on."""
    files = {f"{split}_file": str(path) for split, path in paths.items()}
    to_do = {"do_train": "train" in paths, "do_eval": "validation" in paths}
    if "test" in paths:
        to_do |= {"do_predict": True, "pred_dir": "p"}
    return read(RunArguments(model_name_or_path="m", **files, **to_do, **settings), config)


def write_rows(path, rows):
    """Write rows as the extension says; csv and tsv take the values as text."""
    if path.suffix in (".csv", ".tsv"):
        separator = "," if path.suffix == ".csv" else "\t"
        lines = [separator.join(rows[0]), *(separator.join(map(str, row.values())) for row in rows)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def labelled(values):
    return [{"sentence": f"text {index}", "label": value} for index, value in enumerate(values)]


# extension, training labels, class names, ids of the training rows
CLASSES = [
    ("csv", ["pos", "neg", "pos"], ("neg", "pos"), [1, 0, 1]),
    ("csv", ["10", "9", "-1"], ("-1", "9", "10"), [2, 1, 0]),
    ("csv", ["+1", "-1"], ("-1", "1"), [1, 0]),
    ("csv", ["007", "1a"], ("007", "1a"), [0, 1]),
    ("csv", ["02116", "10001"], ("02116", "10001"), [0, 1]),
    ("csv", ["10", "01", "09"], ("01", "09", "10"), [2, 0, 1]),
    ("csv", ["1E2", "100"], ("100", "1E2"), [1, 0]),
    ("csv", ["1.2.3", "1.2"], ("1.2", "1.2.3"), [1, 0]),
    ("csv", ["1", "0", "maybe"], ("0", "1", "maybe"), [1, 0, 2]),
    ("csv", ["word", "0.5"], ("0.5", "word"), [1, 0]),
    ("csv", ["LABEL_1", "LABEL_0"], ("LABEL_0", "LABEL_1"), [1, 0]),
    ("csv", ["good ", " good", "bad"], ("bad", "good"), [1, 1, 0]),
    ("csv", ["1 ", " 0"], ("0", "1"), [1, 0]),
    ("csv", ["9" * 30, "1"], ("1", "9" * 30), [1, 0]),
    ("csv", ["NA", "null", "None"], ("NA", "None", "null"), [0, 2, 1]),
    ("csv", ["True", "False"], ("False", "True"), [1, 0]),
    ("tsv", ["b", "a"], ("a", "b"), [1, 0]),
    ("jsonl", ["b", "a"], ("a", "b"), [1, 0]),
    ("jsonl", ["b ", "b", "a"], ("a", "b"), [1, 1, 0]),
    ("jsonl", ["1", "01"], ("01", "1"), [1, 0]),
    ("jsonl", ["1.0", "2.0"], ("1.0", "2.0"), [0, 1]),
    ("jsonl", [10, 9, -1], ("-1", "9", "10"), [2, 1, 0]),
    ("jsonl", [True, False, True], ("false", "true"), [1, 0, 1]),
    ("jsonl", ["é", "😀", "a b"], ("a b", "é", "😀"), [1, 2, 0]),
]


@pytest.mark.parametrize(("kind", "values", "names", "ids"), CLASSES, ids=str)
def test_classes_are_the_distinct_values_in_natural_order(kind, values, names, ids, tmp_path):
    task, tables = read_own_files({"train": write_rows(tmp_path / f"train.{kind}", labelled(values))}, {})
    assert (task.name, task.label_names, task.num_labels) == ("files", names, len(names))
    assert (task.metrics, task.main_metric) == (("accuracy",), "accuracy")
    assert tables["train"].columns["label"] == ids


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize(
    "values", [[0.5, 2.0, -1.25], [1.0, 0.0], [3, 2.5], [1e-5, 2]], ids=["floats", "whole", "mixed", "small"]
)
def test_floats_make_a_regression(kind, values, tmp_path):
    task, tables = read_own_files({"train": write_rows(tmp_path / f"train.{kind}", labelled(values))}, {})
    assert task.is_regression and task.num_labels == 1 and task.main_metric == "spearmanr"
    assert tables["train"].columns["label"] == [float(value) for value in values]


# extension, training labels, what the message says
BAD_LABELS = [
    ("csv", ["a", ""], "row 2 (line 3): the label is missing"),
    ("csv", ["1", "2", "nan"], "row 3 (line 4): the label is missing (NaN)"),
    ("csv", ["1.5", "NaN"], "row 2 (line 3): the label is missing (NaN)"),
    ("csv", ["1.5", "inf"], "row 2 (line 3): label inf, expected a finite number"),
    ("csv", ["0.5", " "], "row 2 (line 3): the label is missing"),
    ("csv", ["same", "same"], "every label is 'same'; a classifier needs at least two"),
    ("jsonl", ["a", None], "row 2 (line 2): the label is missing"),
    ("jsonl", ["", "a"], "row 1 (line 1): the label is missing"),
    ("jsonl", [1.5, math.nan], "row 2 (line 2): the label is missing (NaN)"),
    ("jsonl", [1, math.inf], "row 2 (line 2): label inf"),
    ("jsonl", [1, "1"], "row 2 (line 2): label '1' is text, but label 1 above it is a whole number"),
    ("jsonl", [0, True], "row 2 (line 2): label True is true or false"),
    ("jsonl", [0, [1]], "row 2 (line 2): label [1], expected text, a number, true or false"),
]


@pytest.mark.parametrize(("kind", "values", "message"), BAD_LABELS, ids=str)
def test_bad_labels(kind, values, message, tmp_path):
    path = write_rows(tmp_path / f"train.{kind}", labelled(values))
    with pytest.raises(UsageError) as error:
        read_own_files({"train": path}, {})
    assert str(error.value).startswith(str(path)) and message in str(error.value) and "\n" not in str(error.value)


# columns of the training file, text columns of the task; a column's name stands for a few words of it
COLUMNS = [
    ("sentence label", ("sentence",)),
    ("sentence2 sentence1 label", ("sentence1", "sentence2")),
    ("sentence1 label", ("sentence1",)),
    ("sentence source label", ("sentence",)),
    ("sentence question label", ("question", "sentence")),
    ("premise hypothesis genre label", ("premise", "hypothesis")),
    ("text_pair text label", ("text", "text_pair")),
    ("title text2 text1 label", ("text1", "text2")),
    ("keyword location text label", ("text",)),
    ("text reason label", ("text",)),
    ("idx text label", ("text",)),
    ("id review title label", ("review", "title")),
    ("query answer label", ("query", "answer")),
    ("review label label_text Label_2", ("review",)),
    ("review user_id userId DocIdx GUID foreign_key label", ("review",)),
    ("review __index_level_0__ label", ("review",)),
]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize(("given", "chosen"), COLUMNS, ids=[given for given, _ in COLUMNS])
def test_which_columns_are_text(kind, given, chosen, tmp_path):
    rows = [{name: f"{name} {row}" for name in given.split()} | {"label": row} for row in range(2)]
    task, tables = read_own_files({"train": write_rows(tmp_path / f"train.{kind}", rows)}, {})
    assert task.text_columns == chosen
    assert list(tables["train"].columns) == [*chosen, "label"]
    assert tables["train"].columns[chosen[0]] == [f"{chosen[0]} 0", f"{chosen[0]} 1"]


# name of a column that is no text, its values in a hundred rows
NO_TEXT = [
    ("year", range(1900, 2000)),
    ("stars", [row / 2 for row in range(100)]),
    ("day", [f"2024-01-{1 + row % 28:02}" for row in range(100)]),
    ("at", [f"2024-01-01T00:{row % 60:02}:00Z" for row in range(100)]),
    ("source", ["the same words"] * 100),
    ("name", [f"train-{row}" for row in range(100)]),
    ("topic", [f"topic number {row % 20}" for row in range(100)]),
    ("note", ["checked by me", *[""] * 99]),
    ("Unnamed: 0", [f"row number {row}" for row in range(100)]),
    ("", [f"row number {row}" for row in range(100)]),
]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize(("name", "values"), NO_TEXT, ids=[name for name, _ in NO_TEXT])
def test_columns_of_numbers_dates_names_and_categories_are_no_text(kind, name, values, tmp_path):
    rows = [{name: value, "review": f"text {row}", "label": row % 2} for row, value in enumerate(values)]
    task, _ = read_own_files({"train": write_rows(tmp_path / f"train.{kind}", rows)}, {})
    assert task.text_columns == ("review",)


def test_a_column_that_some_rows_lack_is_no_text_beside_one_that_all_have(tmp_path):
    rows = [{"note": f"seen {row}", "review": f"text {row}", "label": row % 2} for row in range(4)]
    del rows[2]["note"]
    assert read_own_files({"train": write_rows(tmp_path / "a.jsonl", rows)}, {})[0].text_columns == ("review",)


def test_the_choice_can_be_made_by_hand(tmp_path):
    rows = [{"text": f"text {row}", "reason": f"reason {row}", "stance": "ab"[row], "label": row} for row in range(2)]
    paths = {"train": write_rows(tmp_path / "a.csv", rows)}
    for given in (("text", "reason"), ("text reason",)):
        assert read_own_files(paths, {}, text_column_names=given)[0].text_columns == ("text", "reason")
    flags = {"text_column_names": ("reason",), "label_column_name": "stance"}
    task, tables = read_own_files(paths, {"text_columns": ["text"]}, **flags)
    assert (task.text_columns, task.label_names) == (("reason",), ("a", "b"))
    assert tables["train"].columns == {"reason": ["reason 0", "reason 1"], "label": [0, 1]}


# settings, what the message says
CHOICES = [
    ({"text_column_names": ("body",)}, "a.csv has no column 'body' (columns there: text, reason, label); name one"),
    ({"text_column_names": ("text", "text")}, "text text: expected one column or two different ones"),
    ({"text_column_names": ("text text",)}, "text text: expected one column or two different ones"),
    (
        {"text_column_names": ("text", "label")},
        "expected one column or two different ones, not 'label'",
    ),
    ({"text_column_names": ("text", "reason", "label2")}, "expected one column or two"),
    (
        {"label_column_name": "stance"},
        "no column 'stance' (columns there: text, reason, label); name the one",
    ),
]


@pytest.mark.parametrize(("settings", "message"), CHOICES, ids=str)
def test_a_choice_that_cannot_be(settings, message, tmp_path):
    rows = [{"text": "a b", "reason": "c d", "label": row} for row in range(2)]
    with pytest.raises(UsageError) as error:
        read_own_files({"train": write_rows(tmp_path / "a.csv", rows)}, {}, **settings)
    assert message in str(error.value)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_text_that_is_null_is_an_empty_one_as_in_csv(kind, tmp_path):
    rows = [{"title": f"t {row}", "body": None if row == 1 else f"b {row}", "label": row} for row in range(3)]
    path = tmp_path / f"train.{kind}"
    if kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        write_rows(path, [row | {"body": row["body"] or ""} for row in rows] if kind == "csv" else rows)
    task, tables = read_own_files({"train": path}, {})
    assert task.text_columns == ("title", "body") and tables["train"].columns["body"] == ["b 0", "", "b 2"]


def test_a_column_that_a_row_lacks_is_no_text_unless_it_is_named(tmp_path):
    rows = [{"title": "t 0", "body": "b 0", "label": 0}, {"title": "t 1", "label": 1}]
    path = write_rows(tmp_path / "train.jsonl", rows)
    assert read_own_files({"train": path}, {})[0].text_columns == ("title",)
    with pytest.raises(UsageError, match=r"row 2 \(line 2\): column 'body' is missing"):
        read_own_files({"train": path}, {}, text_column_names=("body",))


def test_the_model_s_columns_are_found_by_name(tmp_path, capsys):
    saved = {"text_columns": ["query", "answer"], "id2label": {"0": "LABEL_0", "1": "LABEL_1"}}
    rows = [{"uid": f"u {row}", "answer": f"a {row}", "query": f"q {row}"} for row in range(2)]
    task, tables = read_own_files({"test": write_rows(tmp_path / "a.csv", rows)}, saved)
    assert task.text_columns == ("query", "answer") and task.label_names == ("LABEL_0", "LABEL_1")
    assert tables["test"].columns["query"] == ["q 0", "q 1"]
    other = write_rows(tmp_path / "b.csv", [{"text": f"t {row}", "label": row} for row in range(2)])
    with pytest.raises(UsageError, match=r"b\.csv: no column 'query', which the model was trained on \("):
        read_own_files({"test": other}, saved)
    assert read_own_files({"train": other}, saved)[0].text_columns == ("text",)
    assert "has no column 'query', which the checkpoint was trained on: others are chosen" in capsys.readouterr().out


# rows of the training file, what the message says
BAD_COLUMNS = [
    ([{"sentence": "a", "score": 1}], "no column 'label' (columns there: sentence, score); name the one"),
    ([{"label": 1, "length": 5}, {"label": 0, "length": 6}], "no text column (columns there: label, length); name one"),
    (
        [{"headline": f"h {row}", "body": f"b {row}", "author": f"a {row}", "label": row} for row in range(2)],
        "which columns are text is not clear: headline, body, author (columns there: headline, ",
    ),
]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize(("rows", "message"), BAD_COLUMNS, ids=["no label", "no text", "three"])
def test_bad_columns(kind, rows, message, tmp_path):
    path = write_rows(tmp_path / f"train.{kind}", rows)
    with pytest.raises(UsageError) as error:
        read_own_files({"train": path}, {})
    assert str(error.value).startswith(f"{path}: ") and message in str(error.value)


# extension, labels, what the warning says; with the flag that it names it falls silent
SUSPICIOUS = [
    ("csv", [f"{row % 5}.0" for row in range(30)], "5 different whole decimals are taken for scores", "classification"),
    ("jsonl", [float(row % 2) for row in range(30)], "2 different whole decimals", "classification"),
    ("csv", list(range(26)), "26 different whole numbers are taken for classes", "regression"),
]


@pytest.mark.parametrize(("kind", "labels", "warning", "problem_type"), SUSPICIOUS, ids=["stars", "floats", "many"])
def test_labels_that_may_be_of_the_other_kind(kind, labels, warning, problem_type, tmp_path, capsys):
    paths = {"train": write_rows(tmp_path / f"train.{kind}", labelled(labels))}
    first = read_own_files(paths, {})[0]
    assert warning in (line := capsys.readouterr().out) and f"--problem_type {problem_type}" in line
    task, tables = read_own_files(paths, {}, problem_type=problem_type)
    assert capsys.readouterr().out == "" and task.is_regression != first.is_regression
    expected = [float(label) for label in labels]
    values = tables["train"].columns["label"]
    assert (values if task.is_regression else [float(task.label_names[value]) for value in values]) == expected


def test_spellings_of_one_text_are_one_class(tmp_path, capsys):
    """An accent of its own, or in one character with its letter: predictions give the first one back."""
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    paths = {"train": write_rows(tmp_path / "train.csv", labelled([decomposed, composed, "tea", decomposed]))}
    paths["validation"] = write_rows(tmp_path / "validation.jsonl", labelled([composed, "tea"]))
    task, tables = read_own_files(paths, {})
    assert task.label_names == (decomposed, "tea") and tables["train"].columns["label"] == [0, 0, 1, 0]
    assert tables["validation"].columns["label"] == [0, 1]
    task, tables = read_own_files({"validation": paths["validation"]}, {"id2label": {"0": "tea", "1": decomposed}})
    assert tables["validation"].columns["label"] == [1, 0]
    mapping = make_label_mapping(task, {"id2label": {"0": "tea", "1": composed}})
    assert mapping.id2label == {0: "tea", 1: decomposed}


def test_classes_that_differ_in_case_only_are_pointed_out(tmp_path, capsys):
    path = write_rows(tmp_path / "train.csv", labelled(["Yes", "yes", "no"]))
    task, _ = load_splits(RunArguments(model_name_or_path="m", train_file=str(path)))
    assert task.label_names == ("Yes", "no", "yes")
    assert capsys.readouterr().out.endswith("yes (1) (warning: some differ in case only: Yes, yes)\n")


def test_words_are_no_scores_whatever_is_asked_for(tmp_path):
    path = write_rows(tmp_path / "train.csv", labelled(["1", "two"]))
    with pytest.raises(UsageError, match=r"row 2 \(line 3\): label 'two', expected a finite number"):
        read_own_files({"train": path}, {}, problem_type="regression")


def test_what_there_is_stands_in_the_task(tmp_path):
    path = write_rows(tmp_path / "rte.csv", labelled(["a", "b"]))
    task = read_own_files({"train": path}, {})[0]
    assert (task.name, task.validation_splits, task.test_splits) == ("files", (), ())
    task = read_own_files({"train": path, "validation": path, "test": path}, {})[0]
    assert (task.validation_splits, task.test_splits) == (("validation",), ("test",))


def test_a_great_many_odd_classes_are_seen(tmp_path, capsys):
    path = write_rows(tmp_path / "train.csv", labelled([*"abcdefghijklmnopqrstuvwxyz", "x" * 200]))
    load_splits(RunArguments(model_name_or_path="m", train_file=str(path)))
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("Data: sentence; classification, 27 classes in train: a (1), b (1), ")
    assert line.endswith(", ... (27 in all)") and len(line) < 250


def test_a_column_may_be_called_labels(tmp_path):
    rows = [{"sentence": "a", "labels": "x"}, {"sentence": "b", "labels": "y"}]
    _, tables = read_own_files({"train": write_rows(tmp_path / "train.jsonl", rows)}, {})
    assert tables["train"].columns == {"sentence": ["a", "b"], "label": [0, 1]}


# training labels, validation labels, ids or message
VALIDATION = [
    (["b", "a"], ["a"], [0]),
    (["b", "a"], [" a "], [0]),
    (["01", "1.0", "x"], ["1.0", "01"], [1, 0]),
    ([2, 1], [1.0, 2], [0, 1]),
    ([0.5, 1.5], [1, 2], [1.0, 2.0]),
    ([True, False], ["True", "False"], [1, 0]),
    (["b", "a"], ["a", "c"], "row 2 (line 2): label 'c' does not occur in {train} (labels there: a, b)"),
    ([1, 0], [1, 2], "row 2 (line 2): label 2 does not occur in {train} (labels there: 0, 1)"),
    (["b", "a"], [None], "row 1 (line 1): the label is missing"),
    ([0.5, 1.5], ["high"], "row 1 (line 1): label 'high', expected a finite number as in {train}"),
]


@pytest.mark.parametrize(("train", "validation", "expected"), VALIDATION, ids=str)
def test_validation_labels_are_those_of_training(train, validation, expected, tmp_path):
    paths = {
        "train": write_rows(tmp_path / "train.jsonl", labelled(train)),
        "validation": write_rows(tmp_path / "validation.jsonl", labelled(validation)),
    }
    if isinstance(expected, str):
        with pytest.raises(UsageError) as error:
            read_own_files(paths, {})
        assert str(error.value) == f"{paths['validation']}, " + expected.format(train=paths["train"])
    else:
        assert read_own_files(paths, {})[1]["validation"].columns["label"] == expected


# validation file, what the message says behind its name
NO_VALIDATION = [
    ("", ": the file is empty"),
    ("sentence,label\n", ": no rows, only a header"),
    ("sentence,label\nx,1\ny,NaN\n", ", row 2 (line 3): the label is missing (NaN)"),
]


@pytest.mark.parametrize(("content", "message"), NO_VALIDATION, ids=["empty", "header", "nan"])
def test_a_validation_file_that_scores_nothing_is_named(content, message, tmp_path):
    path = tmp_path / "validation.csv"
    path.write_text(content)
    train = write_rows(tmp_path / "train.csv", labelled([1, 0]))
    with pytest.raises(UsageError) as error:
        read_own_files({"train": train, "validation": path}, {})
    assert str(error.value) == f"{path}{message}"


def test_one_file_may_be_all_splits(tmp_path):
    path = write_rows(tmp_path / "all.csv", labelled(["b", "a"]))
    tables = read_own_files({"train": path, "validation": path, "test": path}, {})[1]
    assert [tables[split].columns["label"] for split in ("train", "validation", "test")] == [[1, 0], [1, 0], [-1, -1]]


@pytest.mark.parametrize("orient", ["columns", "split"])
def test_json_of_columns_is_one_line(orient, tmp_path):
    """As pandas writes it where nobody asks for rows."""
    columns = {"sentence": {"0": "a b", "1": "c d"}, "label": {"0": 0, "1": 1}}
    split = {"columns": ["sentence", "label"], "index": [0, 1], "data": [["a b", 0], ["c d", 1]]}
    path = tmp_path / "train.json"
    path.write_text(json.dumps(columns if orient == "columns" else split))
    with pytest.raises(UsageError, match=r"train\.json, row 1: ") as error:
        read_own_files({"train": path}, {})
    assert "\n" not in str(error.value)


def test_formats_may_differ_between_splits(tmp_path):
    paths = {
        "train": write_rows(tmp_path / "train.csv", labelled([1, 0])),
        "validation": write_rows(tmp_path / "validation.jsonl", labelled([1, 1])),
    }
    assert read_own_files(paths, {})[1]["validation"].columns["label"] == [1, 1]


def test_all_splits_need_the_text_columns_of_training(tmp_path):
    paths = {
        "train": write_rows(tmp_path / "train.jsonl", labelled([1, 0])),
        "validation": write_rows(tmp_path / "validation.jsonl", [{"text": "a", "label": 1}]),
    }
    with pytest.raises(UsageError, match=r"validation\.jsonl: no column 'sentence' \(columns there: text, label\)"):
        read_own_files(paths, {})


@pytest.mark.parametrize("label", [{}, {"label": "unknown"}], ids=["no label", "any label"])
def test_test_files_need_no_labels(label, tmp_path):
    paths = {
        "train": write_rows(tmp_path / "train.jsonl", labelled(["b", "a"])),
        "test": write_rows(tmp_path / "test.jsonl", [{"sentence": "x", **label}]),
    }
    assert read_own_files(paths, {})[1]["test"].columns == {"sentence": ["x"], "label": [-1]}


def test_test_files_of_a_regression_have_nan_for_labels(tmp_path):
    paths = {
        "train": write_rows(tmp_path / "train.jsonl", labelled([0.5, 1.0])),
        "test": write_rows(tmp_path / "test.jsonl", [{"sentence": "x"}]),
    }
    assert math.isnan(read_own_files(paths, {})[1]["test"].columns["label"][0])


# a checkpoint's config, labels of a validation file, class names, ids
TRAINED = [
    ({"id2label": {"0": "no", "1": "yes"}}, ["yes", "no"], ("no", "yes"), [1, 0]),
    ({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}, ["LABEL_1", "LABEL_0"], ("LABEL_0", "LABEL_1"), [1, 0]),
    ({"id2label": {"0": "9", "1": "10"}}, [10, 9], ("9", "10"), [1, 0]),
    ({"id2label": {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}}, [2, 0], ("0", "1", "2"), [2, 0]),
    ({}, [1, 0], ("0", "1"), [1, 0]),
    ({"id2label": {"0": "LABEL_0"}, "problem_type": "regression"}, [1, 2.5], (), [1.0, 2.5]),
]


@pytest.mark.parametrize(("config", "values", "names", "labels"), TRAINED, ids=str)
def test_without_training_data_the_labels_are_the_checkpoint_s(config, values, names, labels, tmp_path):
    task, tables = read_own_files({"validation": write_rows(tmp_path / "validation.jsonl", labelled(values))}, config)
    assert (task.label_names, tables["validation"].columns["label"]) == (names, labels)


def test_a_label_that_the_checkpoint_lacks_is_refused(tmp_path):
    path = write_rows(tmp_path / "validation.jsonl", labelled(["maybe"]))
    with pytest.raises(UsageError, match=r"label 'maybe' does not occur in the checkpoint \(labels there: no, yes\)"):
        read_own_files({"validation": path}, {"id2label": {"0": "no", "1": "yes"}})


@pytest.mark.parametrize("flags", [{"do_eval": True}, {"do_train": False, "do_eval": True}], ids=["eval", "no train"])
def test_a_training_file_does_not_hide_that_labels_are_not_the_checkpoint_s(flags, tmp_path):
    path = str(write_rows(tmp_path / "other.csv", labelled(["fail", "awesome"])))
    args = RunArguments(model_name_or_path="m", train_file=path, validation_file=path, **flags)
    with pytest.raises(UsageError, match=r"label 'fail' does not occur in the checkpoint \(labels there: bad, good\)"):
        load_splits(args, config_dict={"id2label": {"0": "bad", "1": "good"}})
    assert load_splits(args, config_dict={})[0].label_names == ("awesome", "fail")  # a checkpoint without names


def test_a_checkpoint_that_is_not_trained_stays_what_it_is(tmp_path):
    path = write_rows(tmp_path / "a.csv", labelled(["0", "1"]))
    with pytest.raises(UsageError, match="--problem_type regression: not what the checkpoint was trained for"):
        read_own_files({"validation": path}, {}, problem_type="regression")


def test_a_run_gets_the_splits_that_it_uses_cut_to_size(tmp_path):
    for split in ("train", "validation", "test"):
        write_rows(tmp_path / f"{split}.csv", labelled(["a", "b", "a", "b"]))
    files = {f"{split}_file": str(tmp_path / f"{split}.csv") for split in ("train", "validation", "test")}
    args = RunArguments(model_name_or_path="m", max_train_samples=3, max_eval_samples=2, **files)
    task, tables = load_splits(args)
    assert {split: len(table) for split, table in tables.items()} == {"train": 3, "validation": 2}
    assert task.label_names == ("a", "b")
    args = RunArguments(model_name_or_path="m", do_eval=True, do_predict=True, pred_dir="p", **files)
    assert list(load_splits(args)[1]) == ["validation", "test"]


# settings, what the message says about own files that are a regression
REGRESSION = [
    ({"label_smoothing": 0.1}, "--label_smoothing works on classes"),
    (
        {"metric_for_best_model": "accuracy"},
        "--metric_for_best_model accuracy: expected one of pearson, spearmanr, loss",
    ),
]


@pytest.mark.parametrize(("settings", "message"), REGRESSION, ids=str)
def test_settings_that_do_not_fit_a_regression_are_refused(settings, message, tmp_path):
    path = write_rows(tmp_path / "train.csv", labelled([0.5, 1.5]))
    with pytest.raises(UsageError, match=message):
        load_splits(RunArguments(model_name_or_path="m", train_file=str(path), **settings))


@pytest.mark.parametrize("flags", [{}, {"label_column_name": "topics"}, {"text_column_names": ["tokens"]}], ids=str)
def test_lists_in_the_place_of_labels_or_texts_are_called_so(flags, tmp_path):
    import pyarrow
    import pyarrow.parquet

    lists = [["a", "b"], ["c"]]
    columns = {"text": ["one text", "another"], "label": lists, "labels": [0, 1], "topics": lists, "tokens": lists}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "train.parquet")
    with pytest.raises(UsageError) as error:
        read_own_files({"train": tmp_path / "train.parquet"}, {}, **flags)
    name = next((name[0] if isinstance(name, list) else name for name in flags.values()), "label")
    assert f"train.parquet: column '{name}' is of type list<" in str(error.value) and "expected" in str(error.value)
