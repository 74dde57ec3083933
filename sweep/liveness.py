"""Whether a worker still lives, asked of nothing that a step of the clock or a suspended machine could deceive.

A worker holds the lock on a file of its own in the sweep's folder, which the system lifts when it dies, however it
dies. It also counts on in the study, for those who work in other folders: a count that stands still is a dead worker.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from transformers.utils.files import make_folder

BEAT, PATIENCE = 20.0, 90.0  # seconds: how often a worker counts on, and after how long without that it is dead
_FOLDER = ".workers"


@contextmanager
def sign_of_life(folder: str | Path) -> Iterator[str]:
    """Show that a worker lives while the block lasts; gives the name that tells it from every other one.

    Args:
        folder: of the sweep.
    """
    name = uuid.uuid4().hex
    path = make_folder(Path(folder) / _FOLDER) / f"{name}.lock"
    with FileLock(path):
        try:
            yield name
        finally:
            path.unlink(missing_ok=True)


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
            try:
                with FileLock(path, timeout=0):
                    return True
            except Timeout:
                return False
        now, seen = time.monotonic(), (worker, count)
        if self._seen.get(trial, ((), 0.0))[0] != seen:
            self._seen[trial] = (seen, now)
        return now - self._seen[trial][1] > PATIENCE
