#!/usr/bin/env python
"""Pretrain a model further with ContraNorm on: it predicts masked tokens of your texts, or of a GLUE task's.

    python run_mlm_no_trainer.py --model_name_or_path bert-base-uncased --train_file texts.txt --pos 7 --scale 0.005 \\
        --output_dir output/pretrained
    python run_glue_no_trainer.py --model_name_or_path output/pretrained --task_name rte ...

The loop is `train` in `run_glue_no_trainer.py`, and so are flags, checkpoints and exit statuses; what is hidden and how
that is scored is in `glue/training/language_model.py`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from glue.cli.mlm_arguments import parse_mlm_args
from run_glue_no_trainer import run

if TYPE_CHECKING:
    from glue.training.setup import Prepare


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    return run("run_mlm_no_trainer.py", lambda: parse_mlm_args(argv), _prepare)


def _prepare() -> Prepare:
    from glue.training.language_model import prepare_language_model  # imports torch

    return prepare_language_model


if __name__ == "__main__":
    sys.exit(main())
