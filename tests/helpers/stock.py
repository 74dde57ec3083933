"""Runs a piece of code against the stock library, in a process of its own that never sees the one of this repository.

answer = run_stock("result['twice'] = 2 * payload['x']", {"x": 2}, tmp_path)     # {"twice": 4}
"""

import functools
import importlib.metadata
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]


@functools.cache
def stock_version() -> str | None:
    """Version of the stock library that is installed beside ours, or None."""
    try:
        return importlib.metadata.version("transformers")
    except importlib.metadata.PackageNotFoundError:
        return None


requires_stock = pytest.mark.skipif(
    stock_version() is None, reason="the stock transformers package is not installed (requirements-dev.txt has it)"
)

_FRAME = """
import json, os, sys
import transformers
assert "site-packages" in transformers.__file__ or "dist-packages" in transformers.__file__, transformers.__file__
assert not transformers.__file__.startswith({root!r} + os.sep + "transformers"), transformers.__file__
with open("payload.json", encoding="utf-8") as file:
    payload = json.load(file)
result = {{}}
{code}
with open("result.json", "w", encoding="utf-8") as file:
    json.dump(result, file)
"""


def run_stock(code: str, payload: dict, tmp_path: Path, *, timeout: float = 110.0) -> dict:
    """Run `code` in a new Python process with the stock library and return the dictionary `result` that it filled.

    Args:
        code: statements; they see `payload`, an empty dictionary `result`, and `transformers` already imported.
        payload: anything that JSON can hold, lone surrogates in strings included.
        tmp_path: folder for the exchange; the process works in a new folder `stock_<n>` below it.
        timeout: seconds until the test fails.

    Returns:
        What `code` left in `result`, through JSON (keys become strings, tuples lists).
    """
    folder = _new_folder(Path(tmp_path))
    (folder / "payload.json").write_text(json.dumps(payload), encoding="utf-8")
    (folder / "code.py").write_text(
        _FRAME.format(root=str(_ROOT), code=textwrap.dedent(code).strip("\n")), encoding="utf-8"
    )
    # -I: neither the working folder, nor the script's, nor PYTHONPATH is searched for `transformers`.
    finished = subprocess.run(
        [sys.executable, "-I", "code.py"],
        cwd=folder,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert finished.returncode == 0, f"the stock library's process failed:\n{finished.stdout}\n{finished.stderr}"
    return json.loads((folder / "result.json").read_text(encoding="utf-8"))


def _new_folder(parent: Path) -> Path:
    number = 0
    while (folder := parent / f"stock_{number}").exists():
        number += 1
    folder.mkdir(parents=True)
    return folder
