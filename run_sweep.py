#!/usr/bin/env python
"""Fine-tune on a grid of tasks, scales, positions and seeds, by as many workers as there are devices.

    python run_sweep.py --model_name_or_path bert-base-uncased --task_name rte cola --scale 0 0.005 0.01 --seed 1 2 3

Writes a folder for each run, results.jsonl, study.db and a report into --output_dir. Started again it goes on. The
parts are in `sweep/`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glue.cli.console import fail, progress_bar, run_script, say
from sweep.arguments import parse_args

if TYPE_CHECKING:
    from glue.cli.signals import StopSignals
    from sweep.plan import Plan
    from sweep.points import Point

    Row = dict[str, Any]

ROOT = Path(__file__).parent
_POLL = 0.5  # seconds
_MOST_STARTS = 5  # of a worker in a row that finishes nothing


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    from glue.cli.signals import StopSignals

    def work() -> int:
        args = parse_args(argv)  # before anything heavy is imported, so that --help answers at once
        from sweep.plan import make_plan

        plan, points = make_plan(args)
        if args.dry_run:
            return dry_run(plan, points)
        with StopSignals() as signals:
            return sweep(plan, points, signals)

    return run_script("run_sweep.py", work)


def sweep(plan: Plan, points: list[Point], signals: StopSignals) -> int:
    """Let the workers run the points, and say what came of them."""
    from reports.sweep_report import write_report
    from sweep.results import RESULTS, append_results, newest, read_results
    from sweep.study import enqueue, missing_runs, open_study, rows_beside, rows_of

    study, results = open_study(plan), Path(plan.args.output_dir) / RESULTS
    append_results(results, rows_beside(study, plan))  # of workers elsewhere, or that died before they wrote them down
    rows = read_results(results)
    new = enqueue(study, plan, points, newest(rows))
    known, total = plan.rows(points, rows), total_runs(plan, points)
    done = sum(plan.is_done(row) for row in known)
    say(f"{total} runs, {done} of them done before, {new} new; results in {results}, logs in {plan.args.log_dir}/")
    interrupted = watch(plan, results, max(0, total - done), signals)
    append_results(results, rows_of(study))
    everything = read_results(results)
    rows = plan.rows(points, everything)
    found = {row["point"] for row in rows}
    missing = missing_runs(study, plan) if plan.is_search else sum(point.key not in found for point in points)
    status = summarize(plan, rows, missing)
    if rows:
        for path in write_report(rows, results.parent, results.parent.resolve().name):
            say(f"Written: {path}")
    others = len(newest(everything)) - len(newest(rows))
    if others:
        say(f"Runs of other sweeps in this folder, not counted here: {others}; run_report.py reports on all")
    if interrupted:
        return fail("interrupted: start the same command again to go on", 128 + interrupted, "", program="run_sweep.py")
    return status


def watch(plan: Plan, results: Path, left: int, signals: StopSignals) -> int:
    """Start a worker for each device, start one again that died, and show what they finish.

    Returns:
        The number of the signal that ended this; 0 where nothing was left to do.
    """
    from sweep.results import read_results

    workers = {index: start_worker(plan, device) for index, device in enumerate(plan.args.device)}
    starts = dict.fromkeys(workers, 1)
    known = {row["id"] for row in read_results(results)}
    passed_on, size = 0, -1
    with progress_bar(total=left, desc="runs", unit="run", smoothing=0) as bar:
        while workers:
            time.sleep(_POLL)
            if results.exists() and results.stat().st_size != size:
                size = results.stat().st_size
                for row in read_results(results):
                    if row["id"] not in known:
                        known.add(row["id"])
                        starts = dict.fromkeys(starts, 1)
                        say(describe(row))
                        bar.update()
            if sys.stderr.isatty():
                bar.refresh()  # the clock goes on
            if signals.received and not passed_on:
                passed_on = signals.received
                for worker in workers.values():
                    worker.send_signal(passed_on)
            for index, worker in list(workers.items()):
                status = worker.poll()
                if status is None:
                    continue
                del workers[index]
                if status in (0, 2) or signals.received or status > 128:
                    continue  # nothing is left, it has said why it cannot, or was asked to stop
                if starts[index] < _MOST_STARTS:
                    starts[index] += 1
                    say(f"The worker on {plan.args.device[index]} died with status {status}: started again")
                    workers[index] = start_worker(plan, plan.args.device[index])
                else:
                    say(f"The worker on {plan.args.device[index]} died {_MOST_STARTS} times in a row: given up")
    return passed_on


def start_worker(plan: Plan, device: str) -> subprocess.Popen[bytes]:
    """Start the process that works on a device."""
    from sweep import stop_with_parent, worker

    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", worker.__name__, plan.to_json(), device, str(len(plan.args.device))]
    return subprocess.Popen(
        [sys.executable, stop_with_parent.__file__, str(os.getpid()), *command],
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C reaches it once: passed on by this process
        env={**os.environ, "PYTHONPATH": path},
    )


def describe(row: Row) -> str:
    """Return the line about a run that has ended."""
    line = f"{row['title']}: {row['status']}"
    if row["score"] is not None:
        line += f", {row['main_metric']} {row['score']:.4f}"
    if row["degenerate"]:
        line += " (every prediction is the same class)"
    return f"{line}, {row['seconds']:.0f} s" + (f": {row['problem']}" if row["problem"] else "")


def summarize(plan: Plan, rows: list[Row], missing: int) -> int:
    """Say how many runs ended how; returns the exit status."""
    counts = {status: sum(row["status"] == status for row in rows) for status in ("finished", "pruned", "diverged")}
    failed = [row for row in rows if row["status"] == "failed"]
    say(
        ", ".join(f"{count} {status}" for status, count in counts.items() if count or status == "finished")
        + f", {len(failed)} failed, {missing} missing"
    )
    for row in failed:
        say(f"failed: {row['title']}: {row['problem']}; see {plan.args.log_dir}/{row['folder']}.log")
    return 1 if failed or missing else 0


def dry_run(plan: Plan, points: list[Point]) -> int:
    """List the points, and estimate the time that is left from the runs that are done."""
    from statistics import median

    from sweep.results import RESULTS, newest, read_results

    everything = read_results(Path(plan.args.output_dir) / RESULTS)
    seconds: dict[str, list[float]] = {}
    for row in everything:
        if row["status"] == "finished":
            seconds.setdefault(row["task"], []).append(max(row["seconds"], row["train_seconds"] or 0.0))
    rows = plan.rows(points, everything)
    done = {row["point"]: row for row in newest(rows)}
    for point in () if plan.is_search else points:
        say(describe(done[point.key]) if point.key in done else f"{point.title}: to do")
    ended = {point for point, row in done.items() if plan.is_done(row)}
    if plan.is_search:
        left = points[:1] * max(0, total_runs(plan, points) - len(rows))
    else:
        left = [point for point in points if point.key not in ended]
    text = f"{total_runs(plan, points)} runs, {len(left)} to do"
    known = [median(seconds[point.task]) for point in left if point.task in seconds]
    workers = len(plan.args.device)
    if known:
        text += f": about {sum(known) / workers / 60:.0f} minutes on {workers} worker(s)"
    unknown = sorted({point.task for point in left if point.task not in seconds})
    if unknown:
        text += f"; no run of {', '.join(unknown)} is done to estimate from"
    say(text)
    return 0


def total_runs(plan: Plan, points: list[Point]) -> int:
    """How many runs were asked for; of a search some may come to be pruned."""
    return (plan.args.n_trials or 0) * len(plan.seeds) if plan.is_search else len(points)


if __name__ == "__main__":
    sys.exit(main())
