"""The Hub as a source of data, in sub-processes: a local server stands in for it, or nothing answers at all."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from dataset_hub import glue_files, serve_dataset

REPOSITORY = Path(__file__).parents[2]
NOBODY = "http://127.0.0.1:9"  # the discard port: refused at once
ROWS = [{"sentence1": f"It rains {row}.", "sentence2": "It is wet.", "label": row % 2, "idx": row} for row in range(5)]
UNLABELLED = [{**row, "label": -1} for row in ROWS[:2]]
COLUMNS = {
    "sentence1": [row["sentence1"] for row in ROWS],
    "sentence2": [row["sentence2"] for row in ROWS],
    "label": [0, 1, 0, 1, 0],
}
CODE = """
import json
from glue.cli.arguments import RunArguments
from glue.data.loading import load_splits
from glue.errors import UsageError
args = RunArguments(model_name_or_path="m", task_name="rte", do_predict=True, pred_dir="p")
try:
    task, tables = load_splits(args)
    print(json.dumps({split: [table.source, table.columns] for split, table in tables.items()}))
except UsageError as error:
    print(json.dumps(str(error)))
"""


def load(home, **settings):
    """Load RTE in a process of its own, as the libraries read their settings when they are imported."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "GLUE_"))}
    environment = {**kept, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1", **settings}
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_the_hub_is_asked_once_and_its_answer_kept(tmp_path):
    files = glue_files("rte", {"train": ROWS, "validation": ROWS[:1], "test": UNLABELLED})
    with serve_dataset(files) as (endpoint, requests):
        tables, _ = load(tmp_path, HF_ENDPOINT=endpoint)
        assert ("GET", f"/datasets/nyu-mll/glue/resolve/{'c' * 40}/rte/train-00000-of-00001.parquet") in requests
    assert tables["train"] == ["nyu-mll/glue rte train", COLUMNS]
    assert tables["test"][1]["label"] == [-1, -1]
    for settings in ({"HF_ENDPOINT": NOBODY}, {"HF_HUB_OFFLINE": "1"}):
        assert load(tmp_path, **settings)[0] == tables


# settings of the process, what the message says of the reason
UNREACHABLE = [
    ({"HF_ENDPOINT": NOBODY}, f"({NOBODY}: "),
    ({"HF_HUB_OFFLINE": "1"}, "offline mode is enabled"),
    ({"HF_ENDPOINT": NOBODY, "GLUE_DATA_DIR": "/nonexistent"}, "GLUE_DATA_DIR=/nonexistent has no rte; "),
]


@pytest.mark.parametrize(("settings", "reason"), UNREACHABLE, ids=["refused", "offline", "environment"])
def test_without_an_answer_one_line_says_what_was_tried_and_how_to_go_on(settings, reason, tmp_path):
    message, log = load(tmp_path, **settings)
    assert message.startswith("no data for rte: ") and "\n" not in message
    assert "nyu-mll/glue" in message and reason in message
    assert message.endswith("give --data_dir (a folder with GLUE on disk), or --demo for the built-in data")
    assert "Retrying" not in log


def test_a_hub_without_the_data_set_is_said_to_be_so(tmp_path):
    with serve_dataset({}) as (endpoint, _):
        message, _ = load(tmp_path, HF_ENDPOINT=endpoint)
    assert message.startswith("no data for rte: the Hub's nyu-mll/glue gave no rte")


def test_a_split_that_the_hub_lacks_is_named(tmp_path):
    with serve_dataset(glue_files("rte", {"train": ROWS, "validation": ROWS})) as (endpoint, _):
        message, _ = load(tmp_path, HF_ENDPOINT=endpoint)
    assert message == "rte has no test split: looked for test of nyu-mll/glue"
