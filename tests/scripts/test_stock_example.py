"""A script written for the stock library runs on ours unchanged: it trains, evaluates, saves, and its model loads."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
import runs
from stock import requires_stock

from transformers import AutoConfig, pipeline

EXAMPLE = Path(runs.ROOT, "tests/helpers/stock_example.py")


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """The example's flags but --output_dir, for data that a small model learns: what is red is good."""
    folder = tmp_path_factory.mktemp("example")
    runs.make_checkpoint(folder / "model", pos="7", scale=0.1)
    choose = random.Random(0).choice
    for split, size in (("train", 64), ("validation", 24)):
        rows = [(choose(["red", "blue"]), choose(runs.WORDS[5:9])) for _ in range(size)]
        lines = [f"the {colour} {thing},{'good' if colour == 'red' else 'bad'}" for colour, thing in rows]
        (folder / f"{split}.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    return [
        *("--train_file", folder / "train.csv", "--validation_file", folder / "validation.csv"),
        *("--model_name_or_path", folder / "model", "--cache_dir", folder / "cache"),
    ]


@pytest.mark.timeout(240)
def test_it_runs_here(words, tmp_path):
    import stock_example

    runs.reset_processes()
    flags = ["--output_dir", tmp_path, "--pad_to_max_length", "--max_length", 16, "--lr_scheduler_type", "cosine"]
    stock_example.main([str(word) for word in (*words, *flags)])
    results = json.loads((tmp_path / "all_results.json").read_text())
    assert results["eval_accuracy"][-1] == 1.0
    assert AutoConfig.from_pretrained(tmp_path).contranorm_sites == ("attention_residual",)
    found = pipeline(model=tmp_path)(["the red house", "the blue house"])
    assert [one["label"] for one in found] == ["good", "bad"]


@requires_stock
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_it_runs_on_either_library(words, tmp_path):
    for name, path in (("ours", str(runs.ROOT)), ("stock", "")):
        command = [sys.executable, str(EXAMPLE), *map(str, words), "--output_dir", str(tmp_path / name)]
        environment = {**runs.environment(), "PYTHONPATH": path}
        subprocess.run(command, check=True, cwd=tmp_path, env=environment, timeout=140, capture_output=True)
        results = json.loads((tmp_path / name / "all_results.json").read_text())
        assert results["eval_accuracy"][-1] == 1.0
        assert (Path(results["library"]).parents[1] == runs.ROOT) == (name == "ours")
