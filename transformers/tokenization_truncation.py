"""Encoding texts far longer than the row they are cut to, in memory that grows no faster than their length.

The `tokenizers` library keeps what truncation cuts off, in pieces as long as the row, and of a pair every piece of one
text beside every piece of the other: of two texts of 10,000 tokens more than 20,000 rows, some gigabytes. Where nobody
asks for these pieces, texts are encoded one by one here, shortened, and only then joined. The rows are the same.
"""

from __future__ import annotations

from typing import Any

from tokenizers import Encoding, Tokenizer
from tokenizers.processors import TemplateProcessing

_AT_ONCE = 256  # rows whose texts are in memory in full

# Without a processor the library numbers the texts of a pair (token types) while it encodes them together.
_JOINING = TemplateProcessing(single="$A:0", pair="$A:0 $B:1")


def encode_truncated(
    backend: Tokenizer,
    rows: list[tuple[Any, ...]],
    truncation: dict[str, Any],
    is_split_into_words: bool,
    add_special_tokens: bool,
) -> list[Encoding]:
    """Encode and truncate texts and pairs as `Tokenizer.encode_batch` does, without the pieces that are cut off.

    Args:
        backend: a tokenizer without padding; its truncation is set here, and is to be taken back by the caller.
        rows: the one text or the two of each row; a text is a string, or a list of words.
        truncation: arguments of `Tokenizer.enable_truncation`.
        is_split_into_words, add_special_tokens: as in `encode_batch`, the former named `is_pretokenized` there.
    """
    encodings: list[Encoding] = []
    processor = backend.post_processor
    for begin in range(0, len(rows), _AT_ONCE):
        some = rows[begin : begin + _AT_ONCE]
        try:
            backend.no_truncation()
            backend.post_processor = None  # some move the offsets, which must not happen twice
            parts = iter(backend.encode_batch([text for row in some for text in row], is_split_into_words, False))
            backend.enable_truncation(**truncation)
            backend.post_processor = processor or _JOINING
            for row in some:
                first, *second = _shortened([next(parts) for _ in row], truncation)
                encodings.append(backend.post_process(first, second[0] if second else None, add_special_tokens))
        finally:
            backend.post_processor = processor
    return encodings


def _shortened(parts: list[Encoding], truncation: dict[str, Any]) -> list[Encoding]:
    """Cut the texts of a row to the length of the whole row."""
    # Which of two is the longer decides who gets the odd token, so that it stays the longer.
    first_is_longer = len(parts) > 1 and len(parts[0]) > len(parts[1])
    for place, part in enumerate(parts):
        part.truncate(truncation["max_length"] + (first_is_longer and place == 0), direction=truncation["direction"])
    return parts
