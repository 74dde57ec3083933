"""The data of a run as tables: own files, a GLUE folder, the Hub or the demo.

Only what the run will use is read: no training data where nothing is trained, no test data where nothing is predicted.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..cli.arguments import RunArguments
from ..errors import UsageError
from ..output.table import Table
from .encoding import EncodedDataset, encode
from .glue_folder import describe_places, find_splits, read_split
from .labels import LabelMapping, make_label_mapping
from .tasks import Task
from .user_files import read_own_files

__all__ = ["EncodedDataset", "LabelMapping", "Table", "encode", "load_splits", "make_label_mapping"]

DATA_DIR_VARIABLE = "GLUE_DATA_DIR"


def load_splits(
    args: RunArguments, task: Task | None = None, config_dict: Mapping[str, Any] | None = None
) -> tuple[Task, dict[str, Table]]:
    """Read the splits that a run uses, cut to `--max_train_samples` and `--max_eval_samples`.

    Args:
        args: where the data are, and what is to be done with them.
        task: the GLUE task; None takes it from `args`, and from the files' content where these are the user's own.
        config_dict: the checkpoint's config.json. Own files that are only evaluated or predicted take their labels from
            it.

    Returns:
        The task, and the splits: "train" for training, all of `task.validation_splits` for evaluation, those of
        `task.test_splits` that exist for prediction.

    Raises:
        UsageError: data are missing or broken; the message says what was looked for, or names file and row.
    """
    task = task or args.task
    if args.uses_own_files:
        task, tables = read_own_files(_own_paths(args), config_dict or {})
        args.check_task(task)
        tables = {split: table for split, table in tables.items() if split in _needed_splits(args, task)}
    elif task is None:
        raise ValueError("a GLUE task is needed where there are no own files")
    else:
        tables = _load_glue(args, task)
    limits = {"train": args.max_train_samples} | dict.fromkeys(task.validation_splits, args.max_eval_samples)
    return task, {split: table.select(limits.get(split)) for split, table in tables.items()}


def _needed_splits(args: RunArguments, task: Task) -> tuple[str, ...]:
    return (
        *(("train",) if args.do_train else ()),
        *(task.validation_splits if args.do_eval else ()),
        *(task.test_splits if args.do_predict else ()),
    )


def _own_paths(args: RunArguments) -> dict[str, Path]:
    """Return the files to read. A training file tells the labels even where nothing is trained."""
    paths = {"train": args.train_file, "validation": args.validation_file, "test": args.test_file}
    return {
        split: Path(path)
        for split, path in paths.items()
        if path is not None and (split != "validation" or args.do_eval) and (split != "test" or args.do_predict)
    }


def _load_glue(args: RunArguments, task: Task) -> dict[str, Table]:
    needed = _needed_splits(args, task)
    if args.uses_demo_data:
        from ..demo.checkpoint import demo_splits

        made = demo_splits(task.name)
        return {split: made[split] for split in needed}
    folder = args.data_dir or os.environ.get(DATA_DIR_VARIABLE)
    tried = []
    if folder:
        found = find_splits(Path(folder), task, needed)
        # A folder named in this very command has to have the data; one that is set for all commands may lack some.
        if found or args.data_dir:
            _check_complete(found, args, task, lambda split: describe_places(Path(folder), task, split))
            return {split: read_split(paths, task, split) for split, paths in found.items()}
        tried.append(f"{DATA_DIR_VARIABLE}={folder} has no {task.name}")
    from .hub import REPOSITORY, load_from_hub

    try:
        tables = load_from_hub(task, needed)
    except UsageError as error:
        advice = "give --data_dir (a folder with GLUE on disk), or --demo for the built-in data"
        raise UsageError(f"no data for {task.name}: {'; '.join([*tried, str(error)])}; {advice}") from None
    _check_complete(tables, args, task, lambda split: f"{split} of {REPOSITORY}")
    return tables


def _check_complete(found: Mapping[str, Any], args: RunArguments, task: Task, place: Any) -> None:
    """Check that every split is there; of the test splits, which many copies of GLUE lack, one will do."""
    for split in _needed_splits(args, task):
        if split not in found and not (split in task.test_splits and found.keys() & set(task.test_splits)):
            raise UsageError(f"{task.name} has no {split} split: looked for {place(split)}")
