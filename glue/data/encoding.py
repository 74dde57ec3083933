"""From a table of text to token ids: tokenized once, kept as flat numpy arrays, padded a batch at a time.

A row is a slice of one long array, so that a dataset of any size is a few objects to Python, worker processes share it
without copying, and a batch is padded by one indexed assignment instead of by a loop over lists.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from ..cli.console import progress_bar
from .labels import LabelMapping
from .table import Table
from .tasks import Task
from .token_cache import TokenCache

if TYPE_CHECKING:
    import torch

    from .batch import Batch

_ROWS_AT_ONCE = 4096  # enough to keep the tokenizer's threads busy, few enough to keep its Python lists small


@dataclass
class EncodedDataset:
    """Token ids of one split; a map-style dataset for PyTorch that is not tied to it.

    `dataset[i]` gives the lists that `DataCollatorWithPadding` takes. `dataset.collate(indices)` gives the same batch
    directly from the arrays; with `DataLoader(range(len(dataset)), collate_fn=dataset.collate)` no row is ever built.

    Args:
        features: "input_ids" and, where the tokenizer has them, "token_type_ids": int32 arrays of all T tokens.
        offsets: int64 array of rows + 1 entries; row i is `[offsets[i], offsets[i + 1])` of every feature.
        labels: class ids (int64) or scores (float32), one a row; None where the rows have no labels.
        pad_values: what padding looks like in each feature.
        padding_side: "right" or "left".
        pad_to: length that every row is padded to; None pads a batch to its longest row.
        pad_to_multiple_of: round the length of a batch up to a multiple of this.
        widths: the lengths that a batch may have, rising, the longest row's among them; empty for any length. Where
            there are some, `batch` also fills the last batch of a split up, so that there are few shapes.
        label_names: class names in the order of the ids in `labels`; empty for regression.
        row_numbers: what the file itself numbers its rows with; None where rows count from 0.

    Example:
        >>> ids = np.array([5, 6, 7, 8, 9], dtype=np.int32)
        >>> data = EncodedDataset({"input_ids": ids}, np.array([0, 2, 5]), np.array([1, 0]), {"input_ids": 0})
        >>> data[0]
        {'input_ids': [5, 6], 'attention_mask': [1, 1], 'labels': 1}
        >>> data.collate([0, 1])["input_ids"].tolist()
        [[5, 6, 0], [7, 8, 9]]
    """

    features: dict[str, np.ndarray]
    offsets: np.ndarray
    labels: np.ndarray | None
    pad_values: dict[str, int]
    padding_side: str = "right"
    pad_to: int | None = None
    pad_to_multiple_of: int = 1
    widths: tuple[int, ...] = ()
    label_names: tuple[str, ...] = ()
    row_numbers: list[Any] | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Number of real tokens of each row (int64)."""
        return np.diff(self.offsets)

    def digest(self) -> str:
        """Return what identifies these data to checkpoints and sweeps: the same for the same tokens, labels and names.

        Returns:
            Hexadecimal digits, the same on every machine and in every process.
        """
        arrays = {**self.features, "lengths": self.lengths, "labels": self.labels}
        hashed = hashlib.blake2b(repr(self.label_names).encode(), digest_size=16)
        for name, array in sorted(arrays.items()):
            if array is not None:
                hashed.update(f"{name} {array.dtype.str} {array.shape}".encode())
                hashed.update(np.ascontiguousarray(array).data)
        return hashed.hexdigest()

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        return {name: tensor[0].tolist() for name, tensor in self.collate([index % len(self)]).items()}

    def collate(
        self,
        indices: Sequence[int] | np.ndarray,
        device: torch.device | None = None,
    ) -> dict[str, torch.Tensor]:
        """Build the padded batch of some rows.

        Args:
            indices: B row numbers.
            device: where to; None for the CPU.

        Returns:
            int64 tensors (B, S) for every feature and "attention_mask", and "labels" (B,) where there are labels.
        """
        batch = self.batch(indices)
        batch = batch if device is None else batch.to(device)
        return batch.inputs | ({} if self.labels is None else {"labels": batch.labels})

    def batch(
        self, indices: Sequence[int] | np.ndarray, size: int = 0, total: int | None = None, pin: bool = False
    ) -> Batch:
        """Build the padded batch of some rows, on the CPU.

        Args:
            indices: row numbers; where there are none, the batch is one of a row that does not count.
            size: rows that a batch has, where it is filled up (see `widths`).
            total: rows that the mean loss is taken over; left out: those of this batch.
            pin: use memory that a GPU reads by itself.
        """
        from .batch import Batch

        count = len(indices)
        rows = np.asarray(indices if count else [0], dtype=np.int64)
        if self.widths and len(rows) < size:
            rows = np.concatenate([rows, np.full(size - len(rows), rows[0])])
        labels = None if self.labels is None else self.labels[rows]
        return Batch.of(self.padded(rows), labels, count, count if total is None else total, pin)

    def padded(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the features of some rows, int64 (B, S) each, and behind them the mask, bool."""
        begins, lengths = self.offsets[rows], self.lengths[rows]
        width = self._width(int(lengths.max(initial=0)))
        shift = (width - lengths if self.padding_side == "left" else np.zeros_like(lengths))[:, None]
        # (B, S): number of the token within its row, or outside of it where padding is
        places = np.arange(width) - shift
        mask = (places >= 0) & (places < lengths[:, None])
        sources = (begins[:, None] + places)[mask]
        features = {}
        for name, values in self.features.items():
            features[name] = np.full(mask.shape, self.pad_values[name], dtype=np.int64)
            features[name][mask] = values[sources]
        return {**features, "attention_mask": mask}

    def _width(self, longest: int) -> int:
        """The length of a batch whose longest row has so many tokens."""
        width = longest if self.pad_to is None else self.pad_to
        width = -(-width // self.pad_to_multiple_of) * self.pad_to_multiple_of
        return next((wide for wide in self.widths if wide >= width), width)


def encode(
    table: Table,
    task: Task,
    tokenizer: Any,
    max_length: int,
    pad_to_max_length: bool = False,
    pad_to_multiple_of: int = 1,
    widths: tuple[int, ...] = (),
    mapping: LabelMapping | None = None,
    cache: TokenCache | None = None,
) -> EncodedDataset:
    """Tokenize a split.

    Args:
        table: the rows; labels as `Table` has them.
        task: which columns hold text, and whether labels are classes or numbers.
        tokenizer: a tokenizer with Hugging Face's call signature.
        max_length: longest row in tokens, special tokens included; of a longer pair the longer text is cut first.
        pad_to_max_length: pad every row to `max_length` when it is read.
        pad_to_multiple_of: round the length of every batch up to a multiple of this.
        widths: the lengths that a batch may have; empty for any.
        mapping: gives the labels the model's ids; None leaves them the task's.
        cache: where to look for the tokens first, and to keep them.

    Returns:
        The encoded rows, in the order of the table; without labels where a row has none, as in a test split.
    """
    texts = [table.columns[name] for name in task.text_columns]
    wanted = ["input_ids", *(["token_type_ids"] if "token_type_ids" in tokenizer.model_input_names else [])]
    arrays = (cache or TokenCache(None)).tokens(
        texts,
        tokenizer,
        lambda: _tokenize(texts, tokenizer, max_length, wanted),
        max_length=max_length,
        features=wanted,
    )
    return EncodedDataset(
        features={name: arrays[name] for name in wanted},
        offsets=np.cumsum(np.concatenate([[0], arrays["lengths"]]), dtype=np.int64),
        labels=_label_array(table.columns["label"], task, mapping),
        pad_values={"input_ids": tokenizer.pad_token_id, "token_type_ids": tokenizer.pad_token_type_id},
        padding_side=tokenizer.padding_side,
        pad_to=max_length if pad_to_max_length else None,
        pad_to_multiple_of=pad_to_multiple_of,
        widths=widths,
        label_names=tuple(mapping.id2label.values()) if mapping and task.label_names else task.label_names,
        row_numbers=table.row_numbers,
    )


def _tokenize(texts: list[list[str]], tokenizer: Any, max_length: int, wanted: list[str]) -> dict[str, np.ndarray]:
    """Return the features `wanted`, int32 (T,) each, and "lengths", int32 (rows,)."""
    parts: dict[str, list[np.ndarray]] = {name: [np.empty(0, dtype=np.int32)] for name in wanted}
    lengths: list[int] = []
    begins = range(0, len(texts[0]), _ROWS_AT_ONCE)
    for begin in progress_bar(begins, desc="tokenizing", leave=False, delay=2):
        encoded = tokenizer(
            *(column[begin : begin + _ROWS_AT_ONCE] for column in texts),
            padding=False,
            truncation=True,
            max_length=max_length,
            return_attention_mask=False,
            return_token_type_ids="token_type_ids" in wanted,
        )
        sizes = [len(ids) for ids in encoded["input_ids"]]
        lengths.extend(sizes)
        for name in wanted:
            parts[name].append(np.fromiter(chain.from_iterable(encoded[name]), dtype=np.int32, count=sum(sizes)))
    features = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    return {**features, "lengths": np.array(lengths, dtype=np.int32)}


def _label_array(labels: list[Any], task: Task, mapping: LabelMapping | None) -> np.ndarray | None:
    if task.is_regression:
        scores = np.array(labels, dtype=np.float32)
        return None if np.isnan(scores).any() else scores
    ids = np.array(labels, dtype=np.int64)
    if (ids < 0).any():
        return None
    return ids if mapping is None else mapping.model_ids(task)[ids]
