"""The output folder of a run: what is in it, and that nothing of an earlier run is lost by accident.

config.json  model.safetensors  tokenizer files     the final model
all_results.json                                    scores of every epoch, best and last, timings
diverged.json                                       in their place, where the loss was no longer finite
run.json                                            settings, versions, git revision, hardware
train_log.jsonl                                     a row an update: loss, learning rate, gradient norm, examples/s
eval_log.jsonl                                      a row an epoch: scores, and what --log_oversmoothing measured
eval_predictions.json                               what the model says to every validation row
<scale>_<pos>_<layers>_loss.txt                     a loss a line, as the released script writes it
README.md                                           a model card
predictions/  checkpoints/  tracking/
.run_files.json                                     which of these files the run has written (manifest.py)
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from transformers.backbones import BACKBONES
from transformers.for_stock import file_name
from transformers.utils.errors import CheckpointError, UserError
from transformers.utils.files import make_folder, sync, write_whole

from ..cli.arguments import RunArguments
from ..cli.console import say
from ..errors import DivergedError, UsageError
from ..training.identity import what_changed
from ..training.model import MethodSettings
from .lock import LOCK_FILE, FolderLock
from .manifest import MANIFEST, Manifest

_PACKAGES = "torch accelerate datasets numpy tokenizers safetensors scikit-learn scipy".split()
# What a training writes into its folder besides logs, card, predictions and checkpoints.
_MODEL_FILES = (
    *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
    *("vocab.txt", "spiece.model", "vocab.json", "merges.txt"),
    *map(file_name, BACKBONES),
)
_UPDATES, _EVALUATIONS, _PREDICTIONS = "train_log.jsonl", "eval_log.jsonl", "eval_predictions.json"
_CARD, _RESULTS = "README.md", "all_results.json"
_RUN_FILES = ("run.json", _UPDATES, _EVALUATIONS, _PREDICTIONS, _RESULTS, "diverged.json")
_NEW_MODEL = ".model.new"
_LEFTOVER = re.compile(r"\.(model|step_\d+(\.old)?|.+\.\d+)\.tmp")  # files and folders that a killed run was writing


class RunFolder:
    """The files of a run; with no folder, or on another process than the main one, nothing is written.

    Args:
        path: the folder; None writes nothing.
        writes: whether this process writes.
        settings: see `run_identity`.
        loss_file: name of the file with a loss a line.

    Attributes:
        lock: the right to write.
        manifest: which files are the run's.
    """

    def __init__(
        self, path: Path | None, writes: bool, settings: dict[str, Any] | None = None, loss_file: str = "loss.txt"
    ) -> None:
        self.path = path or Path()
        self.writes = writes and path is not None
        self.settings = settings or {}
        self.loss_file = loss_file
        self.lock = FolderLock(path)
        self.manifest = Manifest(self.path)

    def take(self, args: RunArguments, resumed: Path | None, predictions: Sequence[str] = ()) -> None:
        """Lock the folder, and check that the run may write into it: its own, or one without another run's files.

        Args:
            args: the run's settings.
            resumed: the checkpoint that it continues.
            predictions: files of predictions that it is going to write into the folder.

        Raises:
            UsageError: another run writes there, or the folder holds an earlier run that may not be replaced, or files
                of the same names that no run has written, or cannot be written to.
        """
        if not self.writes:
            return
        self.lock.acquire()
        try:
            goes_on = resumed is not None and self.path.resolve() in resumed.resolve().parents
            names = {path.name for path in self.path.iterdir()} - {LOCK_FILE, MANIFEST}
            if args.do_train and not (goes_on or args.overwrite_output_dir or all(map(_LEFTOVER.fullmatch, names))):
                self._refuse_earlier_run(args)
            written = [f"predictions/{name}" for name in predictions]
            if args.do_train and not goes_on:
                checkpoints = self.path.glob("checkpoints/step_*/*")
                written += [*_RUN_FILES, self.loss_file, *(str(path.relative_to(self.path)) for path in checkpoints)]
                written += () if self._is_input(args) else _MODEL_FILES
            elif not args.do_train:
                written.append("eval_results.json")
            if foreign := self.manifest.foreign(written):
                raise UsageError(
                    f"--output_dir {self.path}: {foreign[0]} is not on the list of what runs have written there, or "
                    "was changed since: move it away, or give another folder"
                )
        except BaseException:
            self.lock.release()
            raise

    def begin(self, args: RunArguments, resumed: Path | None) -> None:
        """Make room for a training.

        A new one deletes what an earlier run wrote and nobody has changed since; other files in the folder are
        somebody's own, and a model that is there to start from stays until the new one takes its place. Half-written
        files of a run that was killed, and diverged.json, go in any case.

        Raises:
            CheckpointError: a file cannot be deleted.
        """
        if not self.writes:
            return
        kept = _MODEL_FILES if self._is_input(args) else ()
        old = self.manifest.names() if resumed is None else ["diverged.json"]
        try:
            self.manifest.discard(set(old).difference(kept))
            for path in [*self.path.glob(".*.tmp"), *self.path.glob("*/.*.tmp")]:
                if _LEFTOVER.fullmatch(path.name):
                    _delete(path)
        except OSError as error:
            raise CheckpointError(f"{self.path} cannot be cleared: {error}") from error

    def close(self) -> None:
        """Note what the run has written, so that nobody's change to it is ever deleted."""
        if self.writes and self.path.is_dir():
            with contextlib.suppress(OSError):  # a full disk: what is not noted counts as the run's own
                self.manifest.close()

    def start_logs(self, updates: int, evaluations: int, checkpoint: Path | None) -> None:
        """Keep the first rows of the logs (all that a resumed run has done), and drop what follows.

        Args:
            updates: rows of updates to keep.
            evaluations: rows of scores to keep.
            checkpoint: what the run continues; if it is another run's, the rows are copied from there.

        Raises:
            CheckpointError: the logs cannot be read or written.
        """
        if not self.writes:
            return
        source = self.path if checkpoint is None else checkpoint.resolve().parent.parent
        for name, rows in ((_UPDATES, updates), (self.loss_file, updates), (_EVALUATIONS, evaluations)):
            log = source / name
            try:
                kept = log.read_text(encoding="utf-8").splitlines(keepends=True)[:rows] if log.exists() else []
            except (OSError, UnicodeDecodeError) as error:
                raise CheckpointError(f"{log} cannot be read: {error}") from error
            self.write_text(name, "".join(kept))

    def append_logs(self, rows: Sequence[dict[str, Any]]) -> None:
        """Add a row for each update; `rows` have at least "loss". They are on the disk when this returns.

        Raises:
            CheckpointError: the logs cannot be written.
        """
        self._append(_UPDATES, map(_json, rows))
        self._append(self.loss_file, (f"{row['loss']}\n" for row in rows))

    def append_scores(self, scores: dict[str, Any]) -> None:
        """Add the row of an evaluation; it is on the disk when this returns.

        Raises:
            CheckpointError: the log cannot be written.
        """
        self._append(_EVALUATIONS, [_json(scores)])

    def _append(self, name: str, lines: Iterable[str]) -> None:
        if not self.writes:
            return
        try:
            with (self.path / name).open("a", encoding="utf-8") as file:
                file.writelines(lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise CheckpointError(f"{self.path / name} cannot be written: {error.strerror}") from error

    def write_run(self, args: RunArguments, contranorm: MethodSettings, **details: Any) -> None:
        """Write run.json: what was run, with what, on what."""
        versions = {package.name: package.version for package in metadata.distributions() if package.name in _PACKAGES}
        content = {
            "arguments": asdict(args),
            "contranorm": {"values": contranorm.values, "origins": contranorm.origins, "sites": contranorm.sites},
            "settings": self.settings,
            "command": sys.argv,
            "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "git_revision": _git_revision(),
            "versions": {"python": platform.python_version(), **versions},
            "hardware": {
                "machine": platform.machine(),
                "cpus": os.cpu_count(),
                "threads": torch.get_num_threads(),
                "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
            },
            **details,
        }
        self.write_json("run.json", content)

    def write_diverged(self, error: DivergedError) -> None:
        """Write diverged.json, which tells a sweep that this run need not be tried again."""
        if self.writes and self.path.is_dir():
            with contextlib.suppress(CheckpointError):  # the error itself is what has to be seen
                self.write_json("diverged.json", {"error": str(error), **error.details})

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write a file of the run, whole or not at all."""
        self.write_text(name, _json(content, indent=2))

    def write_text(self, name: str, content: str) -> None:
        """Write a file of the run, whole or not at all."""
        if self.writes:
            self.manifest.claim(name)
            write_whole(make_folder(self.path) / name, lambda path: path.write_text(content, encoding="utf-8"))

    def write_predictions(self, predictions: dict[str, Any]) -> None:
        """Write what the model says to the rows of each validation split, if there is any; a line a split.

        Raises:
            CheckpointError: the file cannot be written.
        """
        if predictions:
            lines = (f"{json.dumps(split)}: {json.dumps(values)}" for split, values in predictions.items())
            self.write_text(_PREDICTIONS, "{\n" + ",\n".join(lines) + "\n}\n")

    def write_card(self, card: str) -> None:
        """Write the model card, unless there is one that somebody else has written."""
        if self.manifest.owns(_CARD):
            self.write_text(_CARD, card)
        else:
            say(f"Note: {_CARD} in {self.path} is kept: no run has written it, or it was changed since")

    def save_model(self, *parts: Callable[[Path], object]) -> None:
        """Save what makes up the final model: all of it, or nothing.

        Args:
            *parts: each writes a part of it into the folder that it is given, such as model and tokenizer.

        Raises:
            CheckpointError: a file cannot be written.
        """
        if not self.writes:
            return
        temporary = make_folder(self.path) / ".model.tmp"
        try:
            _delete(temporary)
            for part in parts:
                part(temporary)
            self.manifest.claim(*(path.name for path in temporary.iterdir()))
            sync(temporary)
            os.replace(temporary, self.path / _NEW_MODEL)
            _put_in_place(self.path)
        except OSError as error:
            reason = error if isinstance(error, CheckpointError) else error.strerror
            raise CheckpointError(f"the model cannot be saved in {self.path}: {reason}") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def to_publish(self) -> list[str]:
        """Return the names of the files that others load the model with, or judge it by."""
        return [name for name in (*_MODEL_FILES, _CARD, _RESULTS) if (self.path / name).is_file()]

    def _is_input(self, args: RunArguments) -> bool:
        """Whether the model that the run starts from lies in this folder."""
        config = Path(args.model_name_or_path or "", "config.json")
        return config.exists() and config.resolve().parent == self.path.resolve()

    def _refuse_earlier_run(self, args: RunArguments) -> None:
        try:
            earlier = json.loads((self.path / "run.json").read_bytes())["settings"]
        except (OSError, ValueError, KeyError, TypeError):
            earlier = None
        difference = what_changed(earlier, self.settings)
        advice = "give another folder, or --overwrite_output_dir to replace it"
        if self._is_input(args):
            state = "is the model that the run starts from"
        elif earlier is None:
            state = "is not empty, and what is in it is no run of this script"
        elif difference is not None:
            state = f"holds what {difference}"
        elif (self.path / "all_results.json").exists():
            state = "holds this very run, finished"
        elif args.resume_from_checkpoint == "auto":  # it was killed before its first checkpoint
            return
        else:
            state = "holds this very run, not finished"
            advice = "continue it with --resume_from_checkpoint, or start anew with --overwrite_output_dir"
        raise UsageError(f"--output_dir {self.path} {state}: {advice}")


def recover_model(folder: Path) -> None:
    """Put the new model of a run in place that was killed while it did so; not while another run writes there."""
    if os.path.isdir(folder / _NEW_MODEL):
        lock = FolderLock(folder)
        with contextlib.suppress(UserError, OSError):  # loading a model that is not there says more
            lock.acquire()
            _put_in_place(folder)
        lock.release()


def _json(content: Any, indent: int | None = None) -> str:
    """Return a value as JSON, which knows neither NaN nor Infinity: null stands in their place."""
    return json.dumps(_finite(content), indent=indent, allow_nan=False) + "\n"


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _finite(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _put_in_place(folder: Path) -> None:
    """Move a new model, which is whole and on the disk, to where an old one may be."""
    new = folder / _NEW_MODEL
    if (new / "config.json").exists():
        # Without its config.json there is no model in the folder, instead of one that is half old and half new.
        (folder / "config.json").unlink(missing_ok=True)
    for path in sorted(new.iterdir(), key=lambda path: path.name == "config.json"):
        os.replace(path, folder / path.name)
    new.rmdir()
    sync(folder)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _git_revision() -> str | None:
    """The revision of this code, with a + if files were changed since; None outside of a repository."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=40", "--dirty=+"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
