"""What goes wrong in the middle of a run: a loss that is not finite, a full disk, a second run in the same folder."""

import errno
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest
import runs
import torch
from resuming import essence

from glue.errors import UsageError
from glue.output import lock, run_folder
from glue.output import log as training_log
from glue.scoring import validation
from glue.training import checkpointing
from transformers import CheckpointError
from transformers.utils import files

# --- a loss that is not finite


def poison(monkeypatch, step: int, value: float):
    """Let the loss of an update be reported as `value`."""
    add = training_log.TrainingLog.add
    monkeypatch.setattr(
        training_log.TrainingLog,
        "add",
        lambda log, row, update: add(log, row | {"loss": row["loss"] * (value if row["step"] == step else 1)}, update),
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_not_finite_ends_the_run_at_once(flags, uninterrupted, tmp_path, monkeypatch, capsys, value):
    """At once: in the middle of two rows of the log, and of two checkpoints."""
    folder = tmp_path / "out"
    with monkeypatch.context() as patch:
        poison(patch, 5, value)
        assert runs.run_here(*flags, "--output_dir", folder) == 3
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"the loss is {value} at update 5, learning rate 0.00777778, on the rows " in error
    rows = [int(number) for number in re.search(r"rows ([\d, ]+) of the training data", error)[1].split(", ")]
    assert len(rows) == 4 and set(rows) < set(range(22))
    recorded = json.loads((folder / "diverged.json").read_text())
    assert recorded["rows"] == rows and recorded["update"] == 5 and recorded["loss"] == str(value)
    assert len(runs.log_rows(folder)) == 5
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step_000004"]
    assert not {"model.safetensors", "all_results.json", "config.json"} & runs.files_in(folder)
    assert runs.run_here(*flags, "--output_dir", folder, "--resume_from_checkpoint") == 0  # the last good one is whole
    assert essence(folder) == essence(uninterrupted) and not (folder / "diverged.json").exists()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_it_is_noticed_one_update_later(flags, tmp_path, monkeypatch, capsys):
    """So that no update waits for the loss of its own; the message names the right one."""
    poison(monkeypatch, 5, float("nan"))
    words = [word for word in flags if word != "--cpu"]
    assert runs.run_here(*words, "--logging_steps", "100", "--output_dir", tmp_path / "out") == 3
    assert "the loss is nan at update 5" in capsys.readouterr().err
    assert len(runs.log_rows(tmp_path / "out")) == 6


def test_the_rows_in_the_message_are_those_of_the_update(flags, tmp_path, monkeypatch, capsys):
    """Read off what the model was given, through the row numbers that the dataset was asked for."""
    from glue.data.encoding import EncodedDataset

    asked, make = [], EncodedDataset.batch

    def noting(data, rows, *options):
        asked.append(list(rows))
        return make(data, rows, *options)

    monkeypatch.setattr(EncodedDataset, "batch", noting)
    poison(monkeypatch, 3, float("nan"))
    assert runs.run_here(*flags, "--output_dir", tmp_path / "out") == 3
    expected = ", ".join(str(row) for rows in asked[-2:] for row in rows)
    assert f"on the rows {expected} of the training data" in capsys.readouterr().err


@pytest.mark.parametrize(("step", "what"), [(4, "checkpoint"), (18, "model")])
def test_weights_that_are_not_finite_are_never_saved(flags, tmp_path, monkeypatch, capsys, step, what):
    """The last update can do it: its loss was still finite. Neither a checkpoint nor a model of it is written."""
    models, prepare, add = [], checkpointing.TrainingParts.__init__, training_log.TrainingLog.add

    def remember(parts, model, *rest):
        models.append(model)
        prepare(parts, model, *rest)

    def adding(log, row, update):
        add(log, row, update)
        if row["step"] == step:
            with torch.no_grad():
                models[-1].classifier.bias[0] = float("nan")

    monkeypatch.setattr(training_log.TrainingLog, "add", adding)
    monkeypatch.setattr(checkpointing.TrainingParts, "__init__", remember)
    words = [*flags[: flags.index("--load_best_model_at_end")], "--do_train"]
    assert runs.run_here(*words, "--output_dir", tmp_path / "out") == 3
    assert f"classifier.bias is not finite after update {step}" in capsys.readouterr().err
    assert not (tmp_path / "out" / "checkpoints" / f"step_{step:06d}").exists()
    assert not (tmp_path / "out" / "model.safetensors").exists() and (tmp_path / "out" / "diverged.json").exists()


def test_an_evaluation_whose_loss_is_not_finite(flags, tmp_path, monkeypatch, capsys):
    predict = validation.predict

    def spoiled(*arguments):
        found = predict(*arguments)
        found[1][0] = float("nan")
        return found

    monkeypatch.setattr(validation, "predict", spoiled)
    assert runs.run_here(*flags, "--output_dir", tmp_path / "out") == 3
    assert "the loss on the validation split is nan" in capsys.readouterr().err


@pytest.mark.parametrize("constant", [True, False])
def test_predictions_all_in_one_class_are_pointed_out(flags, tmp_path, monkeypatch, capsys, constant):
    predict = validation.predict

    def chosen(*arguments):
        found = predict(*arguments)
        found[0][:] = 1
        found[0][0] = 1 if constant else 0
        return found

    monkeypatch.setattr(validation, "predict", chosen)
    assert runs.run_here(*flags, "--output_dir", tmp_path / "out") == 0
    results = json.loads((tmp_path / "out" / "all_results.json").read_text())
    shown = "Warning: every prediction of the validation split is the same class" in capsys.readouterr().out
    assert shown is constant and ("warnings" in results) is constant
    assert results["eval_predicted_classes"] == (1 if constant else 2)
    if constant:
        assert "every prediction of the validation split is the same class" in results["warnings"][0]


# --- a full disk


SAVES = {  # what is being written when the disk is full: (module, function, how many calls succeed)
    "run.json": (files, "sync", 0),
    "checkpoint": (checkpointing, "write_synced", 7),  # the second one, at its optimizer
    "checkpoint's checksums": (checkpointing, "record", 1),
    "model": (run_folder, "sync", 0),
}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("what", SAVES)
def test_a_disk_that_fills_up_or_turns_read_only(flags, uninterrupted, tmp_path, monkeypatch, capsys, what, number):
    module, name, spared = SAVES[what]
    function, calls = getattr(module, name), []

    def failing(*arguments):
        calls.append(arguments)
        if len(calls) > spared:
            raise OSError(number, os.strerror(number))
        return function(*arguments)

    folder = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(module, name, failing)
        assert runs.run_here(*flags, "--output_dir", folder) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "error: " in error and os.strerror(number) in error and str(folder) in error
    assert not (folder / "all_results.json").exists() and not (folder / ".lock").exists()
    assert not list(folder.rglob("*.tmp"))
    if what == "model":
        return
    assert not {"model.safetensors", "config.json"} & runs.files_in(folder)
    if what.startswith("checkpoint"):
        assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step_000004"]
        assert runs.run_here(*flags, "--output_dir", folder, "--resume_from_checkpoint") == 0
        assert essence(folder) == essence(uninterrupted)


def test_an_output_folder_that_somebody_deletes_meanwhile(flags, tmp_path, monkeypatch, capsys):
    """It is not made anew with the end of a run alone in it."""
    score = validation.evaluate_all

    def delete_and_score(*arguments):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        return score(*arguments)

    monkeypatch.setattr(validation, "evaluate_all", delete_and_score)
    assert runs.run_here(*flags, "--output_dir", tmp_path / "out") == 1
    assert "cannot be written: No such file or directory" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_log_that_cannot_grow(tmp_path):
    (tmp_path / "train_log.jsonl").symlink_to("/dev/full")
    folder = run_folder.RunFolder(tmp_path, writes=True)
    with pytest.raises(CheckpointError, match=r"train_log.jsonl cannot be written: No space left on device"):
        folder.append_logs([{"loss": 1.0}])


def test_a_final_model_that_does_not_fit_leaves_no_part_of_it(flags, tmp_path, monkeypatch, capsys):
    from transformers import modeling_utils

    def full(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(modeling_utils, "save_file", full)
    assert runs.run_here(*flags, "--output_dir", tmp_path / "out") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "the model cannot be saved in" in error and "No space left on device" in error
    left = {name for name in runs.files_in(tmp_path / "out") if "/" not in name}
    logs = {"train_log.jsonl", "eval_log.jsonl", "eval_predictions.json", "0.1_7_2_loss.txt"}
    assert left == {"run.json", ".run_files.json", *logs}
    assert not list((tmp_path / "out").rglob("*.tmp"))


LIMITED = """
import resource, signal, sys
import run_glue_no_trainer
from glue.training import checkpointing
write, writes = checkpointing.Checkpointer._write, []
def writing(*arguments):
    writes.append(1)
    if len(writes) == 2:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
    write(*arguments)
checkpointing.Checkpointer._write = writing
sys.exit(run_glue_no_trainer.main(sys.argv[2:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("limit", [1000, 30_000])  # less than the weights take (20 kB); less than the optimizer (40 kB)
def test_files_that_may_not_grow(flags, uninterrupted, tmp_path, quick, limit):
    """No stand-in for the disk: the system itself cuts the files of torch and safetensors short."""
    folder = tmp_path / "out"
    words = [quick, "-c", LIMITED, str(limit), *map(str, flags), "--output_dir", str(folder)]
    ended = subprocess.run(words, cwd=runs.ROOT, env=runs.environment(), capture_output=True, text=True, timeout=110)
    assert ended.returncode == 1, ended.stderr
    error = ended.stderr.splitlines()[-1]
    assert "step_000008 cannot be written" in error and "Traceback" not in ended.stderr
    assert "File too large" in error if limit == 1000 else "is the disk full?" in error
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["step_000004"]
    assert runs.run_here(*flags, "--output_dir", folder, "--resume_from_checkpoint") == 0
    assert essence(folder) == essence(uninterrupted)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a file system takes root")
def test_a_disk_that_is_really_full(flags, uninterrupted, tmp_path, quick):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("no tmpfs may be mounted here")
    try:
        ended = runs.run(*flags, "--output_dir", disk / "out", python=quick)
        assert ended.returncode == 1 and "Traceback" not in ended.stderr
        assert "cannot be written: " in ended.stderr.splitlines()[-1]
        assert not {"model.safetensors", "config.json", "all_results.json"} & runs.files_in(disk / "out")
        names = sorted(path.name for path in (disk / "out" / "checkpoints").iterdir())
        assert names and names[0] == "step_000004" and not [name for name in names if name.startswith(".")]
        shutil.copytree(disk / "out", tmp_path / "out")
    finally:
        subprocess.run(["umount", disk], check=True)
    assert runs.run_here(*flags, "--output_dir", tmp_path / "out", "--resume_from_checkpoint") == 0
    assert essence(tmp_path / "out") == essence(uninterrupted)


@pytest.mark.skipif(os.geteuid() == 0, reason="to root no folder is read-only")
def test_a_folder_that_may_not_be_written_to(flags, tmp_path, capsys):
    (tmp_path / "out").mkdir(mode=0o500)
    assert runs.run_here(*flags, "--output_dir", tmp_path / "out") == 2
    assert "no permission" in capsys.readouterr().err


# --- two runs at once


def test_a_second_run_in_the_same_folder_is_refused(flags, uninterrupted, tmp_path, capsys):
    """Also one that would resume; and nothing of the first is touched."""
    folder = tmp_path / "out"
    folder.mkdir()
    first = lock.FolderLock(folder)
    first.acquire()
    for more in ([], ["--overwrite_output_dir"]):
        assert runs.run_here(*flags, *more, "--output_dir", folder) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert "another run is writing there" in error and f"process {os.getpid()} on" in error
    evaluation = ["--do_eval", "--output_dir", folder]
    assert runs.run_here(*flags[: flags.index("--checkpointing_steps")], *evaluation) == 2
    assert "another run is writing there" in capsys.readouterr().err
    assert runs.files_in(folder) == {".lock"}
    first.release()
    checkpoint = uninterrupted / "checkpoints" / "step_000008"
    first.acquire()
    assert runs.run_here(*flags, "--output_dir", folder, "--resume_from_checkpoint", checkpoint) == 2
    assert "another run is writing there" in capsys.readouterr().err
    first.release()
    assert runs.run_here(*flags, "--output_dir", folder, "--resume_from_checkpoint", checkpoint) == 0
    assert not (folder / ".lock").exists()


HOLDER = "import sys; from pathlib import Path; from glue.output.lock import FolderLock as L; "
HOLDER += "lock = L(Path(sys.argv[1])); lock.acquire(); print('held', flush=True); sys.stdin.read()"


def test_the_lock_dies_with_its_owner(tmp_path):
    words = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(words, cwd=runs.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout.readline() == b"held\n"
        mine = lock.FolderLock(tmp_path)
        with pytest.raises(UsageError, match=rf"another run is writing there \(process {owner.pid} on"):
            mine.acquire()
        owner.send_signal(signal.SIGKILL)
        owner.wait(timeout=30)
    assert (tmp_path / ".lock").exists()
    mine.acquire()
    mine.release()
    assert not (tmp_path / ".lock").exists()


def test_a_lock_file_that_its_owner_deletes_meanwhile_is_not_taken(tmp_path, monkeypatch):
    """Opened before the owner deleted it, locked after: the lock would be on a file that nobody else can see."""
    first, second = lock.FolderLock(tmp_path), lock.FolderLock(tmp_path)
    first.acquire()
    flock, calls = fcntl.flock, []

    def late(descriptor, how):
        calls.append(how)
        if len(calls) == 1:
            first.release()
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    second.acquire()
    assert calls.count(fcntl.LOCK_EX | fcntl.LOCK_NB) >= 2  # not content with the first one
    with pytest.raises(UsageError):
        lock.FolderLock(tmp_path).acquire()
    second.release()


@pytest.mark.slow
def test_two_real_runs_at_once(flags, tmp_path, quick):
    folder = tmp_path / "out"
    words = [*flags, "--num_train_epochs", "5000", "--early_stopping_patience", "5000", "--logging_steps", "1"]
    words += ["--output_dir", folder]
    first = subprocess.Popen(
        runs.command(*words, python=quick),
        cwd=runs.ROOT,
        env=runs.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    runs.wait_until(lambda: runs.has_content(folder / "train_log.jsonl"), first)
    second = runs.run(*words, "--overwrite_output_dir", python=quick)
    assert second.returncode == 2 and "another run is writing there" in second.stderr
    first.terminate()
    first.wait(timeout=60)
    assert runs.run_here(*flags, "--output_dir", folder, "--overwrite_output_dir") == 0


# --- a checkpoint that is not what it seems


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_weights_that_are_not_finite_are_the_checkpoint_s_fault(flags, tmp_path, capsys, value):
    from safetensors.torch import load_file, save_file

    shutil.copytree(flags[1], tmp_path / "model")
    weights = load_file(tmp_path / "model" / "model.safetensors")
    weights["bert.encoder.layer.1.output.dense.bias"][3] = float(value)
    save_file(weights, tmp_path / "model" / "model.safetensors")
    words = [*flags, "--model_name_or_path", tmp_path / "model", "--output_dir", tmp_path / "out"]
    assert runs.run_here(*words) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "bert.encoder.layer.1.output.dense.bias is not finite: the checkpoint is damaged" in error
    assert "learning_rate" not in error and not (tmp_path / "out").exists()


def test_another_problem_type_of_the_checkpoint_is_said(flags, tmp_path, capsys):
    shutil.copytree(flags[1], tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    for kind in ("multi_label_classification", "single_label_classification"):
        (tmp_path / "model" / "config.json").write_text(json.dumps(config | {"problem_type": kind}))
        words = [*flags[: flags.index("--checkpointing_steps")], "--do_eval", "--model_name_or_path"]
        assert runs.run_here(*words, tmp_path / "model") == 0
        assert ("problem_type multi_label_classification gives way to" in capsys.readouterr().out) == (
            kind == "multi_label_classification"
        )
