"""Collators: lists of rows to batches of tensors; mirrors Hugging Face's module of that name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..batch_encoding import as_tensor
from ..tokenization_utils_base import BatchEncoding, PreTrainedTokenizerBase

_LABEL_NAMES = ("label", "label_ids")


@dataclass
class DataCollatorWithPadding:
    """Pad tokenized rows to one length and make a batch of them; `label` or `label_ids` become `labels`.

    Args:
        tokenizer: says what padding looks like and where it goes.
        padding: True or "longest" (default), or "max_length".
        max_length: tokens, for "max_length"; default the tokenizer's `model_max_length`.
        pad_to_multiple_of: round the padded length up to a multiple of this; default None.
        return_tensors: "pt" (default) or "np".

    Example:
        >>> from transformers import BertTokenizerFast
        >>> collator = DataCollatorWithPadding(BertTokenizerFast(), return_tensors="np")
        >>> batch = collator([{"input_ids": [2, 3], "label": 1}, {"input_ids": [2, 1, 3], "label": 0}])
        >>> batch["input_ids"].tolist(), batch["attention_mask"].tolist(), batch["labels"].tolist()
        ([[2, 3, 0], [2, 1, 3]], [[1, 1, 0], [1, 1, 1]], [1, 0])
    """

    tokenizer: PreTrainedTokenizerBase
    padding: bool | str = True
    max_length: int | None = None
    pad_to_multiple_of: int | None = None
    return_tensors: str = "pt"

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> BatchEncoding:
        """Make a batch.

        Args:
            features: B rows of features by name.

        Returns:
            (B, S) int64 for features of tokens, (B,) for labels: int64 for classes, float32 for numbers.
        """
        batch = self.tokenizer.pad(
            features,
            padding=self.padding,
            max_length=self.max_length,
            pad_to_multiple_of=self.pad_to_multiple_of,
            return_tensors=self.return_tensors,
        )
        for name in _LABEL_NAMES:
            if name in batch:
                batch["labels"] = batch.pop(name)
        return batch


@dataclass
class DefaultDataCollator:
    """`default_data_collator` with its arguments kept.

    Args:
        return_tensors: "pt" (default) or "np".
    """

    return_tensors: str = "pt"

    def __call__(self, features: Sequence[Any], return_tensors: str | None = None) -> dict[str, Any]:
        """Make a batch of rows that have one length already."""
        return default_data_collator(features, return_tensors or self.return_tensors)


def default_data_collator(features: Sequence[Any], return_tensors: str = "pt") -> dict[str, Any]:
    """Make a batch of rows that have one length already; `label` or `label_ids` become `labels`.

    Args:
        features: B rows: features by name, or objects with attributes. What is None or text in the first is left out.
        return_tensors: "pt" (default) or "np".

    Returns:
        An array or tensor for every feature, B in front: int64, float32 or bool.

    Raises:
        ValueError: rows of a feature differ in length.

    Example:
        >>> batch = default_data_collator([{"input_ids": [5, 6], "label": 0.5}], return_tensors="np")
        >>> {name: (str(values.dtype), values.shape) for name, values in batch.items()}
        {'input_ids': ('int64', (1, 2)), 'labels': ('float32', (1,))}
    """
    rows = [row if isinstance(row, Mapping) else vars(row) for row in features]
    batch = {}
    for name, value in rows[0].items():
        if value is not None and not isinstance(value, str):
            key = "labels" if name in _LABEL_NAMES else name
            batch[key] = as_tensor(name, [row[name] for row in rows], return_tensors)
    return batch
