"""This library's side: trains and evaluates through the functions of `run_glue_no_trainer.py`, timed."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import numpy as np
import torch

import run_glue_no_trainer as script
from glue.cli.arguments import RunArguments
from glue.scoring.inference import predict
from glue.training.optimizer import build_optimizer, build_schedule
from glue.training.sampling import Update
from glue.training.setup import set_up

from .measuring import resident_memory

POSITION, SCALE = "7", 0.005


def run_arguments(precision: str, case: Mapping[str, Any], **settings: Any) -> RunArguments:
    """Return the arguments of a run on the CPU.

    Args:
        precision: "fp32" or "bf16".
        case: a job "open", see `Ours.open`.
        settings: further fields of `RunArguments`.
    """
    return RunArguments(
        model_name_or_path=case["model"],
        task_name=case["task"],
        data_dir=case["data_dir"],
        per_device_train_batch_size=case["batch_size"],
        max_length=case["max_length"],
        max_eval_samples=case["eval_rows"],
        seed=case["seed"],
        mixed_precision={"fp32": "no"}.get(precision, precision),
        cpu=True,
        **settings,
    )


class Ours:
    """One model on one task at a time, in one precision."""

    def start(self, precision: str, threads: int) -> dict[str, Any]:
        """Settle what holds for the life of the process; returns what is running here."""
        torch.set_num_threads(threads)
        self.precision = precision
        return {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "accelerate": metadata.version("accelerate"),
            "tokenizers": metadata.version("tokenizers"),
            "threads": torch.get_num_threads(),
            "imported": resident_memory()["now"],
        }

    def open(self, **case: Any) -> dict[str, Any]:
        """Set up a run as the script does, up to its first update.

        Args:
            case: "model" (checkpoint folder), "task", "data_dir" (the folder of the task's folder), "batch_size" (of
                training), "max_length" (in tokens), "eval_rows" (of the validation split; None for all), "seed".

        Returns:
            "train_rows".
        """
        self.args = run_arguments(self.precision, case, pos=POSITION, scale=SCALE)
        self.setup = set_up(self.args)
        accelerator = self.setup.accelerator
        optimizer = build_optimizer(self.args, self.setup.model)
        self.model, self.optimizer = accelerator.prepare(self.setup.model, optimizer)
        self.schedule = build_schedule(self.args, self.optimizer.optimizer, total_updates=10_000)
        return {"train_rows": len(self.setup.datasets["train"])}

    def train(self, batches: list[list[int]]) -> dict[str, Any]:
        """Make one update with each batch of row numbers.

        Returns:
            "seconds" in all, "examples" and "tokens" (without padding), and the last batch's "loss".
        """
        dataset = self.setup.datasets["train"]
        began = time.perf_counter()
        for rows in batches:
            # What stands in the loop of `run_glue_no_trainer.train`, without its log.
            self.model.train()
            update = Update((np.asarray(rows),), len(rows))
            loss = script.backward(self.args, self.setup, self.model, dataset, update)
            script.gradient_norm(self.setup.accelerator, self.model, self.args.max_grad_norm)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            self.schedule.step()
        last_loss = loss.item()
        seconds = time.perf_counter() - began
        drawn = np.concatenate(batches)
        return {
            "seconds": seconds,
            "examples": len(drawn),
            "tokens": int(dataset.lengths[drawn].sum()),
            "loss": last_loss,
        }

    def evaluate(self) -> dict[str, Any]:
        """Predict the validation split; returns "seconds" and "examples"."""
        task = self.setup.task
        dataset = self.setup.datasets[task.validation_splits[0]]
        size = self.args.per_device_eval_batch_size
        began = time.perf_counter()
        predict(self.model, dataset, task, self.setup.mapping, size, self.setup.accelerator)
        return {"seconds": time.perf_counter() - began, "examples": len(dataset)}

    def close(self) -> None:
        """Forget the model and the data."""
        del self.setup, self.model, self.optimizer, self.schedule
