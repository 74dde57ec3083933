"""What a run says to the person in front of it: one line at a time, from the main process only."""

from __future__ import annotations

import sys
from typing import Any

from transformers.utils.text import printable


class _Say:
    """Print a line, past a progress bar if there is one; silent where `on` is False."""

    def __init__(self) -> None:
        self.on = True

    def __call__(self, message: str) -> None:
        if not self.on:
            return
        message = printable(message)
        if "tqdm" in sys.modules:
            sys.modules["tqdm"].tqdm.write(message, file=sys.stdout)
        else:
            print(message)
        sys.stdout.flush()


say = _Say()


def progress_bar(iterable: Any = None, **options: Any) -> Any:
    """Return tqdm's bar; where stderr is a file or a pipe, it is written twice a minute and not ten times a second.

    Args:
        iterable, options: as for `tqdm`.
    """
    from tqdm import tqdm

    return tqdm(iterable, mininterval=0.1 if sys.stderr.isatty() else 30, **options)


def fail(
    problem: object,
    status: int,
    word: str = "error: ",
    shared: bool = False,
    program: str = "run_glue_no_trainer.py",
) -> int:
    """Print a problem as one line on stderr and return `status`.

    Args:
        problem: what there is to say.
        status: exit status.
        word: what stands before it.
        shared: every process of the run has this problem, so that the main one says it for all.
        program: the name of the script.
    """
    if say.on or not shared:
        print(f"{program}: {word}{printable(' '.join(str(problem).split()))}", file=sys.stderr)
    return status
