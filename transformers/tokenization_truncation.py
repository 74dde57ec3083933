"""Encoding texts far longer than the row they are cut to, in memory that grows no faster than their length.

The `tokenizers` library keeps what truncation cuts off, in pieces as long as the row, and of a pair every piece of one
text beside every piece of the other: of two texts of 10,000 tokens more than 20,000 rows, some gigabytes. Where nobody
asks for these pieces, long texts are encoded one by one here, shortened, and only then joined. The rows are the same.
"""

from __future__ import annotations

from typing import Any

from tokenizers import Encoding, Tokenizer
from tokenizers.processors import TemplateProcessing

# Without a processor the library numbers the texts of a pair (token types) while it encodes them together.
_JOINING = TemplateProcessing(single="$A:0", pair="$A:0 $B:1")


def encode_truncated(
    backend: Tokenizer, rows: list[Any], truncation: dict[str, Any], is_split_into_words: bool, add_special_tokens: bool
) -> list[Encoding]:
    """Encode and truncate texts and pairs as `Tokenizer.encode_batch` does, without the pieces that are cut off.

    Args:
        backend: a tokenizer without padding; its truncation is set here, and is to be taken back by the caller.
        rows: texts and pairs; a text is a string, or a list of words.
        truncation: arguments of `Tokenizer.enable_truncation`.
        is_split_into_words, add_special_tokens: as in `encode_batch`, the former named `is_pretokenized` there.
    """
    backend.enable_truncation(**truncation)
    # Whether much may be cut off is judged by the characters.
    long = {row for row, item in enumerate(rows) if _characters(item) > 4 * truncation["max_length"]}
    encodings: list[Encoding] = backend.encode_batch(
        [item for row, item in enumerate(rows) if row not in long], is_split_into_words, add_special_tokens
    )
    processor = backend.post_processor
    for row in sorted(long):
        try:
            backend.no_truncation()
            backend.post_processor = None  # some move the offsets, which must not happen twice
            texts = texts_of(rows[row], is_split_into_words)
            parts = [backend.encode(text, None, is_split_into_words, False) for text in texts]
            # Which of two is the longer decides who gets the odd token, so that it stays the longer.
            first_is_longer = len(parts) > 1 and len(parts[0]) > len(parts[1])
            for place, part in enumerate(parts):
                kept = truncation["max_length"] + (first_is_longer and place == 0)
                part.truncate(kept, direction=truncation["direction"])
            backend.enable_truncation(**truncation)
            backend.post_processor = _JOINING if processor is None else processor
            encodings.insert(
                row, backend.post_process(parts[0], parts[1] if len(parts) > 1 else None, add_special_tokens)
            )
        finally:
            backend.post_processor = processor
    return encodings


def texts_of(item: Any, is_split_into_words: bool) -> tuple[Any, ...]:
    """Return the one text or the two that an item of a batch holds; a text is a string, or a list of words."""
    is_text = isinstance(item, str) or (is_split_into_words and (len(item) == 0 or isinstance(item[0], str)))
    return tuple(item) if isinstance(item, (list, tuple)) and not is_text else (item,)


def _characters(item: Any) -> int:
    """Count the characters of a text, or of texts and words in lists; of anything else, which is an error, none."""
    if isinstance(item, str):
        return len(item)
    return sum(map(_characters, item)) if isinstance(item, (list, tuple)) else 0
