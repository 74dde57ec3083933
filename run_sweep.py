#!/usr/bin/env python
"""Fine-tune on a grid of tasks, scales, positions and seeds, by as many workers as there are devices.

    python run_sweep.py --model_name_or_path bert-base-uncased --task_name rte cola --scale 0 0.005 0.01 --seed 1 2 3

Writes a folder for each run, results.jsonl, study.db and a report into --output_dir. Started again it goes on. The
parts are in `sweep/`.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glue.cli.console import fail, progress_bar, run_script, say
from sweep.arguments import parse_args
from transformers.utils.errors import UserError

if TYPE_CHECKING:
    import optuna

    from glue.cli.signals import StopSignals
    from sweep.plan import Plan

    Row = dict[str, Any]

_TICK = 1.0  # seconds, of the clock in the progress bar


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""

    def work() -> int:
        args = parse_args(argv)  # before anything heavy is imported, so that --help answers at once
        from sweep.plan import Plan

        return dry_run(Plan(args)) if args.dry_run else sweep(Plan(args))

    return run_script("run_sweep.py", work)


def sweep(plan: Plan) -> int:
    """Let the workers run the points, and say what came of them."""
    from glue.cli.signals import StopSignals
    from reports.sweep_report import check_report
    from sweep.devices import describe_sharing
    from sweep.results import RESULTS, append_results, newest, read_results
    from sweep.study import enqueue, missing_runs, open_study, rows_of

    check_report(Path(plan.args.output_dir))  # before days of work, not after
    with StopSignals() as signals:
        study, results, logs = open_study(plan), Path(plan.args.output_dir) / RESULTS, plan.args.log_dir
        append_results(results, rows_of(study))  # of workers elsewhere, or that died before they wrote them down
        rows = plan.rows(read_results(results))
        done = sum(row["status"] in plan.lasting for row in rows)
        new = enqueue(study, plan, newest(read_results(results)))
        say(f"{plan.total} runs, {done} of them done before, {new} new; results in {results}, logs in {logs}/")
        for line in describe_sharing(plan.args.device):
            say(line)
        work(plan, study, max(0, plan.total - done), signals)
        append_results(results, rows_of(study))
        everything = read_results(results)
        rows = plan.rows(everything)
        status = summarize(plan, rows, missing_runs(study, plan, rows))
        status = report(rows, results.parent) or status
        others = len(newest(everything)) - len(newest(rows))
        if others:
            say(f"Runs of other sweeps in this folder, not counted here: {others}; run_report.py reports on all")
    if signals.received:
        status = 128 + signals.received
        return fail("interrupted: start the same command again to go on", status, "", program="run_sweep.py")
    return status


def report(rows: list[Row], folder: Path) -> int:
    """Write the report; what stands in its way changes nothing about the runs, and does not hide how they ended.

    Returns:
        The exit status.
    """
    from reports.sweep_report import write_report

    try:
        for path in write_report(rows, folder, folder.resolve().name) if rows else ():
            say(f"Written: {path}")
    except (UserError, OSError) as error:
        return fail(f"no report: {error}; run_report.py writes it when that is mended", 1, program="run_sweep.py")
    return 0


def work(plan: Plan, study: optuna.Study, left: int, signals: StopSignals) -> None:
    """Let a worker for each device work until nothing is left, and show what they finish."""
    from concurrent.futures import ThreadPoolExecutor, wait

    from sweep.worker import Worker

    def ended(row: Row) -> None:
        say(describe(row))
        bar.update()

    with (
        progress_bar(total=left, desc="runs", unit="run", smoothing=0) as bar,
        ThreadPoolExecutor(len(plan.args.device)) as pool,
    ):
        workers = [pool.submit(Worker(plan, study, device, signals, ended).work) for device in plan.args.device]
        while wait(workers, timeout=_TICK).not_done:
            if sys.stderr.isatty():
                bar.refresh()  # the clock goes on
    for worker in workers:
        worker.result()  # raises what ended it


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
    counts = Counter(row["status"] for row in rows)
    shown = ("finished", *(status for status in ("pruned", "diverged") if counts[status]), "failed")
    say(", ".join(f"{counts[status]} {status}" for status in shown) + f", {missing} missing")
    for row in (row for row in rows if row["status"] == "failed"):
        say(f"failed: {row['title']}: {row['problem']}; see {plan.args.log_dir}/{row['folder']}.log")
    return 1 if counts["failed"] or missing else 0


def dry_run(plan: Plan) -> int:
    """List the points, and estimate the time that is left from the runs that are done."""
    from statistics import median

    from sweep.results import FINISHED, RESULTS, read_results

    everything = read_results(Path(plan.args.output_dir) / RESULTS)
    rows = {row["id" if plan.is_search else "point"]: row for row in plan.rows(everything)}
    if plan.is_search:
        left = [plan.points[0].task] * max(0, plan.total - len(rows))
    else:
        for point in plan.points:
            say(describe(rows[point.key]) if point.key in rows else f"{point.title}: to do")
        left = [point.task for point in plan.points if rows.get(point.key, {}).get("status") not in plan.lasting]
    seconds: dict[str, list[float]] = {task: [] for task in left}
    for row in everything:
        if row["status"] == FINISHED and row["task"] in seconds:
            seconds[row["task"]].append(max(row["seconds"], row["train_seconds"] or 0.0))
    text, workers = f"{plan.total} runs, {len(left)} to do", len(plan.args.device)
    if known := [median(seconds[task]) for task in left if seconds[task]]:
        text += f": about {sum(known) / workers / 60:.0f} minutes on {workers} worker(s)"
    if unknown := sorted(task for task, times in seconds.items() if not times):
        text += f"; no run of {', '.join(unknown)} is done to estimate from"
    say(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
