#!/usr/bin/env python
"""Try a saved classifier: a label and its score for every text, on a line of its own.

    python run_predict.py --model_name_or_path output/sst2 "a quiet and lovely film" "two hours that I want back"
    python run_predict.py --model_name_or_path output/sst2 < sentences.txt
    python run_predict.py --model_name_or_path output/rte --input_file pairs.jsonl --json

Of a pair the two texts are two columns of a file, or stand on one line with a tab between them. How fast it went is
said on stderr. Exit status: 0 done; 2 wrong arguments or texts.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glue.cli.command_line import OneLineParser
from glue.cli.console import run_script
from glue.errors import UsageError


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = _parser()

    def work() -> int:
        args = parser.parse_args(argv)
        from glue.cli.paths import provide_caches

        provide_caches()
        from transformers import pipeline

        classify = pipeline(
            model=args.model_name_or_path, revision=args.revision, device=args.device, batch_size=args.batch_size
        )
        longest = min(classify.model.config.longest_sequence, args.max_length or sys.maxsize)
        options = {"top_k": args.top_k, "truncation": True, "max_length": longest}
        rows, began = list(_rows(args, classify.model.config)), time.perf_counter()
        for row, labels in zip(rows, classify(iter(rows), **options), strict=True):
            if args.json:
                print(json.dumps({**row, "labels": labels} if args.top_k > 1 else {**row, **labels[0]}))
            else:
                print("\t".join(f"{found['label']}\t{found['score']:.4f}" for found in labels))
        seconds = time.perf_counter() - began
        what = f"{type(classify.model).__name__} on {classify.device}"
        print(f"{len(rows)} texts in {seconds:.2f} s, {len(rows) / seconds:.0f} a second ({what})", file=sys.stderr)
        return 0

    return run_script(parser.prog, work)


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog="run_predict.py", description="A label and its score for every text.", allow_abbrev=False
    )
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="texts; without any, lines are read from stdin")
    parser.add_argument("--model_name_or_path", required=True, metavar="NAME", help="folder or Hub id of a classifier")
    parser.add_argument("--revision", metavar="REV", help="branch, tag or commit of a Hub id")
    parser.add_argument(
        "--input_file", metavar="FILE", help="read the texts from a txt, csv, tsv, json or parquet file"
    )
    parser.add_argument(
        "--text_column_names", nargs="+", metavar="NAME", help="its text column, or two for pairs; default the model's"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object a text, with the text in it")
    parser.add_argument("--top_k", type=_count, default=1, metavar="N", help="labels a text, the likeliest first")
    parser.add_argument("--batch_size", type=_count, default=32, metavar="N", help="texts at a time (default: 32)")
    parser.add_argument(
        "--max_length", type=_count, metavar="N", help="cut texts to N tokens; default the model's most"
    )
    parser.add_argument("--device", metavar="NAME", help="where to compute, such as cpu or cuda (default: cpu)")
    return parser


def _count(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError
    return number


_count.__name__ = "number"  # argparse puts it into its message


def _rows(args: argparse.Namespace, config: Any) -> Iterator[dict[str, str]]:
    """Yield the texts and pairs."""
    from glue.data.readers import check_data_path, lines_as_table, read_table
    from glue.data.user_files import choose_text_columns

    if args.input_file and args.texts:
        raise UsageError("--input_file and texts exclude each other: give one of them")
    saved = getattr(config, "text_columns", None)
    columns: list[list[str]]
    if args.input_file:
        check_data_path(args.input_file, "--input_file", plain=True)
        table = read_table(Path(args.input_file), whole=True)
        is_lines = [*table.columns] == ["text"]
        names = ("text",) if is_lines else choose_text_columns(table, saved, args.text_column_names)
        columns = [table.text(name) for name in names]
    elif args.texts:
        is_lines, columns = True, [args.texts]
    else:
        try:
            is_lines, columns = True, [lines_as_table(sys.stdin.buffer.read().decode(), "stdin", True).columns["text"]]
        except UnicodeDecodeError as error:
            raise UsageError(f"stdin is not valid UTF-8 (at byte {error.start})") from None
    for texts in zip(*columns, strict=True):
        parts = texts[0].split("\t", 1) if is_lines else texts
        yield dict(zip(("text", "text_pair"), parts, strict=False))


if __name__ == "__main__":
    sys.exit(main())
