"""The study that all workers of a sweep share: an Optuna study whose trials are attempts at points.

A trial is WAITING until a worker takes it. One that ends without a result (its worker died, or was stopped) is followed
by a new trial for the same point. The attributes of a trial:

    flags      the flags of its point; none where the sampler chooses them
    point      its key; none where there are no flags
    count      how far its worker has counted. A count that stands still is a dead worker: neither a step of the clock
               nor a machine that slept deceives who watches it
    end        how it ended: one of the constants of `sweep/results.py`
    rows       rows for results.jsonl, one a run
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import threading
import time
from collections.abc import Iterable
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from glue.errors import UsageError
from transformers.utils.files import make_folder

from .plan import Plan
from .points import Point
from .results import DIVERGED, FAILED, FINISHED, PRUNED

BEAT, PATIENCE = 10.0, 60.0  # seconds: how often a worker counts on, and after how long without that it is dead
_UNDER_WAY = (TrialState.WAITING, TrialState.RUNNING)
_MOST_OPENINGS = 5
_one_at_a_time = threading.Lock()


def open_study(plan: Plan) -> optuna.Study:
    """Return the study of a sweep, created where it does not exist yet.

    Raises:
        UsageError: the database cannot be reached.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    args = plan.args
    url, options = args.storage, {}
    if url is None:  # opened by path: in a URL a name may hold signs that mean something else there
        path = make_folder(args.output_dir) / "study.db"
        url = "sqlite:///study.db"
        options = {"creator": lambda: sqlite3.connect(path, timeout=60, check_same_thread=False)}
    for attempt in range(_MOST_OPENINGS):
        try:
            return optuna.create_study(
                storage=optuna.storages.RDBStorage(url, engine_kwargs=options),
                study_name=plan.study_name,
                sampler=optuna.samplers.TPESampler() if args.sampler == "tpe" else optuna.samplers.RandomSampler(),
                pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
                direction="maximize" if plan.higher_is_better else "minimize",
                load_if_exists=True,
            )
        except Exception as error:  # whatever the driver of a database raises
            # Commands that start at once get into each other's way where they create the tables.
            time.sleep(0.2 * attempt)
            problem = str(error).strip().partition("\n")[0] or type(error).__name__
    if args.storage is None:
        raise UsageError(f"{path} cannot be read as the sweep's own record: {problem}")
    place = re.sub(r"(://[^:@/]*):.*@", r"\1@", args.storage)  # without its password
    raise UsageError(f"--storage {place}: {problem}")


def enqueue(study: optuna.Study, plan: Plan, rows: Iterable[dict[str, Any]]) -> int:
    """Let those points wait for workers that nobody runs, waits for or has finished; returns how many those are.

    Of a search they are drawn points whose seed was not among those of an earlier command.

    Args:
        study: where they wait.
        plan: says what is finished.
        rows: the newest result of each point.
    """
    taken = {row["point"] for row in rows if row["status"] in plan.lasting}
    taken |= {trial.user_attrs.get("point") for trial in _trials(study, *_UNDER_WAY)}
    points = _further_seeds(study, plan) if plan.is_search else plan.points
    new = [point for point in points if point.key not in taken]
    for point in new:
        study.enqueue_trial({}, user_attrs={"flags": dict(point.flags), "point": point.key})
    return len(new)


def missing_runs(study: optuna.Study, plan: Plan, rows: Iterable[dict[str, Any]]) -> int:
    """Return how many runs are not done; of a search, trials to be drawn and further seeds of those that were."""
    points = _further_seeds(study, plan) if plan.is_search else plan.points
    missing = len({point.key for point in points} - {row["point"] for row in rows})
    ended = sum(_is_drawn(trial) and trial.state not in _UNDER_WAY for trial in _trials(study))
    return missing + len(plan.seeds) * max(0, (plan.args.n_trials or 0) - ended)


def _further_seeds(study: optuna.Study, plan: Plan) -> list[Point]:
    """Points of a search that were drawn when other seeds were asked for, with the seeds that they lack."""
    points: dict[Point, None] = {}
    for trial in _trials(study):
        if _is_drawn(trial) and trial.user_attrs.get("end") == FINISHED:
            rows = trial.user_attrs.get("rows", [])
            for seed in set(plan.seeds) - {row["seed"] for row in rows} if rows else ():
                points[plan.point({**rows[0]["flags"], "seed": seed})] = None
    return list(points)


def try_again(study: optuna.Study, trial: FrozenTrial | optuna.Trial) -> None:
    """Let the point of a trial that has ended wait again."""
    kept: dict[str, Any] = {name: trial.user_attrs[name] for name in ("flags", "point") if name in trial.user_attrs}
    study.enqueue_trial(trial.params, user_attrs=kept)


def bury_the_dead(study: optuna.Study, seen: dict[int, tuple[int, float]]) -> None:
    """Give back what workers had when they died.

    Args:
        study: that they worked on.
        seen: for each trial how far its worker had counted, and since when, measured in time that passes here; kept by
            the caller from one call to the next.
    """
    for trial in _trials(study, TrialState.RUNNING):
        count = trial.user_attrs.get("count", 0)
        if trial.number not in seen or seen[trial.number][0] != count:
            seen[trial.number] = count, time.monotonic()
        if time.monotonic() - seen[trial.number][1] > PATIENCE:
            with contextlib.suppress(ValueError, UpdateFinishedTrialError):  # somebody else was faster
                study.tell(trial.number, state=TrialState.FAIL)
                if "end" not in trial.user_attrs:
                    try_again(study, trial)


def is_surplus(study: optuna.Study, plan: Plan, trial: optuna.Trial) -> bool:
    """Whether a trial just taken is not to be run: another one has its point, or there are enough."""
    before = [other for other in _trials(study) if other.number < trial.number]
    if "flags" not in trial.user_attrs:
        return sum(map(_is_drawn, before)) >= (plan.args.n_trials or 0)
    mine = [other for other in before if other.user_attrs.get("point") == trial.user_attrs["point"]]
    return any(other.state in _UNDER_WAY or other.user_attrs.get("end") in plan.lasting for other in mine)


def take(study: optuna.Study, plan: Plan) -> optuna.Trial | None:
    """Take a trial that waits, or may be drawn, for a worker; None where there is none.

    The workers of this process do so one after the other: SQLite lets two of them read that a trial waits before either
    has written that it took it, and both would run it.
    """
    with _one_at_a_time:
        return study.ask() if has_work(study, plan) else None


def has_work(study: optuna.Study, plan: Plan) -> bool:
    """Whether a trial is waiting for a worker, or may be drawn."""
    drawn = sum(map(_is_drawn, _trials(study)))
    return bool(_trials(study, TrialState.WAITING)) or drawn < (plan.args.n_trials or 0)


def has_running(study: optuna.Study) -> bool:
    """Whether a worker, of this machine or another one, is at work."""
    return bool(_trials(study, TrialState.RUNNING))


def rows_of(study: optuna.Study) -> list[dict[str, Any]]:
    """Return the rows of all trials that have ended with some."""
    return [row for trial in _trials(study) for row in trial.user_attrs.get("rows", ())]


def _trials(study: optuna.Study, *states: TrialState) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=states or None)


def _is_drawn(trial: FrozenTrial) -> bool:
    """Whether a trial is one of the --n_trials: all but those that another one follows, and surplus ones."""
    is_one = trial.state in _UNDER_WAY or trial.user_attrs.get("end") in (FINISHED, PRUNED, DIVERGED, FAILED)
    return is_one and "flags" not in trial.user_attrs
