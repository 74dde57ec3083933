"""The weight files of a checkpoint: finding them, and opening them without reading what nobody asks for.

Known are, in this order, `model.safetensors`, `model.safetensors.index.json` with its shards, `pytorch_model.bin` and
`pytorch_model.bin.index.json` with its shards.

A pickle is never executed: `torch.load(weights_only=True)`. That unpacks compressed archives of any size, and calls
functions that take as much memory as their arguments say: so there is a look first at what a file will ask for.
"""

from __future__ import annotations

import io
import os
import pickletools
import re
from typing import IO, Any

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor

from .errors import CheckpointError
from .files import read_json
from .folders import mistaken_for_checkpoint
from .hub import resolve_file

SAFE_WEIGHTS_NAME, WEIGHTS_NAME = "model.safetensors", "pytorch_model.bin"
WEIGHT_FILES = tuple(f"{name}{ending}" for name in (SAFE_WEIGHTS_NAME, WEIGHTS_NAME) for ending in ("", ".index.json"))

# All that tensors, and plain values beside them, are made of. The argument of the operation GLOBAL: module and name.
_PLAIN = re.compile(
    r"collections OrderedDict|torch (Size|device|\w+Storage|(u?int|b?float|bool|complex)\w*)"
    r"|torch\.storage (Un)?[tT]ypedStorage|torch\._utils _rebuild_(tensor|tensor_v2|tensor_v3|parameter)"
)
_OLD_FORM = 5  # pickles in a file of before torch 1.6: magic number, version, system, content, names of the storages
_ARCHIVE = b"PK\x03\x04"


def open_weights(name_or_path: str, use_safetensors: bool | None = None, **where: Any) -> dict[str, Tensor]:
    """Find the weights of a checkpoint and open them.

    Args:
        name_or_path: a local folder or a Hub id.
        use_safetensors: True looks for safetensors files only, False for pickles only; default None for both.
        **where: cache_dir, revision, ... as in `resolve_file`.

    Returns:
        All tensors by their names, on the CPU; on the disk until they are read, where the form of the file allows it.

    Raises:
        CheckpointError: there are none, or they cannot be read.
    """
    wanted = [file for file in WEIGHT_FILES if use_safetensors in (None, file.startswith(SAFE_WEIGHTS_NAME))]
    for filename in wanted:
        path = resolve_file(name_or_path, filename, required=False, **where)
        if path is not None:
            return _open_shards(name_or_path, path, where) if filename.endswith(".json") else open_file(path)
    place = "in this folder" if os.path.isdir(name_or_path) else "on the Hub (in the local cache, if it is unreachable)"
    hint = mistaken_for_checkpoint(name_or_path)
    raise CheckpointError(f"no weights of {name_or_path} found: looked for {', '.join(wanted)} {place}{hint}")


def open_file(path: str) -> dict[str, Tensor]:
    """Open one file of weights.

    Raises:
        CheckpointError: it cannot be read.
    """
    if not path.endswith(".safetensors"):
        return _open_pickle(path)
    try:
        return load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is no readable safetensors file (cut short?): {error}") from error


def _open_shards(name_or_path: str, index_path: str, where: dict[str, Any]) -> dict[str, Tensor]:
    weight_map = read_json(index_path).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(shard, str) for shard in weight_map.values()):
        raise CheckpointError(f'{index_path} has no "weight_map" from tensor names to file names')
    paths = {shard: resolve_file(name_or_path, shard, **where) for shard in sorted(set(weight_map.values()))}
    shards = {shard: open_file(str(path)) for shard, path in paths.items()}
    for tensor, shard in weight_map.items():
        if tensor not in shards[shard]:
            raise CheckpointError(f"{paths[shard]} lacks the tensor {tensor} that {index_path} promises")
    return {tensor: shards[shard][tensor] for tensor, shard in weight_map.items()}


def _open_pickle(path: str) -> dict[str, Tensor]:
    """Open a file that `torch.save` wrote, holding tensors by their names and nothing that runs."""
    content = _load_pickle(path)
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}: expected tensors by their names")
    for name, value in content.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(f"{path}: the entry {name!r} is a {type(value).__name__}: expected tensors only")
    # Tensors may share their memory, and one number can stand for a thousand million: not so in what is a model's.
    size, promised = os.path.getsize(path), sum(tensor.nbytes for tensor in content.values())
    if promised > 2 * size:
        raise CheckpointError(f"{path} has {size} bytes, but promises tensors of {promised}: it is not loaded")
    return {str(name): tensor.detach() for name, tensor in content.items()}


def _load_pickle(path: str) -> Any:
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
        # torch explains at length how to load unsafely after the first full stop: no advice for this place.
        reason = (" ".join(str(error).split()) or type(error).__name__).split(". ")[0][:200]
        raise CheckpointError(f"{path} is no plain file of tensors (nothing in it was run): {reason}") from error


def _content_of(path: str) -> IO[bytes]:
    """Return the pickle in an archive that unpacks to no more than it is: `torch.save` compresses nothing, a trap does.

    The archive is read as `torch.load` reads it: another reader may see other entries in the same bytes.
    """
    archive = torch._C.PyTorchFileReader(path)
    size, unpacked = os.path.getsize(path), sum(map(archive.get_record_size, archive.get_all_records()))
    if unpacked > size:
        raise CheckpointError(f"{path} has {size} bytes, but promises to unpack to {unpacked}: it is not loaded")
    return io.BytesIO(archive.get_record("data.pkl"))


def _check_pickle(file: IO[bytes]) -> None:
    """Read the operations of a pickle without doing any, and check what they call for."""
    for operation, argument, _ in pickletools.genops(file):
        if operation.name == "GLOBAL" and not _PLAIN.fullmatch(str(argument)):
            raise ValueError(f"it asks for {argument}")
