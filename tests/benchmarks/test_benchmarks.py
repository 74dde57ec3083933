"""The benchmark: a tiny run of every part, its arithmetic on known numbers, and what is said when a worker fails."""

import importlib.metadata
import json
import mmap
import os
import statistics
import subprocess
import sys

import pytest
import runs
import torch
from runs import ROOT, make_checkpoint, make_data
from stock import requires_stock

from benchmarks import growth, measuring, steps
from benchmarks.growth import direct_form, measure_length
from benchmarks.inputs import prepare
from benchmarks.lengths import GLUE_LENGTHS, PLACES, glue_like_splits
from benchmarks.options import Options
from benchmarks.results import Comparison, Summary, find_target, judge, site_rows
from benchmarks.sites import WITHOUT_LAYER
from benchmarks.workers import Pool, Worker, WorkerError
from glue.data.tasks import GLUE_TASKS
from glue.errors import UsageError
from transformers import AutoModel, AutoTokenizer
from transformers.methods import METHODS

TABLE = ["model", "task", "measure", "precision", "ours", "stock", "ours / stock", "target", "met"]
SITES = ["model", "task", "variant", "seconds a round", "cost over scale 0", "target", "met"]
SERVE = (
    "import sys; from benchmarks.serve import serve; serve(lambda: {'divide': lambda a, b: print('noise') or a / b})"
)


def bench(*words, cwd=ROOT):
    """Run the command; returns the finished process."""
    command = [sys.executable, "-m", "benchmarks", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=800, cwd=cwd)


def tiny(folder, *words):
    """Run the command on a tiny checkpoint and data; returns bench.json and the rows of the tables of bench.md."""
    model = make_checkpoint(folder / "model", max_position_embeddings=128)
    data = make_data(folder / "glue")
    words = [*words, "--model", model, "--data_dir", data, "--models", "checkpoint", "--output", folder / "out"]
    finished = bench(*words, "--tasks", "cola", "--batch_size", 4, "--steps", 2, "--threads", 1, "--lengths", "8,16")
    assert finished.returncode == 0, finished.stderr
    content = json.loads((folder / "out" / "bench.json").read_text())
    page = (folder / "out" / "bench.md").read_text()
    assert page in finished.stdout
    tables = [[cell.strip() for cell in line[1:-1].split("|")] for line in page.splitlines() if line.startswith("|")]
    return content, tables


@requires_stock
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_speed_of_both_sides(tmp_path):
    """Training, evaluation, positions and lengths: all rows are there, and all ratios are those of the rates.

    One round, as a large matrix product in bf16 takes many processors ten seconds; medians are tested below.
    """
    content, tables = tiny(tmp_path, "--only", "training,evaluation,contranorm,methods,length", "--rounds", 1)
    assert content["versions"]["stock"]["transformers"] == importlib.metadata.version("transformers")
    assert "transformers" not in content["versions"]["ours"]
    assert content["versions"]["ours"]["torch"] == torch.__version__
    assert content["machine"]["processor"] and content["machine"]["threads"] == 1 and content["date"]
    assert content["settings"]["rounds"] == 1

    measured = {(row["measure"], row["precision"]["ours"], row["precision"]["stock"]) for row in content["comparisons"]}
    same = {("fp32", "fp32"), ("bf16", "bf16")}
    measures = {"training", "share of the matrix-product rate", "evaluation"}
    assert measured == {(measure, *pair) for measure in measures for pair in same} | {("training", "bf16", "fp32")}
    for row in content["comparisons"]:
        ours, stock = row["ours"]["values"], row["stock"]["values"]
        assert len(ours) == len(stock) == 1 and min(ours + stock) > 0
        assert row["ratio"] == pytest.approx(ours[0] / stock[0])
    targets = {
        (row["measure"], row["precision"]["ours"], row["precision"]["stock"]): row["target"]["value"]
        for row in content["comparisons"]
        if row["target"]
    }
    assert targets == {
        ("training", "fp32", "fp32"): 2.5,
        ("training", "bf16", "bf16"): 2.2,
        ("training", "bf16", "fp32"): 3.8,
        ("evaluation", "fp32", "fp32"): 3.0,
    }

    costs = {row["variant"]: row for row in content["contranorm"]}
    assert list(costs) == ["scale 0", *(f"pos {digit}" for digit in "12345678"), WITHOUT_LAYER, "pos 7, V2"]
    plain = statistics.median(costs["scale 0"]["values"])
    for row in costs.values():
        assert row["cost_percent"] == pytest.approx(100 * (statistics.median(row["values"]) / plain - 1))
    assert [name for name, row in costs.items() if row["target"]] == ["pos 7"]

    assert [row["variant"] for row in content["methods"]] == ["scale 0", *METHODS]
    assert all(min(row["values"]) > 0 and not row["target"] for row in content["methods"])

    assert [row["length"] for row in content["length"]] == [8, 16]
    assert all(row["direct"]["peak"] > 1 and row["library"]["seconds"]["median"] > 0 for row in content["length"])
    assert TABLE in tables and SITES in tables and ["S", "direct, ms", "library, ms"] in [row[:3] for row in tables]


@requires_stock
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_memory_and_startup(tmp_path):
    content, tables = tiny(tmp_path, "--only", "memory,startup", "--rounds", 1, "--precisions", "fp32")
    rows = {row["measure"]: row for row in content["comparisons"]}
    assert set(rows) == {
        "peak memory",
        "peak memory above imports",
        "start to first step, first run",
        "start to first step, second run",
    }
    for side in ("ours", "stock"):
        assert rows["peak memory"][side]["median"] > rows["peak memory above imports"][side]["median"] > 0
        assert rows["peak memory"][side]["median"] > 100  # MiB; torch alone is more
    assert rows["peak memory"]["target"] == {"value": 0.8, "bound": "at most", "of": "ratio"}
    assert rows["start to first step, second run"]["target"]["value"] == 0.5
    assert rows["start to first step, first run"]["stock"] == rows["start to first step, second run"]["stock"]
    assert all(row["ours"]["median"] > 0.5 for name, row in rows.items() if name.startswith("start"))
    assert content["versions"]["stock"]["transformers"] == importlib.metadata.version("transformers")
    assert TABLE in tables


def test_a_stock_side_that_cannot_start(tmp_path):
    """One line names the side and quotes what its process printed last."""
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'No module named transformers' >&2\nexit 3\n")
    broken.chmod(0o755)
    pool = Pool(str(broken), threads=1, folder=tmp_path, logs=tmp_path)
    with pytest.raises(
        WorkerError, match=r"stock library ended with status 3.*No module named transformers.*stock\.log"
    ):
        pool.get("stock", "fp32")


def test_a_missing_interpreter_is_one_line(tmp_path):
    options = ["--only", "training", "--stock_python", tmp_path / "none", "--output", tmp_path / "out"]
    finished = bench(
        *options, "--model", make_checkpoint(tmp_path / "model"), "--data_dir", make_data(tmp_path / "glue")
    )
    assert finished.returncode == 2
    assert finished.stderr.strip().splitlines()[-1].startswith("benchmarks: error: --stock_python")
    assert "Traceback" not in finished.stderr


@pytest.fixture
def worker(tmp_path):
    worker = Worker("the test's worker", [sys.executable, "-c", SERVE], dict(os.environ), tmp_path / "worker.log")
    yield worker
    worker.close()


def test_a_failing_job_is_named_and_does_not_end_the_worker(worker):
    assert worker.ask("divide", a=6, b=3) == 2  # what it printed did not get into the answer
    with pytest.raises(
        WorkerError, match=r"the test's worker failed at the job 'divide': ZeroDivisionError.*worker\.log"
    ):
        worker.ask("divide", a=1, b=0)
    assert "noise" in worker.log.read_text() and "Traceback" in worker.log.read_text()
    assert worker.ask("divide", a=9, b=3) == 3


def test_the_stock_side_refuses_this_library(tmp_path):
    """Started where it sees this repository, the process says so instead of measuring the wrong library."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "benchmarks" / "stock_process.py")]
    worker = Worker("stock", command, environment, tmp_path / "stock.log")
    try:
        with pytest.raises(WorkerError, match="not the stock library"):
            worker.ask("start", precision="fp32", threads=1)
    finally:
        worker.close()


def test_a_ratio_is_one_median_over_the_other():
    ours, stock = Summary((30.0, 10.0, 20.0)), Summary((4.0, 100.0, 8.0))
    row = Comparison("training", "checkpoint", "cola", ("fp32", "fp32"), ours, stock).to_dict()
    assert (row["ours"]["min"], row["stock"]["max"]) == (10, 100)
    assert row["ratio"] == 20 / 8 and row["met"] is True  # 2.5 of 2.5
    assert not Comparison("training", "checkpoint", "rte", ("bf16", "bf16"), ours, stock).to_dict()["met"]
    assert not Comparison("peak memory", "checkpoint", "rte", ("bf16", "bf16"), ours, stock).to_dict()["met"]
    assert (
        judge(find_target("share of the matrix-product rate", "checkpoint", "rte", ("fp32", "fp32")), 69.0)["met"]
        is False
    )
    costs = site_rows("checkpoint", "", "cola", [{"plain": 2.0, "pos 7": 2.2}, {"plain": 2.0, "pos 7": 2.0}], "plain")
    assert [row["cost_percent"] for row in costs] == pytest.approx([0, 5]) and costs[1]["met"] is not None


def test_made_rows_have_glue_lengths(tmp_path):
    """Tokens under the vocabulary that is made for them follow the table, at its quantiles."""
    options = Options(only="training", models="checkpoint", tasks="rte")
    inputs = prepare(options, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(inputs.models["checkpoint"].folder)
    assert len(tokenizer) == 30522
    tables = glue_like_splits(GLUE_TASKS["rte"], options.seed)
    assert [len(tables[split]) for split in ("train", "validation")] == [2490, 277]
    for column, quantiles in zip(("sentence1", "sentence2"), GLUE_LENGTHS["rte"].quantiles, strict=True):
        ids = tokenizer(tables["train"].columns[column], add_special_tokens=False)["input_ids"]
        assert not any(tokenizer.unk_token_id in row for row in ids)
        lengths = torch.tensor([len(row) for row in ids], dtype=torch.float)
        for place, expected in list(zip(PLACES, quantiles, strict=True))[1:-2]:
            assert lengths.quantile(place).item() == pytest.approx(expected, rel=0.15, abs=1)
    written = [json.loads(line) for line in (inputs.tasks["rte"].folder / "validation.jsonl").open()]
    assert [row["sentence2"] for row in written] == tables["validation"].columns["sentence2"]

    model = AutoModel.from_pretrained(inputs.models["checkpoint"].folder)
    matrices = sum(weight.numel() for weight in model.encoder.parameters() if weight.dim() == 2)
    assert inputs.models["checkpoint"].encoder_weights == matrices


def test_the_direct_form_is_the_layer():
    x = torch.randn(2, 7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(direct_form(x), growth.in_a_model(x), rtol=1e-12, atol=1e-12)


def test_memory_is_counted_in_sizes_of_the_input(monkeypatch):
    """A doubling keeps nothing; at its peak there are its result and the gradient of its input."""
    monkeypatch.setitem(growth.FORMS, "library", lambda x: 2 * x)
    counted = measure_length(64, "library", width=32, seconds=0.0)
    assert counted["kept"] == pytest.approx(0, abs=0.01) and counted["peak"] == pytest.approx(2, abs=0.01)
    small, large = (measure_length(length, "direct", width=16, seconds=0.0)["kept"] for length in (64, 256))
    assert large - small == pytest.approx((256 - 64) / 16, rel=0.01)  # the weights, S x S


def test_matrix_rate_and_memory_are_those_of_this_process():
    assert 1e8 < measuring.matrix_rate("fp32", seconds=0.0) < 1e15
    before = measuring.resident_memory()
    with mmap.mmap(-1, size := 40 * 2**20) as block:  # a tensor may get memory that was freed
        block.write(b"x" * size)
        after = measuring.resident_memory()
    assert after["peak"] >= after["now"] >= before["now"] + size / 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"only": "training,nothing"}, "--only 'nothing'"),
        ({"tasks": "qqp"}, "--tasks qqp needs --data_dir"),
        ({"rounds": 0}, "--rounds 0"),
        ({"lengths": "128,x"}, "--lengths 128,x"),
        ({"model": "no/such/folder"}, "--model no/such/folder"),
        ({"stock_python": "no/such/python"}, "--stock_python no/such/python"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(UsageError, match=message):
        Options(**settings)


def test_each_measure_for_speed_can_be_left_out(tmp_path, capsys, monkeypatch):
    """Every one of them is in the table, and without it the step takes another way to the same gradient."""
    checkpoint = runs.make_checkpoint(tmp_path / "model", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    words = ["--model", str(checkpoint), "--data_dir", str(runs.make_data(tmp_path / "glue")), "--tasks", "rte"]
    norms = []
    original = steps.script.gradient_norm
    monkeypatch.setattr(steps.script, "gradient_norm", lambda *args: norms.append(original(*args)) or norms[-1])
    assert steps.main([*words, "--steps", "1", "--batch_size", "4", "--max_length", "32"]) == 0
    table = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [row[0].removeprefix("| ") for row in table[2:]] == list(steps.MEASURES)
    assert all(float(row[1].rstrip(" |")) > 0 for row in table[2:])
    first = torch.stack(norms[: len(steps.MEASURES) + 1])
    torch.testing.assert_close(first, first[:1].expand_as(first), rtol=1e-4, atol=0)
