"""A worker of a sweep: a thread that takes one trial after the other and runs it on its device, until nothing is left.

Asked to stop, it lets its run save a checkpoint and gives the point back.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import Trial, TrialState

from glue.cli.console import say
from glue.cli.signals import SIGNALS, StopSignals
from glue.errors import UsageError
from glue.output.lock import FolderLock
from glue.output.manifest import Manifest
from transformers.utils.files import make_folder

from . import results, stop_with_parent
from . import study as states
from .arguments import Range
from .devices import worker_environment
from .plan import Plan
from .points import Point, of_method
from .results import RESULTS, append_results, result_row, scores_so_far

ROOT = Path(__file__).parent.parent
_POLL = 0.5  # seconds
_WEIGHTS = "model.safetensors"
_STEPS = 100_000  # more epochs than any run has: a trial of several seeds reports those of each after the other
_STATES = {results.FINISHED: TrialState.COMPLETE, results.PRUNED: TrialState.PRUNED}  # any other end is FAIL to Optuna
_ENDS = {
    0: results.FINISHED,
    3: results.DIVERGED,
    **{128 + number: results.INTERRUPTED for number in SIGNALS},
}  # by the run's exit status


@dataclass
class Worker:
    """Works on a study.

    Args:
        plan: the sweep.
        study: what `open_study` returned; workers may share it.
        device: index of a GPU, cpu or auto.
        signals: listens for the wish to stop.
        ended: is told the row of each run that has ended.
    """

    plan: Plan
    study: optuna.Study
    device: str
    signals: StopSignals
    ended: Callable[[dict[str, Any]], object]
    _counted: float = field(default_factory=time.monotonic, init=False)

    def work(self) -> None:
        """Work until nothing is left."""
        seen: dict[int, tuple[int, float]] = {}
        while not self.signals.received:
            states.bury_the_dead(self.study, seen)
            if (trial := states.take(self.study, self.plan)) is not None:
                self._do(trial)  # then the dead are looked for and signals are seen
            elif states.has_running(self.study):
                time.sleep(_POLL)  # another worker may die
            else:
                break

    def _do(self, trial: Trial) -> None:
        """Do one trial, and tell the study how it ended."""
        try:
            end = self._run_trial(trial)
            trial.set_user_attr("end", end)
        except UpdateFinishedTrialError:
            say(f"The worker on {self.device} was taken for dead: what it had is given to others")
            return
        score = mean(row["score"] for row in trial.user_attrs["rows"]) if end == results.FINISHED else None
        self.study.tell(trial, score, _STATES.get(end, TrialState.FAIL), skip_if_finished=True)
        if end == results.INTERRUPTED:
            states.try_again(self.study, trial)

    def _run_trial(self, trial: Trial) -> str:
        """Run the point of a trial, or the points of all seeds that a search runs it with; returns how it ended."""
        if states.is_surplus(self.study, self.plan, trial):
            return results.SURPLUS
        args, rows, end = self.plan.args, list[dict[str, Any]](), results.FINISHED
        for point in self._points(trial):
            folder, attempt, end = Path(args.output_dir) / point.name, 0, results.FAILED
            while end == results.FAILED and attempt <= args.retries:
                attempt, began = attempt + 1, time.monotonic()
                end, problem = self._run(point, folder, trial, first_step=len(rows) * _STEPS)
            if end == results.INTERRUPTED:
                break
            identity = f"{self.plan.study_name}-{trial.number}-{len(rows)}"
            rows.append(result_row(identity, point, folder, end, problem, time.monotonic() - began, attempt))
            trial.set_user_attr("rows", rows)
            append_results(Path(args.output_dir) / RESULTS, rows[-1:])
            self.ended(rows[-1])
            if end in (results.FINISHED, results.PRUNED):
                clean(folder, bool(args.keep_models))
            if end != results.FINISHED:
                break
        return end

    def _points(self, trial: Trial) -> list[Point]:
        """The runs of a trial."""
        if "flags" in trial.user_attrs:
            return [self.plan.point(trial.user_attrs["flags"])]
        flags: dict[str, Any] = {}
        for name, values in self.plan.args.choices.items():
            if isinstance(values, Range):
                flags[name] = trial.suggest_float(name, values.low, values.high, log=values.low > 0)
            elif name != "seed":
                flags[name] = trial.suggest_categorical(name, values) if len(values) > 1 else values[0]
        flags = of_method(flags, self.plan.args.choices)
        return [self.plan.point({**flags, "seed": seed}) for seed in self.plan.seeds]

    def _run(self, point: Point, folder: Path, trial: Trial, first_step: int) -> tuple[str, str]:
        """Run a point, or go on with it, until it ends, is stopped or is pruned; returns its end and last words."""
        while not is_free(folder):  # such as of a run whose worker died
            if self.signals.received:
                return results.INTERRUPTED, ""
            self._pause(trial)
        if (folder / "all_results.json").exists():
            return results.FINISHED, ""  # by a worker that died before it could say so, or for another plan
        log = make_folder(self.plan.args.log_dir) / f"{point.name}.log"
        with log.open("ab") as output:
            child = subprocess.Popen(
                [sys.executable, stop_with_parent.__file__, str(os.getpid()), *self._command(point, folder)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C reaches it once: passed on by this process
                env=worker_environment(self.device, len(self.plan.args.device)),
            )
            is_pruned = self._watch(child, point, folder, trial, first_step)
        end = _ENDS.get(child.returncode, results.FAILED)
        if end == results.INTERRUPTED and is_pruned:
            return results.PRUNED, ""
        if end == results.FAILED and self.signals.received:
            return results.INTERRUPTED, ""
        return end, last_words(log, child.returncode) if end in (results.DIVERGED, results.FAILED) else ""

    def _watch(self, child: subprocess.Popen[bytes], point: Point, folder: Path, trial: Trial, first_step: int) -> bool:
        """Wait for the end of a run, having it stop on a signal or where pruning says so; returns whether that did."""
        stopped_by, epochs = "", 0
        while child.poll() is None:
            self._pause(trial)
            if stopped_by:
                continue
            if self.signals.received:
                child.send_signal(self.signals.received)
                stopped_by = "signal"
            elif self.plan.args.prune and len(scores := scores_so_far(folder, point.metric)) > epochs:
                for epoch in range(epochs, len(scores)):
                    trial.report(scores[epoch], first_step + epoch + 1)
                epochs = len(scores)
                if trial.should_prune():
                    child.terminate()
                    stopped_by = "pruner"
        return stopped_by == "pruner"

    def _pause(self, trial: Trial) -> None:
        """Wait a moment, and show now and then that this worker lives."""
        if time.monotonic() - self._counted > states.BEAT:
            self._counted = time.monotonic()
            trial.set_user_attr("count", trial.user_attrs.get("count", 0) + 1)
        time.sleep(_POLL)

    def _command(self, point: Point, folder: Path) -> list[str]:
        words = [sys.executable, str(ROOT / "run_glue_no_trainer.py"), *point.words, "--output_dir", str(folder)]
        words += ["--checkpointing_steps", str(self.plan.args.checkpointing_steps), "--save_total_limit", "1"]
        if self.device == "cpu":
            words.append("--cpu")
        if any((folder / "checkpoints").glob("step_*")):
            return [*words, "--resume_from_checkpoint"]
        return [*words, "--overwrite_output_dir"]  # nothing, or what a run left that came to nothing


def is_free(folder: Path) -> bool:
    """Whether no run writes into a folder."""
    lock = FolderLock(folder)
    try:
        lock.acquire()
    except UsageError:
        return False
    lock.release()
    return True


def clean(folder: Path, keep_model: bool) -> None:
    """Delete what a finished run needs no more, as far as its own list names it: checkpoints, and perhaps its weights.

    Args:
        folder: of the run.
        keep_model: whether the weights stay.
    """
    manifest = Manifest(folder)
    checkpoints = [name for name in manifest.names() if name.startswith("checkpoints/")]
    manifest.discard([*checkpoints, *(() if keep_model else (_WEIGHTS,))])


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
