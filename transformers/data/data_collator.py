"""Collators: lists of rows to batches of tensors; mirrors Hugging Face's module of that name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..batch_encoding import as_tensor
from ..tokenization_utils_base import BatchEncoding, PreTrainedTokenizerBase
from ..utils.checks import check_number
from ..utils.errors import ConfigurationError

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
class DataCollatorForLanguageModeling:
    """Pad rows, hide some of their tokens, and make these the labels: BERT's masked language modelling.

    Args:
        tokenizer: says which tokens are special, and what padding and [MASK] are.
        mlm: True; there are no models here that predict the next token.
        whole_word_mask: False; a token is hidden whatever word it belongs to.
        mlm_probability: how likely a token is chosen; special ones and padding are not. One token of a batch is in any
            case, where there is one to choose.
        mask_replace_prob, random_replace_prob: share of the chosen ones that become [MASK], and any token; the others
            stay as they are.
        pad_to_multiple_of, return_tensors: as for `DataCollatorWithPadding`.
        seed: of a generator of its own; default None draws from torch's.

    Raises:
        ConfigurationError: what is asked for is not done here, a share is none, or there is no mask token.

    Example:
        >>> from transformers import BertTokenizerFast
        >>> tokenizer = BertTokenizerFast({"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "red": 5})
        >>> collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=1.0, mask_replace_prob=1.0,
        ...                                            random_replace_prob=0.0)
        >>> batch = collator([{"input_ids": [2, 5, 3]}, {"input_ids": [2, 3]}])
        >>> batch["input_ids"].tolist(), batch["labels"].tolist()
        ([[2, 4, 3], [2, 3, 0]], [[-100, 5, -100], [-100, -100, -100]])
    """

    tokenizer: PreTrainedTokenizerBase
    mlm: bool = True
    whole_word_mask: bool = False
    mlm_probability: float = 0.15
    mask_replace_prob: float = 0.8
    random_replace_prob: float = 0.1
    pad_to_multiple_of: int | None = None
    return_tensors: str = "pt"
    seed: int | None = None

    def __post_init__(self) -> None:
        for name, expected in (("mlm", True), ("whole_word_mask", False)):
            if getattr(self, name) is not expected:
                raise ConfigurationError(f"{name} {getattr(self, name)!r} is not done here: expected {expected}")
        shares = {"mlm_probability": self.mlm_probability, "mask_replace_prob": self.mask_replace_prob}
        shares |= {"random_replace_prob": self.random_replace_prob}
        for name, value in shares.items():
            if not 0 <= check_number(name, value) <= 1:
                raise ConfigurationError(f"{name} {value!r}: expected a number from 0 to 1")
        if self.mask_replace_prob + self.random_replace_prob > 1:
            raise ConfigurationError("mask_replace_prob and random_replace_prob make up more than 1")
        if self.tokenizer.mask_token_id is None:
            raise ConfigurationError("the tokenizer has no mask_token, which stands in the place of a hidden token")
        self._generator: Any = None

    def __call__(self, features: Sequence[Any]) -> BatchEncoding:
        """Make a batch of B rows, features by name or lists of ids; labels are -100 at tokens that are not chosen."""
        rows = [row if isinstance(row, Mapping) else {"input_ids": row} for row in features]
        batch = self.tokenizer.pad(rows, pad_to_multiple_of=self.pad_to_multiple_of, return_tensors="pt")
        special = batch.pop("special_tokens_mask", None)
        batch["input_ids"], batch["labels"] = self.torch_mask_tokens(batch["input_ids"], special)
        return batch if self.return_tensors == "pt" else BatchEncoding({k: v.numpy() for k, v in batch.items()})

    def torch_mask_tokens(self, inputs: Any, special_tokens_mask: Any = None, generator: Any = None) -> tuple[Any, Any]:
        """Hide tokens.

        Args:
            inputs: (B, S) int64 ids.
            special_tokens_mask: (B, S), non-zero at tokens that may not be hidden; None for the special ones.
            generator: what to draw from; None for that of `seed`, or torch's.

        Returns:
            The ids with some hidden, and the labels.
        """
        import torch

        if self.seed is not None and self._generator is None:
            self._generator = torch.Generator().manual_seed(self.seed)
        if special_tokens_mask is None:
            special_tokens_mask = torch.isin(inputs, torch.tensor(self.tokenizer.all_special_ids))
        allowed = special_tokens_mask == 0
        # Three draws for every token, used or not: what is drawn next does not depend on the tokens.
        choice, fate, other = torch.rand(3, *inputs.shape, generator=generator or self._generator).unbind()
        chosen = allowed & (choice < self.mlm_probability)
        if not chosen.any() and allowed.any():
            place = choice.masked_fill(~allowed, torch.inf).argmin()
            chosen.view(-1)[place] = True
        labels = inputs.masked_fill(~chosen, -100)
        hidden = inputs.masked_fill(chosen & (fate < self.mask_replace_prob), self.tokenizer.mask_token_id)
        replaced = (
            chosen & (fate >= self.mask_replace_prob) & (fate < self.mask_replace_prob + self.random_replace_prob)
        )
        return torch.where(replaced, (other * len(self.tokenizer)).long(), hidden), labels


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
