"""A worker of a sweep: takes one trial after the other and runs it on its device, until nothing is left.

    python -m sweep.worker PLAN DEVICE WORKERS

with the sweep's plan as JSON. Asked to stop, it lets its run save a checkpoint, gives the point back, and ends with
128 + the signal's number.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import Trial, TrialState

from glue.cli.console import run_script
from glue.cli.signals import SIGNALS, StopSignals
from glue.errors import UsageError
from glue.output.lock import FolderLock

from . import results, stop_with_parent
from . import study as states
from .arguments import Range
from .liveness import BEAT, Sign, Watcher
from .plan import Plan
from .points import Point, of_method
from .results import RESULTS, append_results, result_row, scores_so_far

ROOT = Path(__file__).parent.parent
_POLL = 0.5  # seconds
_STEPS = 100_000  # more epochs than any run has: a trial of several seeds reports those of each after the other
_DIVERGED = 3  # exit status of a run
_STOPPED = [128 + number for number in SIGNALS]


class Ending(Exception):
    """A trial has ended without a score.

    Args:
        end: one of the constants of `sweep/results.py`.
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
        plan: the sweep.
        device: index of a GPU, cpu or auto.
        workers: how many of them share the processors.
        signals: listens for the wish to stop.
    """

    def __init__(self, plan: Plan, device: str, workers: int, signals: StopSignals) -> None:
        self.plan = plan
        self.args = plan.args
        self.device = device
        self.workers = workers
        self.signals = signals
        self.study = states.open_study(plan)
        self.sign = Sign(self.args.output_dir)
        self.watcher = Watcher(self.args.output_dir)
        self._counted = time.monotonic()

    def work(self) -> int:
        """Work until nothing is left; returns the exit status."""
        while not self.signals.received:
            states.bury_the_dead(self.study, self.watcher)
            if states.has_work(self.study, self.plan):
                self._do(self.study.ask())  # then the dead are looked for and signals are seen
            elif states.has_running(self.study):
                time.sleep(_POLL)  # another worker may die
            else:
                break
        self.sign.end()
        return 128 + self.signals.received if self.signals.received else 0

    def _do(self, trial: Trial) -> None:
        """Do one trial, and tell the study how it ended."""
        score, state = None, TrialState.FAIL
        try:
            trial.set_user_attr("worker", self.sign.name)
            score, state = self.run_trial(trial), TrialState.COMPLETE
        except optuna.TrialPruned:
            state = TrialState.PRUNED
        except Ending:
            pass
        except UpdateFinishedTrialError:
            print("This worker was taken for dead: what it had is given to others", file=sys.stderr)
            return
        with contextlib.suppress(ValueError, UpdateFinishedTrialError):  # taken for dead just now
            self.study.tell(trial, score, state)

    def run_trial(self, trial: Trial) -> float:
        """Run the point of a trial, or the points of all seeds that a search runs it with.

        Returns:
            The mean score.
        """
        if states.is_surplus(self.study, self.plan, trial):
            self._end(trial, results.SURPLUS)
        scores: list[float] = []
        rows: list[dict[str, Any]] = []
        attempt = trial.user_attrs.get("attempt", 1)
        for point in self._points(trial):
            folder = Path(self.args.output_dir) / point.name
            outcome = self._run(point, folder, trial, first_step=len(rows) * _STEPS)
            if outcome.end == results.INTERRUPTED:
                states.try_again(self.study, trial)
                self._end(trial, results.INTERRUPTED)
            if outcome.end == results.FAILED and attempt <= self.args.retries:
                states.try_again(self.study, trial, attempt=attempt + 1)
                self._end(trial, results.INTERRUPTED)
            identity = f"{self.plan.study_name}-{trial.number}-{len(rows)}"
            row = result_row(identity, point, folder, *outcome, attempt)
            rows.append(row)
            trial.set_user_attr("rows", rows)
            append_results(Path(self.args.output_dir) / RESULTS, [row])
            if outcome.end in (results.DIVERGED, results.FAILED):
                self._end(trial, outcome.end)
            self._clean(folder)
            if outcome.end == results.PRUNED:
                trial.set_user_attr("end", results.PRUNED)
                raise optuna.TrialPruned
            scores.append(row["score"])
        trial.set_user_attr("end", results.FINISHED)
        return sum(scores) / len(scores)

    def _points(self, trial: Trial) -> list[Point]:
        """The runs of a trial."""
        if "flags" in trial.user_attrs:
            return [self.plan.point(trial.user_attrs["flags"])]
        flags: dict[str, Any] = {}
        for name, values in self.args.choices.items():
            if isinstance(values, Range):
                flags[name] = trial.suggest_float(name, values.low, values.high, log=values.is_logarithmic)
            elif name != "seed":
                flags[name] = trial.suggest_categorical(name, values) if len(values) > 1 else values[0]
        flags = of_method(flags, self.args.choices)
        return [self.plan.point({**flags, "seed": seed}) for seed in self.plan.seeds]

    def _run(self, point: Point, folder: Path, trial: Trial, first_step: int) -> Outcome:
        """Run a point, or go on with it, until it ends, is stopped or is pruned."""
        began = time.monotonic()
        if not self._wait_for(folder, trial):
            return Outcome(results.INTERRUPTED, "", 0)
        if (folder / "all_results.json").exists():
            return Outcome(results.FINISHED, "", 0)  # by a worker that died before it could say so, or for another plan
        log = Path(self.args.log_dir) / f"{point.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            command = [sys.executable, stop_with_parent.__file__, str(os.getpid()), *self._command(point, folder)]
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
        seconds, status = time.monotonic() - began, child.returncode
        if pruned:
            return Outcome(results.PRUNED, "", seconds)
        if status == 0:
            return Outcome(results.FINISHED, "", seconds)
        if self.signals.received or status in _STOPPED:
            return Outcome(results.INTERRUPTED, "", seconds)
        end = results.DIVERGED if status == _DIVERGED else results.FAILED
        return Outcome(end, last_words(log, status), seconds)

    def _watch(self, child: subprocess.Popen[bytes], point: Point, folder: Path, trial: Trial, first_step: int) -> bool:
        """Wait for the end of a run; pass signals on to it, and stop it where pruning says so."""
        passed_on = pruned = False
        epochs = 0
        while True:
            self._count(trial)
            try:
                child.wait(timeout=_POLL)
                return pruned and child.returncode in _STOPPED
            except subprocess.TimeoutExpired:
                pass
            if self.signals.received and not passed_on:
                child.send_signal(self.signals.received)
                passed_on = True
            if self.args.prune and not pruned:
                scores = scores_so_far(folder, point.metric)
                for epoch in range(epochs, len(scores)):
                    trial.report(scores[epoch], first_step + epoch + 1)
                if len(scores) > epochs and trial.should_prune():
                    child.terminate()
                    pruned = True
                epochs = len(scores)

    def _wait_for(self, folder: Path, trial: Trial) -> bool:
        """Wait until nothing writes into a folder, such as a run whose worker died; False if asked to stop."""
        lock = FolderLock(folder)
        while not self.signals.received:
            self._count(trial)
            try:
                lock.acquire()
            except UsageError:
                time.sleep(_POLL)
            else:
                lock.release()
                return True
        return False

    def _count(self, trial: Trial) -> None:
        """Show those who work in other folders that this worker lives."""
        if time.monotonic() - self._counted > BEAT:
            self._counted = time.monotonic()
            trial.set_user_attr("count", trial.user_attrs.get("count", 0) + 1)

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


def last_words(log: Path, status: int) -> str:
    """Return why a run failed: the signal that killed it, or the last line that it wrote.

    Args:
        log: what it wrote.
        status: how it ended, as `subprocess` says it: below 0 for a signal.
    """
    if status < 0:
        killed = f"killed by {signal.Signals(-status).name}"
        return f"{killed}; perhaps the machine was out of memory" if -status == signal.SIGKILL else killed
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "").rpartition("\r")[2]
    return last or f"ended with status {status}"


def main(words: list[str]) -> int:
    """Work on the sweep that the command line describes; returns the exit status."""
    plan, device, workers = words

    def work() -> int:
        with StopSignals() as signals:
            return Worker(Plan.from_json(plan), device, int(workers), signals).work()

    return run_script(f"run_sweep.py: worker on {device}", work)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
