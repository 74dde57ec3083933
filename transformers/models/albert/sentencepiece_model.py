"""Reads a SentencePiece model file (spiece.model) as far as a tokenizer needs it.

The file is one protocol buffer message whose layout has been fixed since SentencePiece's first release
(sentencepiece_model.proto). Seven fields of it are needed, so that this page stands in for two packages, one of which
breaks with every other version of the other.
"""

from __future__ import annotations

import os
import struct
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from ...utils.errors import CheckpointError

# Kinds of a piece and of a model.
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
UNIGRAM = 1

# How a field is stored: as an integer, in a fixed number of bytes, or behind its length.
_VARINT, _BYTES = 0, 2
_FIXED = {1: 8, 5: 4}


class SentencePieceModel(NamedTuple):
    """What a model file says.

    Attributes:
        pieces: text, with ▁ for a space, and score (log probability) of each, in the order of the ids.
        kinds: for each piece NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED or BYTE.
        unk_id: id for what is not in the vocabulary.
        charsmap: SentencePiece's own character normalisation, as it stores it; empty for none.
    """

    pieces: list[tuple[str, float]]
    kinds: list[int]
    unk_id: int
    charsmap: bytes


def read_sentencepiece_model(path: str | os.PathLike[str]) -> SentencePieceModel:
    """Read a model file.

    Raises:
        CheckpointError: it cannot be read, is no SentencePiece model, or not of the Unigram kind.
    """
    try:
        whole = _fields(Path(path).read_bytes())
        pieces = [_fields(piece) for piece in whole[1]]
        trainer, normalizer = (_fields(b"".join(whole[part])) for part in (2, 3))
        kind = [UNIGRAM, *trainer[3]][-1]
        model = SentencePieceModel(
            [(str(piece[1][-1], "utf-8"), struct.unpack("<f", [bytes(4), *piece[2]][-1])[0]) for piece in pieces],
            [[NORMAL, *piece[3]][-1] for piece in pieces],
            [0, *trainer[40]][-1],
            bytes([b"", *normalizer[2]][-1]),
        )
        if model.unk_id >= len(pieces):
            raise ValueError("no unknown piece")
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    except (LookupError, ValueError, TypeError, struct.error) as error:
        raise CheckpointError(f"{path} is not a SentencePiece model, or is incomplete") from error
    if kind != UNIGRAM:
        raise CheckpointError(f"{path} is a SentencePiece model of type {kind}: only Unigram is supported")
    return model


def _fields(data: bytes) -> dict[int, list[Any]]:
    """Return the fields of a message by number, each time one occurs: an integer, or the bytes of anything else."""
    fields, place = defaultdict(list), 0
    while place < len(data):
        key, place = _varint(data, place)
        value: Any = None
        wire_type = key & 7
        if wire_type in (_VARINT, _BYTES):
            value, place = _varint(data, place)
        if wire_type != _VARINT:
            size = _FIXED[wire_type] if value is None else value
            value, place = data[place : place + size], place + size
        if place > len(data):
            raise ValueError("a field is longer than the message")
        fields[key >> 3].append(value)
    return fields


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Read an integer, seven bits a byte and the lowest first; return it and the place behind it."""
    for size in range(1, 11):  # ten bytes are the most that an integer takes
        if data[place + size - 1] < 0x80:
            return sum((byte & 0x7F) << 7 * i for i, byte in enumerate(data[place : place + size])), place + size
    raise ValueError("an endless integer")
