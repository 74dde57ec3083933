"""`BatchEncoding`: what a tokenizer returns, and how lists become arrays and tensors; mirrors Hugging Face's class.

PyTorch is imported only where a tensor is asked for. Shape letters: B batch, S padded length.
"""

from __future__ import annotations

import sys
from collections import UserDict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .utils import logging

if TYPE_CHECKING:
    from tokenizers import Encoding

logger = logging.get_logger(__name__)

TENSOR_TYPES = ("pt", "np")
_DTYPES = {"i": np.int64, "u": np.int64, "f": np.float32, "b": np.bool_}  # by the kind of numpy's own


class CharSpan(NamedTuple):
    """Characters `start` up to, but without, `end` of a text."""

    start: int
    end: int


class TokenSpan(NamedTuple):
    """Tokens `start` up to, but without, `end` of a row."""

    start: int
    end: int


class BatchEncoding(UserDict[str, Any]):
    """The features of a batch by name, and by number the `tokenizers.Encoding` that each row came from.

    The methods that relate tokens, words and characters take the row first and the place within it second; with one
    argument it is the place, in row 0. A word is what the tokenizer's first split gives, or, for texts that came in
    words, one of those.

    Args:
        data: features by name, default none.
        encoding: the encodings behind them: one, a list, or None where they did not come from a tokenizer.
        tensor_type: "pt" or "np" converts the features; default None leaves them.
        prepend_batch_axis: put a batch dimension of 1 in front when converting; default False.
        n_sequences: texts a row, 1 or 2; default that of the encodings.

    Example:
        >>> batch = BatchEncoding({"input_ids": [[5, 6], [7, 8]]}, tensor_type="np")
        >>> batch["input_ids"] is batch.input_ids, batch.input_ids.shape
        (True, (2, 2))
    """

    def __init__(
        self,
        data: dict[str, Any] | None = None,
        encoding: Encoding | list[Encoding] | None = None,
        tensor_type: str | None = None,
        prepend_batch_axis: bool = False,
        n_sequences: int | None = None,
    ) -> None:
        super().__init__(data or {})
        self.encodings = encoding if encoding is None or isinstance(encoding, list) else [encoding]
        self.n_sequences = self.encodings[0].n_sequences if n_sequences is None and self.encodings else n_sequences
        self.convert_to_tensors(tensor_type, prepend_batch_axis)

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, str):
            return self.data[item]
        if self.encodings is not None:
            return self.encodings[item]
        if isinstance(item, slice):
            return {name: values[item] for name, values in self.data.items()}
        raise KeyError(f"{item!r}: this batch was not made by a tokenizer; it has {', '.join(self.data)}")

    def __getattr__(self, name: str) -> Any:
        # `data` itself is missing while an instance is being copied or unpickled.
        if name != "data" and name in self.data:
            return self.data[name]
        raise AttributeError(f"{type(self).__name__} has neither a feature nor an attribute {name!r}")

    @property
    def is_fast(self) -> bool:
        """Whether there are encodings."""
        return self.encodings is not None

    def convert_to_tensors(self, tensor_type: str | None = None, prepend_batch_axis: bool = False) -> BatchEncoding:
        """Turn every feature into an array or a tensor, in place.

        Args:
            tensor_type: "pt" for tensors, "np" for arrays (int64, float32 or bool); None does nothing.
            prepend_batch_axis: put a batch dimension of 1 in front.

        Returns:
            This batch.

        Raises:
            ValueError: the rows of a feature differ in length, or are no numbers.
        """
        if tensor_type is not None:
            for name, values in self.data.items():
                self.data[name] = as_tensor(name, [values] if prepend_batch_axis else values, tensor_type)
        return self

    def to(self, device: Any, *, non_blocking: bool = False) -> BatchEncoding:
        """Move every tensor to a device, in place.

        Args:
            device: a `torch.device`, its name, or its index.
            non_blocking: do not wait for the copy.

        Returns:
            This batch.
        """
        import torch

        if not isinstance(device, (str, int, torch.device)):
            logger.warning("a BatchEncoding holds ids: it can be moved to a device, not cast to %s", device)
            return self
        for name, values in self.data.items():
            if isinstance(values, torch.Tensor):
                self.data[name] = values.to(device, non_blocking=non_blocking)
        return self

    def tokens(self, batch_index: int = 0) -> list[str]:
        """Return the tokens of a row as strings, special ones and padding included."""
        return self._encoding(batch_index).tokens

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """Return for each token of a row 0 or 1, the text that it comes from; None for special tokens."""
        return self._encoding(batch_index).sequence_ids

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        """Return for each token of a row the number of its word within its text; None for special tokens."""
        return self._encoding(batch_index).word_ids

    def token_to_sequence(self, batch_or_token_index: int, token_index: int | None = None) -> int | None:
        """Return the text, 0 or 1, that a token comes from; None for special tokens."""
        return self._relate("token_to_sequence", batch_or_token_index, token_index)

    def token_to_word(self, batch_or_token_index: int, token_index: int | None = None) -> int | None:
        """Return the number of the word that a token belongs to; None for special tokens."""
        return self._relate("token_to_word", batch_or_token_index, token_index)

    def token_to_chars(self, batch_or_token_index: int, token_index: int | None = None) -> CharSpan | None:
        """Return the characters of its text that a token stands for; None for special tokens."""
        return self._relate("token_to_chars", batch_or_token_index, token_index)

    def word_to_tokens(self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0) -> Any:
        """Return the tokens of a word of text `sequence_index` as a `TokenSpan`; None if it has none."""
        return self._relate("word_to_tokens", batch_or_word_index, word_index, sequence_index)

    def word_to_chars(self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0) -> Any:
        """Return the characters of a word of text `sequence_index` as a `CharSpan`; None if it has no token."""
        return self._relate("word_to_chars", batch_or_word_index, word_index, sequence_index)

    def char_to_token(self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0) -> Any:
        """Return the token that a character of text `sequence_index` went into; None for white space."""
        return self._relate("char_to_token", batch_or_char_index, char_index, sequence_index)

    def char_to_word(self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0) -> Any:
        """Return the number of the word that a character of text `sequence_index` belongs to; None for white space."""
        return self._relate("char_to_word", batch_or_char_index, char_index, sequence_index)

    def _encoding(self, index: int) -> Encoding:
        if self.encodings is None:
            raise ValueError("this batch does not come from a tokenizer: it knows no tokens, words or characters")
        return self.encodings[index]

    def _relate(self, relation: str, batch_or_index: int, index: int | None, *sequence_index: int) -> Any:
        """Ask an encoding for what belongs to a place; a negative number of a token counts from the end."""
        row, place = (0, batch_or_index) if index is None else (batch_or_index, index)
        encoding = self._encoding(row)
        if relation.startswith("token") and place < 0:
            place += len(encoding)
        found = getattr(encoding, relation)(place, *sequence_index)
        span = TokenSpan if relation.endswith("tokens") else CharSpan
        return span(*found) if isinstance(found, tuple) else found


def as_tensor(name: str, values: Any, tensor_type: str) -> Any:
    """Turn a value of a batch into an array or a tensor: int64, float32, or bool.

    Args:
        name: the feature, for an error.
        values: numbers, in lists of any depth, or arrays, tensors, or lists of them.
        tensor_type: "pt" or "np".

    Raises:
        ValueError: rows differ in length, something is no number, or the type is unknown.
    """
    if tensor_type not in TENSOR_TYPES:
        raise ValueError(f"return_tensors {tensor_type!r}: expected one of {', '.join(TENSOR_TYPES)}, or None")
    if tensor_type == tensor_type_of(values):
        return values
    try:
        array = np.asarray([*map(np.asarray, values)] if tensor_type_of(values, inside=True) else values)
        array = array.astype(_DTYPES[array.dtype.kind], copy=False)
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"{name!r} cannot be made a tensor: its rows differ in length, or hold something that is no number. "
            "Tokenize or pad with padding=True (and truncation=True), and leave out columns of text"
        ) from None
    if tensor_type == "np":
        return array
    import torch

    return torch.from_numpy(array)


def tensor_type_of(values: Any, inside: bool = False) -> str | None:
    """Return "pt" or "np" for a tensor or an array, None for anything else.

    Args:
        values: what to look at.
        inside: look at the first element of a list instead.
    """
    if inside:
        values = values[0] if isinstance(values, (list, tuple)) and values else None
    if isinstance(values, (np.ndarray, np.generic)):
        return "np"
    torch = sys.modules.get("torch")  # where it has not been imported nothing is a tensor
    return "pt" if torch is not None and isinstance(values, torch.Tensor) else None
