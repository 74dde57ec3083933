"""Which files of an output folder a run has written: these may be replaced, and nothing else is ever deleted.

`.run_files.json` lists each with its size and SHA-256. A file is listed before it is written, without a checksum until
the run has ended: one that was killed leaves it so, and the file is the run's own however far it came.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers.utils.errors import CheckpointError
from transformers.utils.files import make_folder, read_json, write_whole

from ..training.checksums import fingerprint

MANIFEST = ".run_files.json"


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

    def names(self) -> list[str]:
        """Return what is listed."""
        return sorted(self._read())

    def owns(self, name: str) -> bool:
        """Whether `name` may be written or deleted: it does not exist, or is as a run has left it."""
        path = self.folder / name
        if not path.is_symlink() and not path.exists():
            return True
        listed = self._read()
        if name not in listed or self.folder.resolve() not in path.resolve().parents:
            return False
        try:
            return listed[name] is None or fingerprint(path) == listed[name]
        except OSError:
            return False

    def claim(self, *names: str, whole: Mapping[str, Any] | None = None) -> None:
        """List files that are about to be written, and those in `whole` with what `fingerprint` says of them.

        Raises:
            CheckpointError: the list cannot be written.
        """
        before = self._read()
        listed = {**before, **dict.fromkeys(names), **(whole or {})}
        if listed != before:
            self._write(listed)

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
