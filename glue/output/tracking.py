"""Experiment trackers, which serve a run and never end it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import get_available_trackers

from ..cli.console import say
from ..errors import UsageError
from .run_folder import RunFolder

FOLDER = "tracking"


def check_trackers(wanted: str | None) -> None:
    """Check that what `--report_to` names is there.

    Raises:
        UsageError: it is not installed.
    """
    available = [str(tracker) for tracker in get_available_trackers()]
    if wanted is not None and not (available if wanted == "all" else wanted in available):
        missing = "tensorboard or wandb" if wanted == "all" else wanted
        raise UsageError(f"--report_to {wanted}: not installed; install {missing} with pip, or leave the flag out")


def start_tracking(accelerator: Accelerator, folder: RunFolder, updates: int) -> None:
    """Start the trackers; a resumed run continues the curves of what it resumes.

    Args:
        accelerator: has the trackers.
        folder: the run's folder; what the trackers put there is the run's.
        updates: how many have been done; points beyond them are of updates that are being repeated.

    Raises:
        UsageError: a tracker does not start.
    """
    root = folder.path or Path()
    before = set(root.glob(f"{FOLDER}/**/*"))
    settings = {name: value for name, value in folder.settings.items() if isinstance(value, (bool, int, float, str))}
    try:
        accelerator.init_trackers("glue_no_trainer", settings, {"tensorboard": {"purge_step": updates + 1}})
    except Exception as error:  # of any kind: they reach for disks, networks and accounts
        raise UsageError(f"--report_to: a tracker does not start: {error}") from error
    if folder.writes:
        new = set(root.glob(f"{FOLDER}/**/*")) - before
        folder.manifest.claim(*(path.relative_to(root).as_posix() for path in new if path.is_file()))


def track(accelerator: Accelerator, values: dict[str, Any], step: int) -> None:
    """Send values to the trackers; from their first failure on they get nothing more."""
    try:
        accelerator.log(values, step=step)
    except Exception as error:
        accelerator.trackers = []
        say(f"Warning: tracking has ended, and the run goes on: {error}")
