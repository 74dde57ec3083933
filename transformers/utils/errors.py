"""The two errors that this library raises for what its user can mend; each carries one readable line."""

from __future__ import annotations

from .text import one_line


class CheckpointError(OSError):
    """A checkpoint or tokenizer folder, one of its files, or a Hub id cannot be read or written.

    Args:
        message: control characters in it, which names and files may hold, are escaped; a very long one is cut.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class ConfigurationError(ValueError):
    """A configuration value, or a combination of values, is wrong or not supported.

    Args:
        message: control characters in it, which names and files may hold, are escaped; a very long one is cut.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))
