"""The log of a training run: a row an update, whose loss stays on the device until somebody needs it.

Experiment trackers get the same numbers; they serve a run and never end it.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.tracking import get_available_trackers
from torch import Tensor

from ..cli.arguments import TRACKERS
from ..cli.console import say
from ..errors import DivergedError, UsageError
from ..training.sampling import Update
from .run_folder import RunFolder

TRACKING = "tracking"  # the trackers' folder in that of the run
_LISTED = 32  # rows of the data that an error names before it only counts


class TrainingLog:
    """Collects rows, and writes them to the run's folder and to its trackers.

    Args:
        folder: where the logs are.
        accelerator: knows the processes and the trackers.

    Attributes:
        diverged: whether a loss of this process was seen not to be finite. On a GPU it is seen one update later, so
            that nothing waits for it.
    """

    def __init__(self, folder: RunFolder, accelerator: Accelerator) -> None:
        self.folder = folder
        self.accelerator = accelerator
        self.diverged = False
        self._pending: list[tuple[dict[str, Any], Update]] = []
        self._newest = math.nan
        self._examples, self._clock = 0, time.perf_counter()
        self._watched: tuple[Tensor, torch.cuda.Event] | None = None

    def add(self, row: dict[str, Any], update: Update) -> None:
        """Keep the row of an update.

        Args:
            row: "step", "loss" (this process's part of it) and "grad_norm" (both still on the device), ...
            update: what it was computed from.
        """
        self._pending.append((row, update))
        self._examples += update.num_examples
        self._watch(row["loss"])

    def flush(self) -> float:
        """Fetch the losses since the last call all at once, write their rows, and check them.

        Returns:
            The newest loss.

        Raises:
            DivergedError: a loss or a gradient is not finite.
        """
        if not self._pending:
            return self._newest
        rows = [row for row, _ in self._pending]
        losses = self.accelerator.reduce(torch.stack([row["loss"] for row in rows]), "sum").tolist()
        norms = torch.stack([row["grad_norm"] for row in rows]).tolist()
        speed = round(self._examples / (time.perf_counter() - self._clock), 2)
        for row, loss, norm in zip(rows, losses, norms, strict=True):
            row.update(loss=loss, grad_norm=norm, examples_per_second=speed)
        self.folder.append_logs(rows)
        for row, update in self._pending:
            if not (math.isfinite(row["loss"]) and math.isfinite(row["grad_norm"])):
                raise _diverged(row, update)
            track(self.accelerator, {"train_loss": row["loss"], "learning_rate": row["learning_rate"]}, row["step"])
        self._pending, self._newest = [], losses[-1]
        self.restart_clock()
        return self._newest

    def restart_clock(self) -> None:
        """Measure the speed of training from now on, after time was spent on something else."""
        self._examples, self._clock = 0, time.perf_counter()

    def _watch(self, loss: Tensor) -> None:
        if not loss.is_cuda:
            self.diverged = self.diverged or not math.isfinite(loss.item())
            return
        if self._watched is None:
            self._watched = torch.zeros((), dtype=loss.dtype, pin_memory=True), torch.cuda.Event()
        host, copied = self._watched
        copied.synchronize()  # of the update before: by now it is there
        self.diverged = self.diverged or not math.isfinite(host.item())
        host.copy_(loss, non_blocking=True)
        copied.record()


def _diverged(row: dict[str, Any], update: Update) -> DivergedError:
    rows = [int(number) for number in update.rows]
    more = f" and {len(rows) - _LISTED} more" if len(rows) > _LISTED else ""
    what = "norm of the gradient" if math.isfinite(row["loss"]) else "loss"
    value = row["grad_norm"] if math.isfinite(row["loss"]) else row["loss"]
    return DivergedError(
        f"the {what} is {value} at update {row['step']}, learning rate {row['learning_rate']:g}, on the rows "
        f"{', '.join(map(str, rows[:_LISTED]))}{more} of the training data, counted from 0: try a lower "
        "--learning_rate, a smaller --scale, or --max_grad_norm 1",
        update=row["step"],
        learning_rate=row["learning_rate"],
        loss=str(row["loss"]),
        rows=rows,
    )


def check_trackers(wanted: str | None) -> None:
    """Check that what `--report_to` names is there.

    Raises:
        UsageError: it is not installed.
    """
    available = [str(tracker) for tracker in get_available_trackers()]
    if wanted is not None and not (available if wanted == "all" else wanted in available):
        missing = " or ".join(TRACKERS) if wanted == "all" else wanted
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
    before = set(root.glob(f"{TRACKING}/**/*"))
    settings = {name: value for name, value in folder.settings.items() if isinstance(value, (bool, int, float, str))}
    options = {
        "tensorboard": {"purge_step": updates + 1},
        "trackio": {"name": root.resolve().name, "resume": "allow" if updates else "never"},
    }
    try:
        accelerator.init_trackers("glue_no_trainer", settings, options)
    except Exception as error:  # of any kind: they reach for disks, networks and accounts
        raise UsageError(f"--report_to: a tracker does not start: {error}") from error
    if folder.writes:
        new = set(root.glob(f"{TRACKING}/**/*")) - before
        folder.manifest.claim(*(path.relative_to(root).as_posix() for path in new if path.is_file()))


def track(accelerator: Accelerator, values: dict[str, Any], step: int) -> None:
    """Send values to the trackers; from their first failure on they get nothing more."""
    try:
        accelerator.log(values, step=step)
    except Exception as error:
        accelerator.trackers = []
        say(f"Warning: tracking has ended, and the run goes on: {error}")
