"""Encoding texts longer than the row they are cut to, in time and memory that depend on the row and not on the text.

The `tokenizers` library encodes the whole of a text, and keeps what truncation cuts off in pieces as long as the row:
of a pair every piece of one text beside every piece of the other, of two texts of 10,000 tokens more than 20,000 rows,
some gigabytes. Where nobody asks for these pieces, it gets texts that are not far longer than their row as they are. Of
the others no more is encoded than the row can hold, text by text; these are shortened, and only then joined. The rows
are the same. (Encoded in full are two such texts in one row, texts that lose their beginning, and words without
spaces.)
"""

from __future__ import annotations

from typing import Any

from tokenizers import Encoding, Tokenizer
from tokenizers.processors import TemplateProcessing

_AT_ONCE = 256  # rows whose texts are in memory in full
_SHORT = 4  # characters for each token of the row: so much the library cuts into a few pieces only
_BEGINNING = 16  # the same: so much of a longer text is encoded at first
_GROWTH = 4  # times as much is encoded next, where that was not enough
_MARGIN = 64  # tokens at the end of a beginning that the rest of the text might still change

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
    most, processor = _SHORT * truncation["max_length"], backend.post_processor
    short = [index for index, row in enumerate(rows) if not is_split_into_words and max(map(len, row)) <= most]
    backend.enable_truncation(**truncation)
    batch = [rows[index] if len(rows[index]) > 1 else rows[index][0] for index in short]
    found = dict(zip(short, backend.encode_batch(batch, is_split_into_words, add_special_tokens), strict=True))
    long = [index for index in range(len(rows)) if index not in found]
    for begin in range(0, len(long), _AT_ONCE):
        some = long[begin : begin + _AT_ONCE]
        parts = _encode_apart(backend, [rows[index] for index in some], truncation, is_split_into_words)
        try:
            backend.enable_truncation(**truncation)
            backend.post_processor = processor or _JOINING
            for index, (first, *second) in zip(some, parts, strict=True):
                found[index] = backend.post_process(first, second[0] if second else None, add_special_tokens)
        finally:
            backend.post_processor = processor
    return [found[index] for index in range(len(rows))]


def _encode_apart(
    backend: Tokenizer, rows: list[tuple[Any, ...]], truncation: dict[str, Any], is_split_into_words: bool
) -> list[list[Encoding]]:
    """Encode the texts of rows by themselves, each as far as its row can hold it."""
    backend.no_truncation()
    spaces = "" if is_split_into_words or truncation["direction"] == "left" else _between_words(backend)
    found: dict[int, list[Encoding]] = {}
    size = _BEGINNING * truncation["max_length"]
    processor = backend.post_processor
    try:
        backend.post_processor = None  # some move the offsets, which must not happen twice
        while len(found) < len(rows):
            left = [index for index in range(len(rows)) if index not in found]
            texts = [[_beginning(text, size, spaces) if spaces else text for text in rows[index]] for index in left]
            encoded = iter(backend.encode_batch([text for row in texts for text in row], is_split_into_words, False))
            for index, beginnings in zip(left, texts, strict=True):
                parts = [next(encoded) for _ in beginnings]
                whole = [len(part) == len(text) for part, text in zip(beginnings, rows[index], strict=True)]
                if _suffice(parts, whole, truncation["max_length"]):
                    found[index] = _shortened(parts, truncation)
            size *= _GROWTH
    finally:
        backend.post_processor = processor
    return [found[index] for index in range(len(rows))]


def _between_words(backend: Tokenizer) -> str:
    """Return the kinds of white space at which a tokenizer parts a text into words that do not know each other."""
    if backend.pre_tokenizer is None:
        return ""
    normalize = backend.normalizer.normalize_str if backend.normalizer else str
    parted = {space: backend.pre_tokenizer.pre_tokenize_str(normalize(f"a{space}a")) for space in " \n"}
    return "".join(space for space, words in parted.items() if len(words) > 1)


def _beginning(text: str, size: int, spaces: str) -> str:
    """Return a text up to a space between words, `size` characters at most; nothing where there is no such space."""
    end = len(text) if len(text) <= size else size
    while 0 < end < len(text):
        end = max(text.rfind(space, 0, end) for space in spaces)
        if end > 0 and text[end - 1].isalnum() and text[end + 1].isalnum():
            break
    return text[: max(end, 0)]


def _suffice(parts: list[Encoding], whole: list[bool], max_length: int) -> bool:
    """Whether beginnings have the tokens that a row can hold, and leave no doubt which of two texts is the longer."""
    if all(whole):
        return True
    known = [len(part) for part, is_whole in zip(parts, whole, strict=True) if is_whole]
    begun = [len(part) - _MARGIN for part, is_whole in zip(parts, whole, strict=True) if not is_whole]
    return len(begun) == 1 and begun[0] > max([max_length, *known])


def _shortened(parts: list[Encoding], truncation: dict[str, Any]) -> list[Encoding]:
    """Cut the texts of a row to the length of the whole row."""
    # Which of two is the longer decides who gets the odd token, so that it stays the longer.
    first_is_longer = len(parts) > 1 and len(parts[0]) > len(parts[1])
    for place, part in enumerate(parts):
        part.truncate(truncation["max_length"] + (first_is_longer and place == 0), direction=truncation["direction"])
    return parts
