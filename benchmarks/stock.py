"""The other side: the usual fine-tuning with the Auto classes, padded and timed.

`Stock` is that of the stock library, and runs where ours cannot be seen; `Usual` takes whichever `transformers` there
is, so that ours can stand in where the stock library is not installed.
"""

from __future__ import annotations

import json
import platform
import time
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import accelerate
import torch
from accelerate.state import AcceleratorState
from torch.utils.data import DataLoader, Dataset

import transformers
from benchmarks.measuring import resident_memory
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    get_scheduler,
    set_seed,
)

EVAL_BATCH_SIZE = 32
LEARNING_RATE = 2e-5


class Usual:
    """One model on one task at a time, in one precision. Jobs are those of `benchmarks.ours.Ours`."""

    def start(self, precision: str, threads: int, cpu: bool = True) -> dict[str, Any]:
        """Settle what holds for the life of the process; returns what is running here."""
        torch.set_num_threads(threads)
        AcceleratorState._reset_state(reset_partial_state=True)  # of an earlier start, in another precision
        self.accelerator = accelerate.Accelerator(cpu=cpu, mixed_precision={"fp32": "no"}.get(precision, precision))
        return {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "accelerate": accelerate.__version__,
            "tokenizers": metadata.version("tokenizers"),
            "transformers": transformers.__version__,
            "threads": torch.get_num_threads(),
            "imported": resident_memory()["now"],
        }

    def open(
        self,
        *,
        model: str,
        task: str,
        data_dir: str,
        text_columns: list[str],
        num_labels: int,
        validation_split: str,
        batch_size: int,
        max_length: int,
        seed: int,
        eval_rows: int | None,
        compiled: bool = False,
    ) -> dict[str, Any]:
        """Read and tokenize the data, load the model, make the optimizer; returns "train_rows"."""
        set_seed(seed)
        folder = Path(data_dir) / task
        train_rows = _read(folder / "train.jsonl")
        eval_data = _read(folder / f"{validation_split}.jsonl")[:eval_rows]
        tokenizer = AutoTokenizer.from_pretrained(model)
        config = AutoConfig.from_pretrained(model, num_labels=num_labels)
        classifier = AutoModelForSequenceClassification.from_pretrained(model, config=config)
        self.collate = DataCollatorWithPadding(tokenizer, pad_to_multiple_of=8)
        self.train_data = _encode(train_rows, tokenizer, text_columns, max_length)
        eval_encoded = _encode(eval_data, tokenizer, text_columns, max_length)
        self.eval_loader = self._loader(eval_encoded, batch_size=EVAL_BATCH_SIZE)
        optimizer = torch.optim.AdamW(classifier.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
        if compiled:
            classifier.compile(dynamic=True)  # batches of any shape
        self.model, self.optimizer = self.accelerator.prepare(classifier, optimizer)
        self.schedule = get_scheduler("linear", optimizer=self.optimizer, num_warmup_steps=0, num_training_steps=10_000)
        return {"train_rows": len(self.train_data)}

    def train(self, batches: list[list[int]]) -> dict[str, Any]:
        """Make one update with each batch of row numbers; returns "seconds", "examples", "tokens" and "loss"."""
        loader = self._loader(self.train_data, batch_sampler=batches)
        began = time.perf_counter()
        self.model.train()
        for batch in loader:
            loss = self.model(**batch).loss
            self.accelerator.backward(loss)
            self.optimizer.step()
            self.schedule.step()
            self.optimizer.zero_grad()
        last_loss = loss.item()
        seconds = time.perf_counter() - began
        drawn = [row for rows in batches for row in rows]
        return {
            "seconds": seconds,
            "examples": len(drawn),
            "tokens": sum(len(self.train_data[row]["input_ids"]) for row in drawn),
            "loss": last_loss,
        }

    def evaluate(self) -> dict[str, Any]:
        """Predict the validation split; returns "seconds" and "examples"."""
        began = time.perf_counter()
        self.model.eval()
        predictions = []
        for batch in self.eval_loader:
            with torch.no_grad():
                logits = self.model(**batch).logits.float()
            predictions.append(logits.squeeze(-1) if logits.shape[-1] == 1 else logits.argmax(-1))
        examples = len(torch.cat(predictions))
        return {"seconds": time.perf_counter() - began, "examples": examples}

    def _loader(self, rows: list[dict[str, Any]], **settings: Any) -> DataLoader[Any]:
        return DataLoader(cast("Dataset[Any]", rows), collate_fn=self.collate, **settings)

    def close(self) -> None:
        """Forget the model and the data."""
        self.accelerator.free_memory()
        del self.model, self.optimizer, self.schedule, self.train_data, self.eval_loader


class Stock(Usual):
    """The stock library's."""

    def start(self, precision: str, threads: int, cpu: bool = True) -> dict[str, Any]:
        """See `Usual`.

        Raises:
            ImportError: it is not the stock library that is imported here.
        """
        if Path(str(transformers.__file__)).parent.parent == Path(__file__).resolve().parents[1]:
            raise ImportError(f"this is not the stock library: {transformers.__file__}")
        return super().start(precision, threads, cpu)


def _read(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _encode(
    rows: list[dict[str, Any]], tokenizer: Any, text_columns: list[str], max_length: int
) -> list[dict[str, Any]]:
    texts = [[row[column] for row in rows] for column in text_columns]
    encoded = tokenizer(*texts, max_length=max_length, truncation=True)
    return [
        {name: values[number] for name, values in encoded.items()} | {"labels": row["label"]}
        for number, row in enumerate(rows)
    ]
