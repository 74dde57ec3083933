#!/usr/bin/env python
"""Write the report of a sweep: tables and figures out of its results.jsonl.

    python run_report.py output/sweep

Writes report.html (one file, no network), report.md and figures/ into that folder, or into --output_dir.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

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
    parser.add_argument(
        "--baseline",
        metavar="METHOD",
        default="none",
        help="what the others are compared with: a method, or one of its settings as the report calls it, such as "
        "'ContraNorm scale 0.005' (default: none, the plain model)",
    )
    parser.add_argument("--title", metavar="TEXT", help="what the report is called (default: the folder's name)")

    def work() -> int:
        args = parser.parse_args(argv)
        from reports.published import read_published
        from reports.sweep_report import write_report
        from sweep.results import RESULTS

        published = read_published(Path(expand("--published", args.published))) if args.published else []
        paths = [Path(expand("sweep", name)) for name in args.sweep]
        files = [path if path.is_file() else path / RESULTS for path in paths]
        folder = Path(expand("--output_dir", args.output_dir)) if args.output_dir else files[0].parent
        title = args.title or files[0].parent.resolve().name
        for path in write_report(rows_of(files), folder, title, published, args.baseline):
            say(f"Written: {path}")
        return 0

    return run_script(parser.prog, work)


def rows_of(files: list[Path]) -> list[dict[str, Any]]:
    """Return the rows of one sweep or several; a run that is in several counts once, with its newest result.

    Raises:
        UsageError: a file is missing, or there is no result.
    """
    from sweep.results import newest, read_results

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
    return newest(rows)


if __name__ == "__main__":
    sys.exit(main())
