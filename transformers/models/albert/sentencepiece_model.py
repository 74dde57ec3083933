"""Reads a SentencePiece model file (spiece.model) as far as a tokenizer needs it.

The file is one protocol buffer message whose layout has been fixed since SentencePiece's first release
(sentencepiece_model.proto). Seven fields of it are needed, so that this page stands in for two packages, one of which
breaks with every other version of the other.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ...utils.errors import CheckpointError

# Kinds of a piece and of a model.
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
UNIGRAM = 1

# Field numbers of the messages: the whole, a piece, the trainer's part and the normalizer's.
_PIECE, _TRAINER, _NORMALIZER = 1, 2, 3
_TEXT, _SCORE, _KIND = 1, 2, 3
_MODEL_TYPE, _UNK_ID = 3, 40
_CHARSMAP = 2

# How a field is stored: as an integer of seven bits a byte, in a fixed number of bytes, or behind its length.
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
        message = [*_fields(Path(path).read_bytes())]
        pieces = [dict(_fields(value)) for number, value in message if number == _PIECE]
        trainer, normalizer = (
            {key: value for number, part in message if number == wanted for key, value in _fields(part)}
            for wanted in (_TRAINER, _NORMALIZER)
        )
        model = SentencePieceModel(
            [(str(p[_TEXT], "utf-8"), struct.unpack("<f", p.get(_SCORE, bytes(4)))[0]) for p in pieces],
            [piece.get(_KIND, NORMAL) for piece in pieces],
            trainer.get(_UNK_ID, 0),
            bytes(normalizer.get(_CHARSMAP, b"")),
        )
        if not model.unk_id < len(pieces):
            raise ValueError("no unknown piece")
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    except (LookupError, ValueError, TypeError, struct.error) as error:
        raise CheckpointError(f"{path} is not a SentencePiece model, or is incomplete") from error
    kind = trainer.get(_MODEL_TYPE, UNIGRAM)
    if kind != UNIGRAM:
        raise CheckpointError(f"{path} is a SentencePiece model of type {kind}: only Unigram is supported")
    return model


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Go through the fields of a message: number, and an integer or the bytes of anything else."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        value, wire_type = None, key & 7
        if wire_type in (_VARINT, _BYTES):
            value, place = _varint(data, place)
        if wire_type != _VARINT:
            size = _FIXED[wire_type] if value is None else value
            value, place = data[place : place + size], place + size
        if place > len(data):
            raise ValueError("a field is longer than the message")
        yield key >> 3, value


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Read an integer, seven bits a byte and the lowest first; return it and the place behind it."""
    for size in range(1, 11):  # ten bytes are the most that an integer takes
        if data[place + size - 1] < 0x80:
            return sum((byte & 0x7F) << 7 * i for i, byte in enumerate(data[place : place + size])), place + size
    raise ValueError("an endless integer")
