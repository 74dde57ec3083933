"""Padding rows of token ids to one width, and turning lists into arrays and tensors, without a loop over elements.

What Hugging Face's tokenizers do inside `pad` and `convert_to_tensors`. PyTorch is imported only where a tensor is
asked for. Shape letters: B batch, S padded length.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

TENSOR_TYPES = ("pt", "np")


def pad_columns(
    columns: dict[str, Sequence[Any]], pad_values: dict[str, int], width: int, side: str
) -> dict[str, np.ndarray]:
    """Pad the rows of several features that belong to the same tokens.

    Args:
        columns: B rows for every feature; a row is a sequence of integers, and as long in one feature as in another.
        pad_values: what padding looks like in each feature.
        width: S, at least the longest row.
        side: "right" or "left", where the padding goes.

    Returns:
        An int64 array (B, S) for every feature.

    Raises:
        ValueError: the features disagree about the length of a row.
    """
    lengths: np.ndarray | None = None
    padded = {}
    for name, rows in columns.items():
        found = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        if lengths is None:
            lengths, first = found, name
            gap = (width - lengths)[:, None] if side == "left" else 0
            places = np.arange(width) - gap  # number of the token within its row
            real = (places >= 0) & (places < lengths[:, None])  # (B, S)
        elif not np.array_equal(lengths, found):
            row = int(np.flatnonzero(lengths != found)[0])
            raise ValueError(f"row {row} has {lengths[row]} entries in {first!r} but {found[row]} in {name!r}")
        padded[name] = np.full(real.shape, pad_values[name], dtype=np.int64)
        padded[name][real] = _flat(rows, int(found.sum()))
    return padded


def as_tensor(name: str, values: Any, tensor_type: str) -> Any:
    """Turn a value of a batch into an array or a tensor: int64, float32, or bool.

    Args:
        name: the feature, for an error.
        values: numbers, in lists of any depth, or arrays, tensors, or lists of them.
        tensor_type: "pt" or "np".

    Raises:
        ValueError: rows differ in length, something is no number, or the type is unknown.
    """
    if tensor_type not in TENSOR_TYPES:
        raise ValueError(f"return_tensors {tensor_type!r}: expected one of {', '.join(TENSOR_TYPES)}, or None")
    if tensor_type == tensor_type_of(values):
        return values
    try:
        array = np.asarray([*map(np.asarray, values)] if tensor_type_of(values, inside=True) else values)
    except (TypeError, ValueError):
        array = np.empty(0, dtype=object)
    if array.dtype.kind in "iu" or (array.size == 0 and array.dtype.kind == "f"):
        array = array.astype(np.int64, copy=False)
    elif array.dtype.kind == "f":
        array = array.astype(np.float32, copy=False)
    elif array.dtype.kind != "b":
        raise ValueError(
            f"{name!r} cannot be made a tensor: its rows differ in length, or hold something that is no number. "
            "Tokenize or pad with padding=True (and truncation=True), and leave out columns of text"
        )
    if tensor_type == "np":
        return array
    import torch

    return torch.from_numpy(array)


def tensor_type_of(values: Any, inside: bool = False) -> str | None:
    """Return "pt" or "np" for a tensor or an array, None for anything else.

    Args:
        values: what to look at.
        inside: look at the first element of a list instead.
    """
    if inside:
        values = values[0] if isinstance(values, (list, tuple)) and values else None
    if isinstance(values, (np.ndarray, np.generic)):
        return "np"
    torch = sys.modules.get("torch")  # where it has not been imported nothing is a tensor
    return "pt" if torch is not None and isinstance(values, torch.Tensor) else None


def _flat(rows: Sequence[Any], count: int) -> np.ndarray:
    if count and tensor_type_of(rows[0]) is not None:
        return np.concatenate([np.asarray(row) for row in rows])
    return np.fromiter(chain.from_iterable(rows), dtype=np.int64, count=count)
