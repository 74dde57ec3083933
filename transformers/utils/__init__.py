"""Errors, logging and file look-up; nothing in here imports torch before it is used."""

from . import logging
from .errors import CheckpointError, ConfigurationError

__all__ = ["CheckpointError", "ConfigurationError", "logging"]
