#!/usr/bin/env python
"""Write the report of a sweep: tables and figures out of its results.jsonl.

    python run_report.py output/sweep

Writes report.html (one file, no network), report.md and figures/ into that folder, or into --output_dir.
"""

from __future__ import annotations

import sys
from pathlib import Path

from glue.cli.command_line import OneLineParser
from glue.cli.console import run_script, say
from glue.cli.paths import expand
from glue.errors import UsageError


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = OneLineParser(prog="run_report.py", description="Write the report of a sweep.", allow_abbrev=False)
    parser.add_argument(
        "sweep", nargs="+", help="folders of sweeps, or results.jsonl files; several make up one report"
    )
    parser.add_argument("--output_dir", metavar="DIR", help="folder of the report (default: the first sweep's)")
    parser.add_argument(
        "--published",
        metavar="FILE",
        help="csv or yaml with published scores to set beside: method, model, task, score (percent), source",
    )
    parser.add_argument("--title", metavar="TEXT", help="what the report is called (default: the folder's name)")

    def work() -> int:
        args = parser.parse_args(argv)
        folder = args.output_dir and expand("--output_dir", args.output_dir)
        published = args.published and expand("--published", args.published)
        report([Path(expand("sweep", name)) for name in args.sweep], folder, args.title, published)
        return 0

    return run_script(parser.prog, work)


def report(
    sweeps: list[Path], output_dir: str | None = None, title: str | None = None, published: str | None = None
) -> None:
    """Write the report of one sweep or several; a run that is in several counts once.

    Raises:
        UsageError: there are no results, or a published score is not complete.
        CheckpointError: a file cannot be read or written.
    """
    from reports.published import read_published
    from reports.sweep_report import write_report
    from sweep.results import RESULTS, newest, read_results

    others = [] if published is None else read_published(Path(published))
    files = [path if path.is_file() else path / RESULTS for path in sweeps]
    rows = []
    for file in files:
        if not file.is_file():
            raise UsageError(f"{file}: no such file; give the folder of a sweep that has finished a run")
        broken: list[int] = []
        rows += read_results(file, broken)
        if broken:
            lines = ", ".join(map(str, broken[:10])) + (" and more" if len(broken) > 10 else "")
            say(f"Note: {file}: no row of a sweep in line {lines}: left out")
    if not rows:
        raise UsageError(f"{files[0]} holds no finished run")
    folder = Path(output_dir) if output_dir is not None else files[0].parent
    rows = newest(sorted(rows, key=lambda row: str(row.get("finished", ""))))
    for path in write_report(rows, folder, title or files[0].parent.resolve().name, others):
        say(f"Written: {path}")


if __name__ == "__main__":
    sys.exit(main())
