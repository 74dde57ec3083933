#!/usr/bin/env python
"""Gather the predictions of nine GLUE tasks into the zip file that the GLUE server takes.

    python run_submission.py output/cola output/sst2 output/mrpc output/stsb output/mnli output/qnli output/qqp \\
        output/rte output/wnli --output glue.zip

Each folder is the output of a run with `--do_predict`. A run on mnli has three of the eleven files: GLUE's diagnostics
(AX.tsv) are predicted by its model too. Exit status: 0 done; 2 a file is missing, or is there twice.
"""

from __future__ import annotations

import sys
from pathlib import Path

from glue.cli.command_line import OneLineParser
from glue.cli.console import run_script
from glue.cli.paths import expand


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = OneLineParser(
        prog="run_submission.py", description="Make the zip file that the GLUE server takes.", allow_abbrev=False
    )
    parser.add_argument("folders", nargs="+", metavar="FOLDER", help="output folder of a run with --do_predict")
    parser.add_argument("--output", metavar="FILE", default="glue.zip", help="the zip file (default: %(default)s)")

    def work() -> int:
        args = parser.parse_args(argv)
        from glue.output.submission import gather_submission

        folders = [Path(expand("FOLDER", name)) for name in args.folders]
        gather_submission(folders, Path(expand("--output", args.output)))
        return 0

    return run_script(parser.prog, work)


if __name__ == "__main__":
    sys.exit(main())
