"""Lists of files with size and SHA-256: what a run has written, and what makes up a checkpoint.

`.run_files.json` in an output folder lists what may be replaced; nothing else is ever deleted. A file is listed before
it is written, without a checksum until the run has ended: one that was killed leaves it so, and the file is the run's
own however far it came. `checksums.json` in a checkpoint tells a whole one from a torn or damaged one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from transformers.utils.errors import CheckpointError
from transformers.utils.files import make_folder, read_json, write_synced, write_whole

MANIFEST = ".run_files.json"
CHECKSUM_FILE = "checksums.json"
_SETTLED = 1.0  # seconds after a change, from which on a further one shows in the times of the file


class Manifest:
    """The list of a folder's files that are a run's.

    Args:
        folder: the output folder.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> manifest = Manifest(folder)
        >>> manifest.claim("run.json")
        >>> _ = (folder / "run.json").write_text("{}")
        >>> _ = (folder / "notes.txt").write_text("mine")
        >>> manifest.close()
        >>> manifest.owns("run.json"), manifest.owns("notes.txt"), manifest.owns("no such file")
        (True, False, True)
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[tuple[int, ...], dict[str, int | str]] = {}

    def names(self) -> list[str]:
        """Return what is listed."""
        return sorted(self._read())

    def foreign(self, names: Iterable[str]) -> list[str]:
        """Return those of `names` that may not be written or deleted: they exist, and not as a run has left them."""
        listed = self._read()
        return [name for name in names if not self._is_free(name, listed)]

    def owns(self, name: str) -> bool:
        """Whether `name` may be written or deleted: it does not exist, or is as a run has left it."""
        return not self.foreign([name])

    def _is_free(self, name: str, listed: Mapping[str, Any]) -> bool:
        path = self.folder / name
        if not path.is_symlink() and not path.exists():
            return True
        if name not in listed or self.folder.resolve() not in path.resolve().parents:
            return False
        try:
            return listed[name] is None or self._fingerprint(path) == listed[name]
        except OSError:
            return False

    def _fingerprint(self, path: Path) -> dict[str, int | str]:
        """Return size and SHA-256 of a file; one that has not been touched since the last call is not read again."""
        status = path.stat()
        state = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if state in self._known:
            return self._known[state]
        found = fingerprint(path)
        if time.time() - status.st_ctime > _SETTLED:
            self._known[state] = found
        return found

    def claim(self, *names: str, whole: Mapping[str, Any] | None = None) -> None:
        """List files that are about to be written, and those in `whole` with what `fingerprint` says of them.

        Raises:
            CheckpointError: the list cannot be written.
        """
        before = self._read()
        listed = {**before, **dict.fromkeys(names), **(whole or {})}
        if listed != before:
            self._write(listed)

    def discard(self, names: Iterable[str]) -> None:
        """Delete those of `names` that are as a run has left them, and folders in which nothing is left.

        Raises:
            OSError: a file cannot be deleted.
        """
        names = set(names)
        for name in names.difference(self.foreign(names)):
            (self.folder / name).unlink(missing_ok=True)
        parents = {parent for name in names for parent in Path(name).parents if parent.name}
        for folder in sorted(parents, reverse=True):
            with contextlib.suppress(OSError):  # not there, or not empty
                (self.folder / folder).rmdir()

    def close(self) -> None:
        """Note size and checksum of what was written since the last time.

        Raises:
            OSError: a file cannot be read, or the list not be written.
        """
        there = {name: noted for name, noted in self._read().items() if (self.folder / name).is_file()}
        self._write({name: noted or fingerprint(self.folder / name) for name, noted in there.items()})

    def _read(self) -> dict[str, Any]:
        try:
            listed = read_json(self.folder / MANIFEST).get("files")
        except CheckpointError:
            return {}
        return listed if isinstance(listed, dict) else {}

    def _write(self, listed: dict[str, Any]) -> None:
        text = json.dumps({"files": listed}, indent=1) + "\n"
        write_whole(make_folder(self.folder) / MANIFEST, lambda path: path.write_text(text, encoding="utf-8"))


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
