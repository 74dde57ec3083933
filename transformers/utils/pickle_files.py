"""Reading a file that `torch.save` wrote, after a look at what it will ask for: nothing runs, and no memory is taken
that the file does not fill.

`torch.load(weights_only=True)` executes nothing, but it unpacks compressed archives of any size, and calls functions
that take as much memory as their arguments say.
"""

from __future__ import annotations

import io
import os
import pickletools
import re
import struct
import zipfile
from typing import IO, Any

import torch

from .errors import CheckpointError

# All that tensors, and plain values beside them, are made of. The argument of the operation GLOBAL: module and name.
_PLAIN = re.compile(
    r"collections OrderedDict|torch (Size|device|\w+Storage|(u?int|b?float|bool|complex)\w*)"
    r"|torch\.storage (Un)?[tT]ypedStorage|torch\._utils _rebuild_(tensor|tensor_v2|tensor_v3|parameter)"
)
_OLD_FORM = 5  # pickles in a file of before torch 1.6: magic number, version, system, content, names of the storages
_ARCHIVE = b"PK\x03\x04"


def load_pickle(path: str | os.PathLike[str]) -> Any:
    """Read tensors and plain values from a file.

    Raises:
        CheckpointError: the file cannot be read, asks for anything else, or unpacks to more than it is.
    """
    try:
        with open(path, "rb") as file:
            if file.read(len(_ARCHIVE)) == _ARCHIVE:
                _check_archive(file, f"{path}")
            else:
                file.seek(0)
                for _ in range(_OLD_FORM):
                    _check_pickle(file)
        return torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except Exception as error:
        # Whatever bytes stand in the file decide what the unpickler stumbles over: any error means unreadable.
        reason = _first_sentence(error)
        raise CheckpointError(f"{path} is no plain file of tensors (nothing in it was run): {reason}") from error


def _check_archive(file: IO[bytes], path: str) -> None:
    """Check that an archive does not unpack to more than it is: `torch.save` compresses nothing, a trap does."""
    size = file.seek(0, os.SEEK_END)
    _check_end(file, size)
    with zipfile.ZipFile(file) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > size:
            raise CheckpointError(f"{path} has {size} bytes, but promises to unpack to {unpacked}: it is not loaded")
        for entry in archive.infolist():
            if entry.filename.lower().endswith("data.pkl"):
                _check_pickle(io.BytesIO(archive.read(entry)))


def _check_end(file: IO[bytes], size: int) -> None:
    """Check that the list of entries is the last thing in an archive: else torch might read another list than Python.

    Args:
        file: the archive.
        size: its length in bytes.

    Raises:
        ValueError: it is not, or there is a comment, which `torch.save` does not write.
    """
    end = size - 22
    file.seek(end)
    mark, *_, length, begin, comment = struct.unpack("<4s4H2LH", file.read(22))
    if mark != b"PK\x05\x06" or comment:
        raise ValueError("the archive goes on after its end")
    file.seek(max(0, end - 20))
    mark, _, place, _ = struct.unpack("<4sLQL", file.read(20))
    if mark == b"PK\x06\x07":  # large numbers stand in a record of their own
        if place != (end := end - 20 - 56):
            raise ValueError("the archive does not end in one piece")
        file.seek(end)
        mark, *_, length, begin = struct.unpack("<4sQ2H2L4Q", file.read(56))
        if mark != b"PK\x06\x06":
            raise ValueError("the archive does not end in one piece")
    if begin + length != end:
        raise ValueError("the archive's list of entries is not at its end")


def _check_pickle(file: IO[bytes]) -> None:
    """Read the operations of a pickle without doing any, and check what they call for."""
    for operation, argument, _ in pickletools.genops(file):
        if operation.name == "GLOBAL" and not _PLAIN.fullmatch(str(argument)):
            raise ValueError(f"it asks for {argument}")


def _first_sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    # torch explains at length how to load unsafely after the first full stop: no advice for this place.
    return text.split(". ")[0][:200]
