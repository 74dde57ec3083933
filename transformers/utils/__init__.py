"""Errors, logging, file look-up and versions; nothing in here imports torch before it is used."""

from . import logging
from .errors import CheckpointError, ConfigurationError
from .versions import check_min_version, is_torch_available, send_example_telemetry

__all__ = [
    "CheckpointError",
    "ConfigurationError",
    "check_min_version",
    "is_torch_available",
    "logging",
    "send_example_telemetry",
]
