"""Files and folders as users name them, and those that nobody names."""

from __future__ import annotations

import atexit
import getpass
import os
import shutil
import tempfile
from pathlib import Path

from ..errors import UsageError
from .console import say


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


def check_writable(name: str, folder: Path) -> None:
    """Check that `folder`, given for the flag `name`, is one that may be written to, or could be made.

    Raises:
        UsageError: it is not.
    """
    try:
        if folder.is_symlink() and not folder.exists():
            raise UsageError(f"{name} {folder}: a link that leads nowhere; remove it, or make its target")
        existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
        if not existing.is_dir():
            raise UsageError(f"{name} {folder}: {existing} is a file; give a folder")
    except OSError as error:
        raise UsageError(f"{name} {folder}: {error.strerror}") from None
    if not os.access(existing, os.W_OK):
        raise UsageError(f"{name} {folder}: no permission to write in {existing}")


def provide_caches() -> None:
    """Give the libraries below, before they are imported, a place for their caches where the user's is not writable.

    It is gone at the end of the process. Models that were downloaded before are still found.
    """
    home = os.path.expanduser("~")
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path(home, ".cache"))
    try:
        getpass.getuser()
    except (KeyError, OSError):  # a container that runs as a number without a name
        os.environ["LOGNAME"] = str(os.getuid())
    try:
        check_writable("", root)
        if os.path.isabs(root):
            return
    except UsageError:
        pass
    place = tempfile.mkdtemp(prefix="contranorm-caches-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    hub = Path(os.environ.get("HF_HOME") or root / "huggingface", "hub")
    if hub.is_dir():
        os.environ.setdefault("HF_HUB_CACHE", str(hub))
    os.environ["XDG_CACHE_HOME"] = place
    for name in ("HF_HOME", "MPLCONFIGDIR"):
        os.environ.setdefault(name, place)
    if not os.path.isdir(home):
        os.environ["HOME"] = place
    say(f"Note: {root} cannot be written to: what libraries keep there goes to {place}, until the end")
