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
    """Read tensors and plain values from a file; tensors stay on the disk until they are read, if its form allows it.

    Args:
        path: the file.

    Raises:
        CheckpointError: the file cannot be read, asks for anything else, or unpacks to more than it is.
    """
    try:
        with open(path, "rb") as file:
            is_archive = file.read(len(_ARCHIVE)) == _ARCHIVE
            file.seek(0)
            for pickled in [_content_of(path)] if is_archive else [file] * _OLD_FORM:
                _check_pickle(pickled)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=is_archive)
    except CheckpointError:
        raise
    except Exception as error:
        # Whatever bytes stand in the file decide what the unpickler stumbles over: any error means unreadable.
        reason = _first_sentence(error)
        raise CheckpointError(f"{path} is no plain file of tensors (nothing in it was run): {reason}") from error


def _content_of(path: str | os.PathLike[str]) -> IO[bytes]:
    """Return the pickle in an archive that unpacks to no more than it is: `torch.save` compresses nothing, a trap does.

    The archive is read as `torch.load` reads it: another reader may see other entries in the same bytes.
    """
    archive = torch._C.PyTorchFileReader(os.fspath(path))
    size, unpacked = os.path.getsize(path), sum(map(archive.get_record_size, archive.get_all_records()))
    if unpacked > size:
        raise CheckpointError(f"{path} has {size} bytes, but promises to unpack to {unpacked}: it is not loaded")
    return io.BytesIO(archive.get_record("data.pkl"))


def _check_pickle(file: IO[bytes]) -> None:
    """Read the operations of a pickle without doing any, and check what they call for."""
    for operation, argument, _ in pickletools.genops(file):
        if operation.name == "GLOBAL" and not _PLAIN.fullmatch(str(argument)):
            raise ValueError(f"it asks for {argument}")


def _first_sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    # torch explains at length how to load unsafely after the first full stop: no advice for this place.
    return text.split(". ")[0][:200]
