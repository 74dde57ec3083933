"""`BatchEncoding`: what a tokenizer returns; mirrors Hugging Face's class of that name."""

from __future__ import annotations

from collections import UserDict
from typing import TYPE_CHECKING, Any, NamedTuple

from .tokenization_padding import as_tensor
from .utils import logging

if TYPE_CHECKING:
    from tokenizers import Encoding

logger = logging.get_logger(__name__)


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
        self._encodings = encoding if encoding is None or isinstance(encoding, list) else [encoding]
        self._n_sequences = n_sequences
        if n_sequences is None and self._encodings:
            self._n_sequences = self._encodings[0].n_sequences
        self.convert_to_tensors(tensor_type, prepend_batch_axis)

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, str):
            return self.data[item]
        if self._encodings is not None:
            return self._encodings[item]
        if isinstance(item, slice):
            return {name: values[item] for name, values in self.data.items()}
        raise KeyError(f"{item!r}: this batch was not made by a tokenizer; it has {', '.join(self.data)}")

    def __getattr__(self, name: str) -> Any:
        # `data` itself is missing while an instance is being copied or unpickled.
        if name != "data" and name in self.data:
            return self.data[name]
        raise AttributeError(f"{type(self).__name__} has neither a feature nor an attribute {name!r}")

    @property
    def encodings(self) -> list[Encoding] | None:
        """The `tokenizers.Encoding` of every row; None where the batch did not come from a tokenizer."""
        return self._encodings

    @property
    def is_fast(self) -> bool:
        """Whether there are encodings."""
        return self._encodings is not None

    @property
    def n_sequences(self) -> int | None:
        """Texts a row: 1, 2, or None if it is not known."""
        return self._n_sequences

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

        if isinstance(device, (str, int, torch.device)):
            for name, values in self.data.items():
                if isinstance(values, torch.Tensor):
                    self.data[name] = values.to(device, non_blocking=non_blocking)
        else:
            logger.warning("a BatchEncoding holds ids: it can be moved to a device, not cast to %s", device)
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
        encoding, token = self._place(batch_or_token_index, token_index)
        return encoding.token_to_sequence(_from_end(token, encoding))

    def token_to_word(self, batch_or_token_index: int, token_index: int | None = None) -> int | None:
        """Return the number of the word that a token belongs to; None for special tokens."""
        encoding, token = self._place(batch_or_token_index, token_index)
        return encoding.token_to_word(_from_end(token, encoding))

    def token_to_chars(self, batch_or_token_index: int, token_index: int | None = None) -> CharSpan | None:
        """Return the characters of its text that a token stands for; None for special tokens."""
        encoding, token = self._place(batch_or_token_index, token_index)
        span = encoding.token_to_chars(_from_end(token, encoding))
        return None if span is None else CharSpan(*span)

    def word_to_tokens(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> TokenSpan | None:
        """Return the tokens of a word of text `sequence_index`; None if it has none."""
        encoding, word = self._place(batch_or_word_index, word_index)
        span = encoding.word_to_tokens(word, sequence_index)
        return None if span is None else TokenSpan(*span)

    def word_to_chars(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> CharSpan | None:
        """Return the characters of a word of text `sequence_index`; None if it has no token."""
        encoding, word = self._place(batch_or_word_index, word_index)
        span = encoding.word_to_chars(word, sequence_index)
        return None if span is None else CharSpan(*span)

    def char_to_token(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """Return the token that a character of text `sequence_index` went into; None for white space."""
        encoding, character = self._place(batch_or_char_index, char_index)
        return encoding.char_to_token(character, sequence_index)

    def char_to_word(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """Return the number of the word that a character of text `sequence_index` belongs to; None for white space."""
        encoding, character = self._place(batch_or_char_index, char_index)
        return encoding.char_to_word(character, sequence_index)

    def _encoding(self, index: int) -> Encoding:
        if self._encodings is None:
            raise ValueError("this batch does not come from a tokenizer: it knows no tokens, words or characters")
        return self._encodings[index]

    def _place(self, batch_or_index: int, index: int | None) -> tuple[Encoding, int]:
        batch_index, place = (0, batch_or_index) if index is None else (batch_or_index, index)
        return self._encoding(batch_index), place


def _from_end(token: int, encoding: Encoding) -> int:
    """Read a negative number of a token as Python's lists do."""
    return token + len(encoding) if token < 0 else token
