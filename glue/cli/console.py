"""What a program says to the person in front of it; everything that reaches a console goes through here.

A console serves a run and never ends it. A terminal that was closed, a reader that has gone (`| head`, a `| tee` that
the same Ctrl-C ended), a stream that was never open (`>&-`), a disk that is full: what is said is lost, and the run
goes on. Characters that the console's encoding lacks are shown as escapes.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from transformers.utils.errors import UserError
from transformers.utils.text import one_line, printable


class _Courtesy:
    """A stream that raises nothing: from its first failure on, what is written to it is lost.

    Args:
        stream: where it writes; None for one that was closed before the program began.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._attempt("write", text.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        self._attempt("flush")

    def isatty(self) -> bool:
        return bool(self._attempt("isatty"))

    def _attempt(self, name: str, *arguments: Any) -> Any:
        try:
            return getattr(self._stream, name)(*arguments)
        except (OSError, ValueError, AttributeError):  # gone, full; closed; None
            with contextlib.suppress(OSError, ValueError, AttributeError), open(os.devnull, "wb") as nowhere:
                # What its buffer still holds, the interpreter tries to write once more at its end.
                os.dup2(nowhere.fileno(), self._stream.fileno())
            self._stream = None


@contextlib.contextmanager
def console() -> Iterator[None]:
    """Within the block, `sys.stdout` and `sys.stderr` take everything and raise nothing."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # the next file that is opened would get this number, and all that is meant for a console
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Courtesy(sys.stdout), _Courtesy(sys.stderr)
    say.on = os.environ.get("RANK", "0") == "0"  # until the processes of a run know each other
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def run_script(program: str, work: Callable[[], int]) -> int:
    """Do the work of a script, and say in one line what ended it.

    Args:
        program: the name of the script.
        work: what it does; returns the exit status.

    Returns:
        The exit status: that of `work`; 2 where the user can mend what is wrong, 1 where the system failed.
    """
    with console():
        try:
            return work()
        except UserError as error:
            return fail(error, 2, program=program)
        except OSError as error:
            return fail(error, 1, program=program)
        except KeyboardInterrupt:
            return fail("stopped by SIGINT", 130, "", program=program)


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


def say_at_once(message: str) -> None:
    """Say a line from within a signal handler, where `print` may have been interrupted itself."""
    with contextlib.suppress(OSError):
        os.write(2, f"{message}\n".encode())


def progress_bar(iterable: Any = None, **options: Any) -> Any:
    """Return tqdm's bar, where `say` says anything; into a file or a pipe it is written twice a minute only.

    Args:
        iterable, options: as for `tqdm`.
    """
    from tqdm import tqdm

    return tqdm(iterable, mininterval=0.1 if sys.stderr.isatty() else 30, disable=not say.on, **options)


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
        print(f"{program}: {word}{one_line(' '.join(str(problem).split()))}", file=sys.stderr)
    return status
