"""Reading JSON files and writing files so that a reader never meets a half-written one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import CheckpointError

LARGEST_TEXT = 256 * 2**20  # bytes; the largest vocabularies there are take a tenth of it


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises:
        CheckpointError: the file cannot be read, is no JSON, holds something else than an object, or is too long.
    """
    try:
        check_text_size(path)
        content = json.loads(Path(path).read_bytes().decode("utf-8-sig"))
    except CheckpointError:
        raise
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a JSON {type(content).__name__}: expected an object, {{...}}")
    return content


def check_text_size(path: str | os.PathLike[str]) -> None:
    """Check that a file that is about to be read as a whole is of a size that such files have.

    Raises:
        CheckpointError: it is larger.
        OSError: it cannot be looked at.
    """
    size = os.path.getsize(path)
    if size > LARGEST_TEXT:
        raise CheckpointError(f"{path} has {size} bytes: expected at most {LARGEST_TEXT} of a file that is no weights")


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


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file next to `path`, and put it in place of `path` once it is complete and on the disk.

    Args:
        path: the file to write or replace.
        write: called with the path of the temporary file.

    Raises:
        CheckpointError: the file cannot be written; what stood at `path` is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write_synced(temporary, write)
        os.replace(temporary, path)
        sync(path.parent)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_synced(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill the file `path`, and wait until it is on the disk.

    Who may read the file is what the system says of a new one (the umask), whatever the library that wrote says.

    Raises:
        OSError: that failed, whatever the library that wrote makes of a full disk.
    """
    path.touch()
    mode = path.stat().st_mode
    try:
        write(path)
    except (OSError, TypeError, ValueError, LookupError, AttributeError):
        raise
    except Exception as error:  # torch raises RuntimeError, safetensors an error of its own, tokenizers just Exception
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise OSError(f"{path.name} did not get written in full; is the disk full? ({reason})") from error
    if path.stat().st_mode != mode:
        path.chmod(mode)
    sync(path)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk.

    Raises:
        OSError: the disk reports an error.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():  # some file systems cannot sync folders
            raise
    finally:
        os.close(descriptor)
