"""Recorded checksums of a folder's files, which tell a whole checkpoint from a torn or damaged one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from transformers.utils.errors import CheckpointError
from transformers.utils.files import read_json, write_synced

CHECKSUM_FILE = "checksums.json"
_AT_ONCE = 2**20  # bytes


def record(folder: Path) -> None:
    """Write down size and SHA-256 of every file in a folder, as its last file."""
    files = {path.name: fingerprint(path) for path in sorted(folder.iterdir())}
    text = json.dumps({"files": files}, indent=2) + "\n"
    write_synced(folder / CHECKSUM_FILE, lambda path: path.write_text(text, encoding="utf-8"))


def damage(folder: Path) -> str | None:
    """Compare a folder with what was recorded.

    Returns:
        What is wrong with the first bad file, as a phrase; None where all is well. Files that are not in the record do
        not count.
    """
    try:
        files = read_json(folder / CHECKSUM_FILE)["files"].items()
    except (CheckpointError, KeyError, AttributeError):
        return f"it has no readable {CHECKSUM_FILE}"
    for name, expected in files:
        path = folder / name
        if path.parent != folder or not path.is_file():
            return f"{name} is missing"
        try:
            if fingerprint(path) != expected:
                return f"{name} does not match its checksum"
        except OSError as error:
            return f"{name} cannot be read ({error.strerror})"
    return None


def is_whole(folder: Path) -> bool:
    """Whether a folder holds what was recorded, unchanged, and nothing else."""
    if damage(folder) is not None:
        return False
    recorded = read_json(folder / CHECKSUM_FILE)["files"]
    return {path.name for path in folder.iterdir()} == {CHECKSUM_FILE, *recorded}


def fingerprint(path: Path) -> dict[str, int | str]:
    """Return size and SHA-256 of a file.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_AT_ONCE):
            digest.update(block)
    return {"bytes": path.stat().st_size, "sha256": digest.hexdigest()}
