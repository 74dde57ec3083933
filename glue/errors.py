"""The two ways in which a run finds out that it cannot go on."""

from __future__ import annotations

from typing import Any

from transformers.utils.text import one_line


class UsageError(Exception):
    """A flag, a file or the data is wrong; the message is one line: the value, what was expected, what to do.

    Args:
        message: control characters in it, which names and data may hold, are escaped.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class DivergedError(Exception):
    """The loss or a weight is no longer a finite number; the message is one line that says when and where.

    Args:
        message: the line.
        details: the same for programs to read.
    """

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details
