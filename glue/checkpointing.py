"""Checkpoints of a training run: everything that the rest of the run depends on, so that it continues bit for bit.

A checkpoint is a folder `checkpoints/step_<updates>` with

    model.safetensors                   the weights
    best_model.safetensors              the weights of the best epoch so far, where they are tracked
    optimizer.pt  scheduler.pt  scaler.pt   their states (tensors and plain values, read without executing anything)
    random_states_<process>.pt          the generators of each process
    training_state.json                 where the run stands, and the settings that its result depends on

It is written under another name and renamed when complete, so a folder of that name is a whole checkpoint.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from transformers.utils.errors import CheckpointError
from transformers.utils.files import make_folder, read_json

from .errors import UsageError

_STATE_FILE = "training_state.json"
_NAME = re.compile(r"step_(\d+)")


@dataclass
class TrainingState:
    """Where a training run stands.

    Attributes:
        updates: optimizer updates done.
        epoch: number of the epoch that the next update belongs to, from 0.
        updates_in_epoch: updates done of that epoch.
        history: scores of each finished epoch.
        best_score: of `--metric_for_best_model`, so far; None before the first evaluation.
        best_epoch: number of the epoch with that score.
        epochs_without_improvement: finished epochs since then.
        seconds: time spent in training so far.
    """

    updates: int = 0
    epoch: int = 0
    updates_in_epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best_score: float | None = None
    best_epoch: int | None = None
    epochs_without_improvement: int = 0
    seconds: float = 0.0

    def note_score(self, metric: str) -> bool:
        """Hold the newest scores in `history` against the best ones.

        Args:
            metric: the score that decides; of "loss" less is better, of all others more.

        Returns:
            Whether it is the best so far.
        """
        score = self.history[-1][metric]
        if metric == "loss":
            better = self.best_score is None or score < self.best_score
        else:
            better = self.best_score is None or score > self.best_score
        if better:
            self.best_score, self.best_epoch, self.epochs_without_improvement = score, self.history[-1]["epoch"], 0
        else:
            self.epochs_without_improvement += 1
        return better

    def results(self, total_updates: int, num_rows: int, epoch: int | None = None) -> dict[str, Any]:
        """Return what all_results.json says: the scores of the saved model, and how the run went.

        Args:
            total_updates: updates that were planned.
            num_rows: rows of the training split.
            epoch: the epoch whose model is saved; None for the last one.
        """
        of_model: dict[str, Any] = next((row for row in reversed(self.history) if epoch in (None, row["epoch"])), {})
        scores = {f"eval_{name}": score for name, score in of_model.items() if name not in ("epoch", "updates")}
        return {
            **scores,
            "best_score": self.best_score,
            "best_epoch": self.best_epoch,
            "epochs": self.epoch,
            "updates": self.updates,
            "planned_updates": total_updates,
            "train_examples": num_rows,
            "train_seconds": round(self.seconds, 3),
            "history": self.history,
        }


@dataclass
class TrainingParts:
    """What a checkpoint saves and restores, besides the `TrainingState`.

    Attributes:
        model, optimizer: as `accelerator.prepare` returned them.
        scheduler: the learning-rate schedule.
        best_weights: the weights of the best epoch on the CPU; None where they are not tracked, or not yet known.
    """

    model: Any
    optimizer: Any
    scheduler: Any
    best_weights: dict[str, Tensor] | None = None


class Checkpointer:
    """Writes, finds and reads the checkpoints of one run.

    Args:
        folder: the run's folder of checkpoints; None keeps none.
        settings: what the result of the run depends on; a checkpoint of other settings is not continued.
        accelerator: knows the processes.
        limit: newest checkpoints to keep; None keeps all.
    """

    def __init__(
        self, folder: Path | None, settings: dict[str, Any], accelerator: Accelerator, limit: int | None = None
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.accelerator = accelerator
        self.limit = limit

    def save(self, state: TrainingState, parts: TrainingParts) -> Path:
        """Write a checkpoint; all processes have to call this.

        Returns:
            The new checkpoint. Older ones beyond the limit are gone.

        Raises:
            CheckpointError: it cannot be written; the earlier ones are untouched.
        """
        if self.folder is None:
            raise ValueError("this run has no folder for checkpoints")
        target = self.folder / f"step_{state.updates:06d}"
        temporary = self.folder / f".{target.name}.tmp"
        try:
            if self.accelerator.is_main_process:
                make_folder(self.folder)
                shutil.rmtree(temporary, ignore_errors=True)
                temporary.mkdir()
                self._save_shared(temporary, state, parts)
            self.accelerator.wait_for_everyone()
            torch.save(_random_states(), temporary / f"random_states_{self.accelerator.process_index}.pt")
            self.accelerator.wait_for_everyone()
            if self.accelerator.is_main_process:
                shutil.rmtree(target, ignore_errors=True)
                os.replace(temporary, target)
                self._delete_old()
        except OSError as error:
            shutil.rmtree(temporary, ignore_errors=True)
            raise CheckpointError(f"{target} cannot be written: {error.strerror or error}") from error
        self.accelerator.wait_for_everyone()
        return target

    def find(self, wanted: str) -> Path:
        """Return the checkpoint to continue from.

        Args:
            wanted: a checkpoint's folder, a run's folder, or "latest" for the newest one of this run.

        Raises:
            UsageError: there is no checkpoint, or it is of a run with other settings.
        """
        place = self.folder if wanted == "latest" else Path(wanted)
        assert place is not None
        candidates = (
            [place] if (place / _STATE_FILE).is_file() else _checkpoints(place) or _checkpoints(place / "checkpoints")
        )
        if not candidates:
            raise UsageError(
                f"--resume_from_checkpoint: {place} holds no checkpoint (written with --checkpointing_steps); leave "
                "the flag out to start anew"
            )
        checkpoint = candidates[-1]
        stored = read_json(checkpoint / _STATE_FILE).get("settings", {})
        changed = [name for name in {**stored, **self.settings} if stored.get(name) != self.settings.get(name)]
        if changed:
            differences = ", ".join(f"{name} {stored.get(name)} -> {self.settings.get(name)}" for name in changed)
            raise UsageError(
                f"--resume_from_checkpoint: {checkpoint} is of a run with other settings ({differences}); give the "
                "same ones, or start anew in another --output_dir"
            )
        return checkpoint

    def load(self, checkpoint: Path, parts: TrainingParts) -> TrainingState:
        """Put everything back as it was when `checkpoint` was written; all processes have to call this.

        Raises:
            CheckpointError: a file is missing or damaged.
        """
        content = read_json(checkpoint / _STATE_FILE)
        try:
            self.accelerator.unwrap_model(parts.model).load_state_dict(load_file(checkpoint / "model.safetensors"))
            parts.optimizer.load_state_dict(_read(checkpoint / "optimizer.pt"))
            parts.scheduler.load_state_dict(_read(checkpoint / "scheduler.pt"))
            if self.accelerator.scaler is not None:
                self.accelerator.scaler.load_state_dict(_read(checkpoint / "scaler.pt"))
            best = checkpoint / "best_model.safetensors"
            parts.best_weights = load_file(best) if best.exists() else None
            _restore_random_states(_read(checkpoint / f"random_states_{self.accelerator.process_index}.pt"))
            return TrainingState(**content["state"])
        except (OSError, SafetensorError, RuntimeError, ValueError, KeyError, TypeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise CheckpointError(f"{checkpoint} is damaged: {reason}") from error

    def _save_shared(self, folder: Path, state: TrainingState, parts: TrainingParts) -> None:
        model = self.accelerator.unwrap_model(parts.model)
        save_file(cpu_weights(model), folder / "model.safetensors", metadata={"format": "pt"})
        if parts.best_weights is not None:
            save_file(parts.best_weights, folder / "best_model.safetensors", metadata={"format": "pt"})
        torch.save(parts.optimizer.state_dict(), folder / "optimizer.pt")
        torch.save(parts.scheduler.state_dict(), folder / "scheduler.pt")
        if self.accelerator.scaler is not None:
            torch.save(self.accelerator.scaler.state_dict(), folder / "scaler.pt")
        content = {"state": asdict(state), "settings": self.settings}
        (folder / _STATE_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def _delete_old(self) -> None:
        assert self.folder is not None
        if self.limit is not None:
            for old in _checkpoints(self.folder)[: -self.limit]:
                shutil.rmtree(old, ignore_errors=True)


def cpu_weights(model: torch.nn.Module) -> dict[str, Tensor]:
    """Return a copy of the model's weights on the CPU."""
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in model.state_dict().items()}


def _checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints in a folder, oldest first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name) and (path / _STATE_FILE).is_file()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step_")))


def _read(path: Path) -> Any:
    """Read tensors and plain values; anything that would execute code is refused."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can raise almost anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} cannot be read: {reason}") from error


def _random_states() -> dict[str, Any]:
    state: Any = np.random.get_state()  # noqa: NPY002  what set_seed seeds
    name, keys, position, has_gauss, cached = state
    return {
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, cached),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _restore_random_states(states: dict[str, Any]) -> None:
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    if states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])
