"""The weight files of a checkpoint: finding them, and reading tensors from them one at a time.

Known are, in this order, `model.safetensors`, `model.safetensors.index.json` with its shards, `pytorch_model.bin` and
`pytorch_model.bin.index.json` with its shards. A pickle is never executed: `torch.load(weights_only=True)`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Protocol

import safetensors
from torch import Tensor

from .errors import CheckpointError
from .files import read_json
from .hub import resolve_file, resolve_files
from .pickle_files import load_pickle

SAFE_WEIGHTS_NAME = "model.safetensors"
SAFE_WEIGHTS_INDEX_NAME = "model.safetensors.index.json"
WEIGHTS_NAME = "pytorch_model.bin"
WEIGHTS_INDEX_NAME = "pytorch_model.bin.index.json"
WEIGHT_FILES = (SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME, WEIGHTS_NAME, WEIGHTS_INDEX_NAME)


class TensorSource(Protocol):
    """The tensors of one checkpoint: their shapes at once, their values on demand."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Names and shapes of all tensors."""

    def read(self, name: str) -> Tensor:
        """Return one tensor, on the CPU."""


def open_weights(name_or_path: str, **where: Any) -> TensorSource:
    """Find the weights of a checkpoint and open them.

    Args:
        name_or_path: a local folder or a Hub id.
        **where: cache_dir, revision, ... as in `resolve_file`.

    Raises:
        CheckpointError: there are none, or they cannot be read.
    """
    for filename in WEIGHT_FILES:
        path = resolve_file(name_or_path, filename, required=False, **where)
        if path is None:
            continue
        if filename.endswith(".index.json"):
            return _open_shards(name_or_path, path, where)
        return _open_file(path)
    place = "in this folder" if os.path.isdir(name_or_path) else "on the Hub (in the local cache, if it is unreachable)"
    raise CheckpointError(f"no weights of {name_or_path} found: looked for {', '.join(WEIGHT_FILES)} {place}")


def _open_file(path: str) -> TensorSource:
    return SafetensorsFile(path) if path.endswith(".safetensors") else PickleFile(path)


def _open_shards(name_or_path: str, index_path: str, where: dict[str, Any]) -> TensorSource:
    weight_map = read_json(index_path).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(shard, str) for shard in weight_map.values()):
        raise CheckpointError(f'{index_path} has no "weight_map" from tensor names to file names')
    paths = resolve_files(name_or_path, sorted(set(weight_map.values())), **where)
    shards = {filename: _open_file(path) for filename, path in paths.items()}
    for tensor, filename in weight_map.items():
        if tensor not in shards[filename].shapes:
            raise CheckpointError(f"{paths[filename]} lacks the tensor {tensor} that {index_path} promises")
    return ShardedFiles({tensor: shards[filename] for tensor, filename in weight_map.items()})


class SafetensorsFile:
    """A safetensors file, mapped into memory; only what is read is loaded."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._file = safetensors.safe_open(path, framework="pt")
            names = self._file.keys()
            self.shapes = {name: tuple(self._file.get_slice(name).get_shape()) for name in names}
        except (safetensors.SafetensorError, OSError) as error:
            raise CheckpointError(f"{path} is no readable safetensors file (cut short?): {error}") from error

    def read(self, name: str) -> Tensor:
        try:
            return self._file.get_tensor(name)
        except (safetensors.SafetensorError, OSError) as error:
            raise CheckpointError(f"{self.path}: the tensor {name} cannot be read: {error}") from error


class PickleFile:
    """A file that `torch.save` wrote, holding tensors by their names and nothing that runs."""

    def __init__(self, path: str) -> None:
        content = load_pickle(path)
        if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
            raise CheckpointError(f"{path} holds a {type(content).__name__} that is not all tensors by name")
        self._tensors: dict[str, Tensor] = {str(name): tensor for name, tensor in content.items()}
        self.shapes = {name: tuple(tensor.shape) for name, tensor in self._tensors.items()}

    def read(self, name: str) -> Tensor:
        return self._tensors[name]


class ShardedFiles:
    """Several files that hold a checkpoint together."""

    def __init__(self, holders: Mapping[str, TensorSource]) -> None:
        self._holders = holders
        self.shapes = {name: holder.shapes[name] for name, holder in holders.items()}

    def read(self, name: str) -> Tensor:
        return self._holders[name].read(name)
