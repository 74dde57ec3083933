"""Reading JSON files and writing files so that a reader never meets a half-written one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import CheckpointError


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises:
        CheckpointError: the file cannot be read, is no JSON, or holds something else than an object.
    """
    try:
        content = json.loads(Path(path).read_bytes().decode("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a JSON {type(content).__name__}: expected an object, {{...}}")
    return content


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Return `path` as a folder, created where it did not exist.

    Raises:
        CheckpointError: it is a file, or cannot be created.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be made a folder to save in: {error.strerror or error}") from error
    return folder


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a file next to `path` and put it in place of `path` once it is complete.

    Args:
        path: the file to write or replace.
        write: called with the path of the temporary file.

    Raises:
        CheckpointError: the file cannot be written; what stood at `path` is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
