"""The errors that a user of this library can mend; each carries one readable line."""

from __future__ import annotations

from .text import one_line


class UserError(Exception):
    """Something that the user gave is wrong: a flag, a setting, a file, the data.

    Whoever wants to end a program with one line and without a traceback catches this class.

    Args:
        message: one line: the value, what was expected, what to do. Control characters in it, which names and files may
            hold, are escaped; a very long one is cut.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class CheckpointError(UserError, OSError):
    """A checkpoint or tokenizer folder, one of its files, or a Hub id cannot be read or written."""


class ShapeError(CheckpointError, RuntimeError):
    """A checkpoint has a tensor of another shape than the model: of the class that the stock library raises, too."""


class ConfigurationError(UserError, ValueError):
    """A configuration value, or a combination of values, is wrong or not supported."""


class MethodNameError(ConfigurationError, AttributeError):
    """A setting has the name of a method: of the class that the stock library raises, too."""
