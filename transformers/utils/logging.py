"""Logging of the library, with the names of Hugging Face's `transformers.utils.logging`.

Everything below the logger `transformers` goes to stderr, warnings and worse by default. The environment variable
TRANSFORMERS_VERBOSITY (debug, info, warning, error, critical) or `set_verbosity_*` changes that.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
from logging import CRITICAL, DEBUG, ERROR, FATAL, INFO, NOTSET, WARN, WARNING  # noqa: F401 - for who imports them
from typing import Any

from .text import printable

_LIBRARY = __name__.split(".")[0]
_LEVELS = {"debug": DEBUG, "info": INFO, "warning": WARNING, "error": ERROR, "critical": CRITICAL}


class _StderrHandler(logging.StreamHandler[Any]):
    """Write to whatever `sys.stderr` is at that moment, so that redirected output is followed.

    Control characters, which names in a file may hold, are shown as escapes; line ends are our own.
    """

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), keep="\n")


_default_handler = _StderrHandler()


def get_logger(name: str | None = None) -> logging.Logger:
    """Return the logger `name`, or the library's own when no name is given.

    Args:
        name: usually `__name__` of the calling module.

    Example:
        >>> get_logger("transformers.modeling_utils").name
        'transformers.modeling_utils'
    """
    _configure()
    return logging.getLogger(name or _LIBRARY)


def get_verbosity() -> int:
    """Return the level from which on messages of the library are shown."""
    return get_logger().getEffectiveLevel()


def set_verbosity(level: int) -> None:
    """Show messages of the library from `level` on (`logging.DEBUG` ... `logging.CRITICAL`)."""
    get_logger().setLevel(level)


def set_verbosity_debug() -> None:
    """Show everything."""
    set_verbosity(DEBUG)


def set_verbosity_info() -> None:
    """Show what is being done, and anything more severe."""
    set_verbosity(INFO)


def set_verbosity_warning() -> None:
    """Show warnings and errors; the default."""
    set_verbosity(WARNING)


def set_verbosity_error() -> None:
    """Show errors only."""
    set_verbosity(ERROR)


def disable_default_handler() -> None:
    """Stop writing to stderr; handlers that the application added stay."""
    get_logger().removeHandler(_default_handler)


def enable_default_handler() -> None:
    """Write to stderr again."""
    get_logger().addHandler(_default_handler)


def disable_propagation() -> None:
    """Keep messages from the handlers of the root logger; the default, so that nothing is shown twice."""
    get_logger().propagate = False


def enable_propagation() -> None:
    """Hand messages on to the handlers of the root logger; combine with `disable_default_handler`."""
    get_logger().propagate = True


def disable_progress_bar() -> None:
    """Hide the progress bars of downloads."""
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()


def enable_progress_bar() -> None:
    """Show the progress bars of downloads; the default."""
    from huggingface_hub.utils import enable_progress_bars

    enable_progress_bars()


@functools.lru_cache(maxsize=256)
def warning_once(logger: logging.Logger, message: str) -> None:
    """Log a warning the first time that this logger is given this message, and never again in this process."""
    logger.warning(message)


@functools.lru_cache(maxsize=1)
def _configure() -> None:
    """Set up the library's logger on first use."""
    library = logging.getLogger(_LIBRARY)
    library.addHandler(_default_handler)
    library.propagate = False
    wanted = os.environ.get("TRANSFORMERS_VERBOSITY", "warning").lower()
    library.setLevel(_LEVELS.get(wanted, WARNING))
    if wanted not in _LEVELS:
        library.warning("TRANSFORMERS_VERBOSITY=%s is not one of %s: using warning", wanted, ", ".join(_LEVELS))
