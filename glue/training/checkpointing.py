"""Checkpoints of a training run: everything that the rest of the run depends on, so that it continues bit for bit.

A checkpoint is a folder `checkpoints/step_<updates>` with

    model.safetensors                   the weights
    best_model.safetensors              the weights of the best epoch so far, where they are tracked
    optimizer.pt  scheduler.pt  scaler.pt   their states (tensors and plain values)
    random_states.pt                    the generators of every process
    training_state.json                 where the run stands, and the identity of the run
    checksums.json                      size and SHA-256 of each of these

It is written under another name, synced to the disk, and renamed when complete. One that does not match its checksums
is never taken.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from safetensors.torch import load_file, save_file
from torch import Tensor

from transformers.utils.errors import CheckpointError
from transformers.utils.files import make_folder, read_json, sync, write_synced
from transformers.utils.folders import is_of_trainer

from ..cli.console import say
from ..errors import DivergedError, UsageError
from ..output.manifest import CHECKSUM_FILE, Manifest, damage, record
from .identity import what_changed
from .model import not_finite
from .optimizer import check_moments
from .processes import on_main
from .state import TrainingState

_STATE_FILE = "training_state.json"
_NAME = re.compile(r"step_(\d{6,})")
_MARKS = (CHECKSUM_FILE, _STATE_FILE, "model.safetensors")  # a folder with none of them is no checkpoint


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


@dataclass(frozen=True)
class Checkpointer:
    """Writes, finds and reads the checkpoints of one run.

    Args:
        folder: the run's folder of checkpoints.
        identity: what the result of the run depends on; a checkpoint of another run is not continued.
        accelerator: knows the processes.
        limit: checkpoints to keep, the newest ones; None keeps all. That of the best epoch is kept whatever the limit.
    """

    folder: Path
    identity: Mapping[str, Any]
    accelerator: Accelerator
    limit: int | None = None

    def save(self, state: TrainingState, parts: TrainingParts) -> Path:
        """Write a checkpoint; all processes have to call this, and the main one writes.

        Returns:
            The new checkpoint. Older ones beyond the limit are gone.

        Raises:
            CheckpointError: it cannot be written; the earlier ones are untouched.
            DivergedError: a weight is not finite; the earlier ones are untouched.
        """
        model = self.accelerator.unwrap_model(parts.model)
        check_finite(model, state)
        generators = gather_object([random_states()])
        target = self.folder / f"step_{state.updates:06d}"
        on_main(self.accelerator, lambda: self._write(target, state, parts, generators))
        return target

    def find(self, wanted: str) -> Path | None:
        """Return the checkpoint to continue from; all processes have to call this.

        Args:
            wanted: a checkpoint's folder; or a run's folder, or "latest" for this run's, of which the newest whole one
                is taken; "auto" is the same where there is one, and else nothing.

        Raises:
            UsageError: there is no checkpoint, or it is of another run.
            CheckpointError: it is damaged, and there is none before it.
        """
        return on_main(self.accelerator, lambda: self._find(wanted))

    def load(self, checkpoint: Path, parts: TrainingParts) -> TrainingState:
        """Put everything back as it was when `checkpoint` was written; all processes have to call this.

        Raises:
            CheckpointError: a file is missing or damaged.
        """
        try:
            state = TrainingState(**read_json(checkpoint / _STATE_FILE)["state"])
            self.accelerator.unwrap_model(parts.model).load_state_dict(load_file(checkpoint / "model.safetensors"))
            for name, part in self._with_states(parts).items():
                part.load_state_dict(_load(checkpoint / name))
            check_moments(parts.optimizer)
            best = checkpoint / "best_model.safetensors"
            parts.best_weights = load_file(best) if best.exists() else None
            restore_random_states(_load(checkpoint / "random_states.pt")[self.accelerator.process_index])
        except CheckpointError:
            raise
        except Exception as error:  # its checksums are right: whoever made it decides what goes wrong
            raise CheckpointError(f"{checkpoint} is damaged: {str(error) or type(error).__name__}") from error
        if self.accelerator.is_main_process:
            with contextlib.suppress(OSError):
                self._delete_old(state)  # what a run that was killed had yet to delete
        return state

    def _with_states(self, parts: TrainingParts) -> dict[str, Any]:
        """What has a state of its own, by the name of its file."""
        scaler = {} if self.accelerator.scaler is None else {"scaler.pt": self.accelerator.scaler}
        return {"optimizer.pt": parts.optimizer, "scheduler.pt": parts.scheduler, **scaler}

    def _write(
        self, target: Path, state: TrainingState, parts: TrainingParts, generators: list[dict[str, Any]]
    ) -> None:
        """Write a checkpoint beside its place, and move it there once it is whole and on the disk."""
        temporary = target.with_name(f".{target.name}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        weights = cpu_weights(self.accelerator.unwrap_model(parts.model))
        content = json.dumps({"state": asdict(state), "identity": self.identity}, indent=2) + "\n"
        files: dict[str, Callable[[Path], object]] = {
            "model.safetensors": partial(save_file, weights, metadata={"format": "pt"}),
            **{name: partial(torch.save, part.state_dict()) for name, part in self._with_states(parts).items()},
            "random_states.pt": partial(torch.save, generators),
            _STATE_FILE: lambda path: path.write_text(content, encoding="utf-8"),
        }
        if parts.best_weights is not None:
            files["best_model.safetensors"] = partial(save_file, parts.best_weights, metadata={"format": "pt"})
        if not self.folder.parent.is_dir():  # deleted by somebody: it is not made anew with a checkpoint alone in it
            raise CheckpointError(f"{target} cannot be written: the folder {self.folder.parent} is no longer there")
        make_folder(self.folder)
        try:
            temporary.mkdir()
            for name, write in files.items():
                write_synced(temporary / name, write)
            foreign = _foreign_files(target)  # as the list has it now, which is about to change
            whole = {f"checkpoints/{target.name}/{name}": noted for name, noted in record(temporary).items()}
            Manifest(target.parents[1]).claim(whole=whole)
            sync(temporary)
            _clear(target, foreign)  # of a run that was continued from further back
            if target.exists():
                _put_aside(target)
            os.replace(temporary, target)
            sync(target.parent)
            self._delete_old(state)
        except OSError as problem:
            shutil.rmtree(temporary, ignore_errors=True)
            raise CheckpointError(f"{target} cannot be written: {problem.strerror or problem}") from problem

    def _find(self, wanted: str) -> Path | None:
        place = self.folder if wanted in ("latest", "auto") else Path(wanted)
        is_checkpoint = updates_of(place.resolve()) >= 0 or (place / _STATE_FILE).is_file()
        candidates = [place] if is_checkpoint else list_checkpoints(place) or list_checkpoints(place / "checkpoints")
        if not candidates and wanted == "auto":
            return None
        if not candidates and is_of_trainer(place):
            raise UsageError(
                f"--resume_from_checkpoint: {place} is of the stock library's Trainer, which cannot be continued here; "
                "start from its weights with --model_name_or_path"
            )
        if not candidates:
            raise UsageError(
                f"--resume_from_checkpoint: {place} holds no checkpoint (written with --checkpointing_steps); leave "
                "the flag out to start anew"
            )
        problem = None
        for checkpoint in reversed(candidates):
            problem = damage(checkpoint)
            if problem is None:
                difference = what_changed(read_json(checkpoint / _STATE_FILE).get("identity"), self.identity)
                if difference is not None:
                    raise UsageError(
                        f"--resume_from_checkpoint: {checkpoint} {difference}; go on with what it was written with, or "
                        "start anew in another --output_dir"
                    )
                return checkpoint
            if len(candidates) > 1:
                say(f"Warning: the checkpoint {checkpoint} is not taken, but the one before it: {problem}")
        where = candidates[0] if is_checkpoint else f"{place}: every checkpoint"
        raise CheckpointError(f"--resume_from_checkpoint: {where} is damaged or incomplete: {problem}")

    def _delete_old(self, state: TrainingState) -> None:
        """Keep the newest checkpoints and the best epoch's; what lies ahead is of a run that is being repeated."""
        if self.limit is not None:
            done = [path for path in list_checkpoints(self.folder) if updates_of(path) <= state.updates]
            for old in done[: -self.limit]:
                if updates_of(old) != state.best_updates:
                    remove(old)


def updates_of(checkpoint: Path) -> int:
    """Return after how many updates a checkpoint was written, by its name; -1 for what is named otherwise."""
    found = _NAME.fullmatch(checkpoint.name)
    return int(found[1]) if found else -1


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, oldest first, damaged ones among them."""
    found = [path for path in folder.glob("step_*") if updates_of(path) >= 0]
    return sorted((path for path in found if any((path / name).exists() for name in _MARKS)), key=updates_of)


def remove(checkpoint: Path) -> None:
    """Delete what a run has written of a checkpoint, so that at no moment a part of it passes for a whole one.

    What somebody else has put into its folder, or has changed in it, stays.

    Raises:
        OSError: it cannot be deleted.
    """
    _clear(checkpoint, _foreign_files(checkpoint))


def _clear(checkpoint: Path, foreign: set[Path]) -> None:
    """Delete a checkpoint, if there is one, but for some of its files."""
    if not foreign:
        doomed = checkpoint.with_name(f".{checkpoint.name}.old.tmp")
        shutil.rmtree(doomed, ignore_errors=True)
        if checkpoint.exists():
            os.replace(checkpoint, doomed)
            shutil.rmtree(doomed, ignore_errors=True)
        return
    own = [path for path in checkpoint.rglob("*") if not path.is_dir() and path not in foreign]
    for path in sorted(own, key=lambda path: path.name != CHECKSUM_FILE):  # without it nothing else is a checkpoint
        path.unlink()


def _foreign_files(checkpoint: Path) -> set[Path]:
    """Return what lies in a checkpoint and is not as the run has written it."""
    root = checkpoint.parents[1]
    names = [path.relative_to(root).as_posix() for path in checkpoint.rglob("*") if not path.is_dir()]
    return {root / name for name in Manifest(root).foreign(names)}


def _put_aside(checkpoint: Path) -> None:
    """Give files of somebody that lie where a checkpoint is about to be written a folder of their own."""
    places = (checkpoint.with_name(f"{checkpoint.name}.kept{number or ''}") for number in itertools.count())
    place = next(place for place in places if not place.exists())
    os.replace(checkpoint, place)
    say(f"Note: what is not the run's own in {checkpoint} is now in {place}")


def check_finite(model: torch.nn.Module, state: TrainingState) -> None:
    """Check that a model may be saved.

    Raises:
        DivergedError: a weight is not finite.
    """
    if bad := not_finite(model):
        raise DivergedError(
            f"{bad[0]} is not finite after update {state.updates}: try a lower --learning_rate, a smaller --scale, or "
            "--max_grad_norm 1",
            update=state.updates,
            weight=bad[0],
        )


def random_states() -> dict[str, Any]:
    """Return the states of this process's generators as tensors and plain values."""
    state: Any = np.random.get_state()  # noqa: NPY002  what set_seed seeds
    name, keys, *rest = state
    return {
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(keys.astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def restore_random_states(states: dict[str, Any]) -> None:
    """Put the generators back to what `random_states` returned; of a GPU, whichever is this process's now."""
    random.setstate(states["python"])
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    if states["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])


def cpu_weights(model: torch.nn.Module) -> dict[str, Tensor]:
    """Return a copy of the model's weights on the CPU."""
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in model.state_dict().items()}


def _load(path: Path) -> Any:
    """Read tensors and plain values; nothing in the file is executed."""
    return torch.load(path, map_location="cpu", weights_only=True)
