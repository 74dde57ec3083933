"""The user's own files: which columns are text, what the labels are, and what kind of task it is.

The training labels decide: numbers with a decimal point make it a regression, anything else a classification whose
classes are the distinct values in their natural order. Without training the labels are those of the checkpoint.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers.utils.text import quoted

from ..cli.arguments import RunArguments
from ..cli.console import say
from ..errors import UsageError
from . import labels as label_values
from .labels import LabelValue, checkpoint_labels, comparable, label_text, listed
from .readers import read_table
from .table import Table
from .tasks import OWN_FILES, Task

_KNOWN = (
    *(("sentence1", "sentence2"), ("question1", "question2"), ("premise", "hypothesis"), ("question", "sentence")),
    *(("text", "text_pair"), ("text_a", "text_b"), ("text1", "text2"), ("text",), ("sentence",)),
)
_NO_TEXT_NAME = re.compile(r"label.*|.*(id|idx|index|uid|guid|key)|unnamed: \d+|__index_level_\d+__|", re.IGNORECASE)
# 2024-03-01, 3/1/2024 or 1.3.24, with or without a time.
_DATE = re.compile(r"(\d{4}[-/.]\d\d?[-/.]\d\d?|\d\d?[-/.]\d\d?[-/.](\d\d){1,2})(,?[T ]\d\d?:\d\d.{0,20})?")
_MANY_ROWS, _FEW_VALUES = 100, 20


def read_own_files(args: RunArguments, config_dict: Mapping[str, Any]) -> tuple[Task, dict[str, Table]]:
    """Read the own files that a run uses, and find out what task they are.

    Args:
        args: where they are, what is done with them, and what the user says about columns and labels.
        config_dict: the checkpoint's config.json, for the labels where nothing is trained, and for the text columns.

    Returns:
        The task, with the splits that there are, and a table for each file with the text columns and "label".

    Raises:
        UsageError: a file cannot be read, or its rows or labels do not fit; the message names file and row.
    """
    paths = {
        # Where nothing is trained, the training file tells the labels of a checkpoint that has no names for them.
        "train": args.train_file if args.do_train or not checkpoint_labels(config_dict) else None,
        "validation": args.validation_file if args.do_eval else None,
        "test": args.test_file if args.do_predict else None,
    }
    raws = {split: read_table(Path(path), whole=split == "test") for split, path in paths.items() if path}
    text_columns = choose_text_columns(
        next(iter(raws.values())),
        config_dict.get("text_columns"),
        args.text_column_names,
        args.label_column_name,
        bool(args.do_train),
    )
    label_columns = {split: _label_column(args, raw) for split, raw in raws.items() if split != "test"}
    labels = {split: label_values.read_labels(raws[split], column) for split, column in label_columns.items()}
    if args.do_train:
        origin, names = str(args.train_file), _class_names(raws["train"], labels["train"], args.problem_type)
    else:
        origin, names = "the checkpoint", _names_of_checkpoint(config_dict, labels)
        if args.problem_type not in (None, "classification" if names else "regression"):
            raise UsageError(f"--problem_type {args.problem_type}: not what the checkpoint was trained for")
    task = Task(
        OWN_FILES,
        text_columns,
        tuple(names),
        ("accuracy",) if names else ("pearson", "spearmanr"),
        validation_splits=("validation",) if "validation" in raws else (),
        test_splits=("test",) if "test" in raws else (),
    )
    tables = {}
    for split, raw in raws.items():
        if split == "train" and not args.do_train:
            continue
        columns: dict[str, list[Any]] = {name: raw.text(name) for name in text_columns}
        if split == "test":
            columns["label"] = [math.nan if task.is_regression else -1] * len(raw)
        elif task.is_regression:
            columns["label"] = label_values.scores(raw, labels[split], f"a finite number as in {origin}")
        else:
            columns["label"] = label_values.class_ids(raw, label_columns[split], labels[split], names, origin)
        tables[split] = Table(columns, raw.source, raw.own_numbers())
    return task, tables


def _label_column(args: RunArguments, raw: Table) -> str:
    wanted = (args.label_column_name,) if args.label_column_name else ("label", "labels")
    found = next((name for name in wanted if name in raw.names), wanted[0])
    raw.values(found, "; name the one that holds the labels with --label_column_name")
    return found


def choose_text_columns(
    raw: Table, saved: Any, given: Sequence[str] | None, label: str | None = None, trains: bool = False
) -> tuple[str, ...]:
    """Choose the one or two text columns: those asked for, the saved model's, ones of a known name, what is left.

    Args:
        raw: the file.
        saved: the columns that the model was trained on, if it knows them.
        given: those asked for, if any.
        label: the column of the labels, where it was named.
        trains: whether a model is trained, which may be on other columns than the saved ones.

    Raises:
        UsageError: they are not there, or it is not clear which they are; the message lists those there are.
    """
    there = raw.columns.keys()
    advice = f"(columns there: {listed(raw.names)}); name one or two with --text_column_names"
    if given:
        chosen = tuple(given[0].split()) if len(given) == 1 and given[0] not in raw.names else tuple(given)
        hidden = label or ("label" if "label" in raw.names else "labels")
        if hidden in chosen or len(chosen) > 2 or len(set(chosen)) < len(chosen):
            raise UsageError(
                f"--text_column_names {' '.join(chosen)}: expected one column or two different ones, not {hidden!r}"
            )
        missing = [name for name in chosen if name not in there]
        for name in raw.unread.keys() & set(missing):
            raw.values(name)  # says why not
        if missing:
            raise UsageError(f"--text_column_names: {raw.source} has no column {missing[0]!r} {advice}")
        return chosen
    if isinstance(saved, list) and 1 <= len(saved) <= 2:
        missing = [str(name) for name in saved if name not in there]
        if not missing:
            return tuple(saved)
        for name in raw.unread.keys() & set(missing):
            raw.values(name)
        if not trains:
            raise UsageError(f"{raw.source}: no column {missing[0]!r}, which the model was trained on {advice}")
        say(f"Note: {raw.source} has no column {missing[0]!r}, which the checkpoint was trained on: others are chosen")
    names = [name for name in there if name != label]
    for wanted in _KNOWN:
        if set(wanted) <= set(names):
            return wanted
    names = [name for name in names if not _NO_TEXT_NAME.fullmatch(name) and _may_be_text(raw.columns[name])]
    found = [name for name in names if name not in raw.lacking] or names
    if not 1 <= len(found) <= 2:
        reason = f"which columns are text is not clear: {listed(found)}" if found else "no text column"
        raise UsageError(f"{raw.source}: {reason} {advice}")
    return tuple(found)


def _may_be_text(values: list[Any]) -> bool:
    """Whether the content of a column may be text: no numbers, dates, names of rows, nor one of a few categories."""
    given = [value for value in values if value not in (None, "")]
    different = set(map(str, given))
    if not all(isinstance(value, str) for value in given) or (len(different) <= 1 and len(values) > 1):
        return False
    are_words = len(different) == len(given) and not any(re.search(r"\s", value.strip()) for value in given)
    is_few = len(values) >= _MANY_ROWS and len(different) <= _FEW_VALUES
    return not (are_words or is_few or all(map(_is_numeral, given)) or all(map(_DATE.fullmatch, given)))


def _is_numeral(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _class_names(raw: Table, values: list[LabelValue], problem_type: str | None) -> list[str]:
    """Return the class names of training labels in the natural order of their values, or nothing for a regression."""
    spellings = {comparable(value): value for value in reversed(values)}  # of each, the first that stands there
    distinct = [spellings[key] for key in sorted(spellings)]
    kind, is_few = type(distinct[0]), len(distinct) <= _FEW_VALUES
    taken = {
        float: "decimals are taken for scores; --problem_type classification makes them classes",
        int: "numbers are taken for classes; --problem_type regression makes them scores",
    }
    is_odd = kind in taken and is_few == (kind is float) and all(value == int(value) for value in distinct)
    if problem_type is None and is_odd:
        say(f"Warning: {raw.source}: {len(distinct)} different whole {taken[kind]}")
    if problem_type == "regression" or (problem_type is None and kind is float):
        return []
    if len(distinct) == 1:
        raise UsageError(
            f"{raw.source}: every label is {quoted(distinct[0])}; a classifier needs at least two different ones"
        )
    return [label_text(value) for value in distinct]


def _names_of_checkpoint(config_dict: Mapping[str, Any], labels: Mapping[str, list[LabelValue]]) -> list[str]:
    """Return the class names of a checkpoint that is not trained, or nothing for a regression.

    One that has given its classes no names has those of a training file with as many, or the placeholders where the
    files use them, or else numbers.
    """
    names = checkpoint_labels(config_dict)
    count = len(config_dict.get("id2label") or ()) or config_dict.get("num_labels", 2)
    if config_dict.get("problem_type") == "regression" or count == 1:
        return []
    trained_on = sorted(set(labels.get("train", ())))
    used = {value for values in labels.values() for value in values}
    if not names and len(trained_on) == count:
        names = [label_text(value) for value in trained_on]
    elif not names and used and used <= set(label_values.placeholders(count)):
        names = label_values.placeholders(count)
    return names or [str(index) for index in range(count)]
