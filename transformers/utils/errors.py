"""The two errors that this library raises for what its user can mend; each carries one readable line."""

from __future__ import annotations


class CheckpointError(OSError):
    """A checkpoint or tokenizer folder, one of its files, or a Hub id cannot be read or written."""


class ConfigurationError(ValueError):
    """A configuration value, or a combination of values, is wrong or not supported."""
