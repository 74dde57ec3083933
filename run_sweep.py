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
from run_report import report
from sweep.arguments import SweepArguments, parse_args
from sweep.points import Point, grid

if TYPE_CHECKING:
    from glue.cli.signals import StopSignals

ROOT = Path(__file__).parent
_POLL = 0.5  # seconds
_MOST_STARTS = 5  # of a worker in a row that finishes nothing


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    from glue.cli.signals import StopSignals

    def work() -> int:
        args = parse_args(argv)
        points = [] if args.n_trials is not None else grid(args.choices)
        if args.dry_run:
            return dry_run(args, points)
        with StopSignals() as signals:
            return sweep(args, points, signals)

    return run_script("run_sweep.py", work)


def sweep(args: SweepArguments, points: list[Point], signals: StopSignals) -> int:
    """Let the workers run the points, and say what came of them."""
    from sweep.results import RESULTS, append_results, read_results
    from sweep.study import enqueue, open_study, rows_of

    study, results = open_study(args), Path(args.output_dir) / RESULTS
    new = enqueue(study, points)
    append_results(results, rows_of(study))  # of workers elsewhere, or that died before they could write it down
    done = read_results(results)
    total = _total(args, points)
    say(f"{total} runs, {len(done)} of them done before, {new} new; results in {results}, logs in {args.log_dir}/")
    interrupted = watch(args, results, total, signals)
    append_results(results, rows_of(study))
    rows = read_results(results)
    status = summarize(args, rows, total)
    if rows:
        report([results.parent])
    if interrupted:
        return fail("interrupted: start the same command again to go on", 128 + interrupted, "", program="run_sweep.py")
    return status


def watch(args: SweepArguments, results: Path, total: int, signals: StopSignals) -> int:
    """Start a worker for each device, start one again that died, and show what they finish.

    Returns:
        The number of the signal that ended this; 0 where nothing was left to do.
    """
    from sweep.results import read_results

    workers = {index: start_worker(args, device) for index, device in enumerate(args.device)}
    starts = dict.fromkeys(workers, 1)
    known = {row["id"] for row in read_results(results)}
    passed_on, size = 0, -1
    with progress_bar(total=total, initial=min(total, len(known)), desc="runs", unit="run", smoothing=0) as bar:
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
                    say(f"The worker on {args.device[index]} died with status {status}: started again")
                    workers[index] = start_worker(args, args.device[index])
                else:
                    say(f"The worker on {args.device[index]} died {_MOST_STARTS} times in a row: given up")
    return passed_on


def start_worker(args: SweepArguments, device: str) -> subprocess.Popen[bytes]:
    """Start the process that works on a device."""
    from sweep import attached, worker

    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", worker.__name__, worker.to_json(args), device, str(len(args.device))]
    return subprocess.Popen(
        [sys.executable, attached.__file__, str(os.getpid()), *command],
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C reaches it once: passed on by this process
        env={**os.environ, "PYTHONPATH": path},
    )


def describe(row: dict[str, Any]) -> str:
    """Return the line about a run that has ended."""
    line = f"{row['title']}: {row['status']}"
    if row["score"] is not None:
        line += f", {row['main_metric']} {row['score']:.4f}"
    if row["degenerate"]:
        line += " (every prediction is the same class)"
    return f"{line}, {row['seconds']:.0f} s" + (f": {row['problem']}" if row["problem"] else "")


def summarize(args: SweepArguments, rows: list[dict[str, Any]], total: int) -> int:
    """Say how many runs ended how; returns the exit status."""
    counts = {status: sum(row["status"] == status for row in rows) for status in ("finished", "pruned", "diverged")}
    failed = [row for row in rows if row["status"] == "failed"]
    missing = total - len(rows)
    say(
        ", ".join(f"{count} {status}" for status, count in counts.items() if count or status == "finished")
        + f", {len(failed)} failed, {max(0, missing)} missing"
    )
    for row in failed:
        say(f"failed: {row['title']}: {row['problem']}; see {args.log_dir}/{row['folder']}.log")
    return 1 if failed or missing > 0 else 0


def dry_run(args: SweepArguments, points: list[Point]) -> int:
    """List the points, and estimate the time that is left from the runs that are done."""
    from statistics import median

    from sweep.results import RESULTS, read_results

    done = {row["point"]: row for row in read_results(Path(args.output_dir) / RESULTS)}
    for point in points:
        say(describe(done[point.key]) if point.key in done else f"{point.title}: to do")
    left = [point for point in points if point.key not in done or done[point.key]["status"] == "failed"]
    seconds: dict[str, list[float]] = {}
    for row in done.values():
        if row["status"] == "finished":
            seconds.setdefault(row["task"], []).append(max(row["seconds"], row["train_seconds"] or 0.0))
    known = [median(seconds[point.task]) for point in left if point.task in seconds]
    text = f"{_total(args, points)} runs, {len(left) if points else 'an unknown number'} to do"
    if known:
        text += f": about {sum(known) / len(args.device) / 60:.0f} minutes on {len(args.device)} worker(s)"
    unknown = sorted({point.task for point in left if point.task not in seconds})
    if unknown:
        text += f"; no run of {', '.join(unknown)} is done to estimate from"
    say(text)
    return 0


def _total(args: SweepArguments, points: list[Point]) -> int:
    seeds = args.choices.get("seed", [None])
    return len(points) if args.n_trials is None else args.n_trials * len(seeds)


if __name__ == "__main__":
    sys.exit(main())
