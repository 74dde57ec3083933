"""Files and folders as users name them."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import UsageError


def expand(name: str, path: str) -> str:
    """Return a path with its `~` replaced by the home folder, as a shell does that sees it.

    Args:
        name: the flag that it was given for.
        path: the path.

    Raises:
        UsageError: there is no such home folder.

    Example:
        >>> expand("--output_dir", "~/out") == os.path.expanduser("~") + "/out"
        True
    """
    expanded = os.path.expanduser(path)
    if expanded.startswith("~"):
        raise UsageError(f"{name} {path}: the home folder that ~ stands for is not known; give the whole path")
    return expanded


def normalised(path: str) -> str:
    """Return the one spelling of all that name the same file or folder; what does not exist (a Hub id) as it is."""
    return os.path.realpath(path) if os.path.exists(path) else path


def check_writable(name: str, folder: Path) -> None:
    """Check that `folder`, given for the flag `name`, is one that may be written to, or could be made.

    Raises:
        UsageError: it is not.
    """
    try:
        existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
        if not existing.is_dir():
            raise UsageError(f"{name} {folder}: {existing} is a file; give a folder")
    except OSError as error:
        raise UsageError(f"{name} {folder}: {error.strerror}") from None
    if not os.access(existing, os.W_OK):
        raise UsageError(f"{name} {folder}: no permission to write in {existing}")
