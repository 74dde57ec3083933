"""The one exception for problems that the person at the command line can mend."""

from __future__ import annotations


class UsageError(Exception):
    """A flag, a file or the data is wrong; the message is one line: the value, what was expected, what to do."""
