"""A worker of a sweep: takes one trial after the other and runs it on its device, until nothing is left.

    python -m sweep.worker SETTINGS DEVICE WORKERS

with the sweep's settings as JSON. Asked to stop, it lets its run save a checkpoint, gives the point back, and ends with
128 + the signal's number.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.trial import Trial

from glue.cli.console import run_script
from glue.cli.signals import SIGNALS, StopSignals
from glue.data.tasks import GLUE_TASKS
from glue.errors import UsageError
from glue.output.lock import FolderLock

from . import study as states
from .arguments import Range, SweepArguments
from .points import Point
from .results import RESULTS, append_results, result_row, scores_so_far

ROOT = Path(__file__).parent.parent
_ATTACHED = Path(__file__).with_name("attached.py")
_POLL = 0.5  # seconds
_STEPS = 100_000  # more epochs than any run has: a trial of several seeds reports those of each after the other
_DIVERGED = 3  # exit status of a run
_STOPPED = [128 + number for number in SIGNALS]


class Ending(Exception):
    """A trial has ended without a score.

    Args:
        end: one of the constants of `sweep/study.py`.
    """

    def __init__(self, end: str) -> None:
        super().__init__(end)
        self.end = end


class Outcome(NamedTuple):
    """How a run ended: status, last words, and how long it took in seconds."""

    end: str
    problem: str
    seconds: float


class Worker:
    """Works on a study.

    Args:
        args: the sweep.
        device: index of a GPU, cpu or auto.
        workers: how many of them share the processors.
        signals: listens for the wish to stop.
    """

    def __init__(self, args: SweepArguments, device: str, workers: int, signals: StopSignals) -> None:
        self.args = args
        self.device = device
        self.workers = workers
        self.signals = signals
        self.study = states.open_study(args)
        self.results = Path(args.output_dir) / RESULTS

    def work(self) -> int:
        """Work until nothing is left; returns the exit status."""
        while not self.signals.received:
            states.bury_the_dead(self.study)
            if states.has_work(self.study, self.args.n_trials):
                # One at a time: between two, the dead are looked for and signals are seen.
                self.study.optimize(self.run_trial, n_trials=1, catch=(Ending,))
            elif states.has_running(self.study):
                time.sleep(_POLL)  # another worker may die
            else:
                return 0
        return 128 + self.signals.received

    def run_trial(self, trial: Trial) -> float:
        """Do one trial: the run of its point, or those of all seeds that a search runs it with.

        Returns:
            The mean score.
        """
        trial.set_user_attr("worker", states.this_process())
        if states.is_surplus(self.study, trial, self.args.n_trials):
            self._end(trial, states.SURPLUS)
        scores: list[float] = []
        rows: list[dict[str, Any]] = []
        pruned = False
        attempt = trial.user_attrs.get("attempt", 1)
        for point in self._points(trial):
            folder = Path(self.args.output_dir) / point.name
            outcome = self._run(point, folder, trial, first_step=len(rows) * _STEPS)
            if outcome.end == states.INTERRUPTED:
                states.try_again(self.study, trial)
                self._end(trial, states.INTERRUPTED)
            if outcome.end == states.FAILED and attempt <= self.args.retries:
                states.try_again(self.study, trial, attempt=attempt + 1)
                self._end(trial, states.INTERRUPTED)
            identity = f"{self.args.study_name}-{trial.number}-{len(rows)}"
            row = result_row(identity, point, folder, *outcome, attempt)
            rows.append(row)
            trial.set_user_attr("rows", rows)
            append_results(self.results, [row])
            if outcome.end in (states.DIVERGED, states.FAILED):
                self._end(trial, outcome.end)
            self._clean(folder)
            pruned = outcome.end == states.PRUNED
            if pruned:
                break
            scores.append(row["score"])
        trial.set_user_attr("end", states.PRUNED if pruned else states.FINISHED)
        if pruned:
            raise optuna.TrialPruned
        return sum(scores) / len(scores)

    def _points(self, trial: Trial) -> list[Point]:
        """The runs of a trial."""
        if "flags" in trial.user_attrs:
            return [Point.of(trial.user_attrs["flags"])]
        flags: dict[str, Any] = {}
        for name, values in self.args.choices.items():
            if isinstance(values, Range):
                flags[name] = trial.suggest_float(name, values.low, values.high, log=values.is_logarithmic)
            elif name != "seed":
                flags[name] = trial.suggest_categorical(name, values) if len(values) > 1 else values[0]
        return [Point.of({**flags, "seed": seed}) for seed in self.args.choices.get("seed", [2021])]

    def _run(self, point: Point, folder: Path, trial: Trial, first_step: int) -> Outcome:
        """Run a point, or go on with it, until it ends, is stopped or is pruned."""
        began = time.monotonic()
        if not self._wait_for(folder):
            return Outcome(states.INTERRUPTED, "", 0)
        if (folder / "all_results.json").exists():
            return Outcome(states.FINISHED, "", 0)  # by a worker that died before it could say so
        log = Path(self.args.log_dir) / f"{point.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            command = [sys.executable, str(_ATTACHED), str(os.getpid()), *self._command(point, folder)]
            # In a session of its own, so that a Ctrl-C reaches it once: passed on by this process.
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=self._environment(),
            )
            pruned = self._watch(child, point, folder, trial, first_step)
        seconds = time.monotonic() - began
        status = child.returncode
        if pruned:
            return Outcome(states.PRUNED, "", seconds)
        if status == 0:
            return Outcome(states.FINISHED, "", seconds)
        if self.signals.received or status in _STOPPED:
            return Outcome(states.INTERRUPTED, "", seconds)
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
        problem = next((line for line in reversed(lines) if line.strip()), "").rpartition("\r")[2]
        end = states.DIVERGED if status == _DIVERGED else states.FAILED
        return Outcome(end, problem or f"ended with status {status}", seconds)

    def _watch(self, child: subprocess.Popen[bytes], point: Point, folder: Path, trial: Trial, first_step: int) -> bool:
        """Wait for the end of a run; pass signals on to it, and stop it where pruning says so."""
        passed_on = pruned = False
        epochs = 0
        while True:
            try:
                child.wait(timeout=_POLL)
                return pruned and child.returncode in _STOPPED
            except subprocess.TimeoutExpired:
                pass
            if self.signals.received and not passed_on:
                child.send_signal(self.signals.received)
                passed_on = True
            if self.args.prune and not pruned:
                task = GLUE_TASKS.get(point.task)
                scores = scores_so_far(folder, task.main_metric if task else "accuracy")
                for epoch in range(epochs, len(scores)):
                    trial.report(scores[epoch], first_step + epoch + 1)
                if len(scores) > epochs and trial.should_prune():
                    child.terminate()
                    pruned = True
                epochs = len(scores)

    def _wait_for(self, folder: Path) -> bool:
        """Wait until nothing writes into a folder, such as a run whose worker died; False if asked to stop."""
        lock = FolderLock(folder)
        while not self.signals.received:
            try:
                lock.acquire()
            except UsageError:
                time.sleep(_POLL)
            else:
                lock.release()
                return True
        return False

    def _command(self, point: Point, folder: Path) -> list[str]:
        words = [sys.executable, str(ROOT / "run_glue_no_trainer.py"), *point.words, "--output_dir", str(folder)]
        words += ["--checkpointing_steps", self.args.checkpointing_steps, "--save_total_limit", "1"]
        if self.device == "cpu":
            words.append("--cpu")
        if any((folder / "checkpoints").glob("step_*")):
            return [*words, "--resume_from_checkpoint"]
        return [*words, "--overwrite_output_dir"]  # nothing, or what a run left that came to nothing

    def _environment(self) -> dict[str, str]:
        environment = dict(os.environ)
        if self.device.isdecimal():
            environment["CUDA_VISIBLE_DEVICES"] = self.device
        if self.workers > 1:
            environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // self.workers)))
        return environment

    def _clean(self, folder: Path) -> None:
        """Delete what a finished run needs no more, and its weights where they are not to be kept."""
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        if not self.args.keep_models:
            (folder / "model.safetensors").unlink(missing_ok=True)

    def _end(self, trial: Trial, end: str) -> None:
        trial.set_user_attr("end", end)
        raise Ending(end)


def main(words: list[str]) -> int:
    """Work on the sweep that the command line describes; returns the exit status."""
    settings, device, workers = words

    def work() -> int:
        with StopSignals() as signals:
            return Worker(from_json(settings), device, int(workers), signals).work()

    return run_script(f"run_sweep.py: worker on {device}", work)


def to_json(args: SweepArguments) -> str:
    """Return the settings of a sweep as a worker reads them."""
    choices = {
        name: list(values) if isinstance(values, list) else dict(values._asdict())
        for name, values in args.choices.items()
    }
    return json.dumps({**vars(args), "choices": choices})


def from_json(text: str) -> SweepArguments:
    """The reverse of `to_json`."""
    settings = json.loads(text)
    choices = {
        name: values if isinstance(values, list) else Range(**values)
        for name, values in settings.pop("choices").items()
    }
    return SweepArguments(**settings, choices=choices)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
