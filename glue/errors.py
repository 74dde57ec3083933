"""How a run finds out that it cannot go on."""

from __future__ import annotations

from typing import Any

from transformers.utils.errors import UserError


class UsageError(UserError):
    """A flag, a file or the data is wrong; the message is one line: the value, what was expected, what to do."""


class DivergedError(Exception):
    """The loss or a weight is no longer a finite number; the message is one line that says when and where.

    Args:
        message: the line.
        details: the same for programs to read.
    """

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details
