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
    parser.add_argument("--title", metavar="TEXT", help="what the report is called (default: the folder's name)")

    def work() -> int:
        args = parser.parse_args(argv)
        folder = args.output_dir and expand("--output_dir", args.output_dir)
        report([Path(expand("sweep", name)) for name in args.sweep], folder, args.title)
        return 0

    return run_script(parser.prog, work)


def report(sweeps: list[Path], output_dir: str | None = None, title: str | None = None) -> None:
    """Write the report of one sweep or several.

    Raises:
        UsageError: there are no results.
        CheckpointError: a file cannot be read or written.
    """
    from reports.sweep_report import write_report
    from sweep.results import RESULTS, read_results

    files = [path if path.is_file() else path / RESULTS for path in sweeps]
    for file in files:
        if not file.is_file():
            raise UsageError(f"{file}: no such file; give the folder of a sweep that has finished a run")
    rows = [row for file in files for row in read_results(file)]
    if not rows:
        raise UsageError(f"{files[0]} holds no finished run")
    folder = Path(output_dir) if output_dir is not None else files[0].parent
    for path in write_report(rows, folder, title or files[0].parent.resolve().name):
        say(f"Written: {path}")


if __name__ == "__main__":
    sys.exit(main())
