"""Being asked to stop: by SIGTERM, SIGINT, SIGUSR1 or SIGHUP, at any moment of a run, once or twice."""

import io
import json
import os
import pty
import shutil
import signal
import subprocess
import sys

import pytest
import runs
from resuming import essence

from glue.cli import signals
from glue.output import log as training_log
from glue.scoring import inference as evaluation
from glue.training import setup

NUMBERS = [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP]


@pytest.fixture(autouse=True)
def no_reprieve(monkeypatch):
    """A second signal counts however soon it comes, and SIGHUP also where the tests themselves run under nohup."""
    monkeypatch.setattr(signals, "_SAME_WISH", 0.0)
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def signal_at(monkeypatch, step: int, number: int):
    """Send this process a signal when the update `step` has been done."""
    add = training_log.TrainingLog.add

    def adding(log, row, update):
        add(log, row, update)
        if row["step"] == step:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(training_log.TrainingLog, "add", adding)


@pytest.mark.parametrize(("number", "step"), [(signal.SIGTERM, 5), (signal.SIGINT, 8), (signal.SIGHUP, 12)])
def test_a_signal_saves_after_the_update_and_the_run_goes_on(
    flags,
    uninterrupted,
    tmp_path,
    monkeypatch,
    capsys,
    number,
    step,
):
    """Off the beat of the checkpoints, on it, and at the end of an epoch."""
    folder = tmp_path / "out"
    with monkeypatch.context() as patch:
        signal_at(patch, step, number)
        assert runs.run_here(*flags, "--output_dir", folder) == 128 + number
    message = capsys.readouterr().err.splitlines()[-1]
    assert signal.Signals(number).name in message and f"{step} of 18 updates are saved" in message
    assert "--resume_from_checkpoint" in message and "error" not in message
    assert max(path.name for path in (folder / "checkpoints").iterdir()) == f"step_{step:06d}"
    assert len(runs.log_rows(folder)) == step
    assert not (folder / "model.safetensors").exists() and not (folder / ".lock").exists()
    assert runs.run_here(*flags, "--output_dir", folder, "--resume_from_checkpoint") == 0
    assert essence(folder) == essence(uninterrupted)


def test_a_signal_in_an_evaluation_does_not_wait_for_its_end(
    flags,
    uninterrupted,
    tmp_path,
    monkeypatch,
    capsys,
):
    folder, after = tmp_path / "out", []
    with monkeypatch.context() as patch:

        def cut(*arguments):
            os.kill(os.getpid(), signal.SIGTERM)
            after.append("the evaluation went on")

        patch.setattr(evaluation, "evaluation_batches", cut)
        assert runs.run_here(*flags, "--output_dir", folder) == 143
    assert not after and "6 of 18 updates are saved" in capsys.readouterr().err
    assert runs.run_here(*flags, "--output_dir", folder, "--resume_from_checkpoint") == 0
    assert essence(folder) == essence(uninterrupted)


def test_a_signal_between_evaluation_and_next_epoch(flags, uninterrupted, tmp_path, monkeypatch):
    from glue.training.state import TrainingState

    folder, note = tmp_path / "out", TrainingState.note_score
    with monkeypatch.context() as patch:
        patch.setattr(
            TrainingState,
            "note_score",
            lambda state, metric: [note(state, metric), os.kill(os.getpid(), signal.SIGTERM)][0],
        )
        assert runs.run_here(*flags, "--output_dir", folder) == 143
    assert runs.run_here(*flags, "--output_dir", folder, "--resume_from_checkpoint") == 0
    assert essence(folder) == essence(uninterrupted)


def test_a_signal_before_training_leaves_nothing(flags, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(setup, "encode", lambda *arguments, **options: os.kill(os.getpid(), signal.SIGUSR1))
    assert runs.run_here(*flags, "--output_dir", tmp_path / "out") == 138
    assert "stopped by SIGUSR1: nothing was saved" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_signal_while_predicting_finds_the_model_saved(flags, tmp_path, monkeypatch):
    monkeypatch.setattr(setup, "predict", lambda *arguments: os.kill(os.getpid(), signal.SIGTERM))
    assert runs.run_here(*flags, "--do_predict", "--output_dir", tmp_path / "out") == 143
    assert {"model.safetensors", "config.json"} <= runs.files_in(tmp_path / "out")
    assert "all_results.json" not in runs.files_in(tmp_path / "out")


def test_a_signal_without_an_output_folder(flags, monkeypatch, capsys):
    signal_at(monkeypatch, 2, signal.SIGTERM)
    words = flags[: flags.index("--checkpointing_steps")]
    assert runs.run_here(*words) == 143
    assert "nothing was saved, for want of an --output_dir" in capsys.readouterr().err


def test_handlers_are_those_of_before_when_a_run_is_over(flags, monkeypatch):
    before = [signal.getsignal(number) for number in NUMBERS]
    signal_at(monkeypatch, 2, signal.SIGTERM)
    runs.run_here(*flags[: flags.index("--checkpointing_steps")])
    assert [signal.getsignal(number) for number in NUMBERS] == before


def test_what_was_ignored_stays_ignored():
    """As under nohup."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with signals.StopSignals() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.received == 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_two_signals_in_a_moment_are_one_wish(monkeypatch):
    """A scheduler that signals a script and its run: the script passes its signal on to the run, which got its own."""
    monkeypatch.setattr(signals, "_SAME_WISH", 60.0)
    with signals.StopSignals() as stop:
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received == signal.SIGUSR1


def test_a_terminal_that_closes_says_so_more_than_once():
    """The shell does, and the system does once more, at a moment of its own."""
    with signals.StopSignals() as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)
        assert stop.received == signal.SIGHUP


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_signal_and_nobody_to_tell_of_it(flags, uninterrupted, tmp_path, monkeypatch, stream):
    """The reader of the output has gone by the same Ctrl-C: the checkpoint is written, and the run goes on from it."""
    folder, written = tmp_path / "out", []

    class Gone(io.StringIO):
        def write(self, text):
            written.append(text)
            raise BrokenPipeError(32, "Broken pipe")

    with monkeypatch.context() as patch:
        signal_at(patch, 5, signal.SIGINT)
        patch.setattr(sys, stream, Gone())
        assert runs.run_here(*flags, "--output_dir", folder) == 130
    assert len(written) == 1
    assert max(path.name for path in (folder / "checkpoints").iterdir()) == "step_000005"
    assert runs.run_here(*flags, "--output_dir", folder, "--resume_from_checkpoint") == 0
    assert essence(folder) == essence(uninterrupted)


TWICE = """
import os, signal, sys
import run_glue_no_trainer
from glue.cli import signals
from glue.output import log as training_log
signals._SAME_WISH = 0.0
add = training_log.TrainingLog.add
def adding(log, row, update):
    add(log, row, update)
    if row["step"] == 6:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        print("still here")
training_log.TrainingLog.add = adding
sys.exit(run_glue_no_trainer.main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_second_signal_ends_the_run_at_once(flags, uninterrupted, tmp_path, quick):
    folder = tmp_path / "out"
    words = [quick, "-c", TWICE, *map(str, flags), "--output_dir", str(folder)]
    ended = subprocess.run(words, cwd=runs.ROOT, env=runs.environment(), capture_output=True, text=True, timeout=110)
    assert ended.returncode == 130, ended.stderr
    assert "SIGTERM: stopping after this update; a second signal stops at once" in ended.stderr
    assert "stopped by a second signal" in ended.stderr and "still here" not in ended.stdout
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step_000004"]
    assert runs.run_here(*flags, "--output_dir", folder, "--resume_from_checkpoint") == 0
    assert essence(folder) == essence(uninterrupted)


def long_run(flags, folder, **streams) -> subprocess.Popen:
    """A run in a process group of its own that would take hours, as soon as its log has a row."""
    words = runs.command(*flags, "--num_train_epochs", "5000", "--logging_steps", "1", "--output_dir", folder)
    process = subprocess.Popen(words, cwd=runs.ROOT, env=runs.environment(), start_new_session=True, **streams)
    runs.wait_until(lambda: runs.has_content(folder / "train_log.jsonl"), process)
    return process


def saved_updates(folder) -> int:
    newest = max(path.name for path in (folder / "checkpoints").iterdir())
    return json.loads((folder / "checkpoints" / newest / "training_state.json").read_text())["state"]["updates"]


@pytest.mark.slow
def test_a_run_stopped_from_outside(flags, tmp_path):
    """The real thing: another process, signalled as soon as its log has a row."""
    process = long_run(flags, tmp_path / "out", stderr=subprocess.PIPE, text=True)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert f"{saved_updates(tmp_path / 'out')} of 30000 updates are saved" in errors.splitlines()[-1]
    assert len(runs.log_rows(tmp_path / "out")) == saved_updates(tmp_path / "out")


@pytest.mark.slow
def test_ctrl_c_under_tee(flags, tmp_path):
    """`2>&1 | tee log`: the signal ends the reader of all output, and stops the run as it does without one."""
    reading, writing = os.pipe()
    tee = subprocess.Popen(["tee", tmp_path / "log"], stdin=reading, stdout=subprocess.DEVNULL, start_new_session=True)
    os.close(reading)
    process = long_run(flags, tmp_path / "out", stdout=writing, stderr=writing)
    os.close(writing)
    tee.send_signal(signal.SIGINT)
    tee.wait(timeout=60)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert len(runs.log_rows(tmp_path / "out")) == saved_updates(tmp_path / "out") > 0


@pytest.mark.slow
def test_a_terminal_that_closes(flags, tmp_path):
    """Its end takes all three streams away and sends SIGHUP."""
    leader, follower = pty.openpty()
    control = (
        "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    )
    command = runs.command

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "command", lambda *words: [sys.executable, "-c", control, *command(*words)])
        process = long_run(flags, tmp_path / "out", stdin=follower, stdout=follower, stderr=follower)
    os.close(follower)
    os.close(leader)
    assert process.wait(timeout=60) == 128 + signal.SIGHUP
    assert len(runs.log_rows(tmp_path / "out")) == saved_updates(tmp_path / "out") > 0


@pytest.mark.parametrize("logged", [True, False])
def test_a_signal_when_somebody_has_deleted_the_output_folder(flags, tmp_path, monkeypatch, capsys, logged):
    """Whether the log or the checkpoint is written first: one line, and no folder with a checkpoint alone in it."""
    add = training_log.TrainingLog.add

    def delete_and_add(log, row, update):
        add(log, row, update)
        if row["step"] == 5:
            if logged:
                log.flush()
            shutil.rmtree(tmp_path / "out")
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(training_log.TrainingLog, "add", delete_and_add)
    assert runs.run_here(*flags, "--output_dir", tmp_path / "out") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "cannot be written: " in error and error.startswith("run_glue_no_trainer.py: error: ")
    assert not (tmp_path / "out").exists()
