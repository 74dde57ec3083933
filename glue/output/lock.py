"""One run at a time in an output folder: a lock on a file in it, which the system lifts when its owner dies."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
from pathlib import Path

from filelock import FileLock, Timeout

from transformers.utils.errors import CheckpointError
from transformers.utils.files import make_folder

from ..cli.console import say
from ..errors import UsageError

LOCK_FILE = ".lock"
_NO_LOCKS_HERE = (errno.ENOTSUP, errno.ENOLCK)  # some network file systems
_PATIENCE = 0.2  # seconds: long enough to try again where the last owner has just deleted the file


class FolderLock:
    """The right to write into a folder, from `acquire` to `release` or the end of the process.

    Args:
        folder: the folder; None for a run that writes nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._lock: FileLock | None = None

    def acquire(self) -> None:
        """Take the lock; the folder is created if it does not exist.

        Raises:
            UsageError: another run has it.
            CheckpointError: the folder cannot be written to.
        """
        if self.folder is None:
            return
        path = make_folder(self.folder) / LOCK_FILE
        lock = FileLock(path, timeout=_PATIENCE)
        try:
            lock.acquire()
        except Timeout:
            owner = path.read_text(errors="replace").strip() if path.exists() else ""
            raise UsageError(
                f"--output_dir {self.folder}: another run is writing there ({owner or 'it has just begun'}): wait "
                "for its end, or give another folder"
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS_HERE:
                raise CheckpointError(f"{path} cannot be written: {error.strerror}") from error
            say(f"Note: {path} cannot be locked ({error.strerror}): start no other run in this folder")
            return
        self._lock = lock
        with contextlib.suppress(OSError):  # a full disk: the name of the owner is a courtesy
            path.write_text(f"process {os.getpid()} on {platform.node()}\n")

    def release(self) -> None:
        """Give the lock back and delete its file."""
        if self._lock is not None:
            with contextlib.suppress(OSError):
                Path(self._lock.lock_file).unlink()  # while it is still ours
            self._lock.release()
            self._lock = None
