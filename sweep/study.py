"""The study that all workers of a sweep share: an Optuna study whose trials are attempts at points.

A trial is WAITING until a worker takes it. One that ends without a result (its worker died, it was stopped, it failed
and may be tried again) is followed by a new trial for the same point. The attributes of a trial:

    flags      the flags of its point (a grid), None where the sampler chooses them
    deaths     how many trials for this point ended with their worker
    attempt    1, and 1 more for every one that failed
    worker     who runs it, see `this_process`
    end        how it ended: one of the constants below
    rows       rows for results.jsonl, one a run
"""

from __future__ import annotations

import contextlib
import os
import platform
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import optuna
import psutil
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from glue.errors import UsageError
from transformers.utils.files import make_folder

from .arguments import SweepArguments
from .points import Point

FINISHED, PRUNED, DIVERGED, FAILED = "finished", "pruned", "diverged", "failed"
INTERRUPTED, DIED, SURPLUS = "interrupted", "died", "surplus"
ENDS = (FINISHED, PRUNED, DIVERGED, FAILED)  # with a row

HEARTBEAT, GRACE = 20, 90  # seconds: how often a worker shows that it lives, and after how long it does not
_MOST_OPENINGS = 5
_MOST_DEATHS = 10  # of workers that a point may survive


def open_study(args: SweepArguments) -> optuna.Study:
    """Return the study of a sweep, created where it does not exist yet.

    Raises:
        UsageError: the database cannot be reached.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    url, options = args.storage, {}
    if url is None:
        url = f"sqlite:///{make_folder(args.output_dir).resolve() / 'study.db'}"
        options = {"connect_args": {"timeout": 60}}
    sampler: Any = None
    if args.sampler != "grid":
        of_kind = {"random": optuna.samplers.RandomSampler, "tpe": optuna.samplers.TPESampler}
        sampler = of_kind[args.sampler]()
    pruner = optuna.pruners.MedianPruner(n_startup_trials=3) if args.prune else optuna.pruners.NopPruner()
    attempt = 1
    while True:
        try:
            with _without_notes():
                storage = optuna.storages.RDBStorage(
                    url,
                    engine_kwargs=options,
                    heartbeat_interval=HEARTBEAT,
                    grace_period=GRACE,
                    heartbeat_stale_trial_callback=try_again_after_death,
                )
                return optuna.create_study(
                    storage=storage,
                    study_name=args.study_name,
                    sampler=sampler,
                    pruner=pruner,
                    direction="maximize",
                    load_if_exists=True,
                )
        except Exception as error:  # whatever the driver of a database raises
            # Commands that start at once get into each other's way where they create the tables.
            if attempt == _MOST_OPENINGS:
                first = str(error).strip().partition("\n")[0]
                raise UsageError(f"--storage {_without_password(url)}: {first or type(error).__name__}") from error
            time.sleep(0.2 * attempt)
            attempt += 1


def enqueue(study: optuna.Study, points: Iterable[Point]) -> int:
    """Let the points wait for workers that no trial runs, waits for or has finished; returns how many those are."""
    taken = {_key(trial) for trial in study.get_trials(deepcopy=False) if _holds_point(trial)}
    new = [point for point in points if point.key not in taken]
    for point in new:
        study.enqueue_trial({}, user_attrs={"flags": dict(point.flags), "attempt": 1, "deaths": 0})
    return len(new)


def try_again(study: optuna.Study, trial: FrozenTrial | optuna.Trial, **changes: int) -> None:
    """Let the point of a trial that has ended, or is about to, wait again.

    Args:
        changes: to the attributes "attempt" and "deaths".
    """
    names = ("flags", "attempt", "deaths")
    kept: dict[str, Any] = {name: trial.user_attrs[name] for name in names if name in trial.user_attrs}
    study.enqueue_trial(trial.params, user_attrs={**kept, **changes})


def try_again_after_death(study: optuna.Study, trial: FrozenTrial) -> None:
    """The same for one whose worker has died; after many deaths it is left."""
    deaths = trial.user_attrs.get("deaths", 0) + 1
    if deaths <= _MOST_DEATHS:
        try_again(study, trial, deaths=deaths)


def bury_the_dead(study: optuna.Study) -> None:
    """Give back at once what a worker of this machine had when it died, and what one elsewhere had a while ago."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if _is_dead(trial.user_attrs.get("worker")):
            with contextlib.suppress(ValueError, UpdateFinishedTrialError):  # somebody else was faster
                study.tell(trial.number, state=TrialState.FAIL)
                try_again_after_death(study, trial)
    with _without_notes():
        optuna.storages.fail_stale_trials(study)


def is_surplus(study: optuna.Study, trial: optuna.Trial, n_trials: int | None) -> bool:
    """Whether a trial just taken is not to be run: another one has its point, or there are enough."""
    before = [other for other in study.get_trials(deepcopy=False) if other.number < trial.number]
    if n_trials is not None:
        return sum(map(_counts, before)) >= n_trials
    if "flags" not in trial.user_attrs:
        return True
    return any(_holds_point(other) and _key(other) == _key(trial) for other in before)


def has_work(study: optuna.Study, n_trials: int | None) -> bool:
    """Whether a trial is waiting for a worker, or may be drawn."""
    trials = study.get_trials(deepcopy=False)
    if any(trial.state == TrialState.WAITING for trial in trials):
        return True
    return n_trials is not None and sum(map(_counts, trials)) < n_trials


def has_running(study: optuna.Study) -> bool:
    """Whether a worker, of this machine or another one, is at work."""
    return bool(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))


def rows_of(study: optuna.Study) -> list[dict[str, Any]]:
    """Return the rows of all trials that have ended with some."""
    return [row for trial in study.get_trials(deepcopy=False) for row in trial.user_attrs.get("rows", ())]


def this_process() -> dict[str, Any]:
    """Return what tells this process from every other one, on any machine and at any time."""
    return {"machine": _this_machine(), "pid": os.getpid(), "since": psutil.Process().create_time()}


def _this_machine() -> str:
    """Its name, and that of the numbering of processes: containers of one machine have several."""
    numbering = Path("/proc/self/ns/pid")
    return f"{platform.node()} {os.readlink(numbering) if numbering.is_symlink() else ''}".strip()


def _is_dead(worker: dict[str, Any] | None) -> bool:
    if worker is None or worker["machine"] != _this_machine():
        return False
    try:
        process = psutil.Process(worker["pid"])
        return bool(process.status() == psutil.STATUS_ZOMBIE or abs(process.create_time() - worker["since"]) > 1)
    except psutil.NoSuchProcess:
        return True


def _key(trial: FrozenTrial | optuna.Trial) -> str:
    flags = trial.user_attrs.get("flags")
    return "" if flags is None else Point(tuple(sorted(flags.items()))).key


def _holds_point(trial: FrozenTrial) -> bool:
    """Whether a trial is for a point that needs no other one: it waits, runs, or has ended with a lasting result."""
    if trial.state in (TrialState.WAITING, TrialState.RUNNING):
        return True
    return trial.user_attrs.get("end") in (FINISHED, PRUNED, DIVERGED)


def _counts(trial: FrozenTrial) -> bool:
    """Whether a trial is one of the --n_trials: all but those that another one follows, and surplus ones."""
    return trial.state in (TrialState.WAITING, TrialState.RUNNING) or trial.user_attrs.get("end") in ENDS


@contextlib.contextmanager
def _without_notes() -> Iterator[None]:
    """Heartbeats have been called experimental since 2021."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def _without_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    credentials, at, host = rest.rpartition("@")
    return f"{scheme}{separator}{credentials.partition(':')[0]}{at}{host}"
