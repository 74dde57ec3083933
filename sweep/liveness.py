"""Whether a worker still lives, asked of nothing that a step of the clock or a suspended machine could deceive.

A worker holds the lock on a file of its own in the sweep's folder, which the system lifts when it dies, however it
dies. It also counts on in the study, for those who work in other folders: a count that stands still is a dead worker.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path

from filelock import FileLock, Timeout

from transformers.utils.files import make_folder

BEAT, PATIENCE = 20.0, 90.0  # seconds: how often a worker counts on, and after how long without that it is dead
_FOLDER = ".workers"


class Sign:
    """The sign of life of this process, until it ends.

    Args:
        folder: of the sweep.

    Attributes:
        name: tells this worker from every other one.
    """

    def __init__(self, folder: str | Path) -> None:
        self.name = uuid.uuid4().hex
        self._path = make_folder(Path(folder) / _FOLDER) / f"{self.name}.lock"
        self._lock = FileLock(self._path)
        self._lock.acquire(timeout=0)

    def end(self) -> None:
        """Take it away: this worker has nothing to do any more."""
        self._path.unlink(missing_ok=True)
        self._lock.release()


class Watcher:
    """Tells which workers are dead.

    Args:
        folder: of the sweep.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._seen: dict[int, tuple[tuple[str, int], float]] = {}

    def is_dead(self, worker: str, trial: int, count: int) -> bool:
        """Say whether a worker has died.

        Args:
            worker: its name.
            trial: what it works on.
            count: how far it has counted; looked at only where it works in another folder.
        """
        path = self.folder / _FOLDER / f"{worker}.lock"
        if path.exists():
            lock = FileLock(path)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                return False
            lock.release()
            return True
        now = time.monotonic()
        before, since = self._seen.setdefault(trial, ((worker, count), now))
        if before != (worker, count):
            self._seen[trial] = ((worker, count), now)
            return False
        return now - since > PATIENCE
