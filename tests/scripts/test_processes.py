"""Several processes on the CPU are one run: the same gradients, the same scores, one writer, one end."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import runs
from preloaded import Preloaded
from resuming import essence

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("processes")]

# Instead of the run, in each process: its gradients.
GRADIENTS = "import gradients, run_glue_no_trainer as script; script.main = gradients.main"

# What this process does to the folder of the run is an error, unless it is the main one. The file system itself refuses
# to let its files grow, whoever writes them; names are watched by Python.
READS_ONLY = """
import os, resource, sys
if os.environ["RANK"] != "0":
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    def watch(event, arguments):
        changes = event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate")
        changes = changes or (event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_ACCMODE)
        if changes and FOLDER in str(arguments[0]):
            os.write(2, f"process {os.environ['RANK']}: {event} {arguments}".encode())
            os._exit(77)
    sys.addaudithook(watch)
"""

# A run that tells how many threads of gloo there are on its way and after it.
THREADS = """
import pathlib
from accelerate import Accelerator
import run_glue_no_trainer as script
def threads():
    return sum("gloo" in name.read_text() for name in pathlib.Path("/proc/self/task").glob("*/comm"))
def prepare(*parts, prepare=Accelerator.prepare):
    print("threads", threads(), flush=True)
    return prepare(*parts)
def main(words, main=script.main):
    status = main(words)
    print("threads", threads(), flush=True)
    return status
Accelerator.prepare, script.main = prepare, main
"""


# Instead of the run, in each process: what it would draw next, and what it has drawn its classifier from.
DRAWN = """
import os, pathlib, torch, run_glue_no_trainer as script
from glue.cli.arguments import parse_args
from glue.training.setup import set_up
def main(argv):
    model = set_up(parse_args(argv[1:])).model
    pathlib.Path(argv[0], os.environ["RANK"]).write_text(f"{torch.rand(1).item()} {model.classifier.weight.sum()}")
    return 0
script.main = main
"""


# A run that writes down what it exchanges with the others in its third and fourth update: kind and number of values. In
# the second one, DDP settles in which order it sends. Its model has a buffer, which is the same everywhere anyway.
EXCHANGED = """
import json, os, pathlib, torch
from glue.output.log import TrainingLog
from glue.training import setup
from torch.profiler import ProfilerActivity, profile
add, load, profiler = TrainingLog.add, setup.load_model, profile(activities=[ProfilerActivity.CPU], record_shapes=True)
def loading(*parts):
    model = load(*parts)
    model.register_buffer("constant", torch.zeros(1000), persistent=False)
    setup.weights = sum(parameter.numel() for parameter in model.parameters())
    return model
def adding(log, row, update):
    add(log, row, update)
    if row["step"] == 2:
        profiler.start()
    elif row["step"] == 4:
        profiler.stop()
        found = [[event.name, event.input_shapes[0]] for event in profiler.events() if event.name.startswith("gloo:")]
        content = json.dumps({"weights": setup.weights, "exchanged": found})
        pathlib.Path(FOLDER, os.environ["RANK"]).write_text(content)
setup.load_model, TrainingLog.add = loading, adding
"""


@pytest.fixture(scope="module")
def preloaded():
    with Preloaded() as server:
        yield server


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A checkpoint without dropout, whose masks depend on how rows are shared, and 277 rows to evaluate on."""
    folder = tmp_path_factory.mktemp("processes")
    checkpoint = runs.make_checkpoint(folder / "quiet", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    data = runs.make_data(folder / "glue", {"validation": 277})
    words = runs.words_for(checkpoint, data)
    return [*words, "--pos", "7", "--scale", "0.1", "--learning_rate", "0.001", "--num_train_epochs", "2"]


@pytest.fixture(scope="module")
def two(preloaded, flags, tmp_path_factory):
    """The run with everything on, by two processes, never stopped."""
    folder = tmp_path_factory.mktemp("two")
    assert preloaded.run_together(2, [*flags, "--output_dir", folder / "out"], folder / "log") == [0, 0]
    return folder / "out"


@pytest.mark.skipif(sys.platform != "linux", reason="threads have names in /proc on Linux")
def test_nothing_of_gloo_outlives_the_run(preloaded, inputs, tmp_path):
    """A thread of it that still holds a tensor when the interpreter goes down aborts the process, once in a while."""
    log, words = tmp_path / "log", [*inputs, "--max_train_steps", "2", "--output_dir", tmp_path / "out"]
    assert preloaded.run_together(2, words, log, THREADS) == [0, 0], log.read_text()
    for path in (log, log.with_suffix(".1")):
        before, after = (int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith("threads"))
        if before == 0:
            pytest.skip("this system does not tell the names of threads")
        assert after == 0


def test_every_process_draws_dropout_masks_of_its_own_for_the_same_model(preloaded, inputs, tmp_path):
    assert preloaded.run_together(3, [tmp_path, *inputs], tmp_path / "log", DRAWN) == [0, 0, 0]
    drawn, weights = zip(*((tmp_path / str(rank)).read_text().split() for rank in range(3)), strict=True)
    assert len(set(drawn)) == 3 and len(set(weights)) == 1


def test_one_two_and_three_have_the_same_gradients(preloaded, inputs, tmp_path):
    """22 rows in updates of 12: the second one is short, and at its end three processes have 2, 1 and 1 rows.

    Two find a number of steps in the environment, which a launcher may leave there.
    """
    found = {}
    for processes, batch in ((1, 6), (2, 3), (3, 2)):
        words = [tmp_path / f"{processes}.npz", *inputs, "--per_device_train_batch_size", batch]
        words += ["--gradient_accumulation_steps", "2"]
        code = f"import os; os.environ['ACCELERATE_GRADIENT_ACCUMULATION_STEPS'] = '4'; {GRADIENTS}"
        code = code if processes == 2 else GRADIENTS
        statuses = preloaded.run_together(processes, words, tmp_path / f"log{processes}", code)
        assert statuses == [0] * processes, (tmp_path / f"log{processes}").read_text()
        found[processes] = dict(np.load(tmp_path / f"{processes}.npz"))
    assert len(found[1]["losses"]) == 2
    for processes in (2, 3):
        assert found[processes].keys() == found[1].keys()
        largest = max(np.abs(gradient).max() for name, gradient in found[1].items() if name != "losses")
        for name, gradient in found[processes].items():
            expected = found[1][name]
            # Some are zero but for rounding, such as those of the biases of the keys: theirs is another scale.
            scale = max(np.abs(expected).max(), 0.05 * largest)
            np.testing.assert_allclose(gradient, expected, rtol=0, atol=3e-6 * scale, err_msg=name)


def test_an_update_exchanges_its_gradient_once_and_nothing_else(preloaded, inputs, tmp_path):
    """Two micro-batches an update; what else the processes tell each other is whether to stop: two numbers."""
    code = EXCHANGED.replace("FOLDER", repr(str(tmp_path)))
    words = [*inputs, "--per_device_train_batch_size", "1", "--gradient_accumulation_steps", "2", "--no-do_eval"]
    statuses = preloaded.run_together(2, [*words, "--max_train_steps", "4"], tmp_path / "log", code)
    assert statuses == [0, 0], (tmp_path / "log").read_text()
    for rank in "01":
        found = json.loads((tmp_path / rank).read_text())
        assert {name for name, _ in found["exchanged"]} == {"gloo:all_reduce"}
        assert sum(shape[0] for _, shape in found["exchanged"]) == 2 * (found["weights"] + 2)


def test_one_two_and_three_have_the_same_scores_and_only_the_main_process_writes(preloaded, inputs, tmp_path):
    """The scores of the same model, to the last digit, on rows that neither two nor three divide; then a training."""
    only = READS_ONLY.replace("FOLDER", repr(str(tmp_path)))
    scores, logs = {}, {}
    for processes, batch in ((1, 6), (2, 3), (3, 2)):
        folder, log = tmp_path / str(processes), tmp_path / f"log{processes}"
        words = [*inputs, "--do_eval", "--output_dir", folder]
        assert preloaded.run_together(processes, words, log, only) == [0] * processes
        scores[processes] = json.loads((folder / "eval_results.json").read_text())
        (folder / "eval_results.json").unlink()
        words = [*inputs, "--per_device_train_batch_size", batch, "--gradient_accumulation_steps", "2"]
        words += ["--checkpointing_steps", "epoch", "--do_predict", "--output_dir", folder]
        assert preloaded.run_together(processes, words, log, only) == [0] * processes, log.read_text()
        logs[processes] = runs.log_rows(folder)
        others = [log.with_suffix(f".{rank}").read_text() for rank in range(1, processes)]
        assert ["ContraNorm on" in said for said in (log.read_text(), *others)] == [True] + [False] * len(others)
    assert scores[1] == scores[2] == scores[3] and scores[1]["eval_accuracy"] > 0
    assert runs.files_in(tmp_path / "1") == runs.files_in(tmp_path / "2") == runs.files_in(tmp_path / "3")
    for processes in (2, 3):
        for key in ("loss", "grad_norm", "learning_rate"):
            theirs = [row[key] for row in logs[1]]
            assert [row[key] for row in logs[processes]] == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize("step", [4, 12])
def test_a_resumed_run_of_two_equals_the_uninterrupted_one(preloaded, flags, two, tmp_path, step):
    """In the middle of an epoch, and at the end of one. Dropout is on: each process has generators of its own."""
    folder = tmp_path / "out"
    shutil.copytree(two, folder)
    for later in (folder / "checkpoints").iterdir():
        if later.name > f"step_{step:06d}":
            shutil.rmtree(later)
    words = [*flags, "--output_dir", folder, "--resume_from_checkpoint"]
    assert preloaded.run_together(2, words, tmp_path / "log") == [0, 0], (tmp_path / "log").read_text()
    assert essence_of_two(folder) == essence_of_two(two)


def essence_of_two(folder) -> dict:
    """What must not differ, for a run of half the updates: two processes do twice as much in each."""
    (folder / "checkpoints" / "step_000016").mkdir(exist_ok=True)
    shutil.copy(folder / "checkpoints" / "step_000008" / "model.safetensors", folder / "checkpoints" / "step_000016")
    found = essence(folder)
    shutil.rmtree(folder / "checkpoints" / "step_000016")
    return found


@pytest.mark.parametrize("processes", [1, 3])
def test_another_number_of_processes_is_refused(preloaded, flags, two, tmp_path, processes):
    words = [*flags, "--output_dir", two, "--resume_from_checkpoint"]
    before = runs.files_in(two)
    statuses = preloaded.run_together(processes, words, tmp_path / "log")
    assert statuses == [2] * processes
    assert f"num_processes 2 -> {processes}" in (tmp_path / "log").read_text()
    assert runs.files_in(two) == before


def test_a_signal_to_one_process_stops_all_of_them_with_a_checkpoint(preloaded, flags, two, tmp_path):
    """To the one that does not write, in the middle of an epoch."""
    send = """
import os, signal
from glue.output import log as training_log
add = training_log.TrainingLog.add
def adding(log, row, update):
    add(log, row, update)
    if row["step"] == 5 and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGTERM)
training_log.TrainingLog.add = adding
"""
    folder, log = tmp_path / "out", tmp_path / "log"
    assert preloaded.run_together(2, [*flags, "--output_dir", folder], log, send) == [143, 143]
    assert "stopped by SIGTERM: 5 of 9 updates are saved" in log.read_text()
    assert "stopped by" not in log.with_suffix(".1").read_text()
    words = [*flags, "--output_dir", folder, "--resume_from_checkpoint"]
    assert preloaded.run_together(2, words, log) == [0, 0]
    assert essence_of_two(folder) == essence_of_two(two)


def test_a_loss_that_is_not_finite_on_one_process_ends_all(preloaded, flags, tmp_path):
    poison = """
import os
from glue.output import log as training_log
add = training_log.TrainingLog.add
def adding(log, row, update):
    bad = row["step"] == 5 and os.environ["RANK"] == "1"
    add(log, row | {"loss": row["loss"] * (float("nan") if bad else 1)}, update)
training_log.TrainingLog.add = adding
"""
    folder, log = tmp_path / "out", tmp_path / "log"
    assert preloaded.run_together(2, [*flags, "--output_dir", folder], log, poison) == [3, 3]
    assert "the loss is nan at update 5" in log.read_text()
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step_000004"]


def test_a_full_disk_ends_all_processes(preloaded, flags, tmp_path):
    full = """
import os
from glue.training import checkpointing
def record(folder):
    raise OSError(28, "No space left on device")
checkpointing.record = record
"""
    log = tmp_path / "log"
    assert preloaded.run_together(2, [*flags, "--output_dir", tmp_path / "out"], log, full) == [1, 1]
    for path in (log, log.with_suffix(".1")):
        assert "No space left on device" in path.read_text() and "Traceback" not in path.read_text()


@pytest.mark.parametrize("victim", [0, 2])
def test_a_killed_process_ends_the_others(preloaded, flags, tmp_path, victim):
    """The main one, and another; without a launcher, which would end them too."""
    words = [*flags, "--num_train_epochs", "5000", "--logging_steps", "1", "--output_dir", tmp_path / "out"]
    processes = preloaded.start_together(3, words, tmp_path / "log")
    runs.wait_until(lambda: runs.has_content(tmp_path / "out" / "train_log.jsonl"))
    os.kill(processes[victim], signal.SIGKILL)
    began = time.monotonic()
    statuses = [preloaded.wait(pid) for pid in processes]
    assert time.monotonic() - began < 60
    assert statuses.pop(victim) == -signal.SIGKILL and statuses == [1, 1]
    survivor = (tmp_path / "log" if victim else tmp_path / "log.1").read_text()
    assert "another process of this run has ended" in survivor and "Traceback" not in survivor


def test_a_killed_process_ends_a_launched_run(flags, tmp_path):
    """The same under `accelerate launch`: it ends as well, with a status that is not zero."""
    words = [*flags, "--num_train_epochs", "5000", "--logging_steps", "1", "--output_dir", tmp_path / "out"]
    launched = subprocess.Popen(
        runs.launch_command(2, *words), cwd=runs.ROOT, env=runs.environment(), stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    runs.wait_until(lambda: runs.has_content(tmp_path / "out" / "train_log.jsonl"))
    workers = [int(pid) for pid in Path(f"/proc/{launched.pid}/task/{launched.pid}/children").read_text().split()]
    assert len(workers) == 2
    os.kill(workers[-1], signal.SIGKILL)
    assert launched.wait(timeout=60) != 0
    assert not [pid for pid in workers if os.path.exists(f"/proc/{pid}")]


def test_a_signal_to_the_launcher_reaches_the_run(flags, tmp_path):
    """What a scheduler does to `accelerate launch`, which passes it on to all processes at once."""
    words = [*flags, "--num_train_epochs", "5000", "--logging_steps", "1", "--output_dir", tmp_path / "out"]
    launched = subprocess.Popen(
        runs.launch_command(2, *words), cwd=runs.ROOT, env=runs.environment(), stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    runs.wait_until(lambda: runs.has_content(tmp_path / "out" / "train_log.jsonl"))
    launched.send_signal(signal.SIGTERM)
    _, errors = launched.communicate(timeout=60)
    assert launched.returncode != 0 and errors.count("updates are saved; go on with --resume_from_checkpoint") == 1
    newest = max((tmp_path / "out" / "checkpoints").iterdir())
    assert len(runs.log_rows(tmp_path / "out")) == int(newest.name.removeprefix("step_"))
