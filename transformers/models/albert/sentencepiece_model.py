"""Reads a SentencePiece model file (spiece.model) as far as a tokenizer needs it.

The file is one protocol buffer message whose layout has been fixed since SentencePiece's first release
(sentencepiece_model.proto). Five fields of it are needed, so that this page stands in for two packages, one of which
breaks with every other version of the other.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ...utils.errors import CheckpointError

# Types of a piece and of a model.
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
UNIGRAM = 1

# Field numbers of the messages.
_MODEL_PIECES, _MODEL_TRAINER, _MODEL_NORMALIZER = 1, 2, 3
_PIECE_TEXT, _PIECE_SCORE, _PIECE_TYPE = 1, 2, 3
_TRAINER_MODEL_TYPE, _TRAINER_UNK_ID = 3, 40
_NORMALIZER_CHARSMAP = 2

# Wire types: how a field is stored.
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class Piece:
    """One entry of the vocabulary.

    Attributes:
        text: the piece, with ▁ for a space.
        score: its log probability.
        kind: NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED or BYTE.
    """

    text: str = ""
    score: float = 0.0
    kind: int = NORMAL


@dataclass
class SentencePieceModel:
    """What a model file says.

    Attributes:
        pieces: the vocabulary, in the order of the ids.
        unk_id: id for what is not in it.
        model_type: UNIGRAM, or the number of another algorithm.
        charsmap: SentencePiece's own character normalisation, as it stores it; empty for none.
    """

    pieces: list[Piece] = field(default_factory=list)
    unk_id: int = 0
    model_type: int = UNIGRAM
    charsmap: bytes = b""


def read_sentencepiece_model(path: str | os.PathLike[str]) -> SentencePieceModel:
    """Read a model file.

    Raises:
        CheckpointError: it cannot be read, is no SentencePiece model, or not of the Unigram kind.
    """
    try:
        model = _parse_model(Path(path).read_bytes())
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    except (LookupError, ValueError, TypeError, struct.error) as error:
        raise CheckpointError(f"{path} is not a SentencePiece model, or is incomplete") from error
    if not 0 <= model.unk_id < len(model.pieces):
        raise CheckpointError(f"{path} is not a SentencePiece model: it has {len(model.pieces)} pieces")
    if model.model_type != UNIGRAM:
        raise CheckpointError(f"{path} is a SentencePiece model of type {model.model_type}: only Unigram is supported")
    return model


def _parse_model(data: bytes) -> SentencePieceModel:
    model = SentencePieceModel()
    for number, value in _fields(data):
        if number == _MODEL_PIECES:
            model.pieces.append(_parse_piece(_as_bytes(value)))
        elif number == _MODEL_TRAINER:
            trainer = dict(_fields(_as_bytes(value)))
            model.model_type = _as_int(trainer.get(_TRAINER_MODEL_TYPE, UNIGRAM))
            model.unk_id = _as_int(trainer.get(_TRAINER_UNK_ID, 0))
        elif number == _MODEL_NORMALIZER:
            model.charsmap = _as_bytes(dict(_fields(_as_bytes(value))).get(_NORMALIZER_CHARSMAP, b""))
    return model


def _parse_piece(data: bytes) -> Piece:
    fields = dict(_fields(data))
    score = struct.unpack("<f", _as_bytes(fields.get(_PIECE_SCORE, bytes(4))))[0]
    return Piece(_as_bytes(fields[_PIECE_TEXT]).decode("utf-8"), score, _as_int(fields.get(_PIECE_TYPE, NORMAL)))


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Go through the fields of a message: number, and an integer or the bytes of anything else."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        wire_type = key & 7
        if wire_type == _VARINT:
            value, place = _varint(data, place)
            yield key >> 3, value
            continue
        if wire_type == _BYTES:
            size, place = _varint(data, place)
        elif wire_type in (_FIXED32, _FIXED64):
            size = 4 if wire_type == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire_type}")
        if place + size > len(data):
            raise ValueError("a field is longer than the message")
        yield key >> 3, data[place : place + size]
        place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Read an integer, seven bits a byte and the lowest first; return it and the place behind it."""
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        if shift > 63:  # ten bytes are the most that an integer takes
            raise ValueError("an endless integer")
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7


def _as_bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("expected bytes")
    return value


def _as_int(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise TypeError("expected an integer")
    return value
