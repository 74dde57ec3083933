"""Encoding texts far longer than the row they are cut to, in memory that grows no faster than their length.

The `tokenizers` library keeps what truncation cuts off, in pieces as long as the row, and of a pair every piece of one
text beside every piece of the other: of two texts of 10,000 tokens more than 20,000 rows, some gigabytes. Where nobody
asked for these pieces, long texts are encoded one by one here, shortened, and only then joined. The rows are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tokenizers import Encoding, Tokenizer
from tokenizers.processors import TemplateProcessing

_CHARACTERS_AT_ONCE = 2**18  # of texts that are encoded whole before they are shortened: about 100 megabytes


def is_long(item: Any, max_length: int) -> bool:
    """Whether truncation to `max_length` may cut much off a text or a pair, judged by its characters."""
    return _characters(item) > 2 * max_length


def encode_long(
    backend: Tokenizer,
    rows: list[tuple[Any, ...]],
    max_length: int,
    add_special_tokens: bool,
    is_split_into_words: bool,
) -> list[Encoding]:
    """Encode and truncate texts and pairs as `Tokenizer.encode_batch` does, without the pieces that are cut off.

    Args:
        backend: a tokenizer whose truncation has been set, and whose padding has not.
        rows: one text or two each; a text is a string, or a list of words.
        max_length: what truncation has been set to.
        add_special_tokens, is_split_into_words: as in `encode_batch`, the latter named `is_pretokenized` there.

    Returns:
        An encoding a row.
    """
    truncation, processor = backend.truncation or {}, backend.post_processor
    # Without a processor the library numbers the texts of a pair (token types) while it encodes them together.
    joining = TemplateProcessing(pair="$A:0 $B:1") if processor is None else processor
    encodings: list[Encoding] = []
    try:
        for part in _slices(rows):
            backend.no_truncation()
            backend.post_processor = None  # some move the offsets, which must not happen twice
            alone = iter(
                backend.encode_batch(
                    [text for row in part for text in row],
                    is_pretokenized=is_split_into_words,
                    add_special_tokens=False,
                )
            )
            backend.enable_truncation(**truncation)
            for row in part:
                texts = [next(alone) for _ in row]
                _shorten(texts, max_length, truncation["direction"])
                second = texts[1] if len(texts) > 1 else None
                backend.post_processor = processor if second is None else joining
                encodings.append(backend.post_process(texts[0], second, add_special_tokens))
    finally:
        backend.post_processor = processor
    return encodings


def pad_encodings(
    encodings: list[Encoding], width: int | None, pad_to_multiple_of: int | None, **settings: Any
) -> None:
    """Pad encodings in place, as `Tokenizer.encode_batch` does.

    Args:
        encodings: what to pad.
        width: tokens; None for those of the longest.
        pad_to_multiple_of: round the width up to a multiple of this.
        **settings: direction, pad_id, pad_type_id and pad_token of `Encoding.pad`.
    """
    if width is None:
        width = max(map(len, encodings), default=0)
    multiple = pad_to_multiple_of or 1
    width = -(-width // multiple) * multiple
    for encoding in encodings:
        encoding.pad(width, **settings)


def _shorten(texts: list[Encoding], max_length: int, side: str) -> None:
    """Cut texts so that their truncation as a pair gives the same as before: no more of any than `max_length` is kept.

    Which of two is the longer decides who gets the odd token, so that it stays the longer.
    """
    first_is_longer = len(texts) > 1 and len(texts[0]) > len(texts[1])
    for place, encoding in enumerate(texts):
        kept = max_length + (first_is_longer and place == 0)
        if len(encoding) > kept:
            encoding.truncate(kept + 1, direction=side)
            encoding.truncate(kept, direction=side)  # replaces the pieces that the first cut left by one of one token


def _slices(rows: list[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    """Part rows so that no part has many more characters than are encoded at once."""
    part: list[tuple[Any, ...]] = []
    characters = 0
    for row in rows:
        part.append(row)
        characters += _characters(row)
        if characters > _CHARACTERS_AT_ONCE:
            yield part
            part, characters = [], 0
    if part:
        yield part


def _characters(item: Any) -> int:
    """Count the characters of a text, or of texts and words in lists; of anything else, which is an error, none."""
    if isinstance(item, str):
        return len(item)
    return sum(map(_characters, item)) if isinstance(item, (list, tuple)) else 0
