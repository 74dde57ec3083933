"""Checkpoints as folders: their names, and the checksums that tell a whole one from a torn or damaged one."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from transformers.utils.errors import CheckpointError
from transformers.utils.files import read_json, write_synced

CHECKSUM_FILE = "checksums.json"
_NAME = re.compile(r"step_(\d{6,})")


def updates_of(checkpoint: Path) -> int:
    """Return after how many updates a checkpoint was written, by its name; -1 for what is named otherwise."""
    found = _NAME.fullmatch(checkpoint.name)
    return int(found[1]) if found else -1


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, oldest first, damaged ones among them."""
    return sorted((path for path in folder.glob("step_*") if updates_of(path) >= 0), key=updates_of)


def remove(checkpoint: Path) -> None:
    """Delete a checkpoint, if there is one, so that at no moment a part of it has its name.

    Raises:
        OSError: it cannot be deleted.
    """
    doomed = checkpoint.with_name(f".{checkpoint.name}.old.tmp")
    shutil.rmtree(doomed, ignore_errors=True)
    if checkpoint.exists():
        os.replace(checkpoint, doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def record(folder: Path) -> dict[str, Any]:
    """Write down size and SHA-256 of every file in a folder, as its last file; returns those of all of them."""
    files = {path.name: fingerprint(path) for path in sorted(folder.iterdir())}
    text = json.dumps({"files": files}, indent=2) + "\n"
    write_synced(folder / CHECKSUM_FILE, lambda path: path.write_text(text, encoding="utf-8"))
    return {**files, CHECKSUM_FILE: fingerprint(folder / CHECKSUM_FILE)}


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


def fingerprint(path: Path) -> dict[str, int | str]:
    """Return size and SHA-256 of a file.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return {"bytes": path.stat().st_size, "sha256": digest.hexdigest()}
