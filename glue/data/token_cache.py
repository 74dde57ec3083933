"""Tokenized splits kept on disk, so that the next run over the same texts need not tokenize them.

A file's name is a hash of all that its content depends on: the texts, the tokenizer, the cut. Nothing in here is ever
out of date, and what cannot be read (the format has checksums) is made anew. Deleting the folder costs a run its head
start only.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from transformers.utils.files import make_folder, write_whole

_FORMAT = 2  # changes with what a file holds
_FEWEST_ROWS = 1000  # of fewer, tokenizing takes no longer than looking
_LARGEST = 4 * 2**30  # bytes of all files together; what was not used for longest goes first
_SUFFIX = ".npz"


def cache_folder(wanted: str | None) -> Path | None:
    """Return where a run keeps tokenized splits.

    Args:
        wanted: a folder, or "none"; None is below the user's folder for caches, if there is one.
    """
    if wanted is not None:
        return None if wanted == "none" else Path(wanted)
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(caches) / "contranorm" / "tokenized" if os.path.isabs(caches) else None


class TokenCache:
    """A folder of tokenized splits.

    Args:
        folder: where; None keeps nothing and finds nothing.
        writes: whether this process adds to it.

    Example:
        >>> TokenCache(None).tokens([["a text"]], tokenizer=None, make=lambda: {"input_ids": np.array([5])})
        {'input_ids': array([5])}
    """

    def __init__(self, folder: Path | None, writes: bool = True) -> None:
        self.folder = folder
        self.writes = writes

    def tokens(
        self, texts: Sequence[list[str]], tokenizer: Any, make: Callable[[], dict[str, np.ndarray]], **settings: Any
    ) -> dict[str, np.ndarray]:
        """Return the tokens of some texts: those that are kept, or else new ones, which are kept from now on.

        What has not been used for longest is deleted where the folder becomes too large. A folder that cannot be
        written to is left alone: a cache is not worth an error.

        Args:
            texts: one column or two.
            tokenizer: what tokenizes them.
            make: tokenizes them.
            settings: everything else that the tokens depend on.
        """
        if self.folder is None or len(texts[0]) < _FEWEST_ROWS:
            return make()
        path = self.folder / f"{_key(texts, tokenizer, settings)}{_SUFFIX}"
        try:
            with np.load(path) as file:
                arrays = dict(file)
            os.utime(path)  # used just now
            return arrays
        except Exception:  # a damaged archive raises whatever its damage leads to
            arrays = make()
        if self.writes:
            with contextlib.suppress(OSError):
                make_folder(self.folder)
                write_whole(path, lambda temporary: _save(temporary, arrays))
                self._delete_oldest()
        return arrays

    def _delete_oldest(self) -> None:
        files = [(path.stat(), path) for path in (self.folder or Path()).glob(f"*{_SUFFIX}")]
        files.sort(key=lambda pair: pair[0].st_mtime, reverse=True)
        total = 0
        for status, path in files:
            total += status.st_size
            if total > _LARGEST:
                path.unlink(missing_ok=True)


def _key(texts: Sequence[list[str]], tokenizer: Any, settings: dict[str, Any]) -> str:
    """What names the tokens of some texts: a hash of all that they depend on."""
    digest = hashlib.sha256()
    versions = (_FORMAT, tokenizers.__version__, type(tokenizer).__name__, tokenizer.truncation_side)
    digest.update(repr((*versions, sorted(settings.items()))).encode())
    digest.update(tokenizer.backend_tokenizer.to_str().encode())
    for column in texts:
        lengths = np.fromiter(map(len, column), dtype=np.int64, count=len(column))
        digest.update(lengths.tobytes())  # so that no two columns run into the same text
        digest.update("".join(column).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _save(path: Path, arrays: dict[str, Any]) -> None:
    with path.open("wb") as file:  # of a path, numpy changes the name
        np.savez(file, **arrays)
