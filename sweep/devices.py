"""The devices of a sweep's workers: which GPU an index means, and how several workers get along on one.

Imports no torch: asking it about a GPU would take some of that GPU's memory for the command that only starts workers.
"""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from glue.cli.paths import check_writable
from glue.errors import UsageError

VISIBLE = "CUDA_VISIBLE_DEVICES"
_COMPILED = "TORCHINDUCTOR_CACHE_DIR"
_MIB_A_GIB = 1024


def find_gpu(index: str) -> str:
    """Return a GPU's name in `CUDA_VISIBLE_DEVICES`.

    Args:
        index: counts the GPUs that this process may use, as PyTorch does: where a scheduler has granted 2 and 5, index
            1 is 5.

    Raises:
        UsageError: there are fewer.
    """
    granted = os.environ.get(VISIBLE)
    if granted is None:
        return index
    names = [name.strip() for name in granted.split(",") if name.strip()]
    if int(index) >= len(names):
        raise UsageError(
            f"--device {index}: {VISIBLE} is {granted!r}, which is {len(names)} GPU(s), counted from 0; expected one "
            "of these, cpu or auto"
        )
    return names[int(index)]


def worker_environment(device: str, workers: int) -> dict[str, str]:
    """Return the environment of a worker's runs: its GPU alone, its share of the cores, one cache of compiled models.

    Args:
        device: index of a GPU, cpu or auto.
        workers: how many there are.
    """
    environment = dict(os.environ)
    if device.isdecimal():
        environment[VISIBLE] = find_gpu(device)
    elif device == "cpu":
        environment[VISIBLE] = ""  # or a run takes some of a GPU's memory only to look at its random numbers
    if workers > 1:
        environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
    caches = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    if _COMPILED not in environment and _is_writable(caches):
        environment[_COMPILED] = str(caches / "contranorm" / "compiled")
    return environment


def describe_sharing(devices: Sequence[str]) -> Iterator[str]:
    """Yield a line for each GPU that several workers share: how many they are, and what memory each of them can have.

    The memory is left out where there is no nvidia-smi, or it does not know.

    Args:
        devices: of the workers.
    """
    for device, workers in Counter(devices).items():
        if device.isdecimal() and workers > 1:
            memory = _free_memory(find_gpu(device))
            share = "" if memory is None else f": {memory / workers:.1f} GiB for each, of {memory:.1f} GiB free"
            yield f"GPU {device} is shared by {workers} workers{share}"


def _free_memory(gpu: str) -> float | None:
    """Return the memory in GiB that nobody uses of a GPU, by its name; None where that is not known."""
    command = ["nvidia-smi", f"--id={gpu}", "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        return float(answer.stdout) / _MIB_A_GIB
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _is_writable(folder: Path) -> bool:
    try:
        check_writable("", folder)
    except UsageError:
        return False
    return folder.is_absolute()
