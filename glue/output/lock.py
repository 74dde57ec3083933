"""One run at a time in an output folder: a lock on a file in it, which the system lifts when its owner dies."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: no lock
    fcntl = None  # type: ignore[assignment]

from transformers.utils.errors import CheckpointError
from transformers.utils.files import make_folder

from ..cli.console import say
from ..errors import UsageError

LOCK_FILE = ".lock"
_NO_LOCKS_HERE = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)  # some network file systems


class FolderLock:
    """The right to write into a folder, from `acquire` to `release` or the end of the process.

    Args:
        folder: the folder; None for a run that writes nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock; the folder is created if it does not exist.

        Raises:
            UsageError: another run has it.
            CheckpointError: the folder cannot be written to.
        """
        if self.folder is None or fcntl is None:
            return
        path = make_folder(self.folder) / LOCK_FILE
        while self._descriptor is None:
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            except OSError as error:
                raise CheckpointError(f"{path} cannot be written: {error.strerror}") from error
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                owner = os.pread(descriptor, 100, 0).decode(errors="replace").strip()
                os.close(descriptor)
                if error.errno in _NO_LOCKS_HERE:
                    say(f"Note: {path} cannot be locked ({error.strerror}): start no other run in this folder")
                    return
                raise UsageError(
                    f"--output_dir {self.folder}: another run is writing there ({owner or 'it has just begun'}): wait "
                    "for its end, or give another folder"
                ) from None
            if _is_at(path, descriptor):
                self._descriptor = descriptor
            else:
                os.close(descriptor)  # its last owner has just deleted it: once more
        with contextlib.suppress(OSError):  # a full disk: the name of the owner is a courtesy
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, f"process {os.getpid()} on {os.uname().nodename}\n".encode())

    def release(self) -> None:
        """Give the lock back and delete its file."""
        if self._descriptor is not None and self.folder is not None:
            with contextlib.suppress(OSError):
                (self.folder / LOCK_FILE).unlink()  # while it is still ours
            os.close(self._descriptor)
            self._descriptor = None


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
