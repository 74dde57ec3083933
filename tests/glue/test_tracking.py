"""Experiment trackers: one that is missing is refused at the start, one that fails costs its curve and not the run."""

import importlib.util
import os
import signal
import sys
from types import ModuleType

import pytest
import runs

from glue.output import log as training_log

pytest.importorskip("tensorboard", reason="tensorboard is not installed (requirements-dev.txt has it)")
from accelerate import tracking as accelerate_tracking
from accelerate.utils import LoggerType
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_tracker_that_is_not_installed(flags, tmp_path, capsys, name):
    if importlib.util.find_spec(name) is not None:
        pytest.skip(f"{name} is installed")
    assert runs.run_here(*flags, "--report_to", name, "--output_dir", tmp_path / "out") == 2
    assert f"--report_to {name}: not installed; install {name} with pip" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_trackio_is_told_settings_losses_and_scores(flags, tmp_path, monkeypatch):
    """A stand-in for the package, which accelerate calls: a run of the folder's name, continued by a resumed one."""
    calls = []

    class Run:
        def log(self, values, step=None):
            calls.append(("log", step, values))

        def finish(self):
            calls.append(("finish",))

    trackio = ModuleType("trackio")
    trackio.config = {}
    trackio.init = lambda project, **options: calls.append(("init", project, options)) or Run()
    monkeypatch.setitem(sys.modules, "trackio", trackio)
    monkeypatch.setattr(accelerate_tracking, "_available_trackers", [LoggerType.TRACKIO])
    words = [*flags, "--report_to", "trackio", "--logging_steps", "6", "--output_dir", tmp_path / "out"]
    assert runs.run_here(*words, "--max_train_steps", "6", "--checkpointing_steps", "epoch") == 0
    assert calls[0] == ("init", "glue_no_trainer", {"name": "out", "resume": "never"}) and calls[-1] == ("finish",)
    assert trackio.config["scale"] == 0.1 and trackio.config["seed"] == 2021
    logged = [(step, name) for _, step, values in calls[1:-1] for name in values]
    assert [step for step, name in logged if name == "train_loss"] == list(range(1, 7))
    assert (6, "eval_accuracy") in logged
    calls.clear()
    assert runs.run_here(*words, "--max_train_steps", "6", "--resume_from_checkpoint") == 0
    assert calls[0][2] == {"name": "out", "resume": "allow"} and calls[-1] == ("finish",)


def test_no_tracker_at_all(flags, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training_log, "get_available_trackers", list)
    assert runs.run_here(*flags, "--with_tracking", "--output_dir", tmp_path / "out") == 2
    assert "--report_to all: not installed" in capsys.readouterr().err


def fail(*_, **__):
    raise OSError(28, "No space left on device")


def test_a_tracker_that_does_not_start(flags, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(accelerate_tracking.TensorBoardTracker, "store_init_configuration", fail)
    assert runs.run_here(*flags, "--report_to", "tensorboard", "--output_dir", tmp_path / "out") == 2
    assert "a tracker does not start: [Errno 28]" in capsys.readouterr().err


def test_a_tracker_that_fails_on_the_way(flags, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(accelerate_tracking.TensorBoardTracker, "log", fail)
    assert runs.run_here(*flags, "--report_to", "tensorboard", "--output_dir", tmp_path / "out") == 0
    assert capsys.readouterr().out.count("Warning: tracking has ended, and the run goes on: [Errno 28]") == 1


def test_a_resumed_curve_does_not_go_back_in_time(flags, tmp_path, monkeypatch):
    """The run is killed after update 7, and goes on from the checkpoint after update 4."""
    out, add = tmp_path / "out", training_log.TrainingLog.add
    words = [*flags, "--logging_steps", "1", "--report_to", "tensorboard", "--output_dir", out]

    def adding(log, row, update):
        add(log, row, update)
        if row["step"] == 8:
            raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(training_log.TrainingLog, "add", adding)
        with pytest.raises(RuntimeError, match="killed"):
            runs.run_here(*words)
    assert runs.run_here(*words, "--resume_from_checkpoint") == 0
    events = EventAccumulator(str(out / "tracking" / "glue_no_trainer"))
    events.Reload()
    assert [event.step for event in events.Scalars("train_loss")] == list(range(1, 19))
    assert [event.value for event in events.Scalars("train_loss")] == pytest.approx(
        [row["loss"] for row in runs.log_rows(out)]
    )


def test_two_runs_of_other_settings_in_one_process(flags, tmp_path):
    """Neither accelerate's state, nor a handler, nor a silent console is left by the first one."""
    before = signal.getsignal(signal.SIGTERM)
    for precision in ("bf16", "no"):
        words = [*flags, "--num_train_epochs", "1", "--mixed_precision", precision]
        assert runs.run_here(*words, "--output_dir", tmp_path / precision) == 0
    losses = {precision: [row["loss"] for row in runs.log_rows(tmp_path / precision)] for precision in ("bf16", "no")}
    assert losses["bf16"] != losses["no"]
    assert signal.getsignal(signal.SIGTERM) == before and "ACCELERATE_MIXED_PRECISION" not in os.environ
