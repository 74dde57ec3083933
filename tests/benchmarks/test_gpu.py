"""`python -m benchmarks.gpu`: what it counts, compares and leaves out, and a run of it in small."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from runs import ROOT
from torch.autograd import DeviceType

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import bench as benches
from benchmarks.gpu import options, plan
from benchmarks.gpu import record as records
from benchmarks.gpu.bench import Bench, Results
from benchmarks.gpu.clock import Clock
from benchmarks.gpu.ours import RunError, Watch, measure
from benchmarks.gpu.profiling import summarize
from benchmarks.gpu.record import PUBLISHED
from benchmarks.gpu.report import compare, judge, write_report
from benchmarks.lengths import GLUE_LENGTHS
from benchmarks.workers import Worker, WorkerError

# What torch, tokenizers, safetensors and accelerate do not bring along.
NOT_NEEDED = ("pyarrow", "optuna", "matplotlib", "scipy", "sklearn", "datasets", "evaluate", "pandas", "pytest")


def event(name, begin=0, end=0, on_device=True, **more):
    kind = DeviceType.CUDA if on_device else DeviceType.CPU
    return SimpleNamespace(name=name, device_type=kind, time_range=SimpleNamespace(start=begin, end=end), **more)


def test_events_of_a_profile_are_counted():
    events = [
        event("gemm", 0, 10),
        event("softmax", 5, 12),
        event("Memcpy HtoD (Pinned -> Device)", 30, 40),
        event("gemm", 90, 100),
        event("Optimizer.step", 0, 100, is_user_annotation=True),
        event("aten::mm", 0, 50, on_device=False),
        *(event(name, on_device=False) for name in ("cudaLaunchKernel", "cuLaunchKernelEx", "cudaMemcpyAsync")),
        *(event(name, on_device=False) for name in ("cudaGraphLaunch", "cudaStreamSynchronize", "cudaEventQuery")),
    ]
    assert summarize(events, steps=2) == {"kernels": 1.5, "copies": 0.5, "calls": 2, "busy": pytest.approx(0.32)}
    assert summarize([], steps=2) == {"kernels": 0, "copies": 0, "calls": 0, "busy": None}


def test_the_clock_lets_begin_what_will_end_in_time():
    now = [0.0]
    clock = Clock(105, now=lambda: now[0])
    assert clock.left == 100 and clock.allows("row", 100) and not clock.allows("row", 101)
    clock.note("row", 30)
    clock.note("row", 20)
    assert clock.allows("row", 1000), "the longest one counts, once there is one"
    now[0] = 71
    assert not clock.allows("row", 1) and clock.allows("another", 29)
    now[0] = 200
    assert clock.left == 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_is_refused_in_one_line(capsys, tmp_path):
    assert command.main(["--output", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "no CUDA device" in error and "--device cpu --tiny" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--device", "cpu"], "needs --tiny"),
        (["--only", "checks,all"], "--only 'all'"),
        (["--minutes", "0"], "--minutes 0"),
        (["--device", "tpu"], "--device"),
    ],
)
def test_a_wrong_command_line_is_one_line(capsys, words, expected):
    with pytest.raises(SystemExit) as stop:
        command.main(words)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.count("\n") == 1 and expected in error


def test_what_is_missing_or_too_old_is_named(monkeypatch, capsys):
    monkeypatch.setattr(options.metadata, "version", lambda _: "2.10.1+cu128")
    assert command.main(["--device", "cpu", "--tiny"]) == 2
    assert "torch 2.10.1+cu128 is too old: expected 2.11 or newer" in capsys.readouterr().err
    monkeypatch.setattr(options, "PACKAGES", ("torch", "no_such_package"))
    assert command.main(["--device", "cpu", "--tiny"]) == 2
    assert "not installed: no_such_package" in capsys.readouterr().err


def test_the_most_valuable_rows_come_first():
    rows = list(plan.rows(options.Options()))
    assert len({row.title for row in rows}) == len(rows)
    first = rows[: len(plan.TASKS) * len(plan.EAGER)]
    assert {(row.model, row.precision) for row in first} == {("bert-base", "bf16")}
    assert {row.task for row in first} == {"cola", "mrpc", "mnli", "rte"}
    assert {(row.model, row.precision) for row in rows} == {
        (model, precision) for model in plan.MODELS for precision in ("bf16", "tf32", "fp32")
    }


ROW = {"model": "bert-base", "precision": "bf16", "task": "cola", "examples_per_second": 9000.0, "kernels": 900.0}
ROW |= {"copies": 2.0, "calls": 910.0, "busy": 0.5, "peak": 2**30, "rounds": []}


def rows_of(**milliseconds):
    names = {"ours": plan.OURS, "plain": plan.PLAIN, "usual": plan.USUAL, "compiled": plan.COMPILED_USUAL}
    return [ROW | {"variant": names[name], "seconds": value / 1000} for name, value in milliseconds.items()]


def test_rows_are_held_against_each_other_and_the_targets():
    rows = rows_of(ours=3.3, plain=3.0, usual=9.9, compiled=3.63)
    judged = [
        judge(row | compare(row, [*rows, ROW | {"task": "mrpc", "seconds": 1, "variant": "ours"}])) for row in rows
    ]
    assert compare(rows[0], rows)["contranorm_percent"] == pytest.approx(10)
    assert compare(rows[2], rows)["ours_is_faster"] == pytest.approx(3)
    assert judged == [
        [("at most 3.5 ms", True), ("ContraNorm at most +8 %", False)],
        [],
        [("ours 2.5 times as fast", True)],
        [("ours 1.3 times as fast", False)],
    ]
    alone = rows_of(usual=9.9)[0]
    assert compare(alone, [alone]) == {"ours_is_faster": None} and judge(alone | compare(alone, [alone])) == []


@pytest.mark.parametrize("device", ["NVIDIA H200", "NVIDIA A100-SXM4-80GB"])
def test_the_files_say_it_all(tmp_path, device):
    results = Results(machine={"device": device, "memory": 80 * 2**30, "torch": "2.11.0"}, usual="the stock library")
    results.rows = rows_of(ours=3.3, plain=3.0, usual=9.9)
    results.checks = [{"check": "resume", "passed": False, "detail": "differs"}]
    results.left_out = [{"what": "bert-base, fp32, rte, ours", "why": "no time was left"}]
    results.record = [
        {"task": "cola", "epochs": 3, "precision": "bf16", "updates": 804, "train_examples": 8551}
        | {"train_seconds": 10.1, "seconds": 14.0, "published": 101}
    ]
    write_report(tmp_path, options.Options(), results)
    content, page = json.loads((tmp_path / "gpu.json").read_text()), (tmp_path / "gpu.md").read_text()
    assert [row["ours_is_faster"] for row in content["rows"]] == pytest.approx([1, 10 / 11, 3])
    assert content["machine"]["device"] == device and content["record"][0]["published"] == 101
    assert "| bert-base | bf16 | cola | ours | 3.30 | 9000 | 900 | 910 | 50 | 1024 |  | +10.0 | at most 3.5 ms" in page
    assert ("(met)" in page) == ("H200" in device)
    assert "| cola | 3 | bf16 | 804 | 0:10 | 0:14 | 2540 | 1:41 | 10.0 |" in page and "times, not scores" in page
    assert "| resume | NO | differs |" in page and "- bert-base, fp32, rte, ours: no time was left" in page


class Answers:
    """Stands in for the workers: answers jobs by a function, and counts processes."""

    def __init__(self, monkeypatch, answer):
        self.started, self.closed, self.asked = [], [], []
        outer = self

        class Stub:
            def __init__(self, name, *_):
                self.name = name
                outer.started.append(name)

            def ask(self, job, *, patience, **values):
                outer.asked.append((self.name, job, patience, values))
                return answer(job, values)

            def close(self):
                outer.closed.append(self.name)

        monkeypatch.setattr(benches, "Worker", Stub)


@pytest.fixture
def make_bench(tmp_path):
    def make(minutes=9.0, now=lambda: 0.0, **settings):
        made = options.Options(device="cpu", tiny=True, minutes=minutes, **settings)
        bench = Bench(made, Clock(60 * minutes, now), tmp_path, tmp_path, lambda _: None, lambda _: None)
        bench._models["tiny"] = tmp_path / "tiny"
        (tmp_path / "tokenizer").mkdir()
        bench.results.machine = {"half": "bf16"}
        return bench

    return make


def test_a_row_that_fails_is_listed_and_the_next_has_a_new_process(monkeypatch, make_bench):
    def answer(job, values):
        if "none" in values.get("words", ()):
            raise WorkerError("an illegal memory access")
        return {"seconds": 1.0}

    workers, bench = Answers(monkeypatch, answer), make_bench(run_flags="--torch_compile")
    bench.measure()
    bench.close()
    assert [row["variant"] for row in bench.results.rows] == [plan.OURS, plan.USUAL] and bench.has_failed
    assert bench.results.left_out == [{"what": "tiny, bf16, cola, ours at scale 0", "why": "an illegal memory access"}]
    assert workers.closed.count("the worker of ours") == 1 and len(workers.started) == len(workers.closed) == 2
    words = workers.asked[0][3]["words"]
    assert words[-1] == "--torch_compile" and workers.asked[0][2] == 9 * 60 - 5
    assert words[words.index("--pos") + 1] == "7" and workers.asked[-1][1] == "usual"


def test_what_there_is_no_time_for_is_listed(monkeypatch, make_bench):
    """A minute; the first row takes half of it, and the second never ends, so that it is ended."""
    now = [0.0]

    def answer(job, values):
        now[0] += 30
        if now[0] > 50:
            raise WorkerError("ended with status -9")
        return {"seconds": 1.0}

    Answers(monkeypatch, answer)
    bench = make_bench(minutes=1.0, now=lambda: now[0])
    bench.clock.note("tiny ours at scale 0", 20)
    bench.measure()
    assert [row["variant"] for row in bench.results.rows] == [plan.OURS] and not bench.has_failed
    assert [item["why"] for item in bench.results.left_out] == ["it took too long, and was ended", "no time was left"]


def test_a_failed_check_is_a_result(monkeypatch, make_bench):
    def answer(job, values):
        if values["name"] == "resume":
            raise WorkerError("AssertionError: differs")
        return "bit for bit"

    Answers(monkeypatch, answer)
    bench = make_bench()
    bench.check()
    failed = [row for row in bench.results.checks if not row["passed"]]
    assert failed == [{"check": "resume", "passed": False, "detail": "AssertionError: differs"}] and bench.has_failed
    assert len(bench.results.checks) > 5


def test_a_record_stops_where_the_next_task_would_take_too_long(monkeypatch, make_bench):
    """At 100 examples/s CoLA and MRPC take seven minutes, and the other two hours more."""
    now = [0.0]

    def answer(job, values):
        words = values["words"]
        rows = {"cola": 8551, "mrpc": 3668}[words[words.index("--task_name") + 1]]
        seconds = rows * int(words[words.index("--num_train_epochs") + 1]) / 100
        now[0] += seconds
        return {"seconds": seconds, "train_seconds": seconds - 1, "updates": 5, "train_examples": rows}

    Answers(monkeypatch, answer)
    monkeypatch.setattr(records, "_rows", lambda name, tiny: GLUE_LENGTHS[name].rows[0])
    bench = make_bench(minutes=15.0, now=lambda: now[0])
    records.record(bench)
    assert [(row["task"], row["epochs"], row["published"]) for row in bench.results.record] == [
        ("cola", 3, 101),
        ("mrpc", 5, 70),
    ]
    assert [item["what"] for item in bench.results.left_out] == ["record: sst2, 3 epochs", "record: mnli, 3 epochs"]
    assert list(PUBLISHED) == ["cola", "mrpc", "sst2", "mnli"]


def test_a_worker_that_does_not_answer_is_ended(tmp_path):
    code = "import threading; from benchmarks.serve import serve; serve(lambda: {'hang': threading.Event().wait})"
    worker = Worker("a worker", [sys.executable, "-c", code], {}, tmp_path / "log")
    with pytest.raises(WorkerError, match="status -9 at the job 'hang'"):
        worker.ask("hang", patience=0.1)
    worker.close()


WORDS = ["--demo", "--task_name", "rte", "--token_cache", "none", "--max_train_samples", "64"]


@pytest.mark.slow
def test_a_run_is_watched_update_by_update():
    found = measure([*WORDS, "--per_device_train_batch_size", "8"], "fp32", "cpu", warm_up=2, steps=5, profiled=1)
    assert len(found["rounds"]) == 5 and min(found["rounds"]) > 0 and found["peak"] is None
    assert found["examples_per_second"] == pytest.approx(8 / found["seconds"])
    assert found["kernels"] == 0 and found["busy"] is None  # no device


def test_a_watch_measures_what_it_is_asked_to(monkeypatch):
    """The clock goes on by the number of each update: the last of 4 to warm up is the fourth, rounds are of two."""
    watch, number = Watch(torch.device("cpu"), warm_up=4, steps=10, profiled=2), 0
    monkeypatch.setattr("benchmarks.gpu.ours.time.perf_counter", lambda: number * (number + 1) / 2)
    for number in range(1, watch.updates + 1):
        watch.see(num_examples=number)
    assert watch.updates == 16 and watch.examples == sum(range(5, 15))
    assert watch.seconds == [5.5, 7.5, 9.5, 11.5, 13.5]
    assert watch.result()["seconds"] == 9.5 and watch.result()["examples_per_second"] == 9.5 / 9.5


def test_a_run_that_fails_says_so():
    with pytest.raises(RunError, match=r"exit status 2 of run_glue_no_trainer\.py --pos 9"):
        measure(["--pos", "9"], "fp32", "cpu", 1, 5, 1)


def make(*words):
    words = ["make", "--no-print-directory", "-n", *words]  # these tests may be run by make themselves
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_make_takes_any_interpreter_and_makes_no_environment_for_it():
    assert make("gpu", "GPU_PYTHON=some/python").split() == "some/python -m benchmarks.gpu".split()
    assert make("gpu-record", "GPU_PYTHON=python3", "GPU_ARGS=--minutes 90").split() == (
        "python3 -m benchmarks.gpu --record --minutes 90".split()
    )
    assert ".venv/bin/python -m benchmarks.gpu" in make("gpu")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_four_packages_are_enough(tmp_path):
    code = f"""
import sys
for name in {NOT_NEEDED}:
    sys.modules[name] = None  # as if it were not installed
from benchmarks.gpu.process import make_jobs
jobs = make_jobs()
assert jobs["describe"]("cpu")["half"] == "bf16"
for name in ("golden_outputs", "layer_parity", "no_waiting"):
    jobs["check"](name=name, device="cpu", tiny=True)
jobs["record"](words={WORDS} + ["--max_train_steps", "2"], device="cpu", folder={str(tmp_path / "out")!r})
"""
    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("words", [[], ["--record"]], ids=["checks-and-steps", "record"])
def test_all_of_it_in_small(tmp_path, words):
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", "--tiny", "--output", tmp_path]
    finished = subprocess.run(
        [*command, "--minutes", "60", *words], cwd=ROOT, capture_output=True, text=True, timeout=550
    )
    assert finished.returncode == 0, finished.stderr
    content = json.loads((tmp_path / "gpu.json").read_text())
    assert content["left_out"] == [] and content["machine"]["torch"] == torch.__version__
    if words:
        assert [row["task"] for row in content["record"]] == list(PUBLISHED)
        assert all(0 < row["train_seconds"] <= row["seconds"] for row in content["record"])
    else:
        assert content["checks"] and all(row["passed"] for row in content["checks"])
        assert [row["variant"] for row in content["rows"]] == [variant.name for variant in plan.EAGER]
        assert all(row["seconds"] > 0 for row in content["rows"])
