"""The data of a run as tables: own files, a GLUE folder, the Hub or the demo.

Only what the run will use is read: no training data where nothing is trained, no test data where nothing is predicted.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..cli.arguments import RunArguments
from ..cli.console import say
from ..cli.paths import expand
from ..errors import UsageError
from .glue_folder import describe_places, find_splits, read_split
from .labels import listed
from .table import Table
from .tasks import Task, find_task
from .user_files import read_own_files

DATA_DIR_VARIABLE = "GLUE_DATA_DIR"


def load_splits(args: RunArguments, config_dict: Mapping[str, Any] | None = None) -> tuple[Task, dict[str, Table]]:
    """Read the splits that a run uses, cut to `--max_train_samples` and `--max_eval_samples`.

    Args:
        args: where the data are, and what is to be done with them.
        config_dict: the checkpoint's config.json. Own files that are only evaluated or predicted take their labels from
            it.

    Returns:
        The task, and the splits: "train" for training, all of `task.validation_splits` for evaluation, those of
        `task.test_splits` that exist for prediction.

    Raises:
        UsageError: data are missing or broken; the message says what was looked for, or names file and row.
    """
    if args.uses_own_files:
        task, tables = read_own_files(args, config_dict or {})
        args.check_task(task)
    else:
        task = find_task(str(args.task_name))
        tables = load_glue(args, task)
    limits = {"train": args.max_train_samples} | dict.fromkeys(task.validation_splits, args.max_eval_samples)
    tables = {split: table.select(limits.get(split)) for split, table in tables.items()}
    say(_description(task, tables))
    return task, tables


def _description(task: Task, tables: Mapping[str, Table]) -> str:
    """Say what is read as what: the text columns, the kind of task, and the classes with their numbers of rows."""
    text = " and ".join(task.text_columns) + (" as a pair" if len(task.text_columns) == 2 else "")
    split, table = next(iter(tables.items()))
    labels = table.columns["label"]
    if task.is_regression:
        scores = "" if split in task.test_splits else f", {min(labels):g} to {max(labels):g} in {split}"
        return f"Data: {text}; regression{scores}"
    counts, where, classes = Counter(labels), "", list(task.label_names)
    if split not in task.test_splits:
        where, classes = f" in {split}", [f"{name} ({counts[index]})" for index, name in enumerate(classes)]
    cases = Counter(name.casefold() for name in task.label_names)
    alike = [name for name in task.label_names if cases[name.casefold()] > 1]
    warning = f" (warning: some differ in case only: {listed(alike)})" if alike else ""
    return f"Data: {text}; classification, {len(classes)} classes{where}: {listed(classes)}{warning}"


def load_glue(args: RunArguments, task: Task) -> dict[str, Table]:
    """Read the splits of a GLUE task that a run uses, from wherever they are.

    Raises:
        UsageError: one is missing or broken.
    """
    needed = [*(task.validation_splits if args.do_eval else ()), *(task.test_splits if args.do_predict else ())]
    if args.do_train:
        needed.insert(0, "train")
    if args.uses_demo_data:
        from ..demo.checkpoint import demo_splits

        made = demo_splits(task.name)
        return {split: made[split] for split in needed}
    folder = args.data_dir or expand(DATA_DIR_VARIABLE, os.environ.get(DATA_DIR_VARIABLE, ""))
    tried = []
    if folder:
        found = find_splits(Path(folder), task, needed)
        # A folder named in this very command has to have the data; one that is set for all commands may lack some.
        if found or args.data_dir:
            _check_complete(found, needed, task, lambda split: describe_places(Path(folder), task, split))
            return {split: read_split(paths, task, split) for split, paths in found.items()}
        tried.append(f"{DATA_DIR_VARIABLE}={folder} has no {task.name}")
    from .hub import REPOSITORY, load_from_hub

    try:
        tables = load_from_hub(task, needed)
    except UsageError as error:
        advice = "give --data_dir (a folder with GLUE on disk), or --demo for the built-in data"
        raise UsageError(f"no data for {task.name}: {'; '.join([*tried, str(error)])}; {advice}") from None
    _check_complete(tables, needed, task, lambda split: f"{split} of {REPOSITORY}")
    return tables


def _check_complete(found: Mapping[str, Any], needed: list[str], task: Task, place: Callable[[str], str]) -> None:
    """Check that every split is there; of the test splits, which many copies of GLUE lack, one will do."""
    for split in needed:
        if split not in found and split in task.test_splits and found.keys() & set(task.test_splits):
            say(f"Note: no predictions of {split}, which is not there: looked for {place(split)}")
        elif split not in found:
            raise UsageError(f"{task.name} has no {split} split: looked for {place(split)}")
